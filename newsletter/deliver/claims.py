"""Claims: a worker takes a due batch, with all that the messages to its readers need."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import Select, and_, case, select
from sqlalchemy.orm import Session

from newsletter.deliver.ledger import Lease, exclude, waiting_in
from newsletter.models import (
    Batch,
    BatchState,
    Deferral,
    Delivery,
    Edition,
    EditionState,
    Reason,
    Subscriber,
    Subscription,
)
from newsletter.plan.exclusion import exclusion_reason


@dataclass(frozen=True, slots=True)
class Reader:
    """One delivery of a claimed batch, with all that its message needs."""

    subscriber_id: int
    list_id: int
    address: str
    name: str
    joined_on: date
    attempts: int
    first_at: datetime | None
    """When it was first tried; None before the first try."""


@dataclass(frozen=True, slots=True)
class Claim:
    lease: Lease
    revision: int
    transport_id: int
    readers: tuple[Reader, ...]
    """In the order of their subscriber ids: the intent cursor moves along it."""


def has_due_work(session: Session, *, now: datetime) -> bool:
    return session.scalar(_due(now).limit(1)) is not None


def claim(session: Session, *, now: datetime, lease: timedelta) -> Claim | None:
    """Take the earliest due batch that nobody holds; None when nothing is due.

    People who left or were suppressed since planning are excluded here.
    """
    found = session.scalar(
        _due(now)
        .order_by(Batch.due_at, Batch.edition_id, Batch.number)
        .limit(1)
        .with_for_update(skip_locked=True, of=Batch)
    )
    if found is None:
        return None
    edition = session.get_one(Edition, found.edition_id)
    assert edition.approved_revision is not None
    assert edition.transport_id is not None
    found.state = BatchState.CLAIMED
    found.lease_token += 1
    found.lease_until = now + lease
    found.intent_upto = 0
    session.flush()
    held = Lease(found.edition_id, found.number, found.lease_token)
    exclude(session, held, who_left(session, held))
    return Claim(
        lease=held,
        revision=edition.approved_revision,
        transport_id=edition.transport_id,
        readers=_readers(session, held),
    )


def who_left(session: Session, lease: Lease) -> dict[int, Reason]:
    """The batch's waiting people who must not be mailed any more, each with the reason."""
    # Whoever was erased since has no subscription any more, and must not be waited for.
    reason = case(
        (Subscription.subscriber_id.is_(None), int(Reason.UNSUBSCRIBED)), else_=exclusion_reason()
    )
    rows = session.execute(
        select(Delivery.subscriber_id, reason)
        .outerjoin(Subscriber, Subscriber.id == Delivery.subscriber_id)
        .outerjoin(
            Subscription,
            and_(
                Subscription.subscriber_id == Delivery.subscriber_id,
                Subscription.list_id == Delivery.list_id,
            ),
        )
        .where(*waiting_in(lease), reason.is_not(None))
    )
    return {subscriber_id: Reason(why) for subscriber_id, why in rows if why is not None}


def _due(now: datetime) -> Select[Batch]:
    return (
        select(Batch)
        .join(Edition, Edition.id == Batch.edition_id)
        .where(
            Batch.state == BatchState.READY,
            Batch.due_at <= now,
            Edition.state == EditionState.SENDING,
        )
    )


def _readers(session: Session, lease: Lease) -> tuple[Reader, ...]:
    rows = session.execute(
        select(
            Delivery.subscriber_id,
            Delivery.list_id,
            Subscriber.address,
            Subscriber.name,
            Subscription.joined_at,
            Delivery.attempts,
            Deferral.first_at,
        )
        .join(Subscriber, Subscriber.id == Delivery.subscriber_id)
        .join(
            Subscription,
            and_(
                Subscription.subscriber_id == Delivery.subscriber_id,
                Subscription.list_id == Delivery.list_id,
            ),
        )
        .outerjoin(
            Deferral,
            and_(
                Deferral.edition_id == Delivery.edition_id,
                Deferral.subscriber_id == Delivery.subscriber_id,
            ),
        )
        .where(*waiting_in(lease))
        .order_by(Delivery.subscriber_id)
    )
    return tuple(
        Reader(subscriber_id, list_id, address, name, joined_at.date(), attempts, first_at)
        for subscriber_id, list_id, address, name, joined_at, attempts, first_at in rows
    )
