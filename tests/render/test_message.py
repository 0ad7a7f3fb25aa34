import datetime
import email
import email.policy
import hashlib
import re
from base64 import b64encode
from email.message import EmailMessage
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from newsletter.addresses import parse_address
from newsletter.checks.message import check_message
from newsletter.errors import AddressError
from newsletter.render.compiled import Compiled
from newsletter.render.message import Assembler
from newsletter.render.recipient import Recipient
from newsletter.tokens import DeliveryRef, Purpose, SubscriptionRef
from tests.render.factory import (
    EDITION_ID,
    MORNING,
    TOKENS,
    make_briefing,
    make_chinese_briefing,
    make_compiled,
    make_masthead,
    make_recipient,
)
from tests.render.reference import Events, plain_octets, read_mailbox, reference_message

BRIEFINGS = {"english": make_briefing(), "chinese": make_chinese_briefing()}
COMPILED = {
    name: make_compiled(briefing, make_masthead(name="R&D “Brief” 晨", sender_name='Desk "1"'))
    for name, briefing in BRIEFINGS.items()
}
ASSEMBLERS = {name: Assembler(compiled, TOKENS) for name, compiled in COMPILED.items()}


class Stored(NamedTuple):
    """A reader as the ledger has them."""

    subscriber_id: int
    list_id: int
    address: str
    name: str
    joined_on: datetime.date | None
    hidden: int = 0


names = st.text(max_size=60) | st.sampled_from(
    [
        "",
        "<b>&\"é中'",
        "=?utf-8?q?x?=",
        "x" * 300,
        "👩‍👩‍👧‍👦 王小明",
        "\u202eevil\u2066",
        "\u200fשלום",
        "a = b.",
        "Ada  Lovelace",
        "Ada " + "L" * 70,
        "Dr. O'Brien, M.",
        ".dot",
        "From here",
        "Ada\r\nBcc: all@example.org\0",
        "{{ 7*7 }} {list}",
    ]
)
addresses = st.sampled_from(
    [
        "ada@readers.example",
        "a'b&c@readers.example",
        "F=x/y@sub.readers.example",
        "x@bücher.example",
    ]
).map(parse_address)
recipients = st.builds(
    Recipient,
    subscriber_id=st.integers(0, 2**48 - 1),
    list_id=st.integers(0, 2**32 - 1),
    address=addresses,
    name=names,
    joined_on=st.none() | st.dates(),
)
dates = st.datetimes(MORNING.replace(tzinfo=None), timezones=st.just(datetime.UTC))


def read(raw: bytes) -> EmailMessage:
    return email.message_from_bytes(raw, policy=email.policy.default)


def parts_of(message: EmailMessage) -> tuple[str, str]:
    text, html = (str(part.get_content()) for part in message.iter_parts())
    return text.replace("\r\n", "\n").rstrip("\n"), html


def message_for(compiled: Compiled, recipient: Recipient) -> EmailMessage:
    return read(Assembler(compiled, TOKENS).message(recipient, date=MORNING))


@pytest.mark.parametrize("language", ["english", "chinese"])
@settings(max_examples=15, deadline=None)
@given(recipient=recipients, date=dates)
def test_the_fast_way_says_what_the_slow_way_says(
    language: str, recipient: Recipient, date: datetime.datetime
) -> None:
    briefing, compiled = BRIEFINGS[language], COMPILED[language]

    raw = ASSEMBLERS[language].message(recipient, date=date)

    slow = reference_message(briefing, compiled, recipient, tokens=TOKENS, date=date)
    fast = read(raw)
    to = email.message_from_bytes(raw)["To"]
    assert read_mailbox(to) == (recipient.printable_name, str(recipient.address))
    for name in ("From", "Subject", "Date", "Message-ID"):
        assert str(fast[name]) == str(slow[name])
    assert fast["List-Unsubscribe"] == slow["List-Unsubscribe"]
    assert parts_of(fast)[0] == parts_of(slow)[0]
    assert Events.of(parts_of(fast)[1]) == Events.of(parts_of(slow)[1])


@pytest.mark.parametrize("language", ["english", "chinese"])
@settings(max_examples=50, deadline=None)
@given(recipient=recipients, date=dates)
def test_what_was_made_beforehand_changes_no_octet(
    language: str, recipient: Recipient, date: datetime.datetime
) -> None:
    letter = ASSEMBLERS[language].letter(recipient, date=date)

    assert letter.content == plain_octets(COMPILED[language], recipient, tokens=TOKENS, date=date)


