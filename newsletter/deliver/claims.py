"""Claims: a worker takes a due batch, with all that the messages to its readers need."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import NamedTuple, Self

from sqlalchemy import Select, and_, bindparam, case, exists, func, or_, select
from sqlalchemy.orm import Session

from newsletter.db import UtcDateTime
from newsletter.deliver import frequency, warm_up
from newsletter.deliver.holds import begin_probe, open_holds
from newsletter.deliver.ledger import WAITING, Lease, exclude, record, waiting_of
from newsletter.deliver.outcome import Outcome, Reply
from newsletter.deliver.routing import (
    Choice,
    Obstacles,
    and_crowded,
    choose,
    may_carry,
    obstacles_of,
    probes,
)
from newsletter.models import (
    Batch,
    BatchState,
    Deferral,
    Delivery,
    DeliveryState,
    Domain,
    DomainVerdict,
    Edition,
    EditionList,
    EditionState,
    EditionTransport,
    MailingList,
    Reason,
    Route,
    Subscriber,
    Subscription,
    Wave,
)
from newsletter.plan.exclusion import exclusion_reason
from newsletter.plan.hiding import Hiding, hiding_of
from newsletter.plan.waves import day_of

Crowded = Callable[[int], Collection[int]]
"""The routes that a transport has no connection free for."""


PROBE_LASTS = timedelta(minutes=2)
"""A probe that has not been heard of for so long is over; another process may try."""
NO_MAIL = Reply(556, "5.1.10", "DNS says that this domain does not accept mail.")
"""What a server would have said (RFC 7505), in the words of who asked DNS."""


def _nowhere(_transport_id: int) -> Collection[int]:
    return ()


class Reader(NamedTuple):  # a thousand of them a claim: a dataclass takes three times as long
    """One delivery of a claimed batch, with all that its message needs."""

    subscriber_id: int
    list_id: int
    address: str
    name: str
    attempts: int
    first_at: datetime | None
    """When it was first tried; None before the first try."""
    domain_id: int
    joined_on: date
    route: int
    hidden: int = 0
    """What they hide of the edition, as `Compiled.without` takes it."""


@dataclass(frozen=True, slots=True)
class Claim:
    lease: Lease
    revision: int
    transport_id: int
    route: int
    at: datetime
    is_probe: bool
    """The transport is held, and this batch tries whether it works again."""
    obstacles: Obstacles
    """What was held when the batch was claimed."""
    readers: tuple[Reader, ...]
    """In the order of their subscriber ids: the intent cursor moves along it."""


# Made once: to put one together costs more than to run it.
_OF_THIS_LIST = and_(
    Subscription.subscriber_id == Delivery.subscriber_id,
    Subscription.list_id == Delivery.list_id,
)
_EARLIEST = (
    select(func.min(Batch.due_at))
    .where(Batch.state == BatchState.READY, Batch.route == Route.id)
    .where(Batch.due_at <= bindparam("now", type_=UtcDateTime))
    .scalar_subquery()
)
_BUSY = (
    select(func.count())
    .where(Batch.state == BatchState.CLAIMED, Batch.route == Route.id)
    .scalar_subquery()
)
_ROUTES = select(Route.id).where(_EARLIEST.is_not(None)).order_by(_BUSY, _EARLIEST, Route.id)
# Under a warm-up plan the most engaged go first: of the whole wave, not of the slices so far.
_IS_PLANNED = exists().where(
    Wave.edition_id == Batch.edition_id, Wave.number == Batch.wave, Wave.planned_at.is_not(None)
)
# Whoever was erased since has no subscription any more, and must not be waited for.
_WHY = case(
    (Subscription.subscriber_id.is_(None), int(Reason.UNSUBSCRIBED)), else_=exclusion_reason()
)
_LEFT = (
    select(Delivery.subscriber_id, _WHY, Subscriber.break_until, Delivery.list_id)
    .outerjoin(Subscriber, Subscriber.id == Delivery.subscriber_id)
    .outerjoin(Subscription, _OF_THIS_LIST)
    .where(*WAITING, or_(_WHY.is_not(None), Subscriber.break_until.is_not(None)))
)
_READERS = (
    select(
        _WHY,
        Subscriber.break_until,
        Domain.verdict != DomainVerdict.NO_MAIL,
        Subscription.joined_at,
        Subscription.hidden_sections,
        Delivery.subscriber_id,
        Delivery.list_id,
        Subscriber.address,
        Subscriber.name,
        Delivery.attempts,
        Deferral.first_at,
        Subscriber.domain_id,
    )
    .outerjoin(Subscriber, Subscriber.id == Delivery.subscriber_id)
    .outerjoin(Domain, Domain.id == Subscriber.domain_id)
    .outerjoin(Subscription, _OF_THIS_LIST)
    .outerjoin(
        Deferral,
        and_(
            Deferral.edition_id == Delivery.edition_id,
            Deferral.subscriber_id == Delivery.subscriber_id,
        ),
    )
    .where(*WAITING)
    .order_by(Delivery.subscriber_id)
)


def has_due_work(session: Session, *, now: datetime, crowded: Crowded = _nowhere) -> bool:
    field = Field.look(session, now)
    return any(
        session.scalar(_due(now, route, field.barred(route, crowded)).limit(1)) is not None
        for route in _routes_by_need(session, now)
    )


def claim(
    session: Session,
    *,
    now: datetime,
    lease: timedelta,
    crowded: Crowded = _nowhere,
    field: "Field | None" = None,
) -> Claim | None:
    """Take the earliest due batch that nobody holds; None when nothing is due.

    `crowded` names the routes that a transport has no connection free for now; `field` is what was
    found a moment ago, by whoever claims one batch after the other.

    Of several routes the one that the fewest workers are busy with comes first, so that a slow
    provider never has them all (R-24). People who left or were suppressed since planning are
    excluded here.
    """
    field = field or Field.look(session, now)
    for route in _routes_by_need(session, now):
        found = session.scalar(
            _due(now, route, field.barred(route, crowded))
            .order_by(Batch.due_at, Batch.tier, Batch.edition_id, Batch.number)
            .limit(1)
            .with_for_update(skip_locked=True, of=Batch)
        )
        if found is None:
            continue
        if found.edition_id not in field.choices:  # it began since
            field = Field.look(session, now)
        claimed = _take(session, found, field.beside(crowded), now=now, lease=lease)
        if claimed is not None:
            return claimed
    return None


def _take(
    session: Session, found: Batch, field: "Field", *, now: datetime, lease: timedelta
) -> Claim | None:
    """None: somebody else just began the probe that this batch would have been."""
    choice = field.choices[found.edition_id]
    probed = _begin_probe(session, choice, field.obstacles, now=now, lease=lease)
    transport_id = probed or choose(
        choice,
        found.route,
        field.obstacles,
        stays_with=found.transport_id,
        draw=f"{found.edition_id}:{found.number}:{found.lease_token}",
    )
    if transport_id is None:
        return None
    edition = session.get_one(Edition, found.edition_id)
    assert edition.approved_revision is not None
    found.state = BatchState.CLAIMED
    found.lease_token += 1
    found.lease_until = now + lease
    found.intent_upto = 0
    found.revision = edition.approved_revision
    found.transport_id = transport_id
    session.flush()
    held = Lease(found.edition_id, found.number, found.lease_token)
    readers = _mailable(session, held, found.route, edition.approved_revision, now)
    readers = _not_too_often(session, held, readers, field.caps, now)
    allowed = warm_up.reserve(session, transport_id, found.route, len(readers), now=now)
    return Claim(
        lease=held,
        revision=edition.approved_revision,
        transport_id=transport_id,
        route=found.route,
        at=now,
        is_probe=probed is not None,
        obstacles=field.obstacles,
        readers=readers[:allowed],
    )


def _begin_probe(
    session: Session, choice: Choice, obstacles: Obstacles, *, now: datetime, lease: timedelta
) -> int | None:
    for transport_id in probes(choice, obstacles):
        if begin_probe(session, transport_id, now=now, lasts=max(lease, PROBE_LASTS)):
            return transport_id
    return None


@dataclass(frozen=True, slots=True)
class Field:
    """What is under way and what stands in its way, as a claim finds it."""

    choices: dict[int, dict[int, int]]
    """The transports of every edition that is being sent, each with its weight."""
    obstacles: Obstacles
    held: frozenset[int]
    """Editions that nothing is claimed of."""
    caps: Mapping[int, int]
    """The lists that leave out who was mailed often enough."""

    @classmethod
    def look(cls, session: Session, now: datetime) -> Self:
        choices = _choices(session)
        obstacles = and_crowded(
            obstacles_of(open_holds(session, now=now), now=now),
            warm_up.exhausted(session, now=now),
        )
        held = set(obstacles.editions)
        if obstacles.sender_domains:
            held |= _sent_from(session, choices, obstacles.sender_domains)
        return cls(choices, obstacles, frozenset(held), frequency.caps(session))

    def beside(self, crowded: Crowded) -> "Field":
        """With the routes in the way as well that have no connection free at this moment."""
        transports = {each for choice in self.choices.values() for each in choice}
        routes = {(each, route) for each in transports for route in crowded(each)}
        return replace(self, obstacles=and_crowded(self.obstacles, routes)) if routes else self

    def barred(self, route: int, crowded: Crowded) -> list[int]:
        """The editions whose batches of this route cannot go anywhere now."""
        obstacles = self.beside(crowded).obstacles
        return [
            edition_id
            for edition_id, choice in self.choices.items()
            if edition_id in self.held or not may_carry(choice, route, obstacles)
        ]


def _choices(session: Session) -> dict[int, dict[int, int]]:
    rows = session.execute(
        select(
            Edition.id,
            # Editions that were approved before there was a choice have this one alone.
            func.coalesce(EditionTransport.transport_id, Edition.transport_id),
            func.coalesce(EditionTransport.weight, 1),
        )
        .outerjoin(EditionTransport, EditionTransport.edition_id == Edition.id)
        .where(Edition.state == EditionState.SENDING)
    )
    choices: dict[int, dict[int, int]] = {}
    for edition_id, transport_id, weight in rows:
        choices.setdefault(edition_id, {})[transport_id] = weight
    return choices


def _sent_from(
    session: Session, editions: Collection[int], sender_domains: Collection[str]
) -> set[int]:
    rows = session.execute(
        select(EditionList.edition_id, MailingList.sender_address)
        .join(MailingList, MailingList.id == EditionList.list_id)
        .where(EditionList.edition_id.in_(editions))
    )
    return {
        edition_id for edition_id, address in rows if address.rpartition("@")[2] in sender_domains
    }


def _routes_by_need(session: Session, now: datetime) -> list[int]:
    """The routes with due batches: first those that the fewest claims are on, then the earliest."""
    return list(session.connection().scalars(_ROUTES, {"now": now}))


def who_left(session: Session, lease: Lease) -> dict[int, Reason]:
    """The batch's waiting people who must not be mailed any more, each with the reason."""
    days = _Days(session, lease)
    left = {}
    for subscriber_id, why, break_until, list_id in session.connection().execute(
        _LEFT, waiting_of(lease)
    ):
        if why is not None:
            left[subscriber_id] = Reason(why)
        elif break_until > days.of(list_id):
            left[subscriber_id] = Reason.ON_BREAK
    return left


