"""Local time for everybody: 07:00 on 23 November 2026 in each reader's own zone."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, delete, select, update

from newsletter.db import reading, transaction
from newsletter.deliver import pump
from newsletter.models import (
    NO_BATCH,
    Batch,
    Delivery,
    DeliveryState,
    EditionState,
    LocalSchedule,
    MailingList,
    Past,
    Reason,
    Subscription,
    SubscriptionStatus,
    Wave,
)
from newsletter.plan import planner, schedule
from newsletter.plan.editions import content_of, revise_edition
from newsletter.plan.planner import plan_edition
from newsletter.plan.release import release_editions
from newsletter.plan.waves import LEAD, Share, divide
from newsletter.report.waves import preview_waves, wave_statuses
from newsletter.settings import Settings
from tests.newsroom import (
    a_briefing,
    add_list,
    add_readers,
    add_transport,
    approved_edition,
    assert_ledger_is_exact,
    edition_of,
    leave,
    live_in,
    settings_for,
)

DAY, SEVEN = date(2026, 11, 23), time(7)
EVENING = datetime(2026, 11, 22, 12, tzinfo=UTC)
AUCKLAND = datetime(2026, 11, 22, 18, tzinfo=UTC)
BERLIN = datetime(2026, 11, 23, 6, tzinfo=UTC)
LISBON = datetime(2026, 11, 23, 7, tzinfo=UTC)
SAO_PAULO = datetime(2026, 11, 23, 10, tzinfo=UTC)
NEW_YORK = datetime(2026, 11, 23, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
DEADLINE = 4 * HOUR

# What hangs on rules that are the same on both stores runs on one.
ONE_STORE = pytest.mark.parametrize("store", ["sqlite"])


class Room:
    """A list in Lisbon's zone, with readers in four zones, one of them unknown."""

    def __init__(self, engine: Engine, settings: Settings) -> None:
        self.engine, self.settings = engine, settings
        self.list_id = add_list(engine)
        with transaction(engine) as session:
            session.get_one(MailingList, self.list_id).zone = "Europe/Lisbon"
        self.ada, self.bo, self.cy, self.dee, self.eve = add_readers(
            engine, self.list_id, ["ada", "bo", "cy", "dee", "eve"]
        )
        live_in(engine, "Pacific/Auckland", [self.ada])
        live_in(engine, "Europe/Berlin", [self.bo])
        live_in(engine, "Europe/Paris", [self.cy])
        live_in(engine, "America/New_York", [self.dee])
        self.edition_id = approved_edition(
            engine, settings, [self.list_id], add_transport(engine, 25)
        )

    def send_local(self, *, now: datetime = EVENING, past: Past = Past.SEND) -> None:
        with transaction(self.engine) as session:
            schedule.send_local(session, self.edition_id, DAY, SEVEN, past=past, now=now)

    def at(self, now: datetime) -> None:
        """What beat brings about at that moment."""
        release_editions(self.engine, now=now)
        plan_edition(self.engine, self.edition_id, now=now)

    def until(self, end: datetime) -> None:
        for now in (AUCKLAND, BERLIN, LISBON, NEW_YORK):
            if now < end:
                self.at(now)
        self.at(end)

    def due(self) -> dict[int, datetime]:
        """When each person's batch is due."""
        with reading(self.engine) as session:
            return {
                row[0]: row[1]
                for row in session.execute(
                    select(Delivery.subscriber_id, Batch.due_at)
                    .join(Batch, Batch.number == Delivery.batch)
                    .where(Batch.edition_id == self.edition_id, Batch.number != NO_BATCH)
                )
            }

    def excluded(self) -> dict[int, Reason | None]:
        with reading(self.engine) as session:
            rows = session.scalars(select(Delivery).where(Delivery.state == DeliveryState.EXCLUDED))
            return {row.subscriber_id: row.reason for row in rows}

    def join(self, name: str, zone: str, at: datetime) -> int:
        [reader] = add_readers(self.engine, self.list_id, [name])
        live_in(self.engine, zone, [reader])
        with transaction(self.engine) as session:
            session.get_one(Subscription, (self.list_id, reader)).joined_at = at
        return reader

    def revise(self) -> None:
        with transaction(self.engine) as session:
            revise_edition(
                session,
                self.edition_id,
                content_of(a_briefing(stories=3), "text"),
                settings=self.settings,
                revised_by="Ed",
                now=EVENING,
            )


@pytest.fixture
def room(engine: Engine, tmp_path: Path) -> Room:
    return Room(engine, settings_for(tmp_path))


