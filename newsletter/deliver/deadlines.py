"""Leaves out whoever could not be mailed in time: late news is no news."""

import logging
from datetime import datetime

from sqlalchemy import CursorResult, Engine, and_, delete, or_, select, update
from sqlalchemy.orm import Session

from newsletter.db import among, transaction
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

logger = logging.getLogger(__name__)


def expire(engine: Engine, *, now: datetime) -> None:
    """End the batches whose deadline is over, those apart that a worker holds."""
    passed: tuple[int, int] | None = (0, 0)
    while passed is not None:
        with transaction(engine) as session:
            passed = _expire_one(session, now, passed)


def _expire_one(
    session: Session, now: datetime, passed: tuple[int, int]
) -> tuple[int, int] | None:
    edition_id, number = passed
    batch = session.scalar(
        select(Batch)
        .join(Edition, Edition.id == Batch.edition_id)
        .where(
            Batch.deadline_at <= now,
            Edition.state.in_((EditionState.SENDING, EditionState.PAUSED)),
            or_(
                Batch.state == BatchState.READY,
                and_(Batch.state == BatchState.DONE, Batch.deferred > 0),
            ),
            or_(
                Batch.edition_id > edition_id,
                and_(Batch.edition_id == edition_id, Batch.number > number),
            ),
        )
        .order_by(Batch.edition_id, Batch.number)
        .limit(1)
        .with_for_update(skip_locked=True, of=Batch)
    )
    if batch is None:
        return None
    tried = _end(session, batch, Delivery.attempts > 0, to=DeliveryState.FAILED)
    untried = _end(session, batch, Delivery.attempts == 0, to=DeliveryState.EXCLUDED)
    if untried:
        count_excluded(session, batch.edition_id, Reason.TOO_LATE, untried)
    batch.state = BatchState.DONE
    logger.warning(
        "deadline passed",
        extra={
            "edition_id": batch.edition_id,
            "batch": batch.number,
            "failed": tried,
            "excluded": untried,
        },
    )
    return batch.edition_id, batch.number
