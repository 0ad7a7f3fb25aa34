import re
from email.message import EmailMessage
from email.policy import SMTP

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from newsletter.checks.message import check_message
from newsletter.render.message import Assembler
from tests.render.factory import MORNING, TOKENS, make_compiled, make_recipient

GOOD = Assembler(make_compiled(), TOKENS).message(make_recipient(), date=MORNING)


def system_mail(**changes: str) -> bytes:
    fields = {
        "From": "The Morning Brief <brief@mail.example.org>",
        "To": "ada@readers.example",
        "Subject": "Please confirm",
        "Date": "Thu, 07 Mar 2024 06:30:00 +0000",
        "Message-ID": "<Zm9vYmFy.123@mail.example.org>",
        "Auto-Submitted": "auto-generated",
    }
    message = EmailMessage(policy=SMTP)
    for name, value in (fields | changes).items():
        message[name] = value
    message.set_content("Click here: https://news.example.org/confirm\n", cte="quoted-printable")
    return message.as_bytes()


def broken(pattern: str, replacement: str) -> set[str]:
    raw, count = re.subn(pattern.encode(), replacement.encode(), GOOD, count=1)
    assert count == 1, "the example must change the message"
    return {violation.requirement for violation in check_message(raw)}


def test_a_good_message_has_no_violation() -> None:
    assert check_message(GOOD) == []


def test_a_good_system_mail_needs_no_unsubscribe_link() -> None:
    assert check_message(system_mail()) == []


def test_a_system_mail_says_that_it_is_generated() -> None:
    found = check_message(system_mail(**{"Auto-Submitted": "auto-replied"}))

    assert {violation.requirement for violation in found} == {"H-36"}


@pytest.mark.parametrize(
    ("requirement", "pattern", "replacement"),
    [
        ("H-20", r"KEY POINTS\r\n", "KEY POINTS\n"),
        ("H-20", r"KEY POINTS\r\n", "KEY POINTS\r"),
        ("H-20", "KEY POINTS", "KEY\\0POINTS"),
        ("H-20", "KEY POINTS", "KEY\x07POINTS"),
        ("H-20", "\r\n$", ""),
        ("H-20", "KEY POINTS", "K" * 999),
        ("H-20", "\r\nPrecedence: bulk", "\r\nno field at all\r\nPrecedence: bulk"),
        ("H-20", "Precedence: bulk", "Precedence:bulk"),
        ("H-26", "Date: [^\r]*\r\n", ""),
        ("H-20", "\r\nSubject: ", "\r\nSubject: one more\r\nSubject: "),
        ("H-20", "Subject: ", "Subject: " + "word " * 20),
        ("H-21", "Feedback-ID: ", "Feedback-ID: =?utf-8?q?x?="),
        ("H-21", "List-Id: ", "List-Id: =?utf-8?q?Brief?= "),
        ("H-21", "List-Unsubscribe: <https", "List-Unsubscribe: <\r\n https"),
        ("H-22", "From: [^\r]*", "From: a@example.org, b@example.org"),
        ("H-22", "From: [^\r]*", "From: nobody"),
        ("H-22", "From: [^\r]*\r\n", ""),
        ("H-23", "Reply-To: [^\r]*", "Reply-To: b-abcdefg@mail.example.org"),
        ("H-24", "To: Ada Lovelace <", "To: bo@readers.example, Ada Lovelace <"),
        ("H-24", "\r\nDate", "\r\nCc: bo@readers.example\r\nDate"),
        ("H-24", "\r\nDate", "\r\nBcc: bo@readers.example\r\nDate"),
        ("H-25", "Subject: [^\r]*", "Subject: "),
        ("H-25", "Subject: ", "Subject: Re: "),
        ("H-25", "Subject: [^\r]*", "Subject: =?utf-8?b?5a2X5a2?= =?utf-8?b?X?="),
        ("H-25", "Subject: [^\r]*", "Subject: =?gb18030?b?1tA=?="),
        ("H-25", "Subject: [^\r]*", f"Subject: =?utf-8?q?{'x' * 70}?="),
        ("H-25", "Subject: [^\r]*", "Subject:" + " word\r\n" * 60 + " end"),
        ("H-26", "Date: Thu", "Date: Fri"),
        ("H-26", r"Date: [^\r]*", "Date: 2024-03-07T06:30:00Z"),
        ("H-26", r"06:30:00 \+0000", "06:30:00 GMT"),
        ("H-27", "Message-ID: [^\r]*", "Message-ID: <ada.lovelace.1@mail.example.org>"),
        ("H-27", "Message-ID: [^\r]*", "Message-ID: 123"),
        ("H-28", "MIME-Version: 1.0", "MIME-Version: 1.1"),
        ("H-28", "text/plain", "text/html"),
        ("H-28", "multipart/alternative", "multipart/mixed"),
        ("H-28", 'charset="utf-8"', 'charset="gb18030"'),
        ("H-28", "Encoding: quoted-printable", "Encoding: 8bit"),
        ("H-28", "KEY POINTS", "KEY=POINTS"),
        ("H-28", "KEY POINTS", "KEY=FFPOINTS"),
        ("H-28", "KEY POINTS", "K" * 77),
        ("H-28", r"\r\n\r\nTHE MORNING[\s\S]*?\r\n\r\n--=_", "\r\n\r\n\r\n\r\n--=_"),
        ("H-29", "^From", "Return-Path: <b@mail.example.org>\r\nFrom"),
        ("H-31", "Subject: ", "Subject: é"),
        ("H-32", "List-Id: [^\r]*", "List-Id: The Morning Brief"),
        ("H-32", "List-Id: [^\r]*\r\n", ""),
        ("H-33", "List-Archive: <([^\r>]*)>", "List-Archive: https://news.example.org/"),
        ("H-33", "List-Post: NO", "List-Post: YES"),
        ("H-34", "Feedback-ID: [^\r]*", "Feedback-ID: one:two"),
        ("H-35", "Precedence: bulk", "Precedence: list"),
        ("H-37", "OOF, AutoReply", "All"),
        ("H-39", "\r\nDate", "\r\nX-Mailer: secret 1.0\r\nDate"),
        ("H-40", "List-Unsubscribe: [^\r]*\r\n", ""),
        ("H-40", "List-Unsubscribe: <https", "List-Unsubscribe: <http"),
        ("H-40", "List-Unsubscribe: [^\r]*", "List-Unsubscribe: <mailto:u@mail.example.org>"),
        ("H-40", "List-Unsubscribe: [^\r]*", "List-Unsubscribe: <https://[::1/u/42>"),
        ("H-40", "=One-Click", "=one-click"),
        ("H-42", "List-Unsubscribe: [^\r]*", "List-Unsubscribe: <https://news.example.org/u/42>"),
    ],
)
def test_each_rule_finds_its_offence(requirement: str, pattern: str, replacement: str) -> None:
    assert requirement in broken(pattern, replacement)


def test_an_unsubscribe_address_on_this_very_machine_needs_no_https() -> None:
    assert broken("<https://news.example.org/u/", "<http://127.0.0.1:8000/u/") == set()


@settings(deadline=None)
@given(st.binary(max_size=400))
def test_nothing_can_make_the_checker_fail(raw: bytes) -> None:
    assert check_message(raw)


@settings(deadline=None)
@given(st.integers(0, len(GOOD) - 1), st.binary(min_size=1, max_size=3))
def test_no_damage_can_make_the_checker_fail(at: int, damage: bytes) -> None:
    check_message(GOOD[:at] + damage + GOOD[at + 1 :])
