from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, func, select, update

from newsletter.db import reading, transaction
from newsletter.deliver import pump
from newsletter.errors import InputError, NotFoundError, StateError
from newsletter.metrics import UNREADY_SLOTS
from newsletter.models import (
    Alarm,
    AlarmKind,
    Edition,
    EditionState,
    MailingList,
    Slot,
    SystemMail,
    Wave,
)
from newsletter.plan import schedule
from newsletter.plan.alarms import raise_alarms, recent_alarms
from newsletter.plan.approval import approve_edition
from newsletter.plan.editions import content_of, create_edition
from newsletter.plan.planner import plan_edition
from newsletter.plan.slots import (
    NewSlot,
    fill_slot,
    read_weekdays,
    remove_slot,
    set_slot,
    slot_on,
    weekday_names,
)
from newsletter.settings import Settings, get_settings
from tests.newsroom import (
    MORNING,
    a_briefing,
    add_list,
    add_readers,
    add_transport,
    assert_ledger_is_exact,
    edition_of,
    live_in,
    states_of,
)

FRIDAY, SATURDAY = date(2026, 11, 20), date(2026, 11, 21)
WEEKDAYS = frozenset(range(5))
SEVEN_IN_BERLIN = datetime(2026, 11, 20, 6, tzinfo=UTC)
BEFORE = SEVEN_IN_BERLIN - timedelta(hours=12)
MINUTE = timedelta(minutes=1)
MORNING_SLOT = NewSlot(WEEKDAYS, time(7), zone="Europe/Berlin")
OWN_ZONES = NewSlot(WEEKDAYS, time(7))

ONE_STORE = pytest.mark.parametrize("store", ["sqlite"])


@pytest.fixture
def list_id(engine: Engine) -> int:
    add_transport(engine, 25)
    list_id = add_list(engine)
    with transaction(engine) as session:
        session.get_one(MailingList, list_id).zone = "Europe/Berlin"
    add_readers(engine, list_id, ["ada", "bo"])
    return list_id


def have_slot(engine: Engine, list_id: int, new: NewSlot = MORNING_SLOT) -> int:
    with transaction(engine) as session:
        return set_slot(session, list_id, new, now=BEFORE).id


def draft(engine: Engine, settings: Settings, list_id: int) -> int:
    with transaction(engine) as session:
        return create_edition(
            session,
            content_of(a_briefing(), "text"),
            lists=[session.get_one(MailingList, list_id)],
            settings=settings,
            created_by="Ed",
            now=BEFORE,
        ).id


def approve(engine: Engine, settings: Settings, edition_id: int, now: datetime) -> EditionState:
    with transaction(engine) as session:
        approve_edition(session, edition_id, approved_by="Ann", settings=settings, now=now)
    return edition_of(engine, edition_id).state


def fill(
    engine: Engine, list_id: int, edition_id: int, *, day: date = FRIDAY, now: datetime = BEFORE
) -> bool:
    with transaction(engine) as session:
        mailing_list = session.get_one(MailingList, list_id)
        return fill_slot(session, mailing_list, day, edition_id, now=now)


def due(engine: Engine, edition_id: int) -> list[datetime]:
    with reading(engine) as session:
        return list(
            session.scalars(
                select(Wave.due_at)
                .where(Wave.edition_id == edition_id, ~Wave.is_sweep)
                .order_by(Wave.due_at)
            )
        )


@ONE_STORE
def test_what_fills_a_slot_is_scheduled_when_it_is_approved(
    engine: Engine, settings: Settings, list_id: int
) -> None:
    have_slot(engine, list_id)
    edition_id = draft(engine, settings, list_id)
    assert not fill(engine, list_id, edition_id)

    state = approve(engine, settings, edition_id, BEFORE)

    assert state is EditionState.SCHEDULED
    assert due(engine, edition_id) == [SEVEN_IN_BERLIN]


@ONE_STORE
def test_what_is_approved_is_scheduled_when_it_fills_a_slot(
    engine: Engine, settings: Settings, list_id: int
) -> None:
    have_slot(engine, list_id, OWN_ZONES)
    live_in(engine, "Asia/Tokyo", [1])
    edition_id = draft(engine, settings, list_id)
    assert approve(engine, settings, edition_id, BEFORE) is EditionState.APPROVED

    assert fill(engine, list_id, edition_id)

    assert due(engine, edition_id) == [SEVEN_IN_BERLIN - timedelta(hours=8), SEVEN_IN_BERLIN]


@ONE_STORE
@pytest.mark.parametrize("new", [MORNING_SLOT, OWN_ZONES])
def test_what_is_approved_after_the_deadline_waits_for_a_person(
    engine: Engine, settings: Settings, list_id: int, new: NewSlot
) -> None:
    have_slot(engine, list_id, new)
    edition_id = draft(engine, settings, list_id)
    fill(engine, list_id, edition_id)

    state = approve(engine, settings, edition_id, SEVEN_IN_BERLIN + timedelta(hours=4))

    assert state is EditionState.APPROVED
    assert due(engine, edition_id) == []


