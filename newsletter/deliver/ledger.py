"""The ledger's protocol: claim a batch, declare intent, record outcomes, give the batch back.

Every function is one step inside the caller's transaction, and every write asks for the lease
token it was claimed with, so that doing a step twice, or too late, changes nothing.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    CursorResult,
    Update,
    and_,
    case,
    delete,
    exists,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.orm import Session

from newsletter.db import among, insert_or_ignore
from newsletter.deliver.classes import classify
from newsletter.deliver.outcome import Outcome
from newsletter.deliver.retry import next_attempt
from newsletter.errors import FencedError
from newsletter.models import (
    Attempt,
    Batch,
    BatchState,
    Deferral,
    Delivery,
    DeliveryState,
    Edition,
    EditionState,
    Reason,
    ReplyClass,
)
from newsletter.plan.exclusion import count_excluded
from newsletter.settings import get_settings

LONGEST_REPLY_KEPT = 500
_chance = random.Random()  # noqa: S311  spreads retries; nothing depends on it being secret


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to a batch until `until`, or until somebody else holds a greater token."""

    edition_id: int
    batch: int
    token: int


def intend(session: Session, lease: Lease, *, upto: int, now: datetime, extend: timedelta) -> bool:
    """Declare that nobody beyond subscriber `upto` goes on the wire, and extend the lease.

    False: the edition is paused or cancelled, nothing more may be sent; the lease is extended all
    the same, for the answers that are still awaited. Raises `FencedError` when the batch belongs
    to somebody else by now.
    """
    moved = _changed(
        session,
        update(Batch)
        .where(
            *_held(lease),
            exists().where(Edition.id == Batch.edition_id, Edition.state == EditionState.SENDING),
        )
        .values(
            intent_upto=case((Batch.intent_upto < upto, upto), else_=Batch.intent_upto),
            lease_until=now + extend,
        ),
    )
    if not moved:
        keep(session, lease, now=now, extend=extend)
    return bool(moved)


def keep(session: Session, lease: Lease, *, now: datetime, extend: timedelta) -> None:
    """Extend the lease. Raises `FencedError` when the batch belongs to somebody else by now."""
    if not _changed(session, update(Batch).where(*_held(lease)).values(lease_until=now + extend)):
        message = f"batch {lease.batch} of edition {lease.edition_id} was taken over"
        raise FencedError(message)


def record(
    session: Session,
    lease: Lease,
    outcomes: Sequence[Outcome],
    *,
    revision: int,
    at: datetime,
) -> None:
    """Write what became of recipients, and the batch's counters with it.

    A delivery that does not wait in this batch any more keeps what it has.
    """
    sent = [outcome for outcome in outcomes if outcome.state is DeliveryState.SENT]
    for code in {outcome.reply.code for outcome in sent if outcome.reply}:
        ids = [o.subscriber_id for o in sent if o.reply is not None and o.reply.code == code]
        _record_sent(session, lease, ids, code=code, revision=revision, at=at)
    for outcome in outcomes:
        if outcome.state is not DeliveryState.SENT:
            _record_unsent(session, lease, outcome, revision=revision, at=at)


def doubt(
    session: Session, lease: Lease, people: Sequence[int] | None, *, reason: Reason, at: datetime
) -> int:
    """Mark as uncertain those of `people`, or of the intended ones if None, who still wait.

    Returns how many: content may have gone out to them and no answer is known.
    """
    whom = (
        among(session, Delivery.subscriber_id, people)
        if people is not None
        else Delivery.subscriber_id
        <= select(Batch.intent_upto)
        .where(Batch.edition_id == lease.edition_id, Batch.number == lease.batch)
        .scalar_subquery()
    )
    ids = session.scalars(select(Delivery.subscriber_id).where(*waiting_in(lease), whom)).all()
    if ids:
        outcomes = [
            Outcome(subscriber_id, DeliveryState.UNCERTAIN, reason) for subscriber_id in ids
        ]
        revision = claimed_revision(session, lease)
        assert revision is not None
        record(session, lease, outcomes, revision=revision, at=at)
    return len(ids)


