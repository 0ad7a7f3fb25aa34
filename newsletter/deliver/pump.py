"""Keeps editions moving whatever was lost: any process may turn it, any number at once.

It looks at rows only: what is due without a doorbell, what was deferred, what is over.
"""

import logging
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import Engine, delete, exists, func, select, update

from newsletter.clock import is_steady
from newsletter.db import changed, reading, transaction
from newsletter.deliver.deadlines import expire
from newsletter.deliver.ending import keep_sums
from newsletter.deliver.holds import pause_held_editions
from newsletter.deliver.rebatching import rebatch
from newsletter.deliver.recovery import recover
from newsletter.models import (
    Batch,
    BatchState,
    Deferral,
    Delivery,
    DeliveryState,
    Edition,
    EditionState,
)
from newsletter.plan.alarms import raise_alarms
from newsletter.plan.planner import BATCH
from newsletter.plan.release import release_editions
from newsletter.plan.stored import get_edition
from newsletter.plan.waves import has_wave_to_plan
from newsletter.queue import Job, enqueue_after_commit, ring
from newsletter.settings import get_settings

logger = logging.getLogger(__name__)

MOST_BELLS = 8
RESTS = timedelta(seconds=60)
"""Beat rings every two seconds, and a long recovery may take its time: longer means it stands still."""


def turn(engine: Engine, journal_folder: Path, *, now: datetime) -> None:
    if not is_steady(rest=timedelta(seconds=get_settings().lease_seconds)):
        logger.warning("clock was set, pump rests")
        return
    recover(engine, journal_folder, now=now)
    pause_held_editions(engine, now=now)
    release_editions(engine, now=now)
    expire(engine, now=now)
    raise_alarms(engine, now=now)
    while _release_deferrals(engine, now):
        pass
    for edition_id in _cancelled_under_way(engine):
        while _cancel_batch(engine, edition_id, now):
            pass
        _cancel_deferred(engine, edition_id)
    _finish_editions(engine, now)
    _ring(engine, now)


def _release_deferrals(engine: Engine, now: datetime) -> bool:
    """Put people whose next try is due into a new batch; False when nobody's is."""
    with transaction(engine) as session:
        first = session.execute(
            select(Deferral.edition_id)
            .join(Edition, Edition.id == Deferral.edition_id)
            .where(Deferral.next_at <= now, Edition.state == EditionState.SENDING)
            .order_by(Deferral.next_at)
            .limit(1)
        ).scalar_one_or_none()
        if first is None:
            return False
        # The edition's row first, as everybody does who adds batches.
        edition = get_edition(session, first)
        due = session.scalars(
            select(Deferral)
            .where(Deferral.edition_id == edition.id, Deferral.next_at <= now)
            .order_by(Deferral.next_at)
            .limit(BATCH)
            .with_for_update(skip_locked=True)
        ).all()
        if not due:
            return False
        rebatch(
            session,
            edition,
            [deferral.subscriber_id for deferral in due],
            since=DeliveryState.DEFERRED,
            due_at=now,
        )
        for deferral in due:
            deferral.next_at = None
        enqueue_after_commit(session, Job.DRAIN)
        return True


def _cancelled_under_way(engine: Engine) -> list[int]:
    with reading(engine) as session:
        return list(
            session.scalars(
                select(Edition.id).where(
                    Edition.state == EditionState.CANCELLED, Edition.finished_at.is_(None)
                )
            )
        )


def _cancel_batch(engine: Engine, edition_id: int, now: datetime) -> bool:
    """Cancel the waiting people of one ready batch; a claimed one is left to its worker."""
    with transaction(engine) as session:
        batch = session.scalar(
            select(Batch)
            .where(Batch.edition_id == edition_id, Batch.state == BatchState.READY)
            .limit(1)
            .with_for_update(skip_locked=True)
        )
        if batch is None:
            return False
        batch.cancelled += changed(
            session,
            update(Delivery)
            .where(
                Delivery.edition_id == edition_id,
                Delivery.batch == batch.number,
                Delivery.state == DeliveryState.WAITING,
            )
            .values(state=DeliveryState.CANCELLED),
        )
        batch.state = BatchState.DONE
        return True


def _cancel_deferred(engine: Engine, edition_id: int) -> None:
    deferred = select(Deferral.subscriber_id).where(Deferral.edition_id == edition_id)
    those = (
        Delivery.edition_id == edition_id,
        Delivery.subscriber_id.in_(deferred),
        Delivery.state == DeliveryState.DEFERRED,
    )
    with transaction(engine) as session:
        get_edition(session, edition_id)
        counts = session.execute(
            select(Delivery.batch, func.count()).where(*those).group_by(Delivery.batch)
        ).all()
        for number, people in counts:
            session.execute(
                update(Batch)
                .where(Batch.edition_id == edition_id, Batch.number == number)
                .values(deferred=Batch.deferred - people, cancelled=Batch.cancelled + people)
            )
        session.execute(
            update(Delivery)
            .where(*those)
            .values(state=DeliveryState.CANCELLED)
            .execution_options(synchronize_session=False)
        )
        session.execute(delete(Deferral).where(Deferral.edition_id == edition_id))


def _finish_editions(engine: Engine, now: datetime) -> None:
    unfinished_batch = exists().where(
        Batch.edition_id == Edition.id, Batch.state != BatchState.DONE
    )
    deferred = exists().where(Deferral.edition_id == Edition.id)
    with transaction(engine) as session:
        sent = session.scalars(
            update(Edition)
            .where(
                Edition.state == EditionState.SENDING,
                Edition.planned_at.is_not(None),
                ~unfinished_batch,
                ~deferred,
            )
            .values(state=EditionState.SENT, finished_at=now)
            .returning(Edition.id)
            .execution_options(synchronize_session=False)
        )
        ended = list(sent)
        cancelled = session.scalars(
            update(Edition)
            .where(
                Edition.state == EditionState.CANCELLED,
                Edition.finished_at.is_(None),
                ~unfinished_batch,
                ~deferred,
            )
            .values(finished_at=now)
            .returning(Edition.id)
            .execution_options(synchronize_session=False)
        )
        keep_sums(session, [*ended, *cancelled])


def _ring(engine: Engine, now: datetime) -> None:
    with reading(engine) as session:
        unplanned = session.scalars(
            select(Edition.id).where(
                Edition.state == EditionState.SENDING,
                Edition.planned_at.is_(None),
                has_wave_to_plan(now),
            )
        ).all()
        due = session.execute(
            select(Batch.number)
            .join(Edition, Edition.id == Batch.edition_id)
            .where(
                Batch.state == BatchState.READY,
                Batch.due_at <= now,
                Edition.state == EditionState.SENDING,
            )
            .limit(MOST_BELLS)
        ).all()
    for edition_id in unplanned:
        ring(Job.PLAN_EDITION, {"edition_id": edition_id})
    for _ in due:
        ring(Job.DRAIN)