def test_everybody_is_due_at_seven_where_they_live(room: Room) -> None:
    room.send_local()

    for now in (AUCKLAND, BERLIN, LISBON, NEW_YORK):
        room.at(now - LEAD)
    room.at(NEW_YORK)

    assert room.due() == {
        room.ada: AUCKLAND,
        room.bo: BERLIN,
        room.cy: BERLIN,
        room.eve: LISBON,
        room.dee: NEW_YORK,
    }
    assert edition_of(room.engine, room.edition_id).planned_at == NEW_YORK
    assert_ledger_is_exact(room.engine, room.edition_id)


@ONE_STORE
def test_zones_that_share_an_instant_share_a_batch_and_waves_do_not(room: Room) -> None:
    room.send_local()
    room.until(NEW_YORK)

    with reading(room.engine) as session:
        batches = session.execute(
            select(Batch.wave, Batch.people).where(Batch.number != NO_BATCH).order_by(Batch.number)
        ).all()

    assert [tuple(row) for row in batches] == [(1, 1), (2, 2), (3, 1), (4, 1)]


@ONE_STORE
def test_nothing_begins_before_the_first_wave_is_ten_minutes_off(room: Room) -> None:
    room.send_local()

    room.at(AUCKLAND - LEAD - timedelta(seconds=1))
    assert edition_of(room.engine, room.edition_id).state is EditionState.SCHEDULED

    room.at(AUCKLAND - LEAD)
    edition = edition_of(room.engine, room.edition_id)
    assert (edition.state, edition.started_at) == (EditionState.SENDING, AUCKLAND - LEAD)
    assert set(room.due()) == {room.ada}


def test_many_pumps_and_planners_at_once_plan_everybody_once(room: Room) -> None:
    """F-24."""
    room.send_local()

    with ThreadPoolExecutor(5) as threads:
        list(threads.map(lambda _: room.until(NEW_YORK), range(5)))

    assert len(room.due()) == 5
    assert_ledger_is_exact(room.engine, room.edition_id)


@ONE_STORE
def test_nobody_gets_it_twice_by_moving_west(room: Room) -> None:
    room.send_local()
    room.until(BERLIN)

    live_in(room.engine, "America/New_York", [room.bo])
    room.until(NEW_YORK)

    assert room.due()[room.bo] == BERLIN
    assert_ledger_is_exact(room.engine, room.edition_id)


def test_the_sweep_finds_whoever_moved_east_past_their_time(room: Room) -> None:
    """Nobody is lost: mailed while the deadline allows it, else excluded with the reason."""
    room.send_local()
    room.until(LISBON)

    live_in(room.engine, "Pacific/Auckland", [room.dee])
    gus = room.join("gus", "America/Sao_Paulo", LISBON)
    live_in(room.engine, "Europe/Berlin", [gus])
    flo = room.join("flo", "Europe/Lisbon", LISBON - timedelta(seconds=1))
    room.until(NEW_YORK)

    # Auckland and Lisbon: more than four hours ago at noon. Gus joined after it was seven in Berlin.
    assert room.excluded() == {room.dee: Reason.ZONE_PAST, flo: Reason.ZONE_PAST}
    assert gus not in room.due()
    assert_ledger_is_exact(room.engine, room.edition_id)


def test_the_sweep_mails_whoever_it_finds_in_time_by_their_own_deadline(room: Room) -> None:
    live_in(room.engine, "America/Sao_Paulo", [room.eve])
    room.send_local()
    room.until(SAO_PAULO)

    flo = room.join("flo", "America/Sao_Paulo", SAO_PAULO)
    late = room.join("late", "America/Sao_Paulo", SAO_PAULO + timedelta(seconds=1))
    hal = room.join("hal", "America/Sao_Paulo", SAO_PAULO)
    with transaction(room.engine) as session:
        session.get_one(Subscription, (room.list_id, hal)).status = SubscriptionStatus.PENDING
    room.until(NEW_YORK)

    assert room.due()[flo] == NEW_YORK
    assert late not in room.due()
    assert room.excluded() == {hal: Reason.UNCONFIRMED}
    with reading(room.engine) as session:
        deadline_at = session.scalar(
            select(Batch.deadline_at)
            .join(Delivery, Delivery.batch == Batch.number)
            .where(Delivery.subscriber_id == flo)
        )
    assert deadline_at == SAO_PAULO + DEADLINE
    assert_ledger_is_exact(room.engine, room.edition_id)


def test_zones_past_at_approval_get_it_at_once_until_the_deadline(room: Room) -> None:
    approved = BERLIN + HOUR / 2

    room.send_local(now=approved)
    room.at(approved)

    assert room.due() == {room.bo: approved, room.cy: approved}
    assert room.excluded() == {room.ada: Reason.ZONE_PAST}

    room.at(NEW_YORK)
    assert room.due()[room.dee] == NEW_YORK
    assert_ledger_is_exact(room.engine, room.edition_id)