@pytest.mark.parametrize("language", ["english", "chinese"])
@settings(max_examples=50, deadline=None)
@given(recipient=recipients)
def test_a_body_is_signed_as_it_is_sent(language: str, recipient: Recipient) -> None:
    """RFC 6376 section 3.4.4: single blanks, none before a line's end, no empty line at the end."""
    body = b"".join(ASSEMBLERS[language].letter(recipient, date=MORNING).body)

    assert not re.search(rb"\t|  | \r\n", body)
    assert body.endswith(b"--\r\n")


def test_the_envelope_goes_to_the_reader_and_comes_back_to_the_delivery() -> None:
    letter = Assembler(make_compiled(), TOKENS).letter(make_recipient(), date=MORNING)

    assert letter.address == "ada.lovelace@readers.example"
    assert re.fullmatch(r"b-[0-9a-f]{42}@mail\.example\.org", letter.return_path)


@pytest.mark.parametrize(
    "address",
    [
        "ada@readers.example\r\nBcc: eve@evil.example",
        "ada@readers.example>",
        "ada <ada@readers.example>",
        "ada\0@readers.example",
        "readers.example",
        "",
    ],
)
def test_an_address_that_was_never_normalised_makes_no_message(address: str) -> None:
    reader = Stored(1, 3, address, "Ada", None)

    with pytest.raises(AddressError):
        Assembler(make_compiled(), TOKENS).letter(reader, date=MORNING)


@pytest.mark.parametrize("language", ["english", "chinese"])
@settings(max_examples=50, deadline=None)
@given(recipient=recipients)
def test_no_reader_can_make_an_invalid_message(language: str, recipient: Recipient) -> None:
    raw = ASSEMBLERS[language].message(recipient, date=MORNING)

    assert check_message(raw) == []
    assert not any(line.startswith(b".") for line in raw.split(b"\r\n"))


def test_a_message_has_exactly_these_fields() -> None:
    message = message_for(make_compiled(), make_recipient())

    assert message.items() == [
        ("From", "The Morning Brief <brief@mail.example.org>"),
        ("Reply-To", "desk@example.org"),
        ("To", "Ada Lovelace <ada.lovelace@readers.example>"),
        ("Subject", "TikTok on a US split; ex-Lenovo chair passes"),
        ("Date", "Thu, 07 Mar 2024 06:30:00 +0000"),
        ("Message-ID", message["Message-ID"]),
        ("List-Unsubscribe", message["List-Unsubscribe"]),
        ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
        ("List-Id", '"The Morning Brief" <morning-brief.mail.example.org>'),
        ("List-Archive", "<https://news.example.org/e/Xk3v9QpL>"),
        ("List-Post", "NO"),
        ("Feedback-ID", "Xk3v9QpL:morning-brief:briefing:aa02df79e5"),
        ("Precedence", "bulk"),
        ("X-Auto-Response-Suppress", "OOF, AutoReply"),
        ("MIME-Version", "1.0"),
        ("Content-Type", message["Content-Type"]),
    ]


def test_every_token_names_this_reader_and_opens_one_thing() -> None:
    recipient = make_recipient()
    assembler = Assembler(make_compiled(), TOKENS)
    message = read(assembler.message(recipient, date=MORNING))
    _, html = parts_of(message)
    delivery = DeliveryRef(EDITION_ID, recipient.subscriber_id)

    (click,) = set(re.findall(r"/c/([\w-]+)/\d+\"", html))
    (pixel,) = re.findall(r"/o/([\w-]+)\"", html)
    unsubscribe = str(message["List-Unsubscribe"]).rpartition("/")[2].rstrip(">")
    message_id = str(message["Message-ID"]).strip("<>").partition("@")[0]
    bounce = assembler.letter(recipient, date=MORNING).return_path

    assert TOKENS.read_delivery(Purpose.CLICK, click) == delivery
    assert TOKENS.read_delivery(Purpose.OPEN, pixel) == delivery
    assert TOKENS.read_delivery(Purpose.MESSAGE_ID, message_id) == delivery
    assert TOKENS.read_unsubscribe(unsubscribe) == SubscriptionRef(
        recipient.list_id, EDITION_ID, recipient.subscriber_id
    )
    assert re.fullmatch(r"b-[0-9a-f]+@mail\.example\.org", bounce)
    assert len(bounce.partition("@")[0]) <= 64
    assert TOKENS.read_return_path(bounce[2:].partition("@")[0]) == delivery


