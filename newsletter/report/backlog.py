"""What is on its way at this moment, from the rows of the editions under way alone."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import case, func, select
from sqlalchemy.orm import Session

from newsletter.deliver.holds import open_holds
from newsletter.models import (
    Batch,
    BatchState,
    Edition,
    EditionState,
    HoldScope,
    SystemMail,
    SystemMailState,
)

_UNDER_WAY = (EditionState.SENDING, EditionState.PAUSED)


@dataclass(frozen=True, slots=True)
class Backlog:
    """`oldest_due_seconds` is how long the batch that is due longest has waited for a worker,
    `oldest_mail_seconds` how long the single mail has.
    """

    oldest_due_seconds: float
    editions: dict[EditionState, int]
    batches: dict[BatchState, int]
    deferred: int
    uncertain: int
    oldest_mail_seconds: float
    holds: dict[HoldScope, int] = field(default_factory=lambda: dict.fromkeys(HoldScope, 0))
    """What is kept from being sent; of transports the breakers that are open."""


def read_backlog(session: Session, *, now: datetime) -> Backlog:
    """Of editions that are sending or paused; what is over is in each edition's own status."""
    editions = dict.fromkeys(_UNDER_WAY, 0) | dict(
        session.execute(
            select(Edition.state, func.count())
            .where(Edition.state.in_(_UNDER_WAY))
            .group_by(Edition.state)
        ).all()
    )
    is_due = (
        (Edition.state == EditionState.SENDING)
        & (Batch.state == BatchState.READY)
        & (Batch.due_at <= now)
    )
    batches = dict.fromkeys((BatchState.READY, BatchState.CLAIMED), 0)
    deferred = uncertain = 0
    oldest = now
    for state, count, of_these, in_doubt, due_at in session.execute(
        select(
            Batch.state,
            func.count(),
            func.sum(Batch.deferred),
            func.sum(Batch.uncertain),
            func.min(case((is_due, Batch.due_at))),
        )
        .join(Edition, Edition.id == Batch.edition_id)
        .where(Edition.state.in_(_UNDER_WAY))
        .group_by(Batch.state)
    ):
        if state in batches:
            batches[state] = count
        deferred += of_these
        uncertain += in_doubt
        oldest = min(oldest, due_at or now)
    return Backlog(
        (now - oldest).total_seconds(),
        editions,
        batches,
        deferred,
        uncertain,
        (now - _oldest_mail(session, now)).total_seconds(),
        dict.fromkeys(HoldScope, 0) | Counter(each.scope for each in open_holds(session, now=now)),
    )


def due_since(session: Session, *, now: datetime) -> datetime | None:
    """Since when the batch waits for a worker that is due longest; None: none is due."""
    return session.scalar(
        select(func.min(Batch.due_at))
        .join(Edition, Edition.id == Batch.edition_id)
        .where(
            Edition.state == EditionState.SENDING,
            Batch.state == BatchState.READY,
            Batch.due_at <= now,
        )
    )


def _oldest_mail(session: Session, now: datetime) -> datetime:
    """When the single mail that waits longest fell due; `now` when none waits."""
    due = session.scalar(
        select(func.min(SystemMail.next_at)).where(
            SystemMail.state == SystemMailState.WAITING, SystemMail.next_at <= now
        )
    )
    return due or now
