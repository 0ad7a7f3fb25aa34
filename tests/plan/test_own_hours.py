"""Readers who asked for an hour of their own get an edition for local time at that hour."""

from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, select

from newsletter.db import reading, transaction
from newsletter.models import (
    NO_BATCH,
    Batch,
    Delivery,
    MailingList,
    Past,
    Reason,
    Subscriber,
)
from newsletter.plan import schedule
from newsletter.plan.planner import plan_edition
from newsletter.plan.release import release_editions
from newsletter.plan.waves import HOURS_LOOK, LEAD, own_instant
from newsletter.report.waves import preview_waves, wave_statuses
from tests.newsroom import (
    add_list,
    add_readers,
    add_transport,
    approved_edition,
    assert_ledger_is_exact,
    edition_of,
    live_in,
    settings_for,
)

DAY, SEVEN, NINE = date(2026, 11, 23), time(7), time(9)
EVENING = datetime(2026, 11, 22, 12, tzinfo=UTC)
BERLIN_SEVEN = datetime(2026, 11, 23, 6, tzinfo=UTC)
HOUR, DEADLINE = timedelta(hours=1), timedelta(hours=4)
ONE_STORE = pytest.mark.parametrize("store", ["sqlite"])


class Room:
    """A list in Berlin's zone: Ada, Bo and Cy live there, Dee in Lisbon, Eve nowhere that is known."""

    def __init__(self, engine: Engine, state_dir: Path) -> None:
        self.engine = engine
        self.list_id = add_list(engine)
        with transaction(engine) as session:
            session.get_one(MailingList, self.list_id).zone = "Europe/Berlin"
        self.ada, self.bo, self.cy, self.dee, self.eve = add_readers(
            engine, self.list_id, ["ada", "bo", "cy", "dee", "eve"]
        )
        live_in(engine, "Europe/Berlin", [self.ada, self.bo, self.cy])
        live_in(engine, "Europe/Lisbon", [self.dee])
        self.edition_id = approved_edition(
            engine, settings_for(state_dir), [self.list_id], add_transport(engine, 25)
        )

    def wants(self, subscriber_id: int, hour: time | None) -> None:
        with transaction(self.engine) as session:
            session.get_one(Subscriber, subscriber_id).delivery_time = hour

    def schedule(self, *, now: datetime = EVENING, past: Past = Past.SEND) -> None:
        with transaction(self.engine) as session:
            schedule.send_local(session, self.edition_id, DAY, SEVEN, past=past, now=now)

    def at(self, now: datetime) -> None:
        release_editions(self.engine, now=now)
        plan_edition(self.engine, self.edition_id, now=now)

    def every_half_hour(self, start: datetime, end: datetime) -> None:
        now = start
        while now <= end:
            self.at(now)
            now += HOUR / 2

    def due(self) -> dict[int, datetime]:
        with reading(self.engine) as session:
            rows = session.execute(
                select(Delivery.subscriber_id, Batch.due_at)
                .join(Batch, Batch.number == Delivery.batch)
                .where(Batch.edition_id == self.edition_id, Batch.number != NO_BATCH)
            )
            return {row[0]: row[1] for row in rows}


@pytest.fixture
def room(engine: Engine, tmp_path: Path) -> Room:
    return Room(engine, tmp_path)


def test_everybody_is_due_at_their_own_hour_where_they_live(room: Room) -> None:
    room.wants(room.ada, NINE)
    room.wants(room.bo, time(6, 30))
    room.wants(room.dee, NINE)
    room.wants(room.eve, NINE)
    room.schedule()

    room.every_half_hour(BERLIN_SEVEN - 2 * HOUR, BERLIN_SEVEN + 5 * HOUR)

    assert room.due() == {
        room.bo: BERLIN_SEVEN - HOUR / 2,
        room.cy: BERLIN_SEVEN,
        room.ada: BERLIN_SEVEN + 2 * HOUR,
        room.eve: BERLIN_SEVEN + 2 * HOUR,
        room.dee: BERLIN_SEVEN + 3 * HOUR,
    }
    assert edition_of(room.engine, room.edition_id).planned_at is not None
    assert_ledger_is_exact(room.engine, room.edition_id)


def test_an_hour_that_somebody_asks_for_after_the_schedule_counts_too(room: Room) -> None:
    room.schedule()
    room.at(BERLIN_SEVEN - 2 * HOUR)

    room.wants(room.ada, NINE)
    room.every_half_hour(BERLIN_SEVEN - HOUR, BERLIN_SEVEN + 3 * HOUR)

    assert room.due()[room.ada] == BERLIN_SEVEN + 2 * HOUR
    assert room.due()[room.bo] == BERLIN_SEVEN
    assert_ledger_is_exact(room.engine, room.edition_id)


