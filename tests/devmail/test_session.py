import base64
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.devmail.script import Performance, Script
from newsletter.devmail.session import (
    Credentials,
    Effect,
    Envelope,
    Finish,
    Limits,
    Session,
    Terms,
    UpgradeToTls,
)

ENVELOPE = b"MAIL FROM:<desk@news.example>\r\nRCPT TO:<ada@example.com>\r\n"
LETTER = b"Subject: Hi\r\n\r\nGood morning\r\n"


class Conversation:
    def __init__(self, terms: Terms | None = None, script: Script | None = None) -> None:
        self.mails: list[tuple[Envelope, bytes]] = []
        performance = Performance(script or Script())
        self.session = Session(
            terms or Terms(),
            lambda: performance,
            lambda envelope, content: self.mails.append((envelope, content)),
            connection=1,
        )
        self.effects: list[Effect] = self.session.open()

    def say(self, octets: bytes) -> list[str]:
        """The codes that are answered; only the last line of an answer counts."""
        effects = self.session.receive(octets)
        self.effects += effects
        return codes(effects)

    @property
    def contents(self) -> list[bytes]:
        return [content for _, content in self.mails]

    @property
    def is_over(self) -> bool:
        return Finish() in self.effects


def codes(effects: list[Effect]) -> list[str]:
    said = b"".join(effect for effect in effects if isinstance(effect, bytes))
    return [line[:3] for line in said.decode().splitlines() if line[3:4] != "-"]


def greeted(terms: Terms | None = None, script: Script | None = None) -> Conversation:
    conversation = Conversation(terms, script)
    assert conversation.say(b"EHLO client.example\r\n") == ["250"]
    return conversation


def test_a_greeting_names_every_extension() -> None:
    conversation = Conversation(Terms(starttls=True))

    effects = conversation.session.receive(b"EHLO client.example\r\n")

    assert conversation.effects[0] == b"220 devmail.localhost ESMTP keeps mail, relays none\r\n"
    assert effects == [
        b"250-devmail.localhost\r\n250-PIPELINING\r\n250-SIZE 36700160\r\n250-DSN\r\n"
        b"250-ENHANCEDSTATUSCODES\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250-CHUNKING\r\n"
        b"250 STARTTLS\r\n"
    ]


def test_a_pipelined_group_is_answered_in_order() -> None:
    conversation = greeted()

    assert conversation.say(ENVELOPE + b"DATA\r\n") == ["250", "250", "354"]
    assert conversation.say(LETTER + b".\r\n" + ENVELOPE + b"DATA\r\n") == [
        "250",
        "250",
        "250",
        "354",
    ]
    assert conversation.say(b"Second\r\n.\r\nQUIT\r\n") == ["250", "221"]

    assert conversation.contents == [LETTER, b"Second\r\n"]
    assert conversation.mails[0][0] == Envelope("desk@news.example", ("ada@example.com",), ())
    assert conversation.is_over


def test_helo_is_enough_to_send() -> None:
    conversation = Conversation()

    assert conversation.say(b"HELO old.example\r\n") == ["250"]
    assert conversation.say(ENVELOPE + b"DATA\r\n") == ["250", "250", "354"]
    assert conversation.say(LETTER + b".\r\n") == ["250"]


@pytest.mark.parametrize(
    ("on_the_wire", "kept"),
    [
        (b".\r\n", b""),
        (b"..\r\n.\r\n", b".\r\n"),
        (b"...\r\n.\r\n", b"..\r\n"),
        (b"a\r\n..b\r\n.\r\n", b"a\r\n.b\r\n"),
        (b"a\r\n.b\r\n.\r\n", b"a\r\nb\r\n"),
        (b"a\r\n..\r\n\r\n.\r\n", b"a\r\n.\r\n\r\n"),
    ],
)
def test_dots_are_unstuffed(on_the_wire: bytes, kept: bytes) -> None:
    conversation = greeted()
    conversation.say(ENVELOPE + b"DATA\r\n")

    assert conversation.say(on_the_wire) == ["250"]

    assert conversation.contents == [kept]


@pytest.mark.parametrize(
    "smuggler",
    [b"\n.\n", b"\n.\r\n", b"\r.\r", b"\r\n.\n", b"\r\n.\r", b"\r.\r\n", b"\n", b"\r", b"\r\r\n"],
)
def test_only_clean_line_ends_are_taken_and_none_ends_the_content_early_s15(
    smuggler: bytes,
) -> None:
    conversation = greeted()
    conversation.say(ENVELOPE + b"DATA\r\n")

    answers = conversation.say(b"a" + smuggler + b"MAIL FROM:<x@example.com>\r\n")

    assert answers == []
    assert conversation.say(b"\r\n.\r\n") == ["554"]
    assert conversation.mails == []


