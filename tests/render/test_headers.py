import email
import email.policy
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from newsletter.errors import InputError
from newsletter.render.headers import mailbox, structured, unstructured
from tests.render.reference import read_mailbox

breaks = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
lines_of_text = st.text(max_size=300).map(lambda text: breaks.sub("", text).strip())
awkward = st.sampled_from(
    [
        "=?utf-8?q?x?=",
        "字" * 250,
        "👩‍👩‍👧‍👦" * 30,
        "a" * 300,
        "שלום\u200f olleh",
        'quo"te \\ back',
        "two  blanks",
        "a, b; c: <d>",
        "Ab " * 80 + "é",
    ]
)


def read(header: bytes, name: str) -> str:
    message = email.message_from_bytes(header + b"\r\n", policy=email.policy.default)
    return str(message[name])


def words_of(header: bytes) -> list[bytes]:
    return re.findall(rb"=\?utf-8\?[bq]\?[^?]*\?=", header)


@settings(deadline=None)
@given(lines_of_text.filter(bool) | awkward.map(str.strip))
def test_a_subject_reads_as_it_was_written(text: str) -> None:
    header = unstructured("Subject", text)

    assert read(header, "Subject") == text
    assert header.isascii()


@settings(deadline=None)
@given(lines_of_text.filter(bool) | awkward.map(str.strip))
def test_every_encoded_word_is_short_and_decodable_alone(text: str) -> None:
    header = unstructured("Subject", text)

    for word in words_of(header):
        assert len(word) <= 75
        assert read(b"Subject: " + word + b"\r\n", "Subject")
        assert "\ufffd" not in read(b"Subject: " + word + b"\r\n", "Subject").replace(
            "\ufffd", "" if "\ufffd" in text else "\ufffd"
        )
    for line in header.split(b"\r\n"):
        assert len(line) <= 78
        assert not line or line.strip()


@settings(deadline=None)
@given(lines_of_text | awkward.map(str.strip))
def test_a_display_name_reads_as_it_was_written(name: str) -> None:
    header = mailbox("To", name, "ada@readers.example")

    value = header.decode().removeprefix("To: ").replace("\r\n", "")
    assert read_mailbox(value) == (name, "ada@readers.example")
    assert all(len(line) <= 78 for line in header.split(b"\r\n"))


@pytest.mark.parametrize("mark", ["\r\n", "\n", "\r", "\0", "\x1b", "\x85", "\u2028", "\u2029"])
def test_no_value_can_begin_another_field(mark: str) -> None:
    with pytest.raises(InputError, match=r"holds the character U\+"):
        unstructured("Subject", f"Hello{mark}Bcc: all@example.org")
    with pytest.raises(InputError):
        mailbox("To", f"Ada{mark}", "ada@readers.example")
    with pytest.raises(InputError):
        mailbox("To", "Ada", f"ada@readers.example{mark}")
    with pytest.raises(InputError):
        structured("List-Id", f"<a.example>{mark}")


def test_a_long_structured_field_is_neither_folded_nor_encoded() -> None:
    value = f"<https://news.example.org/u/{'x' * 120}>"

    assert structured("List-Unsubscribe", value) == f"List-Unsubscribe: {value}\r\n".encode()


def test_a_plain_subject_stays_plain() -> None:
    assert unstructured("Subject", "Hello Ada") == b"Subject: Hello Ada\r\n"


def test_an_address_beyond_ascii_is_written_in_utf_8() -> None:
    assert mailbox("To", "", "josé@readers.example") == "To: josé@readers.example\r\n".encode()
