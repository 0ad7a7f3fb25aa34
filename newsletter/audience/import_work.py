"""What a worker does for imports: runs those that wait, takes up the broken off, forgets old files."""

from collections.abc import Callable
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Engine, and_, delete, or_, select
from sqlalchemy.orm import Session

from newsletter.audience import import_chunks as chunks
from newsletter.audience.import_run import run_import
from newsletter.audience.import_undo import run_undoing
from newsletter.db import reading, transaction
from newsletter.models import Import, ImportChunk, ImportState

DEAD_AFTER = timedelta(minutes=2)
FORGOTTEN_AFTER = timedelta(days=7)
"""A file that nobody confirmed, or that was broken off and not resumed, is not kept for longer."""


def run_waiting(engine: Engine, *, now: datetime, should_stop: Callable[[], bool]) -> None:
    """Every import, and every undoing of one, that waits for a worker or whose worker has died."""
    _forget_files(engine, now=now)
    while not should_stop():
        with reading(engine) as session:
            job = _next(session, now)
        if job is None:
            return
        if job.state is ImportState.UNDOING:
            run_undoing(engine, job.id, now=now, should_stop=should_stop)
        else:
            run_import(engine, job.id, should_stop=should_stop)


def _next(session: Session, now: datetime) -> Import | None:
    return session.scalar(
        select(Import)
        .where(
            Import.is_background,
            or_(
                Import.state == ImportState.WAITING,
                and_(Import.state == ImportState.UNDOING, Import.alive_at.is_(None)),
                and_(
                    Import.state.in_((ImportState.RUNNING, ImportState.UNDOING)),
                    Import.alive_at < now - DEAD_AFTER,
                ),
            ),
        )
        .order_by(Import.id)
        .limit(1)
    )


def _forget_files(engine: Engine, *, now: datetime) -> None:
    """Cancel what nobody went on with: the file holds people's data."""
    with transaction(engine) as session:
        for job in session.scalars(select(Import).where(_is_left_alone(now))):
            job.state = ImportState.CANCELLED
            job.token += 1
            job.ended_at = now
            chunks.forget(session, job.id)
        session.execute(
            delete(ImportChunk).where(
                ImportChunk.import_id.in_(
                    select(Import.id).where(
                        Import.state == ImportState.DONE, Import.ended_at < now - FORGOTTEN_AFTER
                    )
                )
            )
        )


def _is_left_alone(now: datetime) -> ColumnElement[bool]:
    return and_(
        Import.created_at < now - FORGOTTEN_AFTER,
        or_(
            Import.state == ImportState.RECEIVED,
            and_(
                Import.state.in_((ImportState.WAITING, ImportState.RUNNING)),
                or_(Import.alive_at.is_(None), Import.alive_at < now - FORGOTTEN_AFTER),
            ),
        ),
    )
