"""How lists grow and shrink, and what their editions came to, read from counters alone."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import and_, func, or_, select
from sqlalchemy.orm import Session

from newsletter.models import (
    Edition,
    EditionList,
    ListDayFigures,
    ListFigures,
    MailingList,
)
from newsletter.plan.timing import rules_of
from newsletter.report.editions import EditionStatus, statuses_of
from newsletter.report.titles import titles_of_editions

EDITIONS_ON_A_PAGE = 30
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class DayCount:
    """A day of the list's zone; `size` is the confirmed people at its end."""

    day: date
    joined: int
    imported: int
    left: int
    removed: int
    size: int

    @property
    def change(self) -> int:
        return self.joined + self.imported - self.left - self.removed


@dataclass(frozen=True, slots=True)
class Growth:
    """What became of a list's people over some days, the newest of them today."""

    confirmed: int
    pending: int
    days: tuple[DayCount, ...]
    """Oldest first, without a gap."""

    @property
    def before(self) -> int:
        """How many they were when the first day began."""
        return self.days[0].size - self.days[0].change if self.days else self.confirmed

    @property
    def joined(self) -> int:
        return sum(day.joined for day in self.days)

    @property
    def imported(self) -> int:
        return sum(day.imported for day in self.days)

    @property
    def left(self) -> int:
        return sum(day.left for day in self.days)

    @property
    def removed(self) -> int:
        return sum(day.removed for day in self.days)

    @property
    def change(self) -> int:
        return sum(day.change for day in self.days)


@dataclass(frozen=True, slots=True)
class EditionLine:
    """One edition where editions are listed."""

    title: str
    started_at: datetime
    status: EditionStatus


@dataclass(frozen=True, slots=True)
class EditionLines:
    """`older` is what asks for the next page: None on the last."""

    lines: tuple[EditionLine, ...]
    older: int | None


@dataclass(frozen=True, slots=True)
class ListLine:
    """A list among all lists; `newest` is its newest edition that has begun."""

    mailing_list: MailingList
    growth: Growth
    newest: EditionLine | None


def by_weeks(days: Sequence[DayCount]) -> tuple[DayCount, ...]:
    """Seven days as one, from the newest back; each is named by its first day."""
    first = len(days) % 7
    starts = [*([0] if first else []), *range(first, len(days), 7)]
    weeks = [days[start : start + (first if start < first else 7)] for start in starts]
    return tuple(
        DayCount(
            week[0].day,
            joined=sum(day.joined for day in week),
            imported=sum(day.imported for day in week),
            left=sum(day.left for day in week),
            removed=sum(day.removed for day in week),
            size=week[-1].size,
        )
        for week in weeks
    )


def growth_of(
    session: Session, mailing_lists: Sequence[MailingList], *, days: int, now: datetime
) -> dict[int, Growth]:
    """By list, over that many days of its own zone, today included."""
    ids = [each.id for each in mailing_lists]
    sizes = {
        each.list_id: each
        for each in session.scalars(select(ListFigures).where(ListFigures.list_id.in_(ids)))
    }
    today = {each.id: now.astimezone(rules_of(each.zone)).date() for each in mailing_lists}
    first = min(today.values(), default=now.date()) - (days - 1) * _DAY
    rows = {
        (each.list_id, each.day): each
        for each in session.scalars(
            select(ListDayFigures).where(
                ListDayFigures.list_id.in_(ids), ListDayFigures.day >= first
            )
        )
    }
    return {
        list_id: _growth(list_id, sizes.get(list_id), rows, today[list_id], days) for list_id in ids
    }


def edition_lines(
    session: Session,
    list_id: int,
    *,
    within: Collection[int] | None,
    before: int | None = None,
    most: int = EDITIONS_ON_A_PAGE,
) -> EditionLines:
    """Editions of the list that have begun and go to no list but `within`, the newest first.

    `before` is an earlier page's `older`.
    """
    query = (
        select(Edition)
        .join(EditionList, EditionList.edition_id == Edition.id)
        .where(EditionList.list_id == list_id, Edition.started_at.is_not(None))
        .where(Edition.goes_only_to(within))
        .order_by(Edition.started_at.desc(), Edition.id.desc())
        .limit(most + 1)
    )
    last = None if before is None else session.get(Edition, before)
    if last is not None and last.started_at is not None:
        is_same = Edition.started_at == last.started_at
        query = query.where(
            or_(Edition.started_at < last.started_at, and_(is_same, Edition.id < last.id))
        )
    found = session.scalars(query).all()
    lines = lines_of(session, found[:most])
    return EditionLines(tuple(lines), found[most - 1].id if len(found) > most else None)


def list_lines(
    session: Session,
    mailing_lists: Sequence[MailingList],
    *,
    within: Collection[int] | None,
    days: int,
    now: datetime,
) -> list[ListLine]:
    growth = growth_of(session, mailing_lists, days=days, now=now)
    newest = newest_editions(session, [each.id for each in mailing_lists], within=within, most=1)
    editions = {edition.id: edition for found in newest.values() for edition in found}
    lines = {line.status.edition_id: line for line in lines_of(session, list(editions.values()))}
    return [
        ListLine(each, growth[each.id], next((lines[one.id] for one in newest[each.id]), None))
        for each in mailing_lists
    ]


def lines_of(session: Session, editions: Sequence[Edition]) -> list[EditionLine]:
    """In their order; of those that have begun."""
    statuses = statuses_of(session, editions)
    titles = titles_of_editions(session, editions)
    return [
        EditionLine(titles[each.id], each.started_at, statuses[each.id])
        for each in editions
        if each.started_at is not None
    ]


def _growth(
    list_id: int,
    figures: ListFigures | None,
    rows: dict[tuple[int, date], ListDayFigures],
    today: date,
    days: int,
) -> Growth:
    size = figures.confirmed if figures else 0
    counted = []
    for back in range(days):
        day = today - back * _DAY
        row = rows.get((list_id, day))
        count = DayCount(
            day,
            joined=row.joined if row else 0,
            imported=row.imported if row else 0,
            left=row.left if row else 0,
            removed=row.removed if row else 0,
            size=size,
        )
        counted.append(count)
        size -= count.change
    return Growth(
        confirmed=figures.confirmed if figures else 0,
        pending=figures.pending if figures else 0,
        days=tuple(reversed(counted)),
    )


def newest_editions(
    session: Session, list_ids: Collection[int], *, within: Collection[int] | None, most: int
) -> defaultdict[int, list[Edition]]:
    """By list, its editions that began last and go to no list but `within`, the newest first."""
    newest_first = (Edition.started_at.desc(), Edition.id.desc())
    rank = func.row_number().over(partition_by=EditionList.list_id, order_by=newest_first)
    ranked = (
        select(EditionList.list_id, Edition.id, rank.label("rank"))
        .join(Edition, Edition.id == EditionList.edition_id)
        .where(EditionList.list_id.in_(list_ids), Edition.started_at.is_not(None))
        .where(Edition.goes_only_to(within))
        .subquery()
    )
    found = defaultdict[int, list[Edition]](list)
    for list_id, edition in session.execute(
        select(ranked.c.list_id, Edition)
        .join(Edition, Edition.id == ranked.c.id)
        .where(ranked.c.rank <= most)
        .order_by(ranked.c.list_id, ranked.c.rank)
    ):
        found[list_id].append(edition)
    return found