def test_a_line_of_998_octets_is_taken_and_a_longer_one_is_not() -> None:
    for length, code in ((998, "250"), (999, "554")):
        conversation = greeted()
        conversation.say(ENVELOPE + b"DATA\r\n")

        assert conversation.say(b"short\r\n" + b"x" * length + b"\r\n.\r\n") == [code]


def test_content_that_is_too_big_is_not_kept_while_it_comes() -> None:
    conversation = greeted(Terms(limits=Limits(message_bytes=1000)))
    conversation.say(ENVELOPE + b"DATA\r\n")

    for _ in range(100):
        conversation.say(b"0123456789" * 9 + b"\r\n")
    held = len(conversation.session._buffer)

    assert held < 1000
    assert conversation.say(b".\r\n") == ["552"]
    assert conversation.say(b"MAIL FROM:<a@example.com> SIZE=2000\r\n") == ["552"]
    assert conversation.mails == []


def test_chunks_make_one_message() -> None:
    conversation = greeted()

    assert conversation.say(ENVELOPE + b"BDAT 8\r\nSubject:") == ["250", "250", "250"]
    assert conversation.say(b"BDAT 8 LAST\r\n \r\n\r\na") == []
    assert conversation.say(b"\r") == []
    assert conversation.say(b"\n") == ["250"]

    assert conversation.contents == [b"Subject: \r\n\r\na\r\n"]


def test_a_chunk_may_hold_what_looks_like_the_end() -> None:
    conversation = greeted()

    answers = conversation.say(ENVELOPE + b"BDAT 7\r\na\r\n.\r\n\r" + b"BDAT 1 LAST\r\n\n")

    assert answers == ["250", "250", "250", "250"]
    assert conversation.contents == [b"a\r\n.\r\n\r\n"]


def test_an_empty_last_chunk_ends_the_message() -> None:
    conversation = greeted()

    answers = conversation.say(ENVELOPE + b"BDAT 3\r\na\r\nBDAT 0 LAST\r\n" + ENVELOPE)

    assert answers == ["250"] * 6
    assert conversation.contents == [b"a\r\n"]


def test_a_refused_chunk_is_read_over_and_not_taken_for_commands() -> None:
    conversation = greeted()

    assert conversation.say(b"BDAT 6\r\nQUIT\r\nNOOP\r\n") == ["503", "250"]
    assert conversation.say(ENVELOPE + b"BDAT 3\r\na\r\nDATA\r\n") == ["250", "250", "250", "503"]
    assert conversation.say(b"RSET\r\nNOOP\r\n") == ["250", "250"]
    assert conversation.say(b"BDAT many\r\n") == ["501"]
    assert conversation.is_over


@pytest.mark.parametrize(
    ("said", "codes"),
    [
        (b"MAIL FROM:<a@example.com>\r\nMAIL FROM:<b@example.com>\r\n", ["250", "503"]),
        (b"RCPT TO:<a@example.com>\r\n", ["503"]),
        (b"DATA\r\n", ["503"]),
        (b"MAIL FROM:<a@example.com>\r\nDATA\r\n", ["250", "554"]),
        (ENVELOPE + b"RSET\r\nDATA\r\n", ["250", "250", "250", "503"]),
        (b"MAIL FROM:<>\r\n", ["250"]),
        (b"MAIL FROM:a@example.com\r\n", ["501"]),
        (b"MAIL TO:<a@example.com>\r\n", ["501"]),
        (b"MAIL FROM:<a@example.com> SIZE=10 BODY=8BITMIME RET=HDRS ENVID=x\r\n", ["250"]),
        (b"MAIL FROM:<a@example.com> XYZ=1\r\n", ["555"]),
        (b"MAIL FROM:<a@example.com>\r\nRCPT TO:<b@example.com> NOTIFY=NEVER\r\n", ["250", "250"]),
        (b'MAIL FROM:<"a>b"@example.com>\r\n', ["250"]),
        ("MAIL FROM:<jürgen@example.com>\r\n".encode(), ["553"]),
        ("MAIL FROM:<jürgen@example.com> SMTPUTF8\r\n".encode(), ["250"]),
        (b"MAIL FROM:<a@example.com>\r\nRCPT TO:<nobody>\r\n", ["250", "501"]),
        (b"MAIL FROM:<" + b"a" * 250 + b"@example.com>\r\n", ["501"]),
        (b"VRFY ada\r\nNOOP\r\nHELP\r\nnoop\r\n", ["252", "250", "214", "250"]),
        (b"EXPN all\r\n", ["500"]),
        (b"NOOP\n", ["500"]),
        (b"NO\x00OP\r\n", ["500"]),
        (b"AUTH PLAIN AGEAYg==\r\n", ["503"]),
        (b"STARTTLS\r\n", ["503"]),
        (b"EHLO\r\n", ["501"]),
    ],
)
def test_answers_to_commands(said: bytes, codes: list[str]) -> None:
    assert greeted().say(said) == codes


