"""Scheduling, slots and alarms as a person at a terminal meets them."""

import json
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from newsletter.cli import alarm, edition, slot
from newsletter.clock import utc_now
from newsletter.db import get_engine, reading, transaction
from newsletter.errors import InputError, NotFoundError
from newsletter.models import (
    AuditEntry,
    Edition,
    EditionState,
    InstallationSetting,
    MailingList,
    Tracking,
)
from newsletter.plan.alarms import raise_alarms
from newsletter.plan.counting import count_audience
from newsletter.plan.hourly_cap import CapReached
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


@pytest.fixture
def large_edition_id(edition_id: int) -> int:
    """To more people than may be mailed without saying how many."""
    with transaction(get_engine()) as session:
        edition = session.get_one(Edition, edition_id)
        count_audience(session, edition, now=utc_now())
        set_up(session, "confirm_above", 1)
    return edition_id


def set_up(session: Session, name: str, value: int) -> None:
    session.merge(
        InstallationSetting(name=name, value=value, changed_at=utc_now(), changed_by="Ada")
    )


def audited() -> list[str]:
    with reading() as session:
        return list(session.scalars(select(AuditEntry.action).order_by(AuditEntry.id)))


def test_a_large_one_asks_for_its_number_and_can_be_pulled_back(large_edition_id: int) -> None:
    """S-31."""
    asked = CliRunner().invoke(edition.command, ["send", str(large_edition_id)], input="2\n")
    held = state_of(large_edition_id)
    pulled_back = newsletter_edition("unschedule", large_edition_id)

    assert "It goes to 2 people. Type that number to send it" in asked.stderr
    assert f"pull it back: newsletter edition unschedule {large_edition_id}" in asked.stdout
    assert held is EditionState.SCHEDULED
    assert pulled_back.exit_code == 0
    assert state_of(large_edition_id) is EditionState.APPROVED
    assert audited() == ["edition sent", "edition pulled back"]


def test_a_script_says_the_number_in_advance(large_edition_id: int) -> None:
    wrong = newsletter_edition("send", large_edition_id, "--yes-to", 3)
    silent = newsletter_edition("send", large_edition_id)
    right = newsletter_edition("send", large_edition_id, "--yes-to", 2)

    assert isinstance(wrong.exception, InputError)
    assert (silent.exit_code, "--yes-to 2" in silent.stderr) == (1, True)
    assert right.exit_code == 0
    assert "It goes to" not in right.stderr
    assert state_of(large_edition_id) is EditionState.SCHEDULED


def test_what_is_more_than_an_hour_s_cap_is_refused_and_noted(large_edition_id: int) -> None:
    """S-31."""
    with transaction(get_engine()) as session:
        set_up(session, "admins_an_hour", 1)

    refused = newsletter_edition("send", large_edition_id, "--yes-to", 2)

    assert isinstance(refused.exception, CapReached)
    assert state_of(large_edition_id) is EditionState.APPROVED
    assert audited() == ["sending refused"]


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