def reopen(session: Session, lease: Lease, people: Sequence[int]) -> dict[int, int]:
    """Let uncertain deliveries wait again, for the evidence that is recorded in this transaction.

    Returns which revision went out to each of them.
    """
    carried = session.execute(
        update(Delivery)
        .where(
            Delivery.edition_id == lease.edition_id,
            Delivery.batch == lease.batch,
            Delivery.state == DeliveryState.UNCERTAIN,
            among(session, Delivery.subscriber_id, people),
        )
        .values(state=DeliveryState.WAITING, reason=None, attempts=Delivery.attempts - 1)
        .returning(Delivery.subscriber_id, Delivery.revision),
        execution_options={"synchronize_session": False},
    ).all()
    _count(session, lease, uncertain=-len(carried))
    return {subscriber_id: revision for subscriber_id, revision in carried if revision is not None}


def claimed_revision(session: Session, lease: Lease) -> int | None:
    """What the batch's last claim sends, whatever was approved since; None: the batch is gone.

    A claim of an older version did not note it, and sent what was approved.
    """
    return session.scalar(
        select(func.coalesce(Batch.revision, Edition.approved_revision))
        .join(Edition, Edition.id == Batch.edition_id)
        .where(Batch.edition_id == lease.edition_id, Batch.number == lease.batch)
    )


def exclude(session: Session, lease: Lease, people: dict[int, Reason]) -> None:
    """Leave people out whose exclusion was learnt after planning."""
    # In one order everywhere: two batches of an edition write to the same figures.
    for reason in sorted(set(people.values())):
        ids = [subscriber_id for subscriber_id, why in people.items() if why is reason]
        changed = _changed(
            session,
            update(Delivery)
            .where(*waiting_in(lease), among(session, Delivery.subscriber_id, ids))
            .values(state=DeliveryState.EXCLUDED, reason=reason),
        )
        if not changed:
            continue
        _count(session, lease, excluded=changed)
        count_excluded(session, lease.edition_id, reason, changed)
        _forget_deferrals(session, lease.edition_id, ids)


def give_back(session: Session, lease: Lease, *, due_at: datetime) -> None:
    """End a claim: the batch is done when nobody in it waits, else ready again from `due_at`."""
    leftover = exists().where(
        Delivery.edition_id == Batch.edition_id,
        Delivery.batch == Batch.number,
        Delivery.state == DeliveryState.WAITING,
    )
    session.execute(
        update(Batch)
        .where(*_held(lease))
        .values(
            state=case((leftover, int(BatchState.READY)), else_=int(BatchState.DONE)),
            intent_upto=0,
            lease_until=None,
            due_at=case((leftover, due_at), else_=Batch.due_at),
        )
    )


def _held(lease: Lease) -> tuple[ColumnElement[bool], ...]:
    return (
        Batch.edition_id == lease.edition_id,
        Batch.number == lease.batch,
        Batch.lease_token == lease.token,
        Batch.state == BatchState.CLAIMED,
    )


def waiting_in(lease: Lease) -> tuple[ColumnElement[bool], ...]:
    return (
        Delivery.edition_id == lease.edition_id,
        Delivery.batch == lease.batch,
        Delivery.state == DeliveryState.WAITING,
    )


def _record_sent(
    session: Session, lease: Lease, ids: list[int], *, code: int, revision: int, at: datetime
) -> None:
    changed = _changed(
        session,
        update(Delivery)
        .where(*waiting_in(lease), among(session, Delivery.subscriber_id, ids))
        .values(
            state=DeliveryState.SENT,
            attempts=Delivery.attempts + 1,
            code=code,
            reason=None,
            revision=revision,
            sent_at=at,
        ),
    )
    _count(session, lease, sent=changed)
    _forget_deferrals(session, lease.edition_id, ids)


