"""Holds: what is kept from being sent to or through, by whom, since when, and how it ends.

A row is never deleted: open holds are what every claim looks at, lifted ones are the history.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Engine, Update, func, or_, select, update
from sqlalchemy.orm import Session

from newsletter.addresses import mask_addresses
from newsletter.db import changed, insert_or_ignore, reading, transaction
from newsletter.errors import NotFoundError, StateError
from newsletter.models import (
    EVERY_TRANSPORT,
    Batch,
    Edition,
    EditionHealth,
    EditionState,
    Hold,
    HoldAction,
    HoldScope,
)
from newsletter.outbox import alarm_desk
from newsletter.plan import schedule
from newsletter.queue import Job, enqueue_after_commit

logger = logging.getLogger(__name__)

LONGEST_WORDS = 300
PROBE_WAITS = tuple(timedelta(seconds=seconds) for seconds in (30, 60, 120, 300, 600))
ALARM_AFTER = timedelta(minutes=5)
"""A transport that comes back sooner is nobody's business."""
FRESH = {"populate_existing": True}
"""Rows are changed by UPDATEs that the session's own copies know nothing of."""
BY_TIME = "its time was over"
BY_PROBE = "a probe went well"
BY_PAUSE = "the edition was paused"


@dataclass(frozen=True, slots=True)
class Trip:
    """A decision to hold something, with the numbers and words that led to it."""

    scope: HoldScope
    key: str
    rule: str
    reason: str
    transport_id: int = EVERY_TRANSPORT
    reply: str = ""
    lasts: timedelta | None = None
    """None: until a person lifts it or, for a transport, until a probe goes well."""
    action: HoldAction = HoldAction.SUSPEND
    value: str = ""


def hold(session: Session, trip: Trip, *, now: datetime) -> bool:
    """Begin to hold it; False when it is held already, which stays as it is."""
    _end_over(session, trip, now)
    opened = session.scalar(
        insert_or_ignore(session, Hold)
        .values(
            scope=trip.scope,
            key=trip.key,
            transport_id=trip.transport_id,
            action=trip.action,
            value=trip.value,
            rule=trip.rule,
            reason=trip.reason[:LONGEST_WORDS],
            reply=_clean(trip.reply),
            since=now,
            until=now + trip.lasts if trip.lasts else None,
            probe_at=now + PROBE_WAITS[0] if trip.scope is HoldScope.TRANSPORT else None,
            probes=0,
        )
        .returning(Hold.id)
    )
    if opened is None:
        return False
    logger.warning(
        "held",
        extra={"hold_id": opened, "scope": trip.scope.value, "key": trip.key, "rule": trip.rule},
    )
    if trip.scope is not HoldScope.TRANSPORT:
        _alarm(session, opened, trip.reason, now)
    return True


def open_holds(session: Session, *, now: datetime) -> Sequence[Hold]:
    opened = select(Hold).where(*_open(now)).order_by(Hold.id)
    return session.scalars(opened, execution_options=FRESH).all()


def lift(session: Session, hold_id: int, *, by: str, now: datetime) -> Hold:
    """End a hold by a person's word. Raises `NotFoundError`, `StateError` when it is over."""
    found = session.get(Hold, hold_id)
    if found is None:
        raise NotFoundError(
            "There is no hold {number}; see: newsletter transport status", number=hold_id
        )
    if not changed(session, _lifting(by, now).where(Hold.id == hold_id, *_open(now))):
        raise StateError("Hold {number} is over already.", number=hold_id)
    session.refresh(found)
    enqueue_after_commit(session, Job.PUMP)
    return found


def hold_transport(session: Session, transport_id: int, *, by: str, now: datetime) -> bool:
    """Let nothing through until a person lifts it: nobody probes. False: that is so already."""
    changed(session, _lifting(by, now).where(*_of_transport(transport_id), *_open(now)))
    trip = Trip(HoldScope.TRANSPORT, str(transport_id), "by hand", f"Held by {by}.", transport_id)
    if not hold(session, trip, now=now):
        return False
    session.execute(
        update(Hold).where(*_of_transport(transport_id), *_open(now)).values(probe_at=None)
    )
    return True


def lift_transport(session: Session, transport_id: int, *, by: str, now: datetime) -> bool:
    """Let mail through again at once. False: nothing held it."""
    enqueue_after_commit(session, Job.PUMP)
    lifted = changed(session, _lifting(by, now).where(*_of_transport(transport_id), *_open(now)))
    return bool(lifted)


def probe_soon(session: Session, transport_id: int, *, now: datetime) -> None:
    """The transport was changed: whoever waits for its next probe need not."""
    session.execute(
        update(Hold)
        .where(*_of_transport(transport_id), *_open(now), Hold.probe_at.is_not(None))
        .values(probe_at=now, probing_until=None)
    )