class _Days:
    """The day that a batch is of, on each of its lists; asked only of people who take a break."""

    def __init__(self, session: Session, lease: Lease) -> None:
        self._session = session
        self._lease = lease
        self._known: dict[int, date] = {}

    def of(self, list_id: int) -> date:
        if list_id not in self._known:
            batch = self._session.get_one(Batch, (self._lease.edition_id, self._lease.batch))
            wave = self._session.get_one(Wave, (batch.edition_id, batch.wave))
            mailing_list = self._session.get_one(MailingList, list_id)
            self._known[list_id] = day_of(self._session, wave, mailing_list)
        return self._known[list_id]


def _due(now: datetime, route: int, barred: Collection[int]) -> Select[Batch]:
    due = (
        select(Batch)
        .join(Edition, Edition.id == Batch.edition_id)
        .where(
            Batch.state == BatchState.READY,
            Batch.route == route,
            Batch.due_at <= now,
            or_(Batch.deadline_at.is_(None), Batch.deadline_at > now),
            or_(Batch.tier == 0, _IS_PLANNED),
            Edition.state == EditionState.SENDING,
        )
    )
    return due.where(Batch.edition_id.not_in(barred)) if barred else due


def _mailable(
    session: Session, lease: Lease, route: int, revision: int, now: datetime
) -> tuple[Reader, ...]:
    """The batch's readers, less those who left since planning and those whose domain takes no mail."""
    readers, left, nowhere = [], {}, []
    days = _Days(session, lease)
    for why, break_until, takes_mail, joined_at, hidden, *known in session.connection().execute(
        _READERS, waiting_of(lease)
    ):
        if why is not None:
            left[known[0]] = Reason(why)
        elif break_until is not None and break_until > days.of(known[1]):
            left[known[0]] = Reason.ON_BREAK
        elif not takes_mail:
            nowhere.append(known[0])
        else:
            readers.append(Reader._make((*known, joined_at.date(), route, hidden)))
    if any(reader.hidden for reader in readers):
        readers = _with_something_left(
            readers, hiding_of(session, lease.edition_id, revision), left
        )
    exclude(session, lease, left)
    if nowhere:
        outcomes = [
            Outcome(each, DeliveryState.FAILED, Reason.REFUSED, NO_MAIL) for each in nowhere
        ]
        record(session, lease, outcomes, revision=revision, at=now)
    return tuple(readers)


def _not_too_often(
    session: Session,
    lease: Lease,
    readers: tuple[Reader, ...],
    caps: Mapping[int, int],
    now: datetime,
) -> tuple[Reader, ...]:
    """R-08: asked at every claim, so that it holds for retries too."""
    if not caps:
        return readers
    people = [(reader.subscriber_id, reader.list_id) for reader in readers]
    had_enough = dict.fromkeys(
        frequency.had_enough(session, lease.edition_id, people, caps, now=now),
        Reason.OFTEN_ENOUGH,
    )
    exclude(session, lease, had_enough)
    return tuple(reader for reader in readers if reader.subscriber_id not in had_enough)


def _with_something_left(
    readers: Iterable[Reader], hidings: Mapping[int, Hiding], left: dict[int, Reason]
) -> list[Reader]:
    """What they hide of this edition instead of what they hide of the list; `left` gets the others."""
    kept = []
    for reader in readers:
        hiding = hidings[reader.list_id]
        if hiding.leaves_nothing(reader.hidden):
            left[reader.subscriber_id] = Reason.NOTHING_LEFT
        else:
            kept.append(reader._replace(hidden=hiding.places(reader.hidden)))
    return kept
