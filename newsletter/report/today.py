"""The day of each list as the desk sees it: what is being made, sent and was sent, and by when."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, tzinfo

from sqlalchemy import and_, func, or_, select
from sqlalchemy.orm import Session

from newsletter.models import (
    AudienceCount,
    Edition,
    EditionList,
    EditionState,
    ListFigures,
    MailingList,
    Slot,
    SlotHoliday,
    Wave,
    WaveZone,
)
from newsletter.plan.slots import due_of
from newsletter.plan.timing import rules_of
from newsletter.report.editions import EditionStatus, edition_statuses
from newsletter.report.lists import EditionLine, lines_of
from newsletter.report.titles import titles_of

_DAY = timedelta(days=1)
SHOWN_AFTER = timedelta(hours=18)
"""So long a sent edition stays, whatever the calendar says: the desk works through midnight."""
DRAFTS_SINCE = timedelta(days=7)
BEING_MADE = (EditionState.DRAFT, EditionState.IN_REVIEW, EditionState.APPROVED)
UNDER_WAY = (EditionState.SCHEDULED, EditionState.SENDING, EditionState.PAUSED)


@dataclass(frozen=True, slots=True)
class SlotToday:
    """A slot of today or tomorrow; `is_local`: the hour is each reader's own, `due_at` the list's."""

    day: date
    at: time
    due_at: datetime
    ready_by: datetime
    is_local: bool


@dataclass(frozen=True, slots=True)
class EditionToday:
    edition_id: int
    title: str
    state: EditionState
    slot: SlotToday | None
    """The slot that it fills."""
    status: EditionStatus
    expected: int
    """How many people it goes to: planned, or about so many before all are."""
    next_at: datetime | None
    """When its next wave is due; None: it has none to come."""
    zones_to_go: int
    """Time zones in which it is still to be sent, of one that goes by each reader's own clock."""
    finished_at: datetime | None

    @property
    def settled(self) -> int:
        return min(self.status.settled, self.expected)


@dataclass(frozen=True, slots=True)
class ListToday:
    mailing_list: MailingList
    editions: tuple[EditionToday, ...]
    """Those under way first, then what is being made, then what was sent."""
    empty_slot: SlotToday | None
    """The next slot that no edition fills yet."""


@dataclass(frozen=True, slots=True)
class Yesterday:
    """What began on the viewer's yesterday."""

    day: date
    lines: tuple[EditionLine, ...]


def lists_today(
    session: Session, mailing_lists: Sequence[MailingList], *, now: datetime
) -> list[ListToday]:
    ids = [each.id for each in mailing_lists]
    placed = _placed(session, ids, now)
    editions = _Editions.read(session, {edition_id for _, edition_id, _ in placed}, now=now)
    slots = _slots(session, mailing_lists, now=now)
    return [
        _list_today(
            each,
            [(edition_id, day) for list_id, edition_id, day in placed if list_id == each.id],
            editions,
            slots.get(each.id, {}),
        )
        for each in mailing_lists
    ]


def yesterday(
    session: Session, list_ids: Collection[int], *, zone: tzinfo, now: datetime
) -> Yesterday:
    today = now.astimezone(zone).date()
    begin, end = (datetime.combine(day, time(), zone) for day in (today - _DAY, today))
    started = [
        (edition_id, at)
        for edition_id, at in session.execute(
            select(Edition.id, Edition.started_at)
            .where(
                Edition.started_at >= begin,
                Edition.started_at < end,
                Edition.id.in_(
                    select(EditionList.edition_id).where(EditionList.list_id.in_(list_ids))
                ),
            )
            .order_by(Edition.started_at)
        )
        if at is not None
    ]
    return Yesterday(today - _DAY, tuple(lines_of(session, dict(started))))


def _placed(
    session: Session, list_ids: Collection[int], now: datetime
) -> list[tuple[int, int, date | None]]:
    """(list, edition, the slot's day) of whatever the desk has before it."""
    is_fresh = or_(
        Edition.state.in_(UNDER_WAY),
        and_(Edition.state.in_(BEING_MADE), Edition.created_at >= now - DRAFTS_SINCE),
        and_(
            Edition.state.in_((EditionState.SENT, EditionState.CANCELLED)),
            Edition.finished_at >= now - SHOWN_AFTER,
        ),
        and_(Edition.state.in_(BEING_MADE), EditionList.slot_date >= now.date() - _DAY),
    )
    rows = session.execute(
        select(EditionList.list_id, Edition.id, EditionList.slot_date)
        .join(Edition, Edition.id == EditionList.edition_id)
        .where(EditionList.list_id.in_(list_ids), is_fresh)
        .order_by(Edition.id.desc())
    )
    return [(list_id, edition_id, day) for list_id, edition_id, day in rows]


