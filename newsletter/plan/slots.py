"""Slots: on which weekdays, and when, a list's edition goes out; one edition for each day's."""

import logging
from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from sqlalchemy import delete, exists, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from newsletter.audience.lists import refuse_retired
from newsletter.audience.zones import find_zone
from newsletter.db import changed, insert_or_ignore
from newsletter.errors import InputError, NotFoundError, StateError
from newsletter.models import (
    Edition,
    EditionList,
    EditionState,
    MailingList,
    Past,
    Slot,
    SlotHoliday,
)
from newsletter.plan.dispatch import AtInstant, AtLocalTime, send_approved
from newsletter.plan.stored import get_edition
from newsletter.plan.timing import instant_of, rules_of
from newsletter.plan.waves import DEADLINE

logger = logging.getLogger(__name__)

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
LONGEST = timedelta(days=1)
_MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class NewSlot:
    """`zone` None is each reader's own. `ready` is how long before `at` an edition is to be approved,
    `alarm` how long before that the desk is told that none is.
    """

    weekdays: frozenset[int]
    at: time
    zone: str | None = None
    deadline: timedelta = DEADLINE
    ready: timedelta = timedelta(hours=1)
    alarm: timedelta = timedelta(minutes=15)
    holidays: frozenset[date] = frozenset()


def read_weekdays(text: str) -> frozenset[int]:
    """`mon-fri`, `sat,sun` or `daily`; Monday is 0. Raises `InputError`."""
    days: set[int] = set()
    for part in text.lower().replace("daily", "mon-sun").split(","):
        first, dash, last = part.strip().partition("-")
        if first not in DAYS or (dash and last not in DAYS):
            raise InputError(
                "{part!r} is no weekday; write mon-fri, sat,sun or daily",
                field="days",
                part=part.strip(),
            )
        begin, end = DAYS.index(first), DAYS.index(last or first)
        days |= {number % 7 for number in range(begin, end + 1 if end >= begin else end + 8)}
    return frozenset(days)


def weekday_names(mask: int) -> str:
    return ",".join(name for number, name in enumerate(DAYS) if mask >> number & 1)


def set_slot(session: Session, list_id: int, new: NewSlot, *, now: datetime) -> Slot:
    """Give these weekdays of the list a slot; another one that had them has them no more.

    Raises `InputError`, and `StateError` for a retired list.
    """
    refuse_retired(session.get_one(MailingList, list_id))
    zone = None if new.zone is None else find_zone(new.zone)
    if new.zone is not None and zone is None:
        raise InputError("write an IANA time zone like Europe/Berlin, or subscriber", field="zone")
    for name, length in (("deadline", new.deadline), ("ready", new.ready), ("alarm", new.alarm)):
        if not timedelta() <= length <= LONGEST:
            raise InputError("choose a length of up to a day, like 90m or 4h", field=name)
    mask = _mask(new.weekdays)
    for other in session.scalars(select(Slot).where(Slot.list_id == list_id).with_for_update()):
        other.weekdays &= ~mask
        if not other.weekdays:
            session.delete(other)
    slot = Slot(
        list_id=list_id,
        weekdays=mask,
        at=new.at,
        zone=zone,
        deadline_minutes=new.deadline // _MINUTE,
        ready_minutes=new.ready // _MINUTE,
        alarm_minutes=new.alarm // _MINUTE,
        created_at=now,
    )
    session.add(slot)
    session.flush()
    session.add_all(SlotHoliday(slot_id=slot.id, day=day) for day in sorted(new.holidays))
    session.flush()
    return slot


def remove_slot(session: Session, slot_id: int) -> None:
    """Editions that are scheduled for it stay scheduled. Raises `NotFoundError`."""
    if not changed(session, delete(Slot).where(Slot.id == slot_id)):
        raise NotFoundError("There is no slot {number}; see: newsletter slot list", number=slot_id)


def get_slot(session: Session, slot_id: int) -> Slot:
    """Raises `NotFoundError`."""
    slot = session.get(Slot, slot_id)
    if slot is None:
        raise NotFoundError("There is no slot {number}.", number=slot_id)
    return slot


def take_day_off(session: Session, slot_id: int, day: date) -> None:
    """The slot is not used that day; an edition that fills it already stays scheduled."""
    session.execute(insert_or_ignore(session, SlotHoliday), {"slot_id": slot_id, "day": day})


def work_that_day(session: Session, slot_id: int, day: date) -> None:
    """The day is no holiday of the slot any more."""
    session.execute(
        delete(SlotHoliday).where(SlotHoliday.slot_id == slot_id, SlotHoliday.day == day)
    )