def test_of_editions_that_fill_a_slot_at_once_one_does(
    engine: Engine, settings: Settings, list_id: int
) -> None:
    """F-24."""
    have_slot(engine, list_id)
    editions = [draft(engine, settings, list_id) for _ in range(4)]
    for edition_id in editions:
        approve(engine, settings, edition_id, BEFORE)

    def try_to_fill(edition_id: int) -> bool:
        try:
            return fill(engine, list_id, edition_id)
        except StateError:
            return False

    with ThreadPoolExecutor(4) as threads:
        filled = list(threads.map(try_to_fill, editions))

    assert filled.count(True) == 1
    with pytest.raises(StateError, match="is filled by edition"):
        fill(engine, list_id, editions[filled.index(False)])
    with reading(engine) as session:
        scheduled = session.scalar(
            select(func.count()).where(Edition.state == EditionState.SCHEDULED)
        )
    assert scheduled == 1


def test_two_beats_and_five_pumps_send_a_slot_once(
    engine: Engine, settings: Settings, list_id: int, tmp_path: Path
) -> None:
    """F-24."""
    have_slot(engine, list_id)
    edition_id = draft(engine, settings, list_id)
    fill(engine, list_id, edition_id)
    approve(engine, settings, edition_id, BEFORE)

    def turn(_: int) -> None:
        pump.turn(engine, tmp_path / "journals", now=SEVEN_IN_BERLIN)
        plan_edition(engine, edition_id, now=SEVEN_IN_BERLIN)

    with ThreadPoolExecutor(5) as threads:
        list(threads.map(turn, range(10)))

    assert len(states_of(engine, edition_id)) == 2
    assert edition_of(engine, edition_id).started_at == SEVEN_IN_BERLIN
    assert_ledger_is_exact(engine, edition_id)


@ONE_STORE
def test_a_cancelled_edition_leaves_its_slot_to_another(
    engine: Engine, settings: Settings, list_id: int
) -> None:
    have_slot(engine, list_id)
    first, second = draft(engine, settings, list_id), draft(engine, settings, list_id)
    fill(engine, list_id, first)
    with transaction(engine) as session:
        schedule.cancel(session, first)

    fill(engine, list_id, second)

    with pytest.raises(StateError, match="is cancelled; it fills no slot"):
        fill(engine, list_id, first)


@ONE_STORE
def test_only_days_with_a_slot_can_be_filled(
    engine: Engine, settings: Settings, list_id: int
) -> None:
    holiday = NewSlot(WEEKDAYS, time(7), holidays=frozenset({FRIDAY}))
    have_slot(engine, list_id, holiday)
    edition_id = draft(engine, settings, list_id)
    other = add_list(engine, "noon")
    have_slot(engine, other, NewSlot(frozenset({5}), time(12)))

    for day in (FRIDAY, SATURDAY):
        with pytest.raises(InputError, match=f"harbour has no slot on {day:%A}"):
            fill(engine, list_id, edition_id, day=day)
    with pytest.raises(InputError, match="does not go to noon"):
        fill(engine, other, edition_id, day=SATURDAY)


@ONE_STORE
def test_a_weekday_is_in_the_slot_that_was_set_last(engine: Engine, list_id: int) -> None:
    whole_week = have_slot(engine, list_id, NewSlot(frozenset(range(7)), time(7)))
    weekend = have_slot(engine, list_id, NewSlot(frozenset({5, 6}), time(9)))

    with reading(engine) as session:
        on_friday, on_saturday = (slot_on(session, list_id, day) for day in (FRIDAY, SATURDAY))
    assert on_friday is not None
    assert on_saturday is not None
    assert (on_friday.id, on_saturday.id) == (whole_week, weekend)

    have_slot(engine, list_id, NewSlot(frozenset(range(7)), time(8)))
    with reading(engine) as session:
        assert session.scalar(select(func.count()).select_from(Slot)) == 1


@ONE_STORE
def test_a_slot_that_was_removed_is_gone_with_its_holidays(engine: Engine, list_id: int) -> None:
    slot_id = have_slot(engine, list_id, NewSlot(WEEKDAYS, time(7), holidays=frozenset({SATURDAY})))

    with transaction(engine) as session:
        remove_slot(session, slot_id)

    with pytest.raises(NotFoundError, match="no slot"), transaction(engine) as session:
        remove_slot(session, slot_id)


@ONE_STORE
@pytest.mark.parametrize(
    "new",
    [
        NewSlot(WEEKDAYS, time(7), zone="Mars/Olympus"),
        NewSlot(WEEKDAYS, time(7), deadline=timedelta(days=2)),
        NewSlot(WEEKDAYS, time(7), alarm=timedelta(hours=-1)),
    ],
)
def test_a_slot_that_makes_no_sense_is_refused(engine: Engine, list_id: int, new: NewSlot) -> None:
    with pytest.raises(InputError, match=r"(zone|deadline|alarm):"), transaction(engine) as session:
        set_slot(session, list_id, new, now=BEFORE)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("mon-fri", "mon,tue,wed,thu,fri"),
        ("Sat,Sun", "sat,sun"),
        ("daily", "mon,tue,wed,thu,fri,sat,sun"),
        ("sat-mon", "mon,sat,sun"),
        ("wed", "wed"),
    ],
)
def test_weekdays_are_read_as_people_write_them(text: str, names: str) -> None:
    assert weekday_names(sum(1 << day for day in read_weekdays(text))) == names


