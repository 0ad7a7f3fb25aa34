"""How a sending goes at this moment, from counters of batches alone: the same work for any number of people."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, and_, exists, func, select
from sqlalchemy.orm import Session, aliased

from newsletter.models import (
    NO_BATCH,
    OTHER,
    Attempt,
    Batch,
    BatchState,
    Deferral,
    Delivery,
    DeliveryState,
    Domain,
    Reason,
    Route,
    Subscriber,
)

PAGE = 50
_LOOKS = (2 * PAGE, 400, 1_600, 6_400)
_LAST_TRIES: Mapping[DeliveryState, Sequence[DeliveryState]] = {
    DeliveryState.DEFERRED: (DeliveryState.DEFERRED,),
    # Also of who was put off until it was too late.
    DeliveryState.FAILED: (DeliveryState.FAILED, DeliveryState.DEFERRED),
    DeliveryState.UNCERTAIN: (DeliveryState.UNCERTAIN,),
}
_COUNTERS = ("people", "deferred", "sent", "excluded", "failed", "uncertain", "cancelled")
_SETTLED = ("sent", "excluded", "failed", "uncertain", "cancelled")


@dataclass(frozen=True, slots=True)
class Share:
    """Some of an edition's people, and what has become of them."""

    name: str
    people: int
    deferred: int
    sent: int
    excluded: int
    failed: int
    uncertain: int
    cancelled: int

    @property
    def settled(self) -> int:
        return sum(getattr(self, each) for each in _SETTLED)

    @property
    def waiting(self) -> int:
        return self.people - self.settled - self.deferred


def by_provider(session: Session, edition_id: int) -> list[Share]:
    """Those with the most people first; whoever was never to be mailed is with none."""
    rows = session.execute(
        select(func.coalesce(Route.name, ""), *_sums())
        .outerjoin(Route, Route.id == Batch.route)
        .where(Batch.edition_id == edition_id, Batch.number != NO_BATCH)
        .group_by(Route.name, Batch.route)
        .order_by(func.sum(Batch.people).desc(), Batch.route)
    )
    return [Share(name, *map(int, sums)) for name, *sums in rows]


def people_to_correct(session: Session, edition_id: int, *, upto: int) -> tuple[int, int]:
    """How many were sent revision `upto` or an earlier one, and how many a newer one will reach.

    By what each batch was sent last: of one that was given back half done, all count as new.
    """
    old, new = session.execute(
        select(
            func.coalesce(func.sum(Batch.sent).filter(Batch.revision <= upto), 0),
            func.coalesce(func.sum(_waiting()), 0),
        ).where(Batch.edition_id == edition_id)
    ).one()
    return int(old), int(new)


def due_people(session: Session, edition_id: int, *, now: datetime) -> int:
    """Who waits and may be mailed already: of waves to come nobody is."""
    due = session.scalar(
        select(func.coalesce(func.sum(_waiting()), 0)).where(
            Batch.edition_id == edition_id, Batch.state != BatchState.DONE, Batch.due_at <= now
        )
    )
    return int(due or 0)


@dataclass(frozen=True, slots=True)
class Speed:
    """How fast people are settled, and how long those who are due take at that."""

    per_second: float
    remaining: timedelta | None
    """None: nobody is due, or it stands still."""


def speed_since(before: int, since: datetime, *, settled: int, due: int, now: datetime) -> Speed:
    seconds = (now - since).total_seconds()
    per_second = max(0, settled - before) / seconds if seconds > 0 else 0.0
    remaining = timedelta(seconds=due / per_second) if due and per_second else None
    return Speed(per_second, remaining)


@dataclass(frozen=True, slots=True)
class Trouble:
    """The last try of somebody that did not end well; `id` is what the next page begins after."""

    id: int
    subscriber_id: int
    address: str
    provider: str
    state: DeliveryState
    reason: Reason
    code: int | None
    reply: str
    attempts: int
    at: datetime


def last_replies(session: Session, edition_id: int, *, limit: int = 8) -> Sequence[Attempt]:
    """What servers said to tries that did not end well, the newest first."""
    return session.scalars(
        select(Attempt)
        .where(Attempt.edition_id == edition_id, Attempt.reply != "")
        .order_by(Attempt.id.desc())
        .limit(limit)
    ).all()