def test_no_address_of_a_mail_gives_the_reader_away() -> None:
    """T-11."""
    recipient = make_recipient("Ada Lovelace")
    raw = Assembler(make_compiled(), TOKENS).message(recipient, date=MORNING)
    text, html = parts_of(read(raw))

    urls = " ".join(re.findall(r"https?://[^\s\"<>)]+", f"{text} {html}"))

    address = str(recipient.address)
    secrets = [address, "ada.lovelace", "lovelace", str(recipient.subscriber_id)]
    secrets += [f"{recipient.subscriber_id:x}", b64encode(address.encode()).decode().rstrip("=")]
    secrets += [hashlib.new(name, address.encode()).hexdigest() for name in ("md5", "sha1")]
    assert "/c/" in urls
    assert not [secret for secret in secrets if secret.lower() in urls.lower()]


def test_the_same_reader_and_date_give_the_same_octets_in_any_process() -> None:
    compiled = make_compiled()
    stored = Compiled.from_bytes(compiled.to_bytes())

    first = Assembler(compiled, TOKENS).message(make_recipient(), date=MORNING)
    second = Assembler(stored, TOKENS).message(make_recipient(), date=MORNING)

    assert first == second


@pytest.mark.parametrize(
    ("name", "printable"),
    [
        ("  Ada  ", "Ada"),
        ("Ada\r\nBcc: x", "Ada Bcc: x"),
        ("A\0d\x07a\x85", "Ada"),
        ("\u202eAda\u202c", "Ada"),
        ("\ud800Ada\uffff", "Ada"),
        ("\u200b\u200f", ""),
        ("王\u3000小明", "王 小明"),
        ("x" * 300, "x" * 300),
        ("\u200fשלום", "\u200fשלום"),
    ],
)
def test_a_name_enters_a_mail_as_one_printable_line(name: str, printable: str) -> None:
    assert make_recipient(name).printable_name == printable


@pytest.mark.parametrize("name", ["<script>alert(1)</script>", "</td></table>", '"><img src=x>'])
def test_a_name_is_text_in_the_html(name: str) -> None:
    _, html = parts_of(message_for(make_compiled(), make_recipient(name)))

    assert name not in html
    assert ("text", f"Good morning, {name}.") in Events.of(html)


def test_a_reader_without_name_or_date_gets_whole_sentences() -> None:
    text, html = parts_of(message_for(make_compiled(), make_recipient("", joined_on=None)))

    assert "\nGood morning.\n" in text
    assert ">Good morning.<" in html
    assert "ada.lovelace@readers.example subscribed to The Morning Brief.<" in html


def test_a_chinese_list_id_is_the_identifier_alone() -> None:
    """H-21: no encoded-word in a field that software reads."""
    compiled = make_compiled(masthead=make_masthead(name="晨间科技", sender_name="晨间科技"))

    message = message_for(compiled, make_recipient())

    assert message["List-Id"] == "<morning-brief.mail.example.org>"
    assert str(message["From"]) == "晨间科技 <brief@mail.example.org>"


def test_a_sender_without_a_reply_address_is_answered_itself() -> None:
    compiled = make_compiled(masthead=make_masthead(reply_to=None))

    assert message_for(compiled, make_recipient())["Reply-To"] is None


def test_an_address_beyond_ascii_is_the_only_field_in_utf_8() -> None:
    recipient = make_recipient("José", address=parse_address("josé@readers.example"))

    raw = Assembler(make_compiled(), TOKENS).message(recipient, date=MORNING)

    head = raw.partition(b"\r\n\r\n")[0]
    assert [line for line in head.split(b"\r\n") if not line.isascii()] == [
        "To: =?utf-8?b?Sm9zw6k=?= <josé@readers.example>".encode()
    ]
    assert check_message(raw) == []


def test_a_briefing_of_any_language_passes_the_checker() -> None:
    for briefing in BRIEFINGS.values():
        compiled = make_compiled(briefing, subject="柳传志逝世，享年92岁；" * 12)
        raw = Assembler(compiled, TOKENS).message(make_recipient(), date=MORNING)

        assert check_message(raw) == []
