"""Moves an edition from state to state; each step is one conditional UPDATE.

Zero rows changed means that somebody else was first, which is an answer and not an accident.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import CursorResult, insert, update
from sqlalchemy.orm import Session

from newsletter.db import insert_or_ignore
from newsletter.errors import NotFoundError, StateError
from newsletter.models import (
    NO_BATCH,
    Batch,
    BatchState,
    Edition,
    EditionFigures,
    EditionState,
)
from newsletter.models.partitions import ensure_delivery_partition
from newsletter.queue import Job, enqueue_after_commit


def send_now(session: Session, edition_id: int, *, now: datetime) -> None:
    """Start sending an approved edition. Raises `StateError` when it is not approved."""
    _move(
        session,
        edition_id,
        to=EditionState.SENDING,
        since=[EditionState.APPROVED],
        started_at=now,
    )
    ensure_delivery_partition(session, edition_id)
    session.execute(
        insert(Batch).values(
            edition_id=edition_id, number=NO_BATCH, state=BatchState.DONE, due_at=now
        )
    )
    session.execute(insert_or_ignore(session, EditionFigures).values(edition_id=edition_id))
    enqueue_after_commit(session, Job.PLAN_EDITION, edition_id=edition_id)


def pause(session: Session, edition_id: int) -> None:
    """Nothing new is claimed from now on; batches under way stop within seconds."""
    _move(session, edition_id, to=EditionState.PAUSED, since=[EditionState.SENDING])


def resume(session: Session, edition_id: int) -> None:
    _move(session, edition_id, to=EditionState.SENDING, since=[EditionState.PAUSED])
    enqueue_after_commit(session, Job.PUMP)


def cancel(session: Session, edition_id: int) -> None:
    """Whoever was not mailed yet will not be; the pump writes that into their deliveries."""
    _move(
        session,
        edition_id,
        to=EditionState.CANCELLED,
        since=[
            EditionState.DRAFT,
            EditionState.APPROVED,
            EditionState.SENDING,
            EditionState.PAUSED,
        ],
    )
    enqueue_after_commit(session, Job.PUMP)


def _move(
    session: Session,
    edition_id: int,
    *,
    to: EditionState,
    since: Sequence[EditionState],
    **values: Any,
) -> None:
    result = session.execute(
        update(Edition)
        .where(Edition.id == edition_id, Edition.state.in_(since))
        .values(state=to, **values)
        .execution_options(synchronize_session=False)
    )
    assert isinstance(result, CursorResult)
    if result.rowcount:
        return
    edition = session.get(Edition, edition_id)
    if edition is None:
        message = f"There is no edition {edition_id}."
        raise NotFoundError(message)
    message = f"Edition {edition_id} is {edition.state}, so it cannot become {to}."
    if edition.state is to:
        message = f"Edition {edition_id} is {to} already."
    if edition.state is EditionState.DRAFT:
        message += " Approve it first."
    raise StateError(message)