@dataclass(frozen=True, slots=True)
class TroublePage:
    people: Sequence[Trouble]
    older: int | None
    """The attempt that the next page is older than. A page may be short, or empty, and others follow;
    None: this is the last.
    """


def people_in_trouble(
    session: Session, edition_id: int, state: DeliveryState, *, before: int | None = None
) -> TroublePage:
    """Who is deferred, failed or in doubt, the newest first; those older than the attempt `before`.

    A million people may have been deferred and mailed since: so many tries are looked at and no more.
    """
    if not _has_any(session, edition_id, state):
        return TroublePage((), None)
    found: list[Trouble] = []
    newest = before
    for tries in _LOOKS:
        oldest = _oldest_of(session, edition_id, state, newest, tries)
        found += _troubles(session, edition_id, state, newest, oldest)
        if len(found) > PAGE:
            return TroublePage(found[:PAGE], found[PAGE - 1].id)
        if oldest is None:
            return TroublePage(found, None)
        newest = oldest
    return TroublePage(found, newest)


def _has_any(session: Session, edition_id: int, state: DeliveryState) -> bool:
    counter = getattr(Batch, state.name.lower())
    return bool(session.scalar(select(exists().where(Batch.edition_id == edition_id, counter > 0))))


def _oldest_of(
    session: Session, edition_id: int, state: DeliveryState, before: int | None, tries: int
) -> int | None:
    """With which try a look at so many ends; None: it goes to the very first one."""
    chosen = select(Attempt.id).where(*_tries_of(edition_id, state, before))
    return session.scalar(chosen.order_by(Attempt.id.desc()).offset(tries - 1).limit(1))


def _tries_of(
    edition_id: int, state: DeliveryState, before: int | None
) -> Iterator[ColumnElement[bool]]:
    """Those after which somebody may be in that state."""
    yield Attempt.edition_id == edition_id
    yield Attempt.state.in_(_LAST_TRIES[state])
    if before is not None:
        yield Attempt.id < before
    if state is DeliveryState.DEFERRED:
        yield exists().where(
            Deferral.edition_id == Attempt.edition_id,
            Deferral.subscriber_id == Attempt.subscriber_id,
        )


def _troubles(
    session: Session,
    edition_id: int,
    state: DeliveryState,
    before: int | None,
    oldest: int | None,
) -> list[Trouble]:
    newer = aliased(Attempt)
    is_last = ~exists().where(
        newer.edition_id == Attempt.edition_id,
        newer.subscriber_id == Attempt.subscriber_id,
        newer.id > Attempt.id,
    )
    chosen = (
        select(Attempt, Delivery.state, Delivery.attempts, Subscriber.address, Route.name)
        .join(Delivery, _same_delivery())
        .join(Subscriber, Subscriber.id == Attempt.subscriber_id)
        .join(Domain, Domain.id == Subscriber.domain_id)
        .outerjoin(Route, and_(Route.id == Domain.route, Route.id != OTHER))
        .where(*_tries_of(edition_id, state, before), Delivery.state == state, is_last)
        .order_by(Attempt.id.desc())
        .limit(PAGE + 1)
    )
    if oldest is not None:
        chosen = chosen.where(Attempt.id >= oldest)
    return [
        Trouble(
            id=attempt.id,
            subscriber_id=attempt.subscriber_id,
            address=address,
            provider=route or address.rpartition("@")[2],
            state=now_state,
            reason=attempt.reason,
            code=attempt.code,
            reply=attempt.reply,
            attempts=attempts,
            at=attempt.at,
        )
        for attempt, now_state, attempts, address, route in session.execute(chosen)
    ]


def _sums() -> list[ColumnElement[int]]:
    return [func.coalesce(func.sum(getattr(Batch, each)), 0) for each in _COUNTERS]


def _waiting() -> ColumnElement[int]:
    rest: ColumnElement[int] = Batch.people - Batch.deferred
    for each in _SETTLED:
        rest = rest - getattr(Batch, each)
    return rest


def _same_delivery() -> ColumnElement[bool]:
    return and_(
        Delivery.edition_id == Attempt.edition_id,
        Delivery.subscriber_id == Attempt.subscriber_id,
    )