def _record_unsent(
    session: Session, lease: Lease, outcome: Outcome, *, revision: int, at: datetime
) -> None:
    assert outcome.reason is not None
    before = session.execute(
        select(Delivery.attempts, Deferral.first_at)
        .outerjoin(
            Deferral,
            and_(
                Deferral.edition_id == Delivery.edition_id,
                Deferral.subscriber_id == Delivery.subscriber_id,
            ),
        )
        .where(*waiting_in(lease), Delivery.subscriber_id == outcome.subscriber_id)
    ).one_or_none()
    if before is None:
        return
    attempts = before[0] + 1
    deferred_first_at: datetime | None = before[1]
    first_at = deferred_first_at or outcome.date or at
    state, reason, next_at = outcome.state, outcome.reason, None
    if state is DeliveryState.DEFERRED:
        next_at = next_attempt(
            attempts,
            first_at=first_at,
            now=at,
            max_age=timedelta(hours=get_settings().retry_hours),
            chance=_chance,
            is_greylisted=classify(outcome.reply) is ReplyClass.SOFT_GREYLISTED,
        )
        if next_at is None:
            state, reason = DeliveryState.FAILED, Reason.EXPIRED
    session.execute(
        update(Delivery)
        .where(*waiting_in(lease), Delivery.subscriber_id == outcome.subscriber_id)
        .values(
            state=state,
            reason=reason,
            attempts=attempts,
            revision=revision,
            code=outcome.reply.code if outcome.reply else None,
        )
    )
    _count(session, lease, **{state.name.lower(): 1})
    session.execute(insert(Attempt).values(_attempt_row(lease, outcome, state, reason, at)))
    if next_at is None:
        _forget_deferrals(session, lease.edition_id, [outcome.subscriber_id])
        return
    _defer(session, lease.edition_id, outcome.subscriber_id, first_at=first_at, next_at=next_at)


def _attempt_row(
    lease: Lease, outcome: Outcome, state: DeliveryState, reason: Reason, at: datetime
) -> dict[str, Any]:
    return {
        "edition_id": lease.edition_id,
        "subscriber_id": outcome.subscriber_id,
        "at": at,
        "lease_token": lease.token,
        "state": state,
        "reason": reason,
        "code": outcome.reply.code if outcome.reply else None,
        "enhanced": outcome.reply.enhanced if outcome.reply else None,
        "reply": outcome.reply.text[:LONGEST_REPLY_KEPT] if outcome.reply else "",
        "reply_class": classify(outcome.reply),
    }


def _defer(
    session: Session, edition_id: int, subscriber_id: int, *, first_at: datetime, next_at: datetime
) -> None:
    session.execute(
        insert_or_ignore(session, Deferral).values(
            edition_id=edition_id, subscriber_id=subscriber_id, first_at=first_at
        )
    )
    session.execute(
        update(Deferral)
        .where(Deferral.edition_id == edition_id, Deferral.subscriber_id == subscriber_id)
        .values(next_at=next_at)
    )


def _forget_deferrals(session: Session, edition_id: int, ids: Sequence[int]) -> None:
    of_edition = Deferral.edition_id == edition_id
    if session.scalar(select(Deferral.edition_id).where(of_edition).limit(1)) is None:
        return  # as in most windows of most editions: one short look instead of many
    session.execute(delete(Deferral).where(of_edition, among(session, Deferral.subscriber_id, ids)))


def _count(session: Session, lease: Lease, **changes: int) -> None:
    session.execute(
        update(Batch)
        .where(Batch.edition_id == lease.edition_id, Batch.number == lease.batch)
        .values({name: getattr(Batch, name) + change for name, change in changes.items()})
    )


def _changed(session: Session, statement: Update) -> int:
    """Run it and return how many rows it changed."""
    result = session.execute(statement, execution_options={"synchronize_session": False})
    assert isinstance(result, CursorResult)
    return result.rowcount