def begin_probe(session: Session, transport_id: int, *, now: datetime, lasts: timedelta) -> bool:
    """Be the one process that tries the transport. False: another one is, or it is too early."""
    return bool(
        changed(
            session,
            update(Hold)
            .where(
                *_of_transport(transport_id),
                *_open(now),
                Hold.probe_at <= now,
                or_(Hold.probing_until.is_(None), Hold.probing_until <= now),
            )
            .values(probing_until=now + lasts),
        )
    )


def end_probe(
    session: Session, transport_id: int, *, went_well: bool | None, now: datetime
) -> None:
    """Lift the hold, or wait longer before the next probe; None: nothing was learnt."""
    its = (*_of_transport(transport_id), *_open(now), Hold.probe_at.is_not(None))
    if went_well:
        changed(session, _lifting(BY_PROBE, now).where(*its))
        return
    its_row = select(Hold).where(*its).with_for_update()
    found = session.scalar(its_row, execution_options=FRESH)
    if found is None:
        return
    found.probing_until = None
    if went_well is None:
        return
    found.probes += 1
    found.probe_at = now + PROBE_WAITS[min(found.probes, len(PROBE_WAITS) - 1)]
    if now - found.since >= ALARM_AFTER:
        _alarm(session, found.id, found.reason, now)


def pause_held_editions(engine: Engine, *, now: datetime) -> None:
    """Pause the editions that a breaker holds; resuming them is a person's decision.

    A transaction of its own for each: whoever records holds a batch, and whoever pauses an edition
    needs its row, which others hold while they wait for batches.
    """
    with reading(engine) as session:
        holds = session.execute(
            select(Hold.id, Hold.key).where(Hold.scope == HoldScope.EDITION, *_open(now))
        ).all()
    for hold_id, edition_id in holds:
        with transaction(engine) as session:
            _pause(session, hold_id, int(edition_id), now)


def _pause(session: Session, hold_id: int, edition_id: int, now: datetime) -> None:
    edition = session.get(Edition, edition_id)
    if edition is not None and edition.state is EditionState.SENDING:
        schedule.pause(session, edition_id)
    if not changed(session, _lifting(BY_PAUSE, now).where(Hold.id == hold_id, *_open(now))):
        return
    # After it is resumed it is judged by what it meets with from then on.
    session.execute(
        update(EditionHealth)
        .where(EditionHealth.edition_id == edition_id)
        .values(hard=0, unsendable=0, tried_before=tried(session, edition_id))
    )


def tried(session: Session, edition_id: int) -> int:
    """How many people of the edition have been tried."""
    counted = Batch.sent + Batch.deferred + Batch.failed + Batch.uncertain
    return session.scalar(select(func.sum(counted)).where(Batch.edition_id == edition_id)) or 0


def times_held(session: Session, trip: Trip, *, since: datetime) -> int:
    """How often the same thing was held for the same rule since then."""
    return (
        session.scalar(
            select(func.count()).where(
                Hold.scope == trip.scope,
                Hold.key == trip.key,
                Hold.transport_id == trip.transport_id,
                Hold.rule == trip.rule,
                Hold.since > since,
            )
        )
        or 0
    )


def last_held(
    session: Session, scope: HoldScope, key: str, *, transport_id: int = EVERY_TRANSPORT
) -> datetime | None:
    """When it was last held, or let go; what was counted before then has had its effect."""
    last = session.scalars(
        select(Hold)
        .where(Hold.scope == scope, Hold.key == key, Hold.transport_id == transport_id)
        .order_by(Hold.id.desc())
        .limit(1)
    ).one_or_none()
    return None if last is None else last.lifted_at or last.since


def _alarm(session: Session, hold_id: int, reason: str, now: datetime) -> None:
    alarm_desk(
        session,
        "Sending is held up",
        f"{reason}\n\nSee: newsletter transport status",
        dedupe=f"hold:{hold_id}",
        now=now,
    )


def _clean(reply: str) -> str:
    """Shown to people: no addresses, no control characters, and no more than fits."""
    printable = "".join(sign if sign.isprintable() else " " for sign in reply)
    return mask_addresses(printable)[:LONGEST_WORDS]


def _end_over(session: Session, trip: Trip, now: datetime) -> None:
    session.execute(
        update(Hold)
        .where(
            Hold.scope == trip.scope,
            Hold.key == trip.key,
            Hold.transport_id == trip.transport_id,
            Hold.action == trip.action,
            Hold.lifted_at.is_(None),
            Hold.until <= now,
        )
        .values(lifted_at=Hold.until, lifted_by=BY_TIME)
        .execution_options(synchronize_session=False)
    )


def _open(now: datetime) -> tuple[ColumnElement[bool], ...]:
    return (Hold.lifted_at.is_(None), or_(Hold.until.is_(None), Hold.until > now))


def _of_transport(transport_id: int) -> tuple[ColumnElement[bool], ...]:
    return (Hold.scope == HoldScope.TRANSPORT, Hold.key == str(transport_id))


def _lifting(by: str, now: datetime) -> Update:
    return update(Hold).values(lifted_at=now, lifted_by=by)
