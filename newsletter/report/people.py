"""Whom an edition reached and whom not, and why: by state and reason, or for one person.

A page of people is read from the batches whose counters say that there are some, so that it costs
as much for one in a million as for all of them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import ColumnElement, Engine, and_, select, tuple_
from sqlalchemy.orm import Session

from newsletter.addresses import mask_addresses
from newsletter.audience.subscribers import find_subscriber
from newsletter.audience.suppression import suppressions_of
from newsletter.db import reading
from newsletter.models import (
    EVERYWHERE,
    Attempt,
    Batch,
    Delivery,
    DeliveryState,
    EditionList,
    MailingList,
    Reason,
    RefusalFigures,
    Route,
    Settlement,
    Subscriber,
    Subscription,
    Suppression,
)
from newsletter.models.route import OTHER

PAGE = 50
_MOST_AT_ONCE = 2_000
_MOST_ROWS = 50_000
"""Read for one page: who is looked for may be few among many of the same state."""


class Place(NamedTuple):
    """Where a page begins: behind this person of this batch."""

    batch: int
    subscriber_id: int


@dataclass(frozen=True, slots=True)
class Person:
    subscriber_id: int
    address: str
    name: str
    state: DeliveryState
    reason: Reason | None
    code: int | None
    attempts: int
    revision: int | None
    sent_at: datetime | None
    place: Place


@dataclass(frozen=True, slots=True)
class PeoplePage:
    people: Sequence[Person]
    next: Place | None
    """The page may be short, or empty, and others follow; None: this is the last."""


def people_in_state(
    session: Session,
    edition_id: int,
    state: DeliveryState,
    *,
    reason: Reason | None = None,
    after: Place | None = None,
    limit: int = PAGE,
) -> PeoplePage:
    """By batch and number."""
    place, found, read = after or Place(-1, 0), list[Person](), 0
    for numbers, people in _batches_with(session, edition_id, state, place, limit):
        rows = _people(session, edition_id, numbers, state, reason, place, limit + 1 - len(found))
        found += rows
        read += people
        if len(found) > limit:
            return PeoplePage(found[:limit], found[limit - 1].place)
        place = Place(numbers[-1] + 1, 0)
        if read > _MOST_ROWS:
            return PeoplePage(found, place)
    return PeoplePage(found, None)


def every_person(
    engine: Engine, edition_id: int, state: DeliveryState, *, reason: Reason | None = None
) -> Iterator[Person]:
    """All of them, each time some more in a short transaction: the first ones come at once."""
    after: Place | None = None
    limit = PAGE
    while True:
        with reading(engine) as session:
            page = people_in_state(
                session, edition_id, state, reason=reason, after=after, limit=limit
            )
        yield from page.people
        if page.next is None:
            return
        after, limit = page.next, min(4 * limit, _MOST_AT_ONCE)


@dataclass(frozen=True, slots=True)
class Answer:
    """All that is known of one person and one edition."""

    person: Subscriber
    delivery: Delivery | None
    """None: not planned for them, or not yet."""
    memberships: Sequence[tuple[MailingList, Subscription | None]]
    """For each of the edition's lists."""
    suppressions: Sequence[Suppression]
    """Those that hold for the edition's lists."""
    attempts: Sequence[Attempt]
    """The tries that did not end well, the last first."""
    settlements: Sequence[Settlement]


def why(session: Session, edition_id: int, who: str) -> Answer:
    """What became of the edition for somebody, by address or number. Raises `NotFoundError` and
    `AddressError`.
    """
    person = find_subscriber(session, who)
    key = {"edition_id": edition_id, "subscriber_id": person.id}
    lists = session.execute(
        select(MailingList, Subscription)
        .join(EditionList, EditionList.list_id == MailingList.id)
        .outerjoin(
            Subscription,
            and_(Subscription.list_id == MailingList.id, Subscription.subscriber_id == person.id),
        )
        .where(EditionList.edition_id == edition_id)
        .order_by(EditionList.position)
    ).all()
    held = {EVERYWHERE, *(each.id for each, _ in lists)}
    tried = select(Attempt).filter_by(**key).order_by(Attempt.id.desc()).limit(20)
    settled = select(Settlement).filter_by(**key).order_by(Settlement.id.desc()).limit(20)
    return Answer(
        person=person,
        delivery=session.get(Delivery, (edition_id, person.id)),
        memberships=[(mailing_list, own) for mailing_list, own in lists],
        suppressions=[
            each for each in suppressions_of(session, person.address_hash) if each.list_id in held
        ],
        attempts=session.scalars(tried).all(),
        settlements=session.scalars(settled).all(),
    )


