"""Plans who gets an edition: one delivery a person, in slices, so that sending starts at once.

Each slice is one transaction that also moves the edition's cursor: killed at any point, planning
goes on where the last slice ended, and two planners at once take turns on the edition's row.
"""

import logging
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import (
    ColumnElement,
    Engine,
    Select,
    and_,
    case,
    exists,
    func,
    insert,
    literal,
    or_,
    select,
    update,
)
from sqlalchemy.orm import Session, aliased

from newsletter.db import transaction
from newsletter.models import (
    NO_BATCH,
    Batch,
    BatchState,
    Delivery,
    DeliveryState,
    Edition,
    EditionState,
    MailingList,
    Reason,
    Subscriber,
    Subscription,
)
from newsletter.plan.exclusion import count_excluded, exclusion_reason
from newsletter.plan.stored import get_edition, lists_of
from newsletter.queue import Job, enqueue_after_commit

logger = logging.getLogger(__name__)

SLICE = 20_000
BATCH = 500


def plan_edition(engine: Engine, edition_id: int, *, now: datetime) -> None:
    """Plan whatever of the edition is not planned yet; a no-op for one that is not being sent."""
    while True:
        with transaction(engine) as session:
            if not plan_slice(session, edition_id, now=now):
                return


def plan_slice(
    session: Session, edition_id: int, *, now: datetime, slice_size: int = SLICE
) -> bool:
    """Plan the next people; False when there is nothing left to plan, or nothing to be planned."""
    edition = get_edition(session, edition_id)
    if edition.state not in (EditionState.SENDING, EditionState.PAUSED) or edition.planned_at:
        return False
    lists = lists_of(session, edition_id)
    if edition.plan_position == len(lists):
        edition.planned_at = now
        enqueue_after_commit(session, Job.PUMP)  # a list without people is sent at once
        return False
    mailing_list, *later = lists[edition.plan_position :]
    last = _last_of_slice(session, mailing_list, edition.plan_cursor, slice_size)
    if last is None:
        edition.plan_position += 1
        edition.plan_cursor = 0
        return True
    _plan_people(session, edition, mailing_list, later, upto=last, now=now)
    edition.plan_cursor = last
    enqueue_after_commit(session, Job.DRAIN)
    return True


def _last_of_slice(
    session: Session, mailing_list: MailingList, cursor: int, slice_size: int
) -> int | None:
    people = (
        select(Subscription.subscriber_id)
        .where(Subscription.list_id == mailing_list.id, Subscription.subscriber_id > cursor)
        .order_by(Subscription.subscriber_id)
        .limit(slice_size)
        .subquery()
    )
    last: int | None = session.scalar(select(func.max(people.c.subscriber_id)))
    return last


def _plan_people(
    session: Session,
    edition: Edition,
    mailing_list: MailingList,
    later: Sequence[MailingList],
    *,
    upto: int,
    now: datetime,
) -> None:
    first_batch = edition.last_batch + 1
    session.execute(
        insert(Delivery).from_select(
            [
                "edition_id",
                "subscriber_id",
                "list_id",
                "batch",
                "state",
                "attempts",
                "reason",
            ],
            _people(edition, mailing_list, later, upto, first_batch),
        )
    )
    planned = and_(
        Delivery.edition_id == edition.id,
        Delivery.list_id == mailing_list.id,
        Delivery.subscriber_id > edition.plan_cursor,
        Delivery.subscriber_id <= upto,
    )
    _make_batches(session, edition, first_batch, due_at=now)
    _count_exclusions(session, edition, planned)


def _people(
    edition: Edition,
    mailing_list: MailingList,
    later: Sequence[MailingList],
    upto: int,
    first_batch: int,
) -> Select[int, int, int, int, int, int, Reason | None]:
    earlier, other = aliased(Delivery), aliased(Subscription)
    reason = exclusion_reason()
    people = (
        select(Subscription.subscriber_id, reason.label("reason"))
        .join(Subscriber, Subscriber.id == Subscription.subscriber_id)
        .where(
            Subscription.list_id == mailing_list.id,
            Subscription.subscriber_id > edition.plan_cursor,
            Subscription.subscriber_id <= upto,
            # A person of an earlier list of this edition has their delivery already.
            ~exists().where(
                earlier.edition_id == edition.id,
                earlier.subscriber_id == Subscription.subscriber_id,
            ),
            # Whoever may not be mailed through this list may be through a later one.
            or_(
                reason.is_(None),
                ~exists().where(
                    other.list_id.in_([each.id for each in later]),
                    other.subscriber_id == Subscription.subscriber_id,
                ),
            ),
        )
        .subquery()
    )
    is_excluded: ColumnElement[bool] = people.c.reason.is_not(None)
    place = func.row_number().over(partition_by=is_excluded, order_by=people.c.subscriber_id)
    return select(
        literal(edition.id),
        people.c.subscriber_id,
        literal(mailing_list.id),
        case((is_excluded, NO_BATCH), else_=first_batch + (place - 1) // BATCH),
        case((is_excluded, int(DeliveryState.EXCLUDED)), else_=int(DeliveryState.WAITING)),
        literal(0),
        people.c.reason,
    ).order_by(people.c.subscriber_id)


def _make_batches(
    session: Session, edition: Edition, first_batch: int, *, due_at: datetime
) -> None:
    counted = (
        select(
            Delivery.edition_id,
            Delivery.batch,
            literal(int(BatchState.READY)),
            literal(due_at, Batch.due_at.type),
            func.count(),
        )
        .where(Delivery.edition_id == edition.id, Delivery.batch >= first_batch)
        .group_by(Delivery.edition_id, Delivery.batch)
    )
    session.execute(
        insert(Batch).from_select(["edition_id", "number", "state", "due_at", "people"], counted)
    )
    newest = session.scalar(select(func.max(Batch.number)).where(Batch.edition_id == edition.id))
    edition.last_batch = newest or 0


def _count_exclusions(session: Session, edition: Edition, planned: ColumnElement[bool]) -> None:
    counts = session.execute(
        select(Delivery.reason, func.count())
        .where(planned, Delivery.batch == NO_BATCH)
        .group_by(Delivery.reason)
        .order_by(Delivery.reason)
    ).all()
    total = 0
    for reason, people in counts:
        assert reason is not None
        count_excluded(session, edition.id, reason, people)
        total += people
    session.execute(
        update(Batch)
        .where(Batch.edition_id == edition.id, Batch.number == NO_BATCH)
        .values(people=Batch.people + total, excluded=Batch.excluded + total)
    )
