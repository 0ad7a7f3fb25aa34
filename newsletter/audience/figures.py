"""How many people a list has, and who came and went each day; counted as it happens.

What a transaction changes is added up and written as it commits, lists in order: no two
transactions block each other, and none holds a list's counters for longer than its commit.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

from sqlalchemy import event, func, select
from sqlalchemy.orm import Session, SessionTransaction

from newsletter.audience.zones import find_zone
from newsletter.db import upsert
from newsletter.models import (
    ListDayFigures,
    ListFigures,
    MailingList,
    Subscription,
    SubscriptionStatus,
)

_UNWRITTEN = "list moves"


@dataclass(slots=True)
class Moves:
    """Confirmed people who came and went, and by how many the pending ones grew."""

    joined: int = 0
    imported: int = 0
    left: int = 0
    removed: int = 0
    pending: int = 0

    @property
    def confirmed(self) -> int:
        return self.joined + self.imported - self.left - self.removed

    def __iadd__(self, other: "Moves") -> "Moves":
        self.joined += other.joined
        self.imported += other.imported
        self.left += other.left
        self.removed += other.removed
        self.pending += other.pending
        return self


@dataclass(frozen=True, slots=True)
class Size:
    confirmed: int
    pending: int


@dataclass(frozen=True, slots=True)
class _Noted:
    list_id: int
    at: datetime
    moves: Moves
    savepoints: tuple[SessionTransaction, ...]
    """If one of them is rolled back, this has not happened."""


def moves_between(before: SubscriptionStatus | None, after: SubscriptionStatus | None) -> Moves:
    """What it means for its list when a subscription changes; None: there is none."""
    moves = Moves(
        pending=(after is SubscriptionStatus.PENDING) - (before is SubscriptionStatus.PENDING)
    )
    was_on, is_on = (each is SubscriptionStatus.CONFIRMED for each in (before, after))
    if is_on and not was_on:
        moves.joined = 1
    elif was_on and after is None:
        moves.removed = 1
    elif was_on and not is_on:
        moves.left = 1
    return moves


def note_moves(session: Session, list_id: int, moves: Moves, *, at: datetime) -> None:
    """Count `moves` of that instant when the session's transaction commits."""
    noted: list[_Noted] = session.info.setdefault(_UNWRITTEN, [])
    if not event.contains(session, "before_commit", _write):
        event.listen(session, "before_commit", _write)
        event.listen(session, "after_soft_rollback", _forget)
    noted.append(_Noted(list_id, at, moves, tuple(_savepoints(session))))


def count_again(session: Session) -> dict[int, tuple[Size, Size]]:
    """Set the size of every list to what its subscriptions say; returns what was wrong, as `compare`.

    What was wrong is not made up for in the days: those are of what was seen to happen.
    """
    wrong = compare(session)
    for list_id, (_, right) in wrong.items():
        session.merge(
            ListFigures(list_id=list_id, confirmed=right.confirmed, pending=right.pending)
        )
    return wrong


def compare(session: Session) -> dict[int, tuple[Size, Size]]:
    """By list, the size that is stored and the one that its subscriptions come to, if they differ."""
    stored = {
        each.list_id: Size(each.confirmed, each.pending)
        for each in session.scalars(select(ListFigures))
    }
    differing = {}
    for list_id in session.scalars(select(MailingList.id).order_by(MailingList.id)):
        here, right = stored.get(list_id, Size(0, 0)), _counted(session, list_id)
        if here != right:
            differing[list_id] = (here, right)
    return differing


def _counted(session: Session, list_id: int) -> Size:
    people = Counter(
        dict(
            session.execute(
                select(Subscription.status, func.count())
                .where(Subscription.list_id == list_id)
                .group_by(Subscription.status)
            ).all()
        )
    )
    return Size(people[SubscriptionStatus.CONFIRMED], people[SubscriptionStatus.PENDING])


def _savepoints(session: Session) -> Iterable[SessionTransaction]:
    transaction = session.get_nested_transaction()
    while transaction is not None and transaction.nested:
        yield transaction
        transaction = transaction.parent


def _forget(session: Session, previous: SessionTransaction) -> None:
    noted: list[_Noted] = session.info.get(_UNWRITTEN, [])
    noted[:] = [each for each in noted if previous.nested and previous not in each.savepoints]


def _write(session: Session) -> None:
    # Releasing a savepoint comes here too; that commits nothing.
    if session.in_nested_transaction():
        return
    noted: list[_Noted] = session.info.pop(_UNWRITTEN, [])
    if not noted:
        return
    # Before any counter is locked, everything else that the transaction locks is.
    session.flush()
    _add(session, _summed(session, noted))


def _summed(session: Session, noted: list[_Noted]) -> dict[tuple[int, date], Moves]:
    zones = dict(
        session.execute(
            select(MailingList.id, MailingList.zone).where(
                MailingList.id.in_({each.list_id for each in noted})
            )
        ).all()
    )
    sums = defaultdict[tuple[int, date], Moves](Moves)
    for each in noted:
        rules = ZoneInfo(find_zone(zones[each.list_id]) or "UTC")
        sums[each.list_id, each.at.astimezone(rules).date()] += each.moves
    return sums


def _add(session: Session, sums: dict[tuple[int, date], Moves]) -> None:
    day = upsert(session, ListDayFigures)
    session.execute(
        day.on_conflict_do_update(
            index_elements=[ListDayFigures.list_id, ListDayFigures.day],
            set_={
                "joined": ListDayFigures.joined + day.excluded.joined,
                "imported": ListDayFigures.imported + day.excluded.imported,
                "left": ListDayFigures.left + day.excluded.left,
                "removed": ListDayFigures.removed + day.excluded.removed,
            },
        ),
        [
            {
                "list_id": list_id,
                "day": date_of_list,
                "joined": moves.joined,
                "imported": moves.imported,
                "left": moves.left,
                "removed": moves.removed,
            }
            for (list_id, date_of_list), moves in sorted(sums.items(), key=lambda item: item[0])
        ],
    )
    size = upsert(session, ListFigures)
    sizes = defaultdict[int, Moves](Moves)
    for (list_id, _), moves in sums.items():
        sizes[list_id] += moves
    session.execute(
        size.on_conflict_do_update(
            index_elements=[ListFigures.list_id],
            set_={
                "confirmed": ListFigures.confirmed + size.excluded.confirmed,
                "pending": ListFigures.pending + size.excluded.pending,
            },
        ),
        [
            {"list_id": list_id, "confirmed": moves.confirmed, "pending": moves.pending}
            for list_id, moves in sorted(sizes.items(), key=lambda item: item[0])
        ],
    )
