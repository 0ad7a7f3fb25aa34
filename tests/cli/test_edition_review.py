"""What comes before an approval, and corrections after it, as a person at a terminal meets them."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from newsletter.cli import edition
from newsletter.clock import utc_now
from newsletter.compose.briefing import Briefing, Section
from newsletter.db import get_engine, transaction
from newsletter.errors import InputError, StateError
from newsletter.models import EditionState, MailingList
from newsletter.plan.approval import RefusedApproval
from newsletter.plan.editions import content_of, create_edition
from newsletter.settings import get_settings
from tests.newsroom import (
    a_briefing,
    add_list,
    add_readers,
    add_transport,
    edition_of,
)

pytestmark = [
    pytest.mark.parametrize("store", ["sqlite"]),
    pytest.mark.usefixtures("own_bells", "own_database"),
]


@pytest.fixture
def edition_id() -> int:
    add_readers(get_engine(), add_list(get_engine()), ["Ada"])
    add_transport(get_engine(), 25)
    return draft(a_briefing())


def draft(briefing: Briefing) -> int:
    with transaction() as session:
        return create_edition(
            session,
            content_of(briefing, "text"),
            lists=[session.get_one(MailingList, 1)],
            settings=get_settings(),
            created_by="Wim",
            now=utc_now(),
        ).id


def newsletter_edition(*arguments: object) -> Result:
    return CliRunner().invoke(edition.command, [str(each) for each in arguments])


def state_of(edition_id: int) -> EditionState:
    return edition_of(get_engine(), edition_id).state


def test_an_edition_is_checked_and_a_warning_acknowledged(edition_id: int) -> None:
    found = newsletter_edition("check", edition_id)
    known = newsletter_edition("acknowledge", edition_id, "key-points")
    again = newsletter_edition("check", edition_id, "--json")

    assert found.exit_code == 0
    assert "warning key-points: There are 1 key points" in found.output
    assert "acknowledged key-points" in known.output
    findings = {each["code"]: each for each in json.loads(again.output)}
    assert findings["key-points"]["acknowledged"] is True


def test_an_error_is_exit_code_1_and_passes_with_a_reason_alone(edition_id: int) -> None:
    faulty = draft(replace(a_briefing(), sections=(*a_briefing().sections, Section("Air", ()))))

    assert newsletter_edition("check", faulty).exit_code == 1
    assert isinstance(newsletter_edition("approve", faulty).exception, RefusedApproval)
    short = newsletter_edition("approve", faulty, "--in-spite-of-errors", "so")
    assert isinstance(short.exception, InputError)

    newsletter_edition("approve", faulty, "--in-spite-of-errors", "The weather comes later.")

    assert state_of(faulty) is EditionState.APPROVED


def test_a_draft_is_submitted_commented_and_approved_by_its_hash(edition_id: int) -> None:
    newsletter_edition("submit", edition_id, "--note", "Look at the port.")
    in_review = state_of(edition_id)
    comment = newsletter_edition("comment", edition_id, "Sure?", "--story", 2).output.strip()
    resolved = newsletter_edition("resolve", edition_id, comment)
    comments = newsletter_edition("comments", edition_id)
    shown = json.loads(newsletter_edition("show", edition_id, "--json").output)
    wrong = newsletter_edition("approve", edition_id, "--hash", "0" * 64)
    right = newsletter_edition("approve", edition_id, "--hash", shown["hash"])

    assert in_review is EditionState.IN_REVIEW
    assert resolved.exit_code == 0
    assert "on “Story number 2 of the port”" in comments.output
    assert isinstance(wrong.exception, StateError)
    assert "is approved: 1 people" in right.output


def test_a_review_and_an_approval_are_taken_back(edition_id: int) -> None:
    newsletter_edition("submit", edition_id)
    newsletter_edition("withdraw", edition_id, "--return")
    returned = state_of(edition_id)
    newsletter_edition("approve", edition_id)
    newsletter_edition("unapprove", edition_id)

    assert (returned, state_of(edition_id)) == (EditionState.DRAFT, EditionState.DRAFT)


def test_what_was_corrected_is_noted_and_mailed_about(edition_id: int, tmp_path: Path) -> None:
    newsletter_edition("approve", edition_id)
    newsletter_edition("send", edition_id)
    text = tmp_path / "corrected.md"
    text.write_text(
        "# Harbour Brief\n\nHarbour Reopens Tomorrow\n\n## A story of the port\n\n"
        "What happened in the story, at some length, so that it can be read.\n"
    )
    corrected = newsletter_edition("correct", edition_id, text, "--note", "Not today.")
    newsletter_edition("approve", edition_id)

    mail = newsletter_edition("correction-mail", edition_id)

    assert corrected.exit_code == 0, corrected.output
    assert mail.output.strip() == str(edition_id + 1)
    assert "Correction: " in newsletter_edition("show", edition_id + 1).output
