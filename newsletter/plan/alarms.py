"""Tells the desk, once for each day's slot, that nothing is approved for it."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import Engine, exists, func, select
from sqlalchemy.orm import Session

from newsletter.db import insert_or_ignore, reading, transaction
from newsletter.metrics import UNREADY_SLOTS
from newsletter.models import (
    Alarm,
    AlarmKind,
    Edition,
    EditionList,
    EditionState,
    MailingList,
    Slot,
    SlotHoliday,
)
from newsletter.outbox import alarm_desk
from newsletter.plan.alarm_calls import call_about
from newsletter.plan.slots import due_of
from newsletter.plan.timing import rules_of

logger = logging.getLogger(__name__)

_READY = (
    EditionState.APPROVED,
    EditionState.SCHEDULED,
    EditionState.SENDING,
    EditionState.PAUSED,
    EditionState.SENT,
)


@dataclass(frozen=True, slots=True)
class Unready:
    """A day's slot for which nothing is approved, and which alarm that calls for."""

    slot: Slot
    mailing_list: MailingList
    day: date
    ready_by: datetime
    due_at: datetime
    kind: AlarmKind


def raise_alarms(engine: Engine, *, now: datetime) -> None:
    """Any process may do it, any number at once: an alarm is a row, and there can be but one."""
    with reading(engine) as session:
        unready = list(unready_slots(session, now=now))
        fresh = [each for each in unready if not _is_raised(session, each)]
    UNREADY_SLOTS.set(len(unready))
    for each in fresh:
        with transaction(engine) as session:
            _raise(session, each, now)


def unready_slots(session: Session, *, now: datetime) -> Iterator[Unready]:
    """Slots whose alarm time has come, and whose deadline for mailing has not."""
    slots = session.execute(
        select(Slot, MailingList)
        .join(MailingList, MailingList.id == Slot.list_id)
        .where(MailingList.retired_at.is_(None))
        .order_by(Slot.id)
    )
    for slot, mailing_list in slots.all():
        # Tomorrow's slot may have to be approved today, and yesterday's may still be sent.
        today = now.astimezone(rules_of(slot.zone or mailing_list.zone)).date()
        for day in (today - timedelta(days=1), today, today + timedelta(days=1)):
            kind = _kind(slot, mailing_list, day, now)
            if kind is not None and not _is_ready(session, slot, day):
                yield kind


def recent_alarms(session: Session, *, since: datetime) -> list[tuple[Alarm, str]]:
    """Newest first, each with the slug of its list."""
    rows = session.execute(
        select(Alarm, MailingList.slug)
        .join(MailingList, MailingList.id == Alarm.list_id)
        .where(Alarm.at >= since)
        .order_by(Alarm.at.desc(), Alarm.id.desc())
    )
    return [(alarm, slug) for alarm, slug in rows]


def alarms_of(session: Session, list_id: int, *, most: int) -> Sequence[Alarm]:
    """A list's last ones, the newest first."""
    return session.scalars(
        select(Alarm)
        .where(Alarm.list_id == list_id)
        .order_by(Alarm.at.desc(), Alarm.id.desc())
        .limit(most)
    ).all()


def _kind(slot: Slot, mailing_list: MailingList, day: date, now: datetime) -> Unready | None:
    due_at = due_of(slot, day, mailing_list.zone)
    if not slot.weekdays >> day.weekday() & 1 or due_at is None:
        return None
    ready_by = due_at - timedelta(minutes=slot.ready_minutes)
    first_at = ready_by - timedelta(minutes=slot.alarm_minutes)
    over_at = due_at + timedelta(minutes=slot.deadline_minutes)
    if not first_at <= now < over_at or slot.created_at > ready_by:
        return None
    kind = AlarmKind.UNREADY_SOON if now < ready_by else AlarmKind.UNREADY
    return Unready(slot, mailing_list, day, ready_by, due_at, kind)


def _is_ready(session: Session, slot: Slot, day: date) -> bool:
    """Something is approved for it, or it is a holiday."""
    is_filled = exists().where(
        EditionList.list_id == slot.list_id,
        EditionList.slot_date == day,
        Edition.id == EditionList.edition_id,
        Edition.state.in_(_READY),
    )
    is_holiday = exists().where(SlotHoliday.slot_id == slot.id, SlotHoliday.day == day)
    return bool(session.scalar(select(is_filled | is_holiday)))


def _is_raised(session: Session, unready: Unready) -> bool:
    return bool(
        session.scalar(
            select(func.count())
            .select_from(Alarm)
            .where(
                Alarm.kind == unready.kind,
                Alarm.list_id == unready.mailing_list.id,
                Alarm.slot_date == unready.day,
            )
        )
    )


def _raise(session: Session, unready: Unready, now: datetime) -> None:
    mailing_list, day, kind = unready.mailing_list, unready.day, unready.kind
    text = _text(unready)
    alarm = session.scalar(
        insert_or_ignore(session, Alarm)
        .values(kind=kind, list_id=mailing_list.id, slot_date=day, at=now, text=text)
        .returning(Alarm)
    )
    if alarm is None:
        return
    call_about(session, alarm, mailing_list)
    alarm_desk(
        session,
        f"Nothing is approved for {mailing_list.name}, {day:%A}",
        text,
        dedupe=f"slot:{mailing_list.id}:{day}:{kind.value}",
        list_id=mailing_list.id,
        now=now,
    )
    logger.warning(
        "slot without an approved edition",
        extra={"list_id": mailing_list.id, "slot_date": str(day), "kind": kind.value},
    )


def _text(unready: Unready) -> str:
    zone = rules_of(unready.slot.zone or unready.mailing_list.zone)
    ready_by, due_at = unready.ready_by.astimezone(zone), unready.due_at.astimezone(zone)
    readers = " in each reader's own zone" if unready.slot.zone is None else ""
    tense = "is to" if unready.kind is AlarmKind.UNREADY_SOON else "was to"
    return (
        f"Nothing is approved for {unready.mailing_list.name} of {unready.day:%A %d %B %Y}, which"
        f" goes out at {due_at:%H:%M}{readers} and {tense} be approved by"
        f" {ready_by:%H:%M} ({zone.key})."
    )
