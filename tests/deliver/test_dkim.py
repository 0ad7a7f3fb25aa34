"""Every signature is judged by a verifier that shares no code with the signer."""

import base64
import email
import email.policy
import hashlib
import re
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

import dkim  # type: ignore[import-untyped]
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, select

from newsletter.compose.briefing import Briefing
from newsletter.db import reading, transaction
from newsletter.deliver.dkim import HEADER_FIELDS, Signer, SigningKey, read_private_key
from newsletter.deliver.dkim_keys import (
    create_key,
    dns_record,
    keys_for,
    retire_key,
    signing_key,
)
from newsletter.deliver.sender import Sender
from newsletter.devmail.peer import DevMail
from newsletter.errors import InputError, NotFoundError, SettingError, StateError
from newsletter.models import DkimAlgorithm, DkimKey
from newsletter.render.message import Assembler
from newsletter.sealing import unseal
from newsletter.settings import get_settings
from tests.newsroom import add_list, add_readers, add_transport, sending_edition, settings_for
from tests.render.factory import (
    MORNING,
    TOKENS,
    make_briefing,
    make_chinese_briefing,
    make_compiled,
    make_recipient,
)
from tests.smtpd import smtpd

__all__ = ["smtpd"]

ONE_STORE = pytest.mark.parametrize("store", ["sqlite"])
DOMAIN = "harbour.example"
RSA, ED25519 = DkimAlgorithm.RSA, DkimAlgorithm.ED25519


@cache
def both_keys() -> tuple[SigningKey, SigningKey]:
    rsa = generate_private_key(public_exponent=65537, key_size=2048)
    return (
        SigningKey(DOMAIN, "rsa", rsa),
        SigningKey(DOMAIN, "ed", Ed25519PrivateKey.generate()),
    )


@cache
def published() -> dict[str, str]:
    return {record.name: record.text for record in map(dns_record, both_keys())}


@cache
def briefing_mail() -> bytes:
    return Assembler(make_compiled(), TOKENS).message(make_recipient(), date=MORNING)


def signed_briefing() -> bytes:
    return Signer(both_keys()).sign(briefing_mail(), at=MORNING)


def verdicts(mail: bytes, records: Mapping[str, str]) -> list[bool]:
    """What a receiver who knows `records` says of each signature, from the top."""

    def txt(name: bytes, timeout: int = 5) -> bytes | None:
        record = records.get(name.decode().rstrip("."))
        return record.encode() if record is not None else None

    judge = dkim.DKIM(mail, minkey=2048)
    signatures = sum(name.lower() == b"dkim-signature" for name, _ in judge.headers)
    return [is_valid(judge, number, txt) for number in range(signatures)]


def is_valid(judge: "dkim.DKIM", number: int, txt: object) -> bool:
    try:
        return bool(judge.verify(idx=number, dnsfunc=txt))
    except dkim.ValidationError:
        return False


def tags(mail: bytes) -> dict[str, str]:
    """The tags of the topmost signature, without blanks."""
    field = re.match(rb"DKIM-Signature:(.*?)\r\n(?![ \t])", mail, re.DOTALL)
    assert field is not None
    text = re.sub(r"\s", "", field[1].decode())
    return dict(tag.split("=", 1) for tag in text.split(";"))


def letter(headers: Iterable[str] = ("From: a@harbour.example",), body: str = "Hello\r\n") -> bytes:
    return "".join((*(f"{header}\r\n" for header in headers), "\r\n", body)).encode()


def test_an_rsa_and_an_ed25519_signature_both_verify() -> None:
    assert verdicts(signed_briefing(), published()) == [True, True]


def test_base64_mail_verifies_too() -> None:
    chinese = Assembler(make_compiled(make_chinese_briefing()), TOKENS)
    mail = chinese.message(make_recipient("柳传志"), date=MORNING)

    signed = Signer(both_keys()).sign(mail, at=MORNING)

    assert verdicts(signed, published()) == [True, True]


def test_signatures_hold_when_the_message_is_parsed_and_written_again() -> None:
    parsed = email.message_from_bytes(signed_briefing(), policy=email.policy.compat32)

    written = parsed.as_bytes(policy=email.policy.compat32.clone(linesep="\r\n"))

    assert verdicts(written, published()) == [True, True]


def test_signatures_hold_when_a_relay_adds_its_trace() -> None:
    relayed = b"Received: from a by b; Thu, 07 Mar 2024 06:30:01 +0000\r\n" + signed_briefing()

    assert verdicts(relayed, published()) == [True, True]


