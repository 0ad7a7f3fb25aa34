"""Puts deliveries that are to be tried once more into a new batch, in one step with their release."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import and_, func, insert, select, update
from sqlalchemy.orm import Session

from newsletter.db import among
from newsletter.models import Batch, BatchState, Delivery, DeliveryState, Edition

_KIND = (Batch.wave, Batch.deadline_at, Batch.route, Batch.tier, Batch.transport_id)
"""What the people of one batch have in common."""


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
        select(Delivery.batch, *_KIND, func.count())
        .join(Batch, and_(Batch.edition_id == Delivery.edition_id, Batch.number == Delivery.batch))
        .where(*those)
        .group_by(Delivery.batch, *_KIND)
        .order_by(Delivery.batch)
    ).all()
    counter = getattr(Batch, since.name.lower())
    alike = defaultdict[tuple[Any, ...], dict[int, int]](dict)
    for number, *shared, count in leaving:
        alike[tuple(shared)][number] = count
        session.execute(
            update(Batch)
            .where(Batch.edition_id == edition.id, Batch.number == number)
            .values({Batch.people: Batch.people - count, counter: counter - count})
        )
    for kind, counts in alike.items():
        edition.last_batch += 1
        session.execute(
            insert(Batch).values(
                {
                    Batch.edition_id: edition.id,
                    Batch.number: edition.last_batch,
                    Batch.state: BatchState.READY,
                    Batch.due_at: due_at,
                    Batch.people: sum(counts.values()),
                    **dict(zip(_KIND, kind, strict=True)),
                }
            )
        )
        session.execute(
            update(Delivery)
            .where(*those, Delivery.batch.in_(list(counts)))
            .values(state=DeliveryState.WAITING, batch=edition.last_batch, reason=None)
            .execution_options(synchronize_session=False)
        )
    return sum(sum(counts.values()) for counts in alike.values())
