"""The ledger's protocol: claim a batch, declare intent, record outcomes, give the batch back.

Every function is one step inside the caller's transaction, and every write asks for the lease
token it was claimed with, so that doing a step twice, or too late, changes nothing.
"""

import random
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    String,
    Update,
    and_,
    bindparam,
    case,
    delete,
    exists,
    func,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.orm import Session

from newsletter.db import UtcDateTime, among, among_given, changed, given, upsert
from newsletter.deliver.classes import classify
from newsletter.deliver.outcome import Outcome
from newsletter.deliver.refusals import LONGEST_REPLY_KEPT, count_refusals
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

_chance = random.Random()  # noqa: S311  spreads retries; nothing depends on it being secret


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to a batch until `until`, or until somebody else holds a greater token."""

    edition_id: int
    batch: int
    token: int


# Statements of every window are made once: to put one together costs more than to run it.
HELD = (
    Batch.edition_id == bindparam("the_edition"),
    Batch.number == bindparam("the_batch"),
    Batch.lease_token == bindparam("the_token"),
    Batch.state == BatchState.CLAIMED,
)
MAY_GO_ON = and_(
    or_(Batch.deadline_at.is_(None), Batch.deadline_at > bindparam("now")),
    exists().where(Edition.id == Batch.edition_id, Edition.state == EditionState.SENDING),
)
"""The edition is neither paused nor over, nor is it too late for this batch."""
WAITING = (
    Delivery.edition_id == bindparam("the_edition"),
    Delivery.batch == bindparam("the_batch"),
    Delivery.state == DeliveryState.WAITING,
)
_INTEND = (
    update(Batch)
    .where(*HELD, MAY_GO_ON)
    .values(
        intent_upto=case(
            (Batch.intent_upto < bindparam("upto"), bindparam("upto", type_=BigInteger)),
            else_=Batch.intent_upto,
        ),
        lease_until=bindparam("until"),
    )
)
_LEFTOVER = exists().where(
    Delivery.edition_id == Batch.edition_id,
    Delivery.batch == Batch.number,
    Delivery.state == DeliveryState.WAITING,
)
_GIVE_BACK = (
    update(Batch)
    .where(*HELD)
    .values(
        state=case((_LEFTOVER, int(BatchState.READY)), else_=int(BatchState.DONE)),
        intent_upto=0,
        lease_until=None,
        due_at=case((_LEFTOVER, bindparam("due", type_=UtcDateTime)), else_=Batch.due_at),
    )
)
_KEEP = update(Batch).where(*HELD).values(lease_until=bindparam("until"))


def held_by(lease: Lease) -> dict[str, Any]:
    return waiting_of(lease) | {"the_token": lease.token}


def waiting_of(lease: Lease) -> dict[str, Any]:
    return {"the_edition": lease.edition_id, "the_batch": lease.batch}


def intend(session: Session, lease: Lease, *, upto: int, now: datetime, extend: timedelta) -> bool:
    """Declare that nobody beyond subscriber `upto` goes on the wire, and extend the lease.

    False: the edition is paused or cancelled, or the batch's deadline is over, and nothing more may
    be sent; the lease is extended all the same, for the answers that are still awaited. Raises
    `FencedError` when the batch belongs to somebody else by now.
    """
    values = held_by(lease) | {"upto": upto, "now": now, "until": now + extend}
    moved = session.connection().execute(_INTEND, values).rowcount
    if not moved:
        keep(session, lease, now=now, extend=extend)
    return bool(moved)


def keep(session: Session, lease: Lease, *, now: datetime, extend: timedelta) -> None:
    """Extend the lease. Raises `FencedError` when the batch belongs to somebody else by now."""
    values = held_by(lease) | {"until": now + extend}
    if not session.connection().execute(_KEEP, values).rowcount:
        raise taken_over(lease)


def taken_over(lease: Lease) -> FencedError:
    return FencedError(
        "batch {batch} of edition {edition} was taken over",
        batch=lease.batch,
        edition=lease.edition_id,
    )


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
    sent = defaultdict[int, list[int]](list)
    unsent: list[Outcome] = []
    for outcome in outcomes:
        if outcome.state is DeliveryState.SENT and outcome.reply is not None:
            sent[outcome.reply.code].append(outcome.subscriber_id)
        else:
            unsent.append(outcome)
    counts: Counter[str] = Counter()
    for code, ids in sent.items():
        counts["sent"] += _mark_sent(session, lease, ids, code=code, revision=revision, at=at)
    ends = _ends_of(session, lease, unsent, at=at) if unsent else []
    if ends:
        _mark_unsent(session, lease, ends, revision=revision)
        session.execute(insert(Attempt), [_attempt_row(lease, end, at) for end in ends])
        _defer(session, lease.edition_id, [end for end in ends if end.next_at is not None])
        failed = [(each.reason, each.outcome.reply) for each in ends if each.has_failed]
        count_refusals(session, lease.edition_id, lease.batch, failed, at=at)
        counts.update(end.state.name.lower() for end in ends)
    if counts:
        _count(session, lease, **counts)
    settled = [each for ids in sent.values() for each in ids]
    settled += [end.outcome.subscriber_id for end in ends if end.next_at is None]
    _forget_deferrals(session, lease.edition_id, settled)


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
        excluded = changed(
            session,
            update(Delivery)
            .where(*waiting_in(lease), among(session, Delivery.subscriber_id, ids))
            .values(state=DeliveryState.EXCLUDED, reason=reason),
        )
        if not excluded:
            continue
        _count(session, lease, excluded=excluded)
        count_excluded(session, lease.edition_id, reason, excluded)
        _forget_deferrals(session, lease.edition_id, ids)


def give_back(session: Session, lease: Lease, *, due_at: datetime) -> None:
    """End a claim: the batch is done when nobody in it waits, else ready again from `due_at`."""
    session.connection().execute(_GIVE_BACK, held_by(lease) | {"due": due_at})


def waiting_in(lease: Lease) -> tuple[ColumnElement[bool], ...]:
    return (
        Delivery.edition_id == lease.edition_id,
        Delivery.batch == lease.batch,
        Delivery.state == DeliveryState.WAITING,
    )


@cache
def mark_sent(dialect: str) -> Update:
    """Needs `sent_values`, and the batch as `held_by` names it."""
    return (
        update(Delivery)
        .where(
            *WAITING, among_given(dialect, Delivery.subscriber_id, bindparam("whom", type_=String))
        )
        .values(
            state=DeliveryState.SENT,
            attempts=Delivery.attempts + 1,
            code=bindparam("answer"),
            reason=None,
            revision=bindparam("carried"),
            sent_at=bindparam("answered_at"),
        )
    )


def sent_values(
    dialect: str, ids: Sequence[int], *, code: int, revision: int, at: datetime
) -> dict[str, Any]:
    return {
        "whom": given(dialect, ids),
        "answer": code,
        "carried": revision,
        "answered_at": at,
    }


def _mark_sent(
    session: Session, lease: Lease, ids: list[int], *, code: int, revision: int, at: datetime
) -> int:
    connection = session.connection()
    dialect = connection.dialect.name
    values = waiting_of(lease) | sent_values(dialect, ids, code=code, revision=revision, at=at)
    return connection.execute(mark_sent(dialect), values).rowcount


@dataclass(frozen=True, slots=True)
class _End:
    """How a try ended that was no success; `next_at` is None where there will be no other."""

    outcome: Outcome
    state: DeliveryState
    reason: Reason
    first_at: datetime
    next_at: datetime | None

    @property
    def has_failed(self) -> bool:
        return self.state is DeliveryState.FAILED

    @property
    def code(self) -> int | None:
        return self.outcome.reply.code if self.outcome.reply else None


def _ends_of(
    session: Session, lease: Lease, outcomes: Sequence[Outcome], *, at: datetime
) -> list[_End]:
    """Of those who still wait."""
    ids = [outcome.subscriber_id for outcome in outcomes]
    rows = session.execute(
        select(Delivery.subscriber_id, Delivery.attempts, Deferral.first_at)
        .outerjoin(
            Deferral,
            and_(
                Deferral.edition_id == Delivery.edition_id,
                Deferral.subscriber_id == Delivery.subscriber_id,
            ),
        )
        .where(*waiting_in(lease), among(session, Delivery.subscriber_id, ids))
    )
    before = {row[0]: (row[1], row[2]) for row in rows}
    return [
        _end_of(outcome, *before[outcome.subscriber_id], at=at)
        for outcome in outcomes
        if outcome.subscriber_id in before
    ]


def _end_of(outcome: Outcome, tries: int, deferred_at: datetime | None, *, at: datetime) -> _End:
    assert outcome.reason is not None
    first_at = deferred_at or outcome.date or at
    if outcome.state is not DeliveryState.DEFERRED:
        return _End(outcome, outcome.state, outcome.reason, first_at, None)
    next_at = next_attempt(
        tries + 1,
        first_at=first_at,
        now=at,
        max_age=timedelta(hours=get_settings().retry_hours),
        chance=_chance,
        is_greylisted=classify(outcome.reply) is ReplyClass.SOFT_GREYLISTED,
    )
    if next_at is None:
        return _End(outcome, DeliveryState.FAILED, Reason.EXPIRED, first_at, None)
    return _End(outcome, outcome.state, outcome.reason, first_at, next_at)


def _mark_unsent(session: Session, lease: Lease, ends: Sequence[_End], *, revision: int) -> None:
    """One statement for all that ended alike, as they do when a server refuses everybody."""
    alike = defaultdict[tuple[DeliveryState, Reason, int | None], list[int]](list)
    for end in ends:
        alike[end.state, end.reason, end.code].append(end.outcome.subscriber_id)
    for (state, reason, code), ids in alike.items():
        changed(
            session,
            update(Delivery)
            .where(*waiting_in(lease), among(session, Delivery.subscriber_id, ids))
            .values(
                state=state,
                reason=reason,
                attempts=Delivery.attempts + 1,
                revision=revision,
                code=code,
            ),
        )


def _attempt_row(lease: Lease, end: _End, at: datetime) -> dict[str, Any]:
    reply = end.outcome.reply
    return {
        "edition_id": lease.edition_id,
        "subscriber_id": end.outcome.subscriber_id,
        "at": at,
        "lease_token": lease.token,
        "state": end.state,
        "reason": end.reason,
        "code": end.code,
        "enhanced": reply.enhanced if reply else None,
        "reply": reply.text[:LONGEST_REPLY_KEPT] if reply else "",
        "reply_class": classify(reply),
    }


def _defer(session: Session, edition_id: int, ends: Sequence[_End]) -> None:
    """Whoever was deferred before keeps the instant of the first try."""
    if not ends:
        return
    statement = upsert(session, Deferral)
    session.execute(
        statement.on_conflict_do_update(
            index_elements=["edition_id", "subscriber_id"],
            set_={"next_at": statement.excluded.next_at},
        ),
        [
            {
                "edition_id": edition_id,
                "subscriber_id": end.outcome.subscriber_id,
                "first_at": end.first_at,
                "next_at": end.next_at,
            }
            for end in ends
        ],
    )


_ANY_DEFERRAL = (
    select(Deferral.edition_id).where(Deferral.edition_id == bindparam("the_edition")).limit(1)
)


def _forget_deferrals(session: Session, edition_id: int, ids: Sequence[int]) -> None:
    if not ids:
        return
    found = session.connection().execute(_ANY_DEFERRAL, {"the_edition": edition_id})
    if found.first() is None:
        return  # as in most windows of most editions: one short look instead of many
    session.execute(
        delete(Deferral).where(
            Deferral.edition_id == edition_id, among(session, Deferral.subscriber_id, ids)
        )
    )


_COUNTED = ("sent", "deferred", "failed", "uncertain", "excluded")
_COUNT = (
    update(Batch)
    .where(Batch.edition_id == bindparam("the_edition"), Batch.number == bindparam("the_batch"))
    .values({name: getattr(Batch, name) + bindparam(f"more_{name}") for name in _COUNTED})
)


def _count(session: Session, lease: Lease, **changes: int) -> None:
    values = {f"more_{name}": changes.get(name, 0) for name in _COUNTED}
    values |= {"the_edition": lease.edition_id, "the_batch": lease.batch}
    session.connection().execute(_COUNT, values)