@ONE_STORE
def test_an_hour_that_has_passed_already_is_mailed_at_once(room: Room) -> None:
    room.wants(room.ada, time(0, 30))
    now = BERLIN_SEVEN - HOUR

    room.schedule(now=now)
    room.at(now)

    assert room.due() == {room.ada: now}
    with reading(room.engine) as session:
        batch = session.scalars(select(Batch).where(Batch.number != NO_BATCH)).one()
        assert batch.deadline_at == BERLIN_SEVEN + DEADLINE


@ONE_STORE
def test_whoever_wants_no_hour_of_their_own_any_more_is_due_with_the_others(room: Room) -> None:
    room.wants(room.ada, NINE)
    room.schedule()
    room.wants(room.ada, None)

    room.every_half_hour(BERLIN_SEVEN - HOUR, BERLIN_SEVEN + 4 * HOUR)

    assert room.due()[room.ada] == BERLIN_SEVEN


@ONE_STORE
def test_nobody_gets_it_twice_by_changing_their_hour(room: Room) -> None:
    room.schedule()
    room.every_half_hour(BERLIN_SEVEN - HOUR, BERLIN_SEVEN)

    room.wants(room.ada, NINE)
    room.every_half_hour(BERLIN_SEVEN, BERLIN_SEVEN + 4 * HOUR)

    assert room.due()[room.ada] == BERLIN_SEVEN
    assert_ledger_is_exact(room.engine, room.edition_id)


@ONE_STORE
def test_a_schedule_looks_for_new_hours_once_a_minute(room: Room) -> None:
    room.schedule()
    room.wants(room.ada, time(6))

    room.at(EVENING + HOURS_LOOK / 2)
    with reading(room.engine) as session:
        before = len(wave_statuses(session, room.edition_id))
    room.at(EVENING + HOURS_LOOK)
    with reading(room.engine) as session:
        after = len(wave_statuses(session, room.edition_id))

    assert after == before + 1


@ONE_STORE
def test_people_with_hours_of_their_own_are_shown_before_and_while_they_wait(room: Room) -> None:
    room.wants(room.ada, NINE)
    room.wants(room.dee, SEVEN)
    expected = [(BERLIN_SEVEN, 3), (BERLIN_SEVEN + HOUR, 1), (BERLIN_SEVEN + 2 * HOUR, 1)]

    with reading(room.engine) as session:
        before = preview_waves(
            session,
            room.edition_id,
            DAY,
            SEVEN,
            past=Past.SEND,
            deadline=DEADLINE,
            now=EVENING,
        )
    room.schedule()
    with reading(room.engine) as session:
        waiting = wave_statuses(session, room.edition_id)

    assert [(wave.due_at, wave.people) for wave in before] == expected
    assert [(wave.due_at, wave.people) for wave in waiting if not wave.is_sweep] == expected


@ONE_STORE
def test_a_wave_of_own_hours_alone_is_planned_without_looking_at_the_others(room: Room) -> None:
    room.wants(room.ada, time(5))
    room.schedule()

    room.at(BERLIN_SEVEN - 2 * HOUR - LEAD)

    assert set(room.due()) == {room.ada}


@pytest.mark.parametrize(
    ("own", "past", "now", "due", "exclusion"),
    [
        (NINE, Past.SEND, EVENING, 2 * HOUR, None),
        (NINE, Past.SKIP, BERLIN_SEVEN + HOUR, 2 * HOUR, None),
        (NINE, Past.SKIP, BERLIN_SEVEN + 3 * HOUR, 2 * HOUR, Reason.ZONE_PAST),
        (time(1), Past.SEND, BERLIN_SEVEN - HOUR, -6 * HOUR, None),
        (time(1), Past.SKIP, BERLIN_SEVEN - HOUR, -6 * HOUR, None),
        (time(1), Past.SEND, BERLIN_SEVEN + 4 * HOUR, -6 * HOUR, Reason.ZONE_PAST),
    ],
)
def test_when_an_own_hour_is_due_and_when_it_is_too_late(
    own: time, past: Past, now: datetime, due: timedelta, exclusion: Reason | None
) -> None:
    instant = own_instant("Europe/Berlin", own, DAY, SEVEN, past=past, deadline=DEADLINE, now=now)

    assert instant is not None
    assert (instant.due_at, instant.exclusion) == (BERLIN_SEVEN + due, exclusion)
    assert instant.deadline_at == BERLIN_SEVEN + max(due, timedelta(0)) + DEADLINE


def test_a_day_that_is_nowhere_on_the_clock_has_no_hours() -> None:
    samoa = own_instant(
        "Pacific/Apia",
        NINE,
        date(2011, 12, 30),
        SEVEN,
        past=Past.SEND,
        deadline=DEADLINE,
        now=EVENING,
    )

    assert samoa is None
