"""Puts deliveries that are to be tried once more into a new batch, in one step with their release."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from newsletter.db import among
from newsletter.models import Batch, BatchState, Delivery, DeliveryState, Edition


def rebatch(
    session: Session,
    edition: Edition,
    people: Sequence[int],
    *,
    since: DeliveryState,
    due_at: datetime,
) -> int:
    """Let those of `people` wait again whose delivery is in state `since`; returns how many.

    `edition` is locked by the caller, as by everybody who adds batches.
    """
    those = (
        Delivery.edition_id == edition.id,
        among(session, Delivery.subscriber_id, people),
        Delivery.state == since,
    )
    leaving = session.execute(
        select(Delivery.batch, func.count())
        .where(*those)
        .group_by(Delivery.batch)
        .order_by(Delivery.batch)
    ).all()
    if not leaving:
        return 0
    counter = getattr(Batch, since.name.lower())
    for number, count in leaving:
        session.execute(
            update(Batch)
            .where(Batch.edition_id == edition.id, Batch.number == number)
            .values({Batch.people: Batch.people - count, counter: counter - count})
        )
    total = sum(count for _, count in leaving)
    edition.last_batch += 1
    session.add(
        Batch(
            edition_id=edition.id,
            number=edition.last_batch,
            state=BatchState.READY,
            due_at=due_at,
            people=total,
        )
    )
    session.execute(
        update(Delivery)
        .where(*those)
        .values(state=DeliveryState.WAITING, batch=edition.last_batch, reason=None)
        .execution_options(synchronize_session=False)
    )
    return total