@ONE_STORE
def test_or_they_are_skipped_and_never_mailed_the_next_day(room: Room) -> None:
    room.send_local(now=BERLIN + HOUR / 2, past=Past.SKIP)

    room.at(LISBON - LEAD)
    room.at(NEW_YORK)
    room.at(NEW_YORK + timedelta(days=1))

    assert room.due() == {room.eve: LISBON, room.dee: NEW_YORK}
    assert room.excluded() == dict.fromkeys([room.ada, room.bo, room.cy], Reason.ZONE_PAST)
    assert_ledger_is_exact(room.engine, room.edition_id)


@ONE_STORE
def test_an_edition_of_which_only_skipped_zones_are_due_has_not_begun(room: Room) -> None:
    room.send_local(now=BERLIN + HOUR / 2, past=Past.SKIP)

    room.at(LISBON - LEAD - timedelta(seconds=1))

    assert edition_of(room.engine, room.edition_id).state is EditionState.SCHEDULED


@ONE_STORE
def test_a_system_that_was_down_catches_up_by_the_same_deadlines(room: Room) -> None:
    room.send_local()
    back = LISBON + DEADLINE - timedelta(minutes=1)

    room.at(back)

    late = dict.fromkeys([room.ada, room.bo, room.cy], Reason.TOO_LATE)
    assert room.excluded() == late
    assert room.due() == {room.eve: back}
    room.at(NEW_YORK)
    assert room.excluded() == late
    assert_ledger_is_exact(room.engine, room.edition_id)


@ONE_STORE
def test_a_day_that_a_zone_left_out_excludes_its_people(engine: Engine, tmp_path: Path) -> None:
    room = Room(engine, settings_for(tmp_path))
    live_in(engine, "Pacific/Apia", [room.ada])
    before = datetime(2011, 12, 28, tzinfo=UTC)
    with transaction(engine) as session:
        session.execute(update(Subscription).values(joined_at=before))
        schedule.send_local(
            session, room.edition_id, date(2011, 12, 30), SEVEN, past=Past.SEND, now=before
        )

    for hours in (6, 7, 12):
        room.at(datetime(2011, 12, 30, hours, tzinfo=UTC))

    assert room.excluded() == {room.ada: Reason.NO_SUCH_DATE}
    assert len(room.due()) == 4
    assert_ledger_is_exact(engine, room.edition_id)


def test_waves_are_computed_anew_when_the_rules_change(room: Room) -> None:
    room.send_local()
    room.at(AUCKLAND)
    with transaction(room.engine) as session:
        session.get_one(LocalSchedule, room.edition_id).tzdata = "2020.1"
        berlin = session.scalar(select(Wave).where(Wave.due_at == BERLIN))
        assert berlin is not None
        berlin.due_at += 3 * HOUR  # as the rules of those days had it

    room.at(BERLIN)

    assert room.due() == {room.ada: AUCKLAND, room.bo: BERLIN, room.cy: BERLIN}
    room.until(NEW_YORK)
    assert len(room.due()) == 5
    assert_ledger_is_exact(room.engine, room.edition_id)


@ONE_STORE
def test_a_zone_that_nobody_had_before_gets_a_wave(room: Room) -> None:
    room.send_local()
    room.at(AUCKLAND)

    live_in(room.engine, "Asia/Tokyo", [room.eve])
    tokyo = AUCKLAND + 4 * HOUR
    room.at(tokyo)

    assert room.due() == {room.ada: AUCKLAND, room.eve: tokyo}


@ONE_STORE
def test_a_zone_without_rules_is_the_lists(room: Room) -> None:
    live_in(room.engine, "Mars/Olympus", [room.dee])
    room.send_local()

    room.at(LISBON)

    assert room.due()[room.dee] == LISBON


@ONE_STORE
def test_a_change_of_content_takes_the_schedule_with_it(room: Room) -> None:
    room.send_local()

    room.revise()
    room.at(AUCKLAND)

    assert edition_of(room.engine, room.edition_id).state is EditionState.DRAFT
    with reading(room.engine) as session:
        assert wave_statuses(session, room.edition_id) == []
    assert room.due() == {}


@ONE_STORE
def test_a_schedule_that_was_taken_back_can_be_made_anew(room: Room) -> None:
    room.send_local()
    with transaction(room.engine) as session:
        schedule.unschedule(session, room.edition_id)

    room.at(AUCKLAND)
    assert room.due() == {}

    room.send_local(now=AUCKLAND + HOUR)
    room.at(AUCKLAND + HOUR)
    assert room.due() == {room.ada: AUCKLAND + HOUR}


