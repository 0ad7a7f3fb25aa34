"""System mails as bytes: whatever stands in them, they are messages without fault."""

from dataclasses import replace
from datetime import UTC, datetime
from email import message_from_bytes, policy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.checks.message import check_message
from newsletter.errors import RenderError
from newsletter.models import SystemMailKind
from newsletter.render.system import SystemLetter, marked_as_test, system_message
from newsletter.settings import TEMPLATES

LETTER = SystemLetter(
    name="alarm",
    data={"subject": "Nobody approved", "paragraphs": ["At 05:45 there was nothing.", "Do it."]},
    sender_name="The Harbour Brief",
    sender_address="brief@harbour.example",
    to_address="ed@desk.example",
    message_id="s-0123456789abcdef01234567@mail.harbour.example",
    date=datetime(2026, 11, 23, 5, 45, tzinfo=UTC),
    base_url="https://news.harbour.example",
)


def parsed(letter: SystemLetter) -> Any:
    return message_from_bytes(system_message(letter), policy=policy.default)


def parts(letter: SystemLetter) -> tuple[str, str]:
    text, html = (part.get_content() for part in parsed(letter).iter_parts())
    return text, html


def test_a_machine_made_it_for_one_person_and_no_list() -> None:
    """H-36, H-37, H-40."""
    mail = parsed(LETTER)

    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["X-Auto-Response-Suppress"] == "OOF, AutoReply"
    assert [name for name in mail if name.startswith(("List-", "Precedence"))] == []
    assert mail["Subject"] == "[Newsletter] Nobody approved"
    assert mail["To"] == "ed@desk.example"
    assert mail.get_content_type() == "multipart/alternative"


def test_text_and_html_say_the_same() -> None:
    text, html = parts(LETTER)

    for words in ("Nobody approved", "At 05:45 there was nothing.", "Do it."):
        assert words in text
        assert words in html


def test_what_a_stranger_wrote_is_text_in_the_html() -> None:
    """S-14."""
    hostile = "</p><script>alert(1)</script>{{ 7*7 }}"

    text, html = parts(replace(LETTER, data={"subject": hostile, "paragraphs": [hostile]}))

    assert "<script>" not in html
    assert "&lt;script&gt;" in html
    assert "49" not in text
    assert hostile in text


@given(
    subject=st.text(max_size=300),
    paragraphs=st.lists(st.text(max_size=2000), max_size=3),
    sender=st.text(min_size=1, max_size=80),
)
def test_whatever_it_says_it_is_a_message_without_fault(
    subject: str, paragraphs: list[str], sender: str
) -> None:
    data = {"subject": subject, "paragraphs": paragraphs}

    raw = system_message(replace(LETTER, data=data, sender_name=sender))

    assert check_message(raw) == []


def test_the_same_letter_gives_the_same_octets() -> None:
    assert system_message(LETTER) == system_message(LETTER)


def test_a_template_that_lacks_something_is_an_error_that_names_it() -> None:
    with pytest.raises(RenderError, match=r"alarm/body.txt.*paragraphs"):
        system_message(replace(LETTER, data={"subject": "Nobody approved"}))


@pytest.mark.parametrize("kind", sorted(set(SystemMailKind) - {SystemMailKind.TEST}))
def test_each_kind_has_its_templates(kind: SystemMailKind) -> None:
    folder = TEMPLATES / "email" / "system" / kind

    files = {path.name for path in folder.iterdir()} - {"words.toml"}

    assert files == {"subject.txt", "body.txt", "body.html"}


def test_a_tests_subject_says_so_and_stays_within_the_limit() -> None:
    assert marked_as_test("Harbour reopens") == "[Test] Harbour reopens"
    assert len(marked_as_test("x" * 255)) == 255