def slot_on(session: Session, list_id: int, day: date) -> Slot | None:
    """The list's slot of that day; None when it has none, or the day is a holiday of it."""
    of_day = Slot.weekdays.bitwise_and(1 << day.weekday()) != 0
    is_holiday = exists().where(SlotHoliday.slot_id == Slot.id, SlotHoliday.day == day)
    return session.scalar(select(Slot).where(Slot.list_id == list_id, of_day, ~is_holiday))


def due_of(slot: Slot, day: date, list_zone: str) -> datetime | None:
    """When the slot is due in its zone, or the list's if it is each reader's own; None: that zone
    left the day out.
    """
    return instant_of(day, slot.at, rules_of(slot.zone or list_zone))


def fill_slot(
    session: Session, mailing_list: MailingList, day: date, edition_id: int, *, now: datetime
) -> bool:
    """Make the edition the one of that day's slot; True when it is scheduled by that.

    One that is not approved yet is scheduled when it is. Raises `InputError` when the day has no
    slot or the edition does not go to the list, `StateError` when another edition fills it, or the
    list is retired.
    """
    refuse_retired(mailing_list)
    if slot_on(session, mailing_list.id, day) is None:
        raise InputError(
            "{slug} has no slot on {day:%A}, {day}; see: newsletter slot list",
            slug=mailing_list.slug,
            day=day,
        )
    edition = get_edition(session, edition_id)
    if edition.state in _BEYOND:
        raise StateError(
            "Edition {edition} is {state}; it fills no slot any more.",
            edition=edition_id,
            state=edition.state,
        )
    _free_of_cancelled(session, mailing_list.id, day)
    _assign(session, mailing_list, day, edition_id)
    return edition.state is EditionState.APPROVED and schedule_for_slot(
        session, edition_id, now=now
    )


def schedule_for_slot(session: Session, edition_id: int, *, now: datetime) -> bool:
    """Schedule an approved edition for the slot that it fills, the first of its lists that has one.

    False: it fills none, or its time was too long ago; it stays approved. Raises `CapReached`.
    """
    filled = session.execute(
        select(EditionList.slot_date, MailingList)
        .join(MailingList, MailingList.id == EditionList.list_id)
        .where(EditionList.edition_id == edition_id, EditionList.slot_date.is_not(None))
        .order_by(EditionList.position)
        .limit(1)
    ).one_or_none()
    if filled is None:
        return False
    day, mailing_list = filled
    assert day is not None
    slot = slot_on(session, mailing_list.id, day)
    if slot is None:
        return False
    try:
        with session.begin_nested():
            return _schedule(session, edition_id, slot, day, now)
    except InputError as late:
        logger.warning("slot missed", extra={"edition_id": edition_id, "why": str(late)})
        return False


_BEYOND: Collection[EditionState] = (
    EditionState.SCHEDULED,
    EditionState.SENDING,
    EditionState.PAUSED,
    EditionState.SENT,
    EditionState.CANCELLED,
)


def _schedule(session: Session, edition_id: int, slot: Slot, day: date, now: datetime) -> bool:
    deadline = timedelta(minutes=slot.deadline_minutes)
    if slot.zone is None:
        when = AtLocalTime(day, slot.at, Past.SEND, deadline)
        send_approved(session, edition_id, when, now=now)
        return True
    due_at = due_of(slot, day, slot.zone)
    if due_at is None:
        return False
    send_approved(session, edition_id, AtInstant(due_at, deadline), now=now)
    return True


def _free_of_cancelled(session: Session, list_id: int, day: date) -> None:
    cancelled = select(Edition.id).where(Edition.state == EditionState.CANCELLED)
    session.execute(
        update(EditionList)
        .where(
            EditionList.list_id == list_id,
            EditionList.slot_date == day,
            EditionList.edition_id.in_(cancelled),
        )
        .values(slot_date=None)
        .execution_options(synchronize_session=False)
    )


def _assign(session: Session, mailing_list: MailingList, day: date, edition_id: int) -> None:
    try:
        with session.begin_nested():
            is_its_list = changed(
                session,
                update(EditionList)
                .where(EditionList.edition_id == edition_id, EditionList.list_id == mailing_list.id)
                .values(slot_date=day),
            )
    except IntegrityError as error:
        taken_by = session.scalar(
            select(EditionList.edition_id).where(
                EditionList.list_id == mailing_list.id, EditionList.slot_date == day
            )
        )
        raise StateError(
            "The slot of {day} is filled by edition {taken_by} already.", day=day, taken_by=taken_by
        ) from error
    if not is_its_list:
        raise InputError(
            "Edition {edition} does not go to {slug}.", edition=edition_id, slug=mailing_list.slug
        )


def _mask(weekdays: Collection[int]) -> int:
    return sum(1 << day for day in weekdays)
