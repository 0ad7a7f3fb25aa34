"""When each list's next slot is."""

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.orm import Session

from newsletter.models import MailingList, Slot, SlotHoliday
from newsletter.plan.slots import due_of

DAYS_AHEAD = 14


def next_slots(
    session: Session, lists: Iterable[MailingList], *, now: datetime
) -> dict[int, datetime]:
    """By list; one that has no slot within two weeks has none here.

    A slot at the hour of each reader is told by the list's own zone.
    """
    slots: dict[int, list[Slot]] = {}
    for slot in session.scalars(select(Slot)):
        slots.setdefault(slot.list_id, []).append(slot)
    holidays = {
        (slot_id, day)
        for slot_id, day in session.execute(select(SlotHoliday.slot_id, SlotHoliday.day))
    }
    found: dict[int, datetime] = {}
    for each in lists:
        coming = _next(slots.get(each.id, []), holidays, each.zone, now)
        if coming is not None and each.retired_at is None:
            found[each.id] = coming
    return found


def _next(
    slots: list[Slot], holidays: set[tuple[int, date]], zone: str, now: datetime
) -> datetime | None:
    today = now.astimezone(ZoneInfo(zone)).date()
    for ahead in range(DAYS_AHEAD):
        day = today + timedelta(days=ahead)
        times = [
            due
            for slot in slots
            if slot.weekdays >> day.weekday() & 1 and (slot.id, day) not in holidays
            if (due := due_of(slot, day, zone)) is not None and due > now
        ]
        if times:
            return min(times)
    return None
