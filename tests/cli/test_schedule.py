"""Scheduling, slots and alarms as a person at a terminal meets them."""

import json
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import update

from newsletter.cli import alarm, edition, slot
from newsletter.clock import utc_now
from newsletter.db import get_engine, transaction
from newsletter.errors import InputError, NotFoundError
from newsletter.models import EditionState, MailingList, Tracking
from newsletter.plan.alarms import raise_alarms
from tests.newsroom import (
    add_list,
    add_readers,
    add_transport,
    approved_edition,
    edition_of,
    live_in,
    settings_for,
)

pytestmark = [
    pytest.mark.parametrize("store", ["sqlite"]),
    pytest.mark.usefixtures("own_bells", "own_database"),
]
TOMORROW = utc_now().date() + timedelta(days=1)


@pytest.fixture
def edition_id(tmp_path: Path) -> int:
    engine = get_engine()
    list_id = add_list(engine)
    ada, _ = add_readers(engine, list_id, ["ada", "bo"])
    live_in(engine, "Asia/Tokyo", [ada])
    return approved_edition(engine, settings_for(tmp_path), [list_id], add_transport(engine, 25))


def newsletter_edition(*arguments: object) -> Result:
    return CliRunner().invoke(edition.command, [str(each) for each in arguments])


def newsletter_slot(*arguments: object) -> Result:
    return CliRunner().invoke(slot.command, [str(each) for each in arguments])


def state_of(edition_id: int) -> EditionState:
    return edition_of(get_engine(), edition_id).state


def test_a_local_time_is_looked_at_scheduled_and_taken_back(edition_id: int) -> None:
    local = ("--local", "07:00", "--date", TOMORROW)

    before = newsletter_edition("waves", edition_id)
    preview = newsletter_edition("waves", edition_id, *local)
    sent = newsletter_edition("send", edition_id, *local, "--past=send", "--deadline=90m")
    shown = newsletter_edition("waves", edition_id)
    taken_back = newsletter_edition("unschedule", edition_id)

    assert "neither scheduled nor sent" in before.output
    assert [line.split()[2:4] for line in preview.output.splitlines()[1:]] == [["1", "1"]] * 2
    assert "is scheduled" in sent.output
    assert "looks for who changed their zone" in shown.output
    assert f"{TOMORROW} 07:00" in shown.output
    assert "approved" in taken_back.output
    assert state_of(edition_id) is EditionState.APPROVED


def test_an_instant_is_scheduled(edition_id: int) -> None:
    instant = utc_now().astimezone(ZoneInfo("Europe/Berlin")) + timedelta(hours=5)

    sent = newsletter_edition("send", edition_id, "--at", instant.isoformat(timespec="minutes"))
    shown = newsletter_edition("waves", edition_id)

    assert sent.exit_code == 0
    assert state_of(edition_id) is EditionState.SCHEDULED
    assert "  all " in shown.output
    assert shown.output.splitlines()[1].endswith("waits")


def test_without_a_time_it_is_sent_at_once(edition_id: int) -> None:
    sent = newsletter_edition("send", edition_id, "--deadline=4h")

    assert "is being sent" in sent.output
    assert state_of(edition_id) is EditionState.SENDING


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--at", "2026-11-23T06:30"], "with the offset"),
        (["--at", "tomorrow"], "is no instant"),
        (["--local", "7 o'clock", "--date", "2026-11-23"], "is no time of day"),
        (["--deadline", "4"], "write it like 90m"),
        (["--deadline", "0h"], "write it like 90m"),
        (["--local", "07:00"], "need each other"),
        (["--date", "2026-11-23"], "need each other"),
        (["--past", "skip"], "need each other"),
        (["--at", "2026-11-23T06:30Z", "--local", "07:00"], "not both"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    edition_id: int, arguments: list[str], complaint: str
) -> None:
    sent = newsletter_edition("send", edition_id, *arguments)

    assert sent.exit_code != 0
    assert complaint in sent.output + str(sent.exception)
    assert state_of(edition_id) is EditionState.APPROVED


def test_waves_of_no_edition_are_not_shown(edition_id: int) -> None:
    shown = newsletter_edition("waves", edition_id + 1)

    assert isinstance(shown.exception, NotFoundError)


def test_a_slot_is_set_filled_shown_and_removed(edition_id: int) -> None:
    empty = newsletter_slot("list")
    made = newsletter_slot(
        "set",
        "harbour",
        "--days=daily",
        "--at=07:00",
        "--zone=europe/berlin",
        "--holiday=2030-12-25",
    )
    filled = newsletter_slot("fill", "harbour", TOMORROW + timedelta(days=1), edition_id)
    shown = newsletter_slot("list")
    removed = newsletter_slot("remove", 1)

    assert "There is no slot yet" in empty.output
    assert "07:00 in Europe/Berlin, at most 240 minutes late" in made.output
    assert "is scheduled." in filled.output
    assert "not on 2030-12-25" in shown.output
    assert removed.exit_code == 0
    assert state_of(edition_id) is EditionState.SCHEDULED


def test_a_slot_on_no_weekday_is_refused(edition_id: int) -> None:
    made = newsletter_slot("set", "harbour", "--days=someday", "--at=07:00")

    assert isinstance(made.exception, InputError)


def test_alarms_are_shown(edition_id: int) -> None:
    quiet = CliRunner().invoke(alarm.command, ["list"])
    newsletter_slot("set", "harbour", "--days=daily", "--at=00:00", "--zone=UTC")
    midnight = datetime.combine(TOMORROW + timedelta(days=1), time(), UTC)
    raise_alarms(get_engine(), now=midnight - timedelta(minutes=30))

    shown = CliRunner().invoke(alarm.command, ["list", "--days", "1"])

    assert "No alarm in the last 7 days" in quiet.output
    assert "Nothing is approved for The Harbour Brief" in shown.output


def test_the_status_says_where_nobody_is_counted_by_name(edition_id: int) -> None:
    full = newsletter_edition("status", edition_id).stdout
    with transaction() as session:
        session.execute(update(MailingList).values(tracking=Tracking.ANONYMOUS))

    counted = newsletter_edition("status", edition_id)
    as_json = json.loads(newsletter_edition("status", edition_id, "--json").stdout)

    assert "harbour:" not in full
    assert "harbour: opens and clicks are counted there, and nobody knows whose" in counted.stdout
    assert as_json["tracking"] == {"harbour": "anonymous"}