@dataclass(frozen=True, slots=True)
class _Editions:
    """What is known of the editions of the day, by id."""

    rows: Mapping[int, Edition]
    titles: Mapping[int, str]
    statuses: Mapping[int, EditionStatus]
    expected: Mapping[int, int]
    next_at: Mapping[int, datetime]
    zones_to_go: Mapping[int, int]

    @classmethod
    def read(cls, session: Session, ids: Collection[int], *, now: datetime) -> "_Editions":
        return cls(
            rows={
                each.id: each
                for each in session.scalars(select(Edition).where(Edition.id.in_(ids)))
            },
            titles=titles_of(session, ids),
            statuses=edition_statuses(session, ids),
            expected=_expected(session, ids),
            next_at=_next_waves(session, ids, now),
            zones_to_go=_zones_to_go(session, ids, now),
        )

    def today(self, edition_id: int, slot: SlotToday | None) -> EditionToday:
        row, status = self.rows[edition_id], self.statuses[edition_id]
        is_known = status.is_planned or status.is_over
        about = max(status.planned, self.expected.get(edition_id, 0))
        return EditionToday(
            edition_id,
            self.titles[edition_id],
            row.state,
            slot,
            status,
            expected=status.planned if is_known else about,
            next_at=self.next_at.get(edition_id),
            zones_to_go=self.zones_to_go.get(edition_id, 0),
            finished_at=row.finished_at,
        )


def _list_today(
    mailing_list: MailingList,
    placed: Sequence[tuple[int, date | None]],
    editions: _Editions,
    slots: Mapping[date, SlotToday],
) -> ListToday:
    found = [
        editions.today(edition_id, slots.get(day) if day else None) for edition_id, day in placed
    ]
    filled = {
        day
        for edition_id, day in placed
        if day and editions.rows[edition_id].state is not EditionState.CANCELLED
    }
    empty = [slot for day, slot in sorted(slots.items()) if day not in filled]
    return ListToday(
        mailing_list,
        tuple(sorted(found, key=lambda each: _order(each.state))),
        next(iter(empty), None),
    )


def _order(state: EditionState) -> int:
    if state in UNDER_WAY:
        return 0
    return 1 if state in BEING_MADE else 2


def _slots(
    session: Session, mailing_lists: Sequence[MailingList], *, now: datetime
) -> dict[int, dict[date, SlotToday]]:
    """By list, the slots of today and tomorrow in its zone for which mail can still go out."""
    lists = {each.id: each for each in mailing_lists}
    slots = session.scalars(select(Slot).where(Slot.list_id.in_(lists))).all()
    holidays = {
        (slot_id, day)
        for slot_id, day in session.execute(
            select(SlotHoliday.slot_id, SlotHoliday.day).where(
                SlotHoliday.slot_id.in_([each.id for each in slots]),
                SlotHoliday.day >= now.date() - _DAY,
            )
        )
    }
    found = defaultdict[int, dict[date, SlotToday]](dict)
    for slot in slots:
        zone = lists[slot.list_id].zone
        today = now.astimezone(rules_of(slot.zone or zone)).date()
        for day in (today, today + _DAY):
            due_at = due_of(slot, day, zone)
            is_used = slot.weekdays >> day.weekday() & 1 and (slot.id, day) not in holidays
            if not is_used or due_at is None:
                continue
            if now < due_at + timedelta(minutes=slot.deadline_minutes):
                ready_by = due_at - timedelta(minutes=slot.ready_minutes)
                found[slot.list_id][day] = SlotToday(
                    day, slot.at, due_at, ready_by, is_local=slot.zone is None
                )
    return found


def _expected(session: Session, ids: Collection[int]) -> dict[int, int]:
    """As they were counted for the approval; else all who are on its lists, some of them twice."""
    on_lists = session.execute(
        select(EditionList.edition_id, func.sum(ListFigures.confirmed))
        .join(ListFigures, ListFigures.list_id == EditionList.list_id)
        .where(EditionList.edition_id.in_(ids))
        .group_by(EditionList.edition_id)
    )
    counted = session.execute(
        select(AudienceCount.edition_id, AudienceCount.people).where(
            AudienceCount.edition_id.in_(ids)
        )
    )
    return {
        **{edition_id: int(people) for edition_id, people in on_lists},
        **dict(counted.all()),
    }


def _next_waves(session: Session, ids: Collection[int], now: datetime) -> dict[int, datetime]:
    rows = session.execute(
        select(Wave.edition_id, func.min(Wave.due_at))
        .where(Wave.edition_id.in_(ids), Wave.due_at > now, Wave.exclusion.is_(None))
        .group_by(Wave.edition_id)
    )
    return dict(rows.all())


def _zones_to_go(session: Session, ids: Collection[int], now: datetime) -> dict[int, int]:
    rows = session.execute(
        select(WaveZone.edition_id, func.count())
        .join(Wave, and_(Wave.edition_id == WaveZone.edition_id, Wave.number == WaveZone.wave))
        .where(WaveZone.edition_id.in_(ids), Wave.due_at > now, Wave.exclusion.is_(None))
        .group_by(WaveZone.edition_id)
    )
    return dict(rows.all())