@pytest.mark.parametrize("briefing", [make_briefing(), make_chinese_briefing()])
@settings(max_examples=30, deadline=None)
@given(name=st.text(max_size=80) | st.sampled_from(["Ada  Lovelace", "王小明" * 20, 'A "B" \t C']))
def test_a_letter_is_signed_as_if_it_had_been_read_again(briefing: Briefing, name: str) -> None:
    assembler = Assembler(make_compiled(briefing), TOKENS)
    letter = assembler.letter(make_recipient(name), date=MORNING)

    signed = b"".join(Signer(both_keys()).sign_letter(letter, at=MORNING))

    assert signed == Signer(both_keys()).sign(letter.content, at=MORNING)
    assert verdicts(signed, published()) == [True, True]


def test_a_letter_without_keys_leaves_as_it_was_made() -> None:
    letter = Assembler(make_compiled(), TOKENS).letter(make_recipient(), date=MORNING)

    assert b"".join(Signer(()).sign_letter(letter, at=MORNING)) == letter.content


def test_the_message_itself_stays_as_it_is() -> None:
    assert signed_briefing().endswith(b"\r\n" + briefing_mail())


def test_a_signature_names_what_it_must_and_nothing_else_h_11_h_12() -> None:
    given = tags(signed_briefing())

    assert set(given) == {"v", "a", "c", "d", "s", "h", "t", "bh", "b"}
    assert (given["v"], given["a"], given["c"]) == ("1", "rsa-sha256", "relaxed/relaxed")
    assert (given["d"], given["s"]) == (DOMAIN, "rsa")
    assert int(given["t"]) == MORNING.timestamp()
    names = given["h"].split(":")
    twice = {"from", "reply-to", "to", "subject", "date", "content-type"}
    assert {name for name in names if names.count(name) == 2} == twice
    assert set(names) - twice == {
        "message-id",
        "mime-version",
        "content-transfer-encoding",
        "list-unsubscribe",
        "list-unsubscribe-post",
        "list-id",
        "list-help",
        "list-archive",
        "feedback-id",
    }


def test_signature_lines_fit_78_columns() -> None:
    top = signed_briefing()[: -len(briefing_mail())]

    assert max(map(len, top.split(b"\r\n"))) <= 78
    assert b"\n" not in top.replace(b"\r\n", b"")


def test_the_same_message_and_instant_give_the_same_octets() -> None:
    assert signed_briefing() == signed_briefing()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(b"List-Unsubscribe=One-Click", b"List-Unsubscribe=Two-Click", id="post"),
        pytest.param(b"List-Unsubscribe: <", b"List-Unsubscribe: <x", id="unsubscribe"),
        pytest.param(b"\r\nFrom:", b"\r\nFrom: Eve <e@evil.example>\r\nFrom:", id="second from"),
        pytest.param(b"MIME-Version", b"From: e@evil.example\r\nMIME-Version", id="later from"),
        pytest.param(b"\r\nSubject:", b"\r\nSubject: Prize\r\nSubject:", id="second subject"),
        pytest.param(b"\r\nTo:", b"\r\nTo: eve@evil.example\r\nTo:", id="second to"),
        pytest.param(b"\r\nDate:", b"\r\nDate: now\r\nDate:", id="second date"),
        pytest.param(b"\r\nTo:", b"\r\nReply-To: e@evil.example\r\nTo:", id="second reply-to"),
        pytest.param(b"\r\nTo:", b"\r\nContent-Type: text/html\r\nTo:", id="second content-type"),
        pytest.param(b"\r\nTo:", b"\r\nList-Help: <e:e>\r\nTo:", id="list-help appears"),
        pytest.param(b"Morning", b"Evening", id="body or header word"),
        pytest.param(b"--\r\n", b"--\r\n<p>Buy</p>\r\n", id="more body"),
    ],
)
def test_tampering_breaks_every_signature(before: bytes, after: bytes) -> None:
    signed = signed_briefing()
    assert before in signed

    tampered = after.join(signed.rsplit(before, 1))

    assert verdicts(tampered, published()) == [False, False]


@pytest.mark.parametrize(
    ("body", "canonical"),
    [
        pytest.param("", "", id="empty"),
        pytest.param("\r\n", "", id="one blank line"),
        pytest.param(" \t\r\n\r\n \r\n", "", id="only blanks"),
        pytest.param(" C \r\nD \t E\r\n\r\n\r\n", " C\r\nD E\r\n", id="RFC 6376 section 3.4.5"),
        pytest.param("end", "end\r\n", id="no line end"),
        pytest.param("end \t ", "end\r\n", id="blanks and no line end"),
        pytest.param("a\r\n\r\n\r\nb\r\n", "a\r\n\r\n\r\nb\r\n", id="blank lines within"),
        pytest.param("a" + " " * 999 + "b\t\t\r\n", "a b\r\n", id="a long run"),
        pytest.param("a\rb\nc \n\r\n", "a\rb\nc \n\r\n", id="bare CR and LF are no line ends"),
    ],
)
def test_a_body_is_hashed_in_its_relaxed_form(body: str, canonical: str) -> None:
    signed = Signer(both_keys()).sign(letter(body=body), at=MORNING)

    expected = hashlib.sha256(canonical.encode()).digest()
    assert base64.b64decode(tags(signed)["bh"]) == expected