@dataclass(frozen=True, slots=True)
class Refusals:
    """How many people a provider refused alike; `provider` is None for the many small ones."""

    provider: str | None
    reason: Reason
    code: int
    enhanced: str
    people: int
    reply: str
    last_at: datetime


def refusals_of(session: Session, edition_id: int) -> list[Refusals]:
    """The most people first."""
    rows = session.execute(
        select(RefusalFigures, Route.name)
        .outerjoin(Route, and_(Route.id == RefusalFigures.route, Route.id != OTHER))
        .where(RefusalFigures.edition_id == edition_id)
        .order_by(RefusalFigures.people.desc(), RefusalFigures.route, RefusalFigures.code)
    )
    return [
        Refusals(
            provider=provider,
            reason=row.reason,
            code=row.code,
            enhanced=row.enhanced,
            people=row.people,
            reply=mask_addresses(row.reply),
            last_at=row.last_at,
        )
        for row, provider in rows
    ]


def _batches_with(
    session: Session, edition_id: int, state: DeliveryState, place: Place, limit: int
) -> Iterator[tuple[list[int], int]]:
    """Numbers of batches from that place on, some at a time, with how many people they hold."""
    here = _people_of(state)
    after = place.batch
    while True:
        rows = session.execute(
            select(Batch.number, Batch.people, here)
            .where(Batch.edition_id == edition_id, Batch.number >= after, here > 0)
            .order_by(Batch.number)
            .limit(100)
        ).all()
        if not rows:
            return
        numbers, people, expected = list[int](), 0, 0
        for number, size, count in rows:
            numbers.append(number)
            people += size
            expected += count
            if expected > 2 * limit:
                break
        yield numbers, people
        after = numbers[-1] + 1


def _people_of(state: DeliveryState) -> ColumnElement[int]:
    if state is not DeliveryState.WAITING:
        counter: ColumnElement[int] = getattr(Batch, state.name.lower())
        return counter
    others = (each for each in DeliveryState if each is not DeliveryState.WAITING)
    gone = [getattr(Batch, other.name.lower()) for other in others]
    left: ColumnElement[int] = Batch.people - sum(gone[1:], gone[0])
    return left


def _is_behind(place: Place, batches: Sequence[int]) -> ColumnElement[bool]:
    if len(batches) > 1:
        is_behind = tuple_(Delivery.batch, Delivery.subscriber_id) > place
        return and_(Delivery.batch.in_(batches), is_behind)
    # Said so that one batch, however many people it holds, is walked by the key.
    first = place.subscriber_id if place.batch == batches[0] else 0
    return and_(Delivery.batch == batches[0], Delivery.subscriber_id > first)


def _people(
    session: Session,
    edition_id: int,
    batches: Sequence[int],
    state: DeliveryState,
    reason: Reason | None,
    after: Place,
    limit: int,
) -> list[Person]:
    rows = session.execute(
        select(Delivery, Subscriber.address, Subscriber.name)
        .outerjoin(Subscriber, Subscriber.id == Delivery.subscriber_id)
        .where(
            Delivery.edition_id == edition_id,
            _is_behind(after, batches),
            Delivery.state == state,
            *(() if reason is None else (Delivery.reason == reason,)),
        )
        .order_by(Delivery.batch, Delivery.subscriber_id)
        .limit(limit)
    )
    return [
        Person(
            subscriber_id=row.subscriber_id,
            address=address or "",
            name=name or "",
            state=row.state,
            reason=row.reason,
            code=row.code,
            attempts=row.attempts,
            revision=row.revision,
            sent_at=row.sent_at,
            place=Place(row.batch, row.subscriber_id),
        )
        for row, address, name in rows
    ]
