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
from newsletter.report.alarms import Alarm, alarms_for
from newsletter.report.editions import EditionStatus, statuses_of
from newsletter.report.lists import EditionLine, newest_editions
from newsletter.report.titles import titles_of_editions

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


@dataclass(frozen=True, slots=True)
class Desk:
    """All that the day's page says."""

    days: tuple[ListToday, ...]
    yesterday: Yesterday
    alarms: tuple[Alarm, ...]


def read_desk(
    session: Session,
    mailing_lists: Sequence[MailingList],
    *,
    within: Collection[int] | None,
    zone: tzinfo,
    now: datetime,
) -> Desk:
    """Yesterday is the one of `zone`. Editions that go to other lists than `within` only keep their
    slots from being empty. What is known of editions is asked for once for all of them.
    """
    ids = [each.id for each in mailing_lists]
    placed = _placed(session, ids, within, now)
    before, begun = _begun_yesterday(session, ids, within, zone, now)
    newest = newest_editions(session, ids, within=within, most=2)
    editions = _Editions.read(
        session,
        {
            edition.id: edition
            for edition in (
                *(each.edition for each in placed if each.is_shown),
                *begun,
                *(each for found in newest.values() for each in found),
            )
        },
        now=now,
    )
    slots = _slots(session, mailing_lists, now=now)
    return Desk(
        days=tuple(
            _list_today(
                each,
                [one for one in placed if one.list_id == each.id],
                editions,
                slots.get(each.id, {}),
            )
            for each in mailing_lists
        ),
        yesterday=Yesterday(before, tuple(map(editions.line, begun))),
        alarms=tuple(
            alarms_for(
                session,
                mailing_lists,
                [[editions.line(each) for each in found] for found in newest.values()],
                within=within,
                now=now,
            )
        ),
    )


@dataclass(frozen=True, slots=True)
class _Placed:
    """An edition on a list that the desk has before it; `day` is that of the slot it fills."""

    list_id: int
    edition: Edition
    day: date | None
    is_shown: bool


def _begun_yesterday(
    session: Session,
    list_ids: Collection[int],
    within: Collection[int] | None,
    zone: tzinfo,
    now: datetime,
) -> tuple[date, Sequence[Edition]]:
    today = now.astimezone(zone).date()
    begin, end = (datetime.combine(day, time(), zone) for day in (today - _DAY, today))
    editions = session.scalars(
        select(Edition)
        .where(
            Edition.started_at >= begin,
            Edition.started_at < end,
            Edition.id.in_(select(EditionList.edition_id).where(EditionList.list_id.in_(list_ids))),
            Edition.goes_only_to(within),
        )
        .order_by(Edition.started_at)
    )
    return today - _DAY, editions.all()


def _placed(
    session: Session, list_ids: Collection[int], within: Collection[int] | None, now: datetime
) -> list[_Placed]:
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
        select(EditionList.list_id, Edition, EditionList.slot_date, Edition.goes_only_to(within))
        .join(Edition, Edition.id == EditionList.edition_id)
        .where(EditionList.list_id.in_(list_ids), is_fresh)
        .order_by(Edition.id.desc())
    )
    return [
        _Placed(list_id, edition, day, bool(is_shown)) for list_id, edition, day, is_shown in rows
    ]


@dataclass(frozen=True, slots=True)
class _Editions:
    """What is known of the editions of the day, by id."""

    titles: Mapping[int, str]
    statuses: Mapping[int, EditionStatus]
    expected: Mapping[int, int]
    next_at: Mapping[int, datetime]
    zones_to_go: Mapping[int, int]

    @classmethod
    def read(cls, session: Session, rows: Mapping[int, Edition], *, now: datetime) -> "_Editions":
        editions = list(rows.values())
        coming = [each.id for each in editions if each.finished_at is None]
        return cls(
            titles=titles_of_editions(session, editions),
            statuses=statuses_of(session, editions),
            expected=_expected(session, coming),
            next_at=_next_waves(session, coming, now),
            zones_to_go=_zones_to_go(session, coming, now),
        )

    def line(self, edition: Edition) -> EditionLine:
        assert edition.started_at is not None
        return EditionLine(self.titles[edition.id], edition.started_at, self.statuses[edition.id])

    def today(self, edition: Edition, slot: SlotToday | None) -> EditionToday:
        status = self.statuses[edition.id]
        is_known = status.is_planned or status.is_over
        about = max(status.planned, self.expected.get(edition.id, 0))
        return EditionToday(
            edition.id,
            self.titles[edition.id],
            edition.state,
            slot,
            status,
            expected=status.planned if is_known else about,
            next_at=self.next_at.get(edition.id),
            zones_to_go=self.zones_to_go.get(edition.id, 0),
            finished_at=edition.finished_at,
        )


def _list_today(
    mailing_list: MailingList,
    placed: Sequence[_Placed],
    editions: _Editions,
    slots: Mapping[date, SlotToday],
) -> ListToday:
    found = [
        editions.today(each.edition, slots.get(each.day) if each.day else None)
        for each in placed
        if each.is_shown
    ]
    filled = {each.day for each in placed if each.edition.state is not EditionState.CANCELLED}
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