BLANKS = st.text(" \t", min_size=1, max_size=3)
FOLDS = st.one_of(BLANKS, BLANKS.map(lambda blanks: f"\r\n{blanks}"))
VALUES = st.lists(st.one_of(st.text("abcXYZ09:;=<>é柳", max_size=8), FOLDS), max_size=6).map(
    "".join
)
NAMES = st.sampled_from(
    sorted({name.decode() for name in HEADER_FIELDS} - {"from"}) + ["X-Odd", "DKIM-Odd"]
)
HEADERS = st.builds(
    lambda name, is_loud, value: f"{name.upper() if is_loud else name}:{value}",
    NAMES,
    st.booleans(),
    VALUES,
)
BODIES = st.builds(
    lambda lines, end: "\r\n".join(lines) + end,
    st.lists(st.text("ab.= \té柳", max_size=6), max_size=8),
    st.sampled_from(["", "\r\n", "\r\n\r\n\r\n"]),
)


@settings(max_examples=150, deadline=None)
@given(headers=st.lists(HEADERS, max_size=12), sender=VALUES, body=BODIES)
def test_any_message_verifies_once_a_server_has_taken_it(
    headers: list[str], sender: str, body: str
) -> None:
    message = letter([*headers[:6], f"From:{sender}", *headers[6:]], body)

    signed = Signer(both_keys()).sign(message, at=MORNING)

    taken = signed if signed.endswith(b"\r\n") else signed + b"\r\n"  # SMTP has no other end
    assert verdicts(taken, published()) == [True, True]


def test_without_keys_a_message_leaves_as_it_came() -> None:
    assert Signer(()).sign(briefing_mail(), at=MORNING) == briefing_mail()


def test_a_short_rsa_key_is_refused() -> None:
    short = generate_private_key(public_exponent=65537, key_size=1024)
    pem = short.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()

    with pytest.raises(SettingError, match="2048 bits"):
        read_private_key(pem)


def make_key(
    engine: Engine, selector: str, algorithm: DkimAlgorithm = RSA, domain: str = DOMAIN
) -> None:
    with transaction(engine) as session:
        create_key(session, domain, selector, algorithm=algorithm, now=MORNING)


def retire(engine: Engine, selector: str) -> None:
    with transaction(engine) as session:
        retire_key(session, DOMAIN, selector)


def signing(engine: Engine, domain: str = DOMAIN) -> list[str]:
    with reading(engine) as session:
        return [f"{key.selector}.{key.domain}" for key in keys_for(session, domain)]


def records_of(engine: Engine) -> dict[str, str]:
    """The zone of an operator who published every key that was ever made."""
    with reading(engine) as session:
        keys = map(signing_key, session.scalars(select(DkimKey)))
        return {record.name: "".join(record.strings) for record in map(dns_record, keys)}


@ONE_STORE
def test_a_new_key_waits_until_the_one_before_it_is_retired(engine: Engine) -> None:
    make_key(engine, "s1")
    make_key(engine, "e1", ED25519)
    make_key(engine, "s2")

    before = signing(engine)
    retire(engine, "s1")

    assert before == ["s1.harbour.example", "e1.harbour.example"]
    assert signing(engine) == ["s2.harbour.example", "e1.harbour.example"]


@ONE_STORE
@pytest.mark.parametrize(
    ("sender", "signer"),
    [
        ("harbour.example", ["s1.harbour.example"]),
        ("news.mail.harbour.example", ["s2.mail.harbour.example"]),
        ("www.harbour.example", ["s1.harbour.example"]),
        ("myharbour.example", []),
        ("example", []),
    ],
)
def test_the_nearest_domain_with_a_key_signs(
    engine: Engine, sender: str, signer: list[str]
) -> None:
    make_key(engine, "s1")
    make_key(engine, "s2", domain="mail.harbour.example")

    assert signing(engine, sender) == signer


@ONE_STORE
def test_a_selector_is_never_used_twice(engine: Engine) -> None:
    make_key(engine, "s1")
    retire(engine, "s1")

    with pytest.raises(StateError, match="choose another selector"):
        make_key(engine, "S1")


