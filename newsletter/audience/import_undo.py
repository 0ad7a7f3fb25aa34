"""Takes an import back: removes what it alone made, and whatever its people did since stays.

Whom it subscribed is subscribed no longer, and is removed if nothing else is known of them. Who
confirmed, left or changed something meanwhile keeps all that, and an address that somebody else
suppressed as well stays suppressed. What it filled in or moved of people who were there before is
not taken back: it was not made by it.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Engine, and_, delete, exists, func, insert, not_, select
from sqlalchemy.orm import Session

from newsletter.audience.figures import Moves, moves_between, note_moves
from newsletter.audience.importing import get_import
from newsletter.clock import utc_now
from newsletter.db import among, reading, transaction
from newsletter.errors import StateError
from newsletter.models import (
    ConsentEvent,
    ConsentKind,
    Import,
    ImportState,
    Subscriber,
    SubscriberChange,
    SubscriberTag,
    Subscription,
    Suppression,
)
from newsletter.queue import Job, enqueue_after_commit

IDS_PER_SLICE = 10_000
_UNDOABLE = (ImportState.DONE, ImportState.CANCELLED, ImportState.FAILED, ImportState.UNDOING)


@dataclass(frozen=True, slots=True)
class Undone:
    people: int = 0
    subscriptions: int = 0
    tags: int = 0
    suppressions: int = 0


def start_undoing(
    engine: Engine, import_id: int, *, by: str, now: datetime, is_background: bool
) -> Import:
    """In the background a worker does it; otherwise whoever started it calls `run_undoing`.

    Raises `NotFoundError`, and `StateError` for a dry run or an import that still runs.
    """
    with transaction(engine) as session:
        job = get_import(session, import_id, is_locked=True)
        _refuse(job)
        job.state = ImportState.UNDOING
        job.undone_by = job.undone_by or by
        job.is_background = is_background
        job.alive_at = None if is_background else now
        if is_background:
            enqueue_after_commit(session, Job.IMPORT_FILES)
    return job


def run_undoing(
    engine: Engine,
    import_id: int,
    *,
    now: datetime,
    should_stop: Callable[[], bool] = lambda: False,
) -> Undone:
    """One transaction for so many people; broken off, it is finished by calling it again."""
    with reading(engine) as session:
        job = get_import(session, import_id)
        first, last = session.execute(
            select(
                func.min(Subscription.subscriber_id), func.max(Subscription.subscriber_id)
            ).where(Subscription.list_id == job.list_id)
        ).one()
    for start in range(first or 0, (last or 0) + 1, IDS_PER_SLICE):
        with transaction(engine) as session:
            job = get_import(session, import_id, is_locked=True)
            done = _undo_slice(session, job, start, start + IDS_PER_SLICE - 1, now=now)
            _count(job, done)
        if should_stop():
            return undone_of(job)
    with transaction(engine) as session:
        job = get_import(session, import_id, is_locked=True)
        lifted = session.scalars(
            delete(Suppression)
            .where(Suppression.import_id == job.id)
            .returning(Suppression.list_id)
        ).all()
        _count(job, Undone(suppressions=len(lifted)))
        job.state = ImportState.UNDONE
    return undone_of(job)


def undo_import(engine: Engine, import_id: int, *, by: str, now: datetime) -> Undone:
    """Start and run in one. Raises as `start_undoing`."""
    start_undoing(engine, import_id, by=by, now=now, is_background=False)
    return run_undoing(engine, import_id, now=now)


def undone_of(job: Import) -> Undone:
    """What was removed so far."""
    return Undone(**job.undone)


def _refuse(job: Import) -> None:
    if job.is_dry_run:
        raise StateError("Import {number} was a dry run: it changed nothing.", number=job.id)
    if job.state not in _UNDOABLE:
        raise StateError(
            "Import {number} is {state}; cancel it first, if it still runs.",
            number=job.id,
            state=job.state,
        )


def _count(job: Import, done: Undone) -> None:
    before = asdict(undone_of(job))
    job.undone = {what: before[what] + more for what, more in asdict(done).items()}
    job.alive_at = utc_now()


def _undo_slice(session: Session, job: Import, start: int, end: int, *, now: datetime) -> Undone:
    tags = session.scalars(
        delete(SubscriberTag)
        .where(SubscriberTag.subscriber_id.between(start, end), SubscriberTag.import_id == job.id)
        .returning(SubscriberTag.subscriber_id)
    ).all()
    removed = session.execute(
        delete(Subscription)
        .where(
            Subscription.list_id == job.list_id,
            Subscription.subscriber_id.between(start, end),
            Subscription.import_id == job.id,
            not_(
                exists().where(
                    ConsentEvent.subscriber_id == Subscription.subscriber_id,
                    ConsentEvent.list_id == Subscription.list_id,
                    not_(_is_of(job)),
                )
            ),
        )
        .returning(Subscription.subscriber_id, Subscription.status)
        .execution_options(synchronize_session=False)
    ).all()
    moves = Moves()
    for _, status in removed:
        moves += moves_between(status, None)
    note_moves(session, job.list_id, moves, at=now)
    ended = [subscriber_id for subscriber_id, _ in removed]
    gone = _remove_people(session, job, ended)
    _keep_evidence(session, job, sorted(set(ended) - gone), now=now)
    return Undone(people=len(gone), subscriptions=len(ended), tags=len(tags))


def _is_of(job: Import) -> ColumnElement[bool]:
    return and_(
        ConsentEvent.kind == ConsentKind.IMPORTED,
        func.coalesce(ConsentEvent.evidence["import"].as_integer(), 0) == job.id,
    )


def _remove_people(session: Session, job: Import, ended: Sequence[int]) -> set[int]:
    """Those of whom nothing else is known, with the evidence of the import that made them."""
    said_more = [
        exists().where(Subscription.subscriber_id == Subscriber.id),
        exists().where(SubscriberChange.subscriber_id == Subscriber.id),
        exists().where(SubscriberTag.subscriber_id == Subscriber.id),
        exists().where(ConsentEvent.subscriber_id == Subscriber.id, not_(_is_of(job))),
    ]
    return set(
        session.scalars(
            delete(Subscriber)
            .where(
                among(session, Subscriber.id, ended),
                Subscriber.import_id == job.id,
                Subscriber.own_fields == 0,
                *(not_(each) for each in said_more),
            )
            .returning(Subscriber.id)
            .execution_options(synchronize_session=False)
        )
    )


def _keep_evidence(session: Session, job: Import, people: list[int], *, now: datetime) -> None:
    if people:
        session.execute(
            insert(ConsentEvent),
            [
                {
                    "subscriber_id": number,
                    "list_id": job.list_id,
                    "kind": ConsentKind.IMPORT_UNDONE,
                    "at": now,
                    "evidence": {"import": job.id, "by": job.undone_by},
                }
                for number in people
            ],
        )