@pytest.mark.parametrize("text", ["", "mo", "mon-", "mon-xyz", "1-5", "mon;tue"])
def test_other_words_are_no_weekdays(text: str) -> None:
    with pytest.raises(InputError, match="is no weekday"):
        read_weekdays(text)


@pytest.mark.parametrize(
    ("new", "now", "kinds"),
    [
        (MORNING_SLOT, SEVEN_IN_BERLIN - 76 * MINUTE, []),
        (MORNING_SLOT, SEVEN_IN_BERLIN - 75 * MINUTE, [AlarmKind.UNREADY_SOON]),
        (MORNING_SLOT, SEVEN_IN_BERLIN - 60 * MINUTE, [AlarmKind.UNREADY]),
        (OWN_ZONES, SEVEN_IN_BERLIN - 75 * MINUTE, [AlarmKind.UNREADY_SOON]),
        (MORNING_SLOT, SEVEN_IN_BERLIN + 239 * MINUTE, [AlarmKind.UNREADY]),
        (MORNING_SLOT, SEVEN_IN_BERLIN + 240 * MINUTE, []),
    ],
)
@ONE_STORE
def test_the_desk_is_told_when_nothing_is_approved(
    engine: Engine, list_id: int, new: NewSlot, now: datetime, kinds: list[AlarmKind]
) -> None:
    have_slot(engine, list_id, new)

    raise_alarms(engine, now=now)

    with reading(engine) as session:
        alarms = recent_alarms(session, since=BEFORE)
    assert [(alarm.kind, alarm.slot_date, slug) for alarm, slug in alarms] == [
        (kind, FRIDAY, "harbour") for kind in kinds
    ]
    assert UNREADY_SLOTS._value.get() == len(kinds)


def test_an_alarm_is_raised_and_mailed_once_by_however_many_pumps(
    engine: Engine, list_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEWSLETTER_DESK_ADDRESSES", "desk@harbour.example")
    get_settings.cache_clear()
    have_slot(engine, list_id)

    with ThreadPoolExecutor(4) as threads:
        for minutes in (75, 60):
            now = SEVEN_IN_BERLIN - minutes * MINUTE
            list(threads.map(lambda _, now=now: raise_alarms(engine, now=now), range(8)))

    with reading(engine) as session:
        texts = session.scalars(select(Alarm.text).order_by(Alarm.at)).all()
        mails = session.scalars(select(SystemMail.to_address)).all()
    assert texts == [
        "Nothing is approved for The Harbour Brief of Friday 20 November 2026, which goes out at"
        f" 07:00 and {tense} to be approved by 06:00 (Europe/Berlin)."
        for tense in ("is", "was")
    ]
    assert mails == ["desk@harbour.example"] * 2


@ONE_STORE
@pytest.mark.parametrize("state", [EditionState.APPROVED, EditionState.SCHEDULED])
def test_what_is_approved_raises_no_alarm(
    engine: Engine, settings: Settings, list_id: int, state: EditionState
) -> None:
    have_slot(engine, list_id)
    edition_id = draft(engine, settings, list_id)
    fill(engine, list_id, edition_id)
    with transaction(engine) as session:
        session.execute(update(Edition).values(state=state))

    raise_alarms(engine, now=SEVEN_IN_BERLIN)

    with reading(engine) as session:
        assert recent_alarms(session, since=BEFORE) == []


@ONE_STORE
def test_a_draft_in_the_slot_does_not_keep_the_alarm_away(
    engine: Engine, settings: Settings, list_id: int
) -> None:
    have_slot(engine, list_id)
    fill(engine, list_id, draft(engine, settings, list_id))

    raise_alarms(engine, now=SEVEN_IN_BERLIN)

    with reading(engine) as session:
        assert len(recent_alarms(session, since=BEFORE)) == 1


@ONE_STORE
def test_holidays_other_weekdays_and_days_before_the_slot_was_made_are_quiet(
    engine: Engine, list_id: int
) -> None:
    have_slot(
        engine, list_id, NewSlot(WEEKDAYS, time(7), "Europe/Berlin", holidays=frozenset({FRIDAY}))
    )
    with transaction(engine) as session:
        set_slot(session, add_list(engine, "noon"), MORNING_SLOT, now=MORNING)

    for days in range(3):
        raise_alarms(engine, now=SEVEN_IN_BERLIN + timedelta(days=days))

    with reading(engine) as session:
        assert recent_alarms(session, since=BEFORE) == []
