"""What a list's choice of tracking does to the mail that its readers get."""

import email
import email.policy
import re

import pytest

from newsletter.checks.draft import make_draft
from newsletter.checks.registry import run_checks
from newsletter.compose.findings import Severity
from newsletter.models import Tracking
from newsletter.render.compiled import Compiled
from newsletter.render.message import Assembler
from newsletter.tokens import FIRST_TEST_READER, NOBODY, DeliveryRef, Purpose
from tests.render.factory import (
    EDITION_ID,
    MORNING,
    TOKENS,
    make_briefing,
    make_compiled,
    make_masthead,
    make_recipient,
)


def mail(tracking: Tracking, subscriber_id: int = 90210) -> tuple[str, str]:
    """The decoded text and HTML of one reader's message, after a stay in the database."""
    stored = make_compiled(masthead=make_masthead(tracking=tracking)).to_bytes()
    assembler = Assembler(Compiled.from_bytes(stored), TOKENS)
    raw = assembler.message(make_recipient(subscriber_id=subscriber_id), date=MORNING)
    message = email.message_from_bytes(raw, policy=email.policy.default)
    text, html = (message.get_body(preferencelist=(kind,)) for kind in ("plain", "html"))
    assert text is not None
    assert html is not None
    return str(text.get_content()), str(html.get_content())


def clickers(part: str) -> set[DeliveryRef]:
    return {
        TOKENS.read_delivery(Purpose.CLICK, token) for token in re.findall(r"/c/([\w-]+)/\d+", part)
    }


def openers(part: str) -> list[DeliveryRef]:
    return [TOKENS.read_delivery(Purpose.OPEN, token) for token in re.findall(r"/o/([\w-]+)", part)]


def test_full_tracking_names_the_reader() -> None:
    text, html = mail(Tracking.FULL)

    me = DeliveryRef(EDITION_ID, 90210)
    assert clickers(text) == clickers(html) == {me}
    assert openers(html) == [me]


def test_anonymous_tracking_gives_every_reader_the_same_links_and_pixel() -> None:
    one, other = mail(Tracking.ANONYMOUS), mail(Tracking.ANONYMOUS, 4711)

    nobody = DeliveryRef(EDITION_ID, NOBODY)
    for text, html in (one, other):
        assert clickers(text) == clickers(html) == {nobody}
        assert openers(html) == [nobody]


def test_without_tracking_there_is_no_pixel_and_links_lead_straight_there() -> None:
    text, html = mail(Tracking.OFF)

    assert "https://jiemian.example/a?b=1&c=2" in text
    assert 'href="https://jiemian.example/a?b=1&amp;c=2"' in html
    assert 'href="https://news.example.org/e/Xk3v9QpL#liu-chuanzhi-passes-away-at-92"' in html
    assert not re.search(r"/[co]/", text + html)
    assert 'class="px"' not in html
    assert "news.example.org/u/" in html
    assert "news.example.org/u/" in text


def test_a_test_mail_of_an_anonymous_list_counts_as_little_as_any() -> None:
    _, html = mail(Tracking.ANONYMOUS, FIRST_TEST_READER + 1)

    assert all(ref.is_test for ref in [*clickers(html), *openers(html)])


@pytest.mark.parametrize("tracking", list(Tracking))
def test_no_choice_of_tracking_blocks_the_sending(tracking: Tracking) -> None:
    compiled = make_compiled(masthead=make_masthead(tracking=tracking))

    findings = run_checks(make_draft(make_briefing(), compiled, tokens=TOKENS, date=MORNING))

    assert [found.code for found in findings if found.severity is Severity.ERROR] == []


def test_what_was_compiled_before_there_was_a_choice_is_tracked() -> None:
    compiled = make_compiled()

    assert compiled.masthead.tracking is Tracking.FULL
    assert Compiled.from_bytes(compiled.to_bytes()).masthead == compiled.masthead