@ONE_STORE
def test_ed25519_never_signs_alone(engine: Engine) -> None:
    with pytest.raises(StateError, match="no RSA key"):
        make_key(engine, "e1", ED25519)
    make_key(engine, "s1")
    make_key(engine, "e1", ED25519)

    with pytest.raises(StateError, match="retire e1 first"):
        retire(engine, "s1")
    retire(engine, "e1")
    retire(engine, "s1")

    assert signing(engine) == []


@ONE_STORE
@pytest.mark.parametrize(
    ("domain", "selector"),
    [
        ("harbour", "s1"),
        ("harbour.example;", "s1"),
        ("", "s1"),
        (DOMAIN, ""),
        (DOMAIN, "s_1"),
        (DOMAIN, "s1;"),
        (DOMAIN, "s" * 64),
    ],
)
def test_names_that_would_break_a_signature_are_refused(
    engine: Engine, domain: str, selector: str
) -> None:
    with pytest.raises(InputError):
        make_key(engine, selector, domain=domain)


@ONE_STORE
def test_an_international_domain_is_kept_as_the_wire_has_it(engine: Engine) -> None:
    make_key(engine, "s1", domain="Häfen.example.")

    assert signing(engine, "xn--hfen-loa.example") == ["s1.xn--hfen-loa.example"]


@ONE_STORE
def test_retiring_an_unknown_key_says_where_to_look(engine: Engine) -> None:
    with pytest.raises(NotFoundError, match="newsletter dkim list"):
        retire(engine, "s1")


@ONE_STORE
def test_a_record_is_published_in_strings_of_255_octets(engine: Engine) -> None:
    make_key(engine, "s1")

    with reading(engine) as session:
        record = dns_record(signing_key(session.scalars(select(DkimKey)).one()))

    assert [len(string) for string in record.strings[:-1]] == [255]
    assert "".join(record.strings) == record.text
    assert record.name == "s1._domainkey.harbour.example"


@ONE_STORE
def test_the_database_holds_no_readable_private_key_s_25(engine: Engine, tmp_path: Path) -> None:
    make_key(engine, "s1")

    with reading(engine) as session:
        key = session.scalars(select(DkimKey)).one()
    secret = unseal(key.sealed_private_key)
    stored = b"".join(path.read_bytes() for path in tmp_path.glob("newsletter.db*"))

    assert key.sealed_private_key in stored
    assert "PRIVATE KEY" in secret
    assert not any(line.encode() in stored for line in secret.splitlines())
    assert b"PRIVATE" not in stored


@ONE_STORE
def test_a_key_sealed_under_lost_secrets_signs_nothing(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_key(engine, "s1")
    monkeypatch.setenv("NEWSLETTER_SECRET_KEYS", "5:another secret than the key was sealed with")
    get_settings.cache_clear()

    try:
        with reading(engine) as session, pytest.raises(SettingError, match="SECRET_KEYS"):
            signing_key(session.scalars(select(DkimKey)).one())
    finally:
        monkeypatch.undo()
        get_settings.cache_clear()


def test_mail_of_a_real_sender_arrives_with_signatures_that_verify(
    engine: Engine, smtpd: DevMail, tmp_path: Path
) -> None:
    house = settings_for(tmp_path)
    make_key(engine, "s1")
    make_key(engine, "e1", ED25519)
    list_id = add_list(engine)
    add_readers(engine, list_id, ["Ada", "Bo", "Cy"])
    sending_edition(engine, house, [list_id], add_transport(engine, smtpd.port))

    with Sender(engine, house) as sender:
        sender.drain(seconds=20)

    arrived = [mail.content for mail in smtpd.messages()]
    assert len(arrived) == 3
    for mail in arrived:
        assert verdicts(mail, records_of(engine)) == [True, True]
        assert tags(mail)["s"] == "s1"


@ONE_STORE
def test_a_worker_signs_with_the_next_key_once_the_first_is_retired(
    engine: Engine, smtpd: DevMail, tmp_path: Path
) -> None:
    house = settings_for(tmp_path)
    list_id, transport = add_list(engine), add_transport(engine, smtpd.port)
    add_readers(engine, list_id, ["Ada"])
    selectors = []

    with Sender(engine, house) as sender:
        for change in (no_key, first_key, next_key):
            change(engine)
            sending_edition(engine, house, [list_id], transport)
            sender.drain(seconds=20)
            mail = smtpd.messages()[-1].content
            assert all(verdicts(mail, records_of(engine)))
            selectors.append(tags(mail)["s"] if mail.startswith(b"DKIM-Signature:") else None)

    assert selectors == [None, "s1", "s2"]


def no_key(_engine: Engine) -> None:
    pass


def first_key(engine: Engine) -> None:
    make_key(engine, "s1")


def next_key(engine: Engine) -> None:
    make_key(engine, "s2")
    retire(engine, "s1")