def test_limits_end_what_goes_too_far() -> None:
    limits = Limits(recipients=1, errors=2)
    conversation = greeted(Terms(limits=limits))

    assert conversation.say(ENVELOPE + b"RCPT TO:<bo@example.com>\r\n") == ["250", "250", "452"]
    assert conversation.say(b"X\r\nX\r\nX\r\nX\r\n") == ["500", "500", "500", "421"]
    assert conversation.is_over


def test_an_endless_command_line_ends_the_connection() -> None:
    conversation = greeted()

    assert conversation.say(b"x" * 3_000) == ["500"]
    assert conversation.is_over


def test_mail_needs_authentication_where_credentials_are_set() -> None:
    terms = Terms(credentials=Credentials("desk", "s3cret"))
    plain = base64.b64encode(b"\0desk\0s3cret")
    user, password = base64.b64encode(b"desk"), base64.b64encode(b"s3cret")
    wrong = base64.b64encode(b"\0desk\0guess")

    assert greeted(terms).say(ENVELOPE) == ["530", "503"]
    assert greeted(terms).say(b"AUTH PLAIN " + plain + b"\r\n" + ENVELOPE) == ["235", "250", "250"]
    assert greeted(terms).say(b"AUTH PLAIN\r\n" + plain + b"\r\n") == ["334", "235"]
    assert greeted(terms).say(b"AUTH LOGIN\r\n" + user + b"\r\n" + password + b"\r\n") == [
        "334",
        "334",
        "235",
    ]
    assert greeted(terms).say(b"AUTH PLAIN " + wrong + b"\r\n") == ["535"]
    assert greeted(terms).say(b"AUTH PLAIN\r\n*\r\nNOOP\r\n") == ["334", "501", "250"]
    assert greeted(terms).say(b"AUTH CRAM-MD5\r\n") == ["504"]


def test_what_came_in_clear_with_starttls_is_forgotten_s15() -> None:
    conversation = greeted(Terms(starttls=True))

    answers = conversation.say(b"STARTTLS\r\nMAIL FROM:<evil@example.com>\r\n")

    assert answers == ["220"]
    assert conversation.effects[-1] == UpgradeToTls()
    conversation.session.tls_started()
    assert conversation.say(ENVELOPE) == ["503", "503"]
    assert conversation.say(b"EHLO again.example\r\nSTARTTLS\r\n") == ["250", "503"]


SESSION = (
    b"EHLO client.example\r\n"
    + ENVELOPE
    + b"DATA\r\n"
    + b"a\r\n..b\r\n\r\n..\r\nlast\r\n.\r\n"
    + ENVELOPE
    + b"BDAT 5\r\n.\r\n.\rBDAT 1 LAST\r\n\n"
    + ENVELOPE
    + b"DATA\r\n..\r\n.\r\nQUIT\r\n"
)
EXPECTED = [b"a\r\n.b\r\n\r\n.\r\nlast\r\n", b".\r\n.\r\n", b".\r\n"]


def test_octet_by_octet_is_the_same_as_all_at_once() -> None:
    whole, slow = Conversation(), Conversation()

    whole.say(SESSION)
    for number in range(len(SESSION)):
        slow.say(SESSION[number : number + 1])

    assert whole.contents == slow.contents == EXPECTED
    assert codes(whole.effects) == codes(slow.effects)


@given(st.sets(st.integers(min_value=0, max_value=len(SESSION))))
def test_where_packets_split_makes_no_difference(cuts: set[int]) -> None:
    conversation = Conversation()

    edges = [0, *sorted(cuts), len(SESSION)]
    for start, end in pairwise(edges):
        conversation.say(SESSION[start:end])

    assert conversation.contents == EXPECTED
    assert codes(conversation.effects) == ["220", "250", *["250"] * 2, "354", *["250"] * 3] + [
        *["250"] * 4,
        "354",
        "250",
        "221",
    ]


@given(st.lists(st.sampled_from([b"\r", b"\n", b".", b"a", b"\r\n"]), max_size=12))
def test_content_is_kept_as_it_was_meant_or_not_at_all(pieces: list[bytes]) -> None:
    meant = b"".join(pieces) + b"\r\n"
    is_clean = b"\r" not in (rest := meant.replace(b"\r\n", b"")) and b"\n" not in rest
    stuffed = (b"\r\n" + meant).replace(b"\r\n.", b"\r\n..")[2:]
    conversation = greeted()
    conversation.say(ENVELOPE + b"DATA\r\n")

    answers = conversation.say(stuffed + b".\r\n")

    assert answers == (["250"] if is_clean else ["554"])
    assert conversation.contents == ([meant] if is_clean else [])


@given(st.binary(max_size=400))
def test_no_octets_crash_the_session(octets: bytes) -> None:
    for opening in (ENVELOPE + b"DATA\r\n", ENVELOPE + b"BDAT 20 LAST\r\n", b""):
        conversation = greeted()
        conversation.say(opening)
        conversation.say(octets)