@ONE_STORE
def test_a_schedule_that_is_paused_waits_and_then_catches_up(room: Room) -> None:
    room.send_local()
    with transaction(room.engine) as session:
        schedule.pause(session, room.edition_id)

    room.at(BERLIN)
    assert room.due() == {}

    with transaction(room.engine) as session:
        schedule.resume(session, room.edition_id)
    room.at(BERLIN)
    assert room.due() == {room.bo: BERLIN, room.cy: BERLIN}


@ONE_STORE
def test_an_edition_that_is_cancelled_between_waves_ends(room: Room, tmp_path: Path) -> None:
    room.send_local()
    room.until(BERLIN)
    with transaction(room.engine) as session:
        schedule.cancel(session, room.edition_id)

    pump.turn(room.engine, tmp_path / "journals", now=BERLIN)
    room.at(NEW_YORK)

    edition = edition_of(room.engine, room.edition_id)
    assert (edition.state, edition.finished_at) == (EditionState.CANCELLED, BERLIN)
    assert len(room.due()) == 3
    assert_ledger_is_exact(room.engine, room.edition_id)


def test_an_instant_is_one_wave_for_everybody_and_a_sweep(room: Room) -> None:
    with transaction(room.engine) as session:
        schedule.send_at(session, room.edition_id, BERLIN, now=EVENING)
    room.at(BERLIN - LEAD)
    assert set(room.due().values()) == {BERLIN}

    flo = room.join("flo", "Asia/Tokyo", BERLIN)
    late = room.join("late", "Asia/Tokyo", BERLIN + timedelta(seconds=1))
    room.at(BERLIN + timedelta(seconds=2))

    assert len(room.due()) == 6
    assert flo in room.due()
    assert late not in room.due()
    assert_ledger_is_exact(room.engine, room.edition_id)


def test_exclusions_of_several_waves_and_slices_are_counted_once(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planner.plan_slice, "__kwdefaults__", {"slice_size": 2})
    leave(room.engine, room.list_id, room.ada)
    leave(room.engine, room.list_id, room.bo)
    leave(room.engine, room.list_id, room.dee)
    room.send_local()

    for now in (AUCKLAND, BERLIN, LISBON, NEW_YORK):
        room.at(now)

    assert room.excluded() == dict.fromkeys([room.ada, room.bo, room.dee], Reason.UNSUBSCRIBED)
    assert_ledger_is_exact(room.engine, room.edition_id)


def test_what_a_schedule_would_come_to_is_shown_before(room: Room) -> None:
    with reading(room.engine) as session:
        waves = preview_waves(
            session,
            room.edition_id,
            DAY,
            SEVEN,
            past=Past.SKIP,
            deadline=DEADLINE,
            now=AUCKLAND + HOUR,
        )

    assert [(wave.due_at, wave.people, wave.exclusion) for wave in waves] == [
        (AUCKLAND, 1, Reason.ZONE_PAST),
        (BERLIN, 2, None),
        (LISBON, 1, None),
        (NEW_YORK, 1, None),
    ]


def test_what_became_of_each_wave_is_shown_after(room: Room) -> None:
    room.send_local()
    room.until(BERLIN)
    with transaction(room.engine) as session:
        session.execute(delete(Subscription).where(Subscription.subscriber_id == room.dee))

    with reading(room.engine) as session:
        waves = wave_statuses(session, room.edition_id)

    assert [(wave.people, wave.is_planned, wave.is_sweep) for wave in waves] == [
        (1, True, False),
        (2, True, False),
        (1, False, False),
        (0, False, False),
        (0, False, True),
    ]
    assert waves[1].zones == ("Europe/Berlin", "Europe/Paris")


@pytest.mark.parametrize(
    ("past", "now", "exclusion"),
    [
        (Past.SEND, BERLIN - HOUR, None),
        (Past.SEND, BERLIN, None),
        (Past.SEND, BERLIN + HOUR, None),
        (Past.SEND, BERLIN + DEADLINE, Reason.ZONE_PAST),
        (Past.SKIP, BERLIN, None),
        (Past.SKIP, BERLIN + timedelta(seconds=1), Reason.ZONE_PAST),
    ],
)
def test_a_zone_that_is_past_is_mailed_or_left_out(
    past: Past, now: datetime, exclusion: Reason | None
) -> None:
    shares = divide(["Europe/Berlin"], DAY, SEVEN, past=past, deadline=DEADLINE, now=now)

    assert shares == [Share(BERLIN, exclusion, ("Europe/Berlin",))]
