"""Leaves out whoever could not be mailed in time: late news is no news."""

import logging
from datetime import datetime

from sqlalchemy import ColumnElement, Engine, and_, delete, or_, select, update
from sqlalchemy.orm import Session

from newsletter.db import among, changed, reading, transaction
from newsletter.models import (
    Batch,
    BatchState,
    Deferral,
    Delivery,
    DeliveryState,
    Edition,
    EditionState,
    Reason,
)
from newsletter.plan.exclusion import count_excluded
from newsletter.plan.stored import get_edition

logger = logging.getLogger(__name__)


def expire(engine: Engine, *, now: datetime) -> None:
    """End the batches whose deadline is over. One that a worker holds ends when it comes back."""
    for edition_id in _editions(engine, now):
        while _expire_batch(engine, edition_id, now):
            pass


def _editions(engine: Engine, now: datetime) -> list[int]:
    with reading(engine) as session:
        return list(
            session.scalars(
                select(Edition.id)
                .join(Batch, Batch.edition_id == Edition.id)
                .where(
                    _is_over(now),
                    Edition.state.in_((EditionState.SENDING, EditionState.PAUSED)),
                )
                .distinct()
            )
        )


def _expire_batch(engine: Engine, edition_id: int, now: datetime) -> bool:
    with transaction(engine) as session:
        # The edition's row first, as whoever releases deferrals does.
        get_edition(session, edition_id)
        batch = session.scalar(
            select(Batch)
            .where(Batch.edition_id == edition_id, _is_over(now))
            .order_by(Batch.number)
            .limit(1)
            .with_for_update()
        )
        if batch is None:
            return False
        _end(session, batch)
        return True


def _is_over(now: datetime) -> ColumnElement[bool]:
    has_people = or_(
        Batch.state == BatchState.READY,
        and_(Batch.state == BatchState.DONE, Batch.deferred > 0),
    )
    return and_(Batch.deadline_at <= now, has_people)


def _end(session: Session, batch: Batch) -> None:
    """Whoever was tried has failed; whoever was not is excluded."""
    here = and_(Delivery.edition_id == batch.edition_id, Delivery.batch == batch.number)
    waits = and_(here, Delivery.state == DeliveryState.WAITING)
    tried = session.scalars(
        select(Delivery.subscriber_id).where(
            here,
            Delivery.state.in_((DeliveryState.WAITING, DeliveryState.DEFERRED)),
            Delivery.attempts > 0,
        )
    ).all()
    deferred = _settle(
        session, and_(here, Delivery.state == DeliveryState.DEFERRED), DeliveryState.FAILED
    )
    retried = _settle(session, and_(waits, Delivery.attempts > 0), DeliveryState.FAILED)
    untried = _settle(session, waits, DeliveryState.EXCLUDED)
    session.execute(
        delete(Deferral).where(
            Deferral.edition_id == batch.edition_id,
            among(session, Deferral.subscriber_id, tried),
        )
    )
    if untried:
        count_excluded(session, batch.edition_id, Reason.TOO_LATE, untried)
    batch.deferred -= deferred
    batch.failed += deferred + retried
    batch.excluded += untried
    batch.state = BatchState.DONE
    logger.warning(
        "deadline passed",
        extra={
            "edition_id": batch.edition_id,
            "batch": batch.number,
            "failed": deferred + retried,
            "excluded": untried,
        },
    )


def _settle(session: Session, those: ColumnElement[bool], state: DeliveryState) -> int:
    return changed(
        session, update(Delivery).where(those).values(state=state, reason=Reason.TOO_LATE)
    )
