"""A list's coming days: which slot each has, and which edition fills it."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from newsletter.models import Edition, EditionList, EditionState, MailingList, Slot, SlotHoliday
from newsletter.plan.drafts import draft_of
from newsletter.plan.slots import due_of
from newsletter.plan.timing import rules_of

DAYS = 10


@dataclass(frozen=True, slots=True)
class Filling:
    edition_id: int
    title: str
    state: EditionState
    is_open: bool
    """False for who may not look at it, since it goes to other lists too; it has no title for them."""


@dataclass(frozen=True, slots=True)
class SlotDay:
    """`due_at` is None where the zone leaves that time out. `filling` is None while nothing fills it."""

    day: date
    slot: Slot
    due_at: datetime | None
    ready_by: datetime | None
    is_holiday: bool
    filling: Filling | None


def slots_of(session: Session, list_id: int) -> Sequence[Slot]:
    """In the order of their first weekday."""
    found = session.scalars(select(Slot).where(Slot.list_id == list_id)).all()
    return sorted(found, key=lambda slot: slot.weekdays & -slot.weekdays)


def coming_days(
    session: Session,
    mailing_list: MailingList,
    *,
    within: Collection[int] | None,
    now: datetime,
) -> list[SlotDay]:
    """Today, in the list's zone, and the days after it, those without a slot left out.

    `within` are the lists that the viewer has; None: all.
    """
    today = now.astimezone(rules_of(mailing_list.zone)).date()
    days = [today + timedelta(days=ahead) for ahead in range(DAYS)]
    slots = slots_of(session, mailing_list.id)
    holidays = set(_holidays(session, slots, days))
    fillings = _fillings(session, mailing_list.id, days, within)
    return [
        _slot_day(slot, day, mailing_list.zone, (slot.id, day) in holidays, fillings.get(day))
        for day in days
        for slot in slots
        if slot.weekdays >> day.weekday() & 1
    ]


def holidays_of(session: Session, slots: Sequence[Slot], *, since: date) -> dict[int, list[date]]:
    """By slot, those to come."""
    rows = session.execute(
        select(SlotHoliday.slot_id, SlotHoliday.day)
        .where(SlotHoliday.slot_id.in_([slot.id for slot in slots]), SlotHoliday.day >= since)
        .order_by(SlotHoliday.day)
    ).all()
    return {slot.id: [day for slot_id, day in rows if slot_id == slot.id] for slot in slots}


def _slot_day(
    slot: Slot, day: date, list_zone: str, is_holiday: bool, filling: Filling | None
) -> SlotDay:
    due_at = due_of(slot, day, list_zone)
    ready_by = None if due_at is None else due_at - timedelta(minutes=slot.ready_minutes)
    return SlotDay(day, slot, due_at, ready_by, is_holiday, filling)


def _holidays(
    session: Session, slots: Sequence[Slot], days: Sequence[date]
) -> Iterator[tuple[int, date]]:
    rows = session.execute(
        select(SlotHoliday.slot_id, SlotHoliday.day).where(
            SlotHoliday.slot_id.in_([slot.id for slot in slots]), SlotHoliday.day.in_(days)
        )
    )
    return ((row.slot_id, row.day) for row in rows)


def _fillings(
    session: Session, list_id: int, days: Sequence[date], within: Collection[int] | None
) -> Mapping[date, Filling]:
    rows = session.execute(
        select(EditionList.slot_date, Edition, Edition.goes_only_to(within))
        .join(Edition, Edition.id == EditionList.edition_id)
        .where(
            EditionList.list_id == list_id,
            EditionList.slot_date.in_(days),
            Edition.state != EditionState.CANCELLED,
        )
    ).all()
    return {
        day: _filling(session, edition, is_open=bool(is_open))
        for day, edition, is_open in rows
        if day is not None
    }


def _filling(session: Session, edition: Edition, *, is_open: bool) -> Filling:
    title = draft_of(session, edition.id).content.subject_line if is_open else ""
    return Filling(edition.id, title, edition.state, is_open)
