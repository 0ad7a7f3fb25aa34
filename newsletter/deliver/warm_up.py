"""Warm-up: a transport that nobody knows yet begins with little mail to each provider and grows daily.

A day's cap is fixed when the day's first batch is claimed, from how the last day in use went; what
a claim takes of it is reserved in the claim's own transaction, so that all workers together stay
within it. The people beyond the cap wait for the next day.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from sqlalchemy import ColumnElement, delete, exists, func, or_, select, update
from sqlalchemy.orm import Session

from newsletter.db import changed, insert_or_ignore
from newsletter.errors import InputError, StateError
from newsletter.models import (
    Batch,
    BatchState,
    Delivery,
    DeliveryState,
    Edition,
    EditionState,
    EditionTransport,
    Subscriber,
    Suppression,
    SuppressionReason,
    WarmUp,
    WarmUpDay,
)

FIRST_CAP = 100
GROWTH = 1.5
FULL_CAP = 50_000
MOST_GROWTH = 100
MOST_DEFERRED = 0.05
MOST_COMPLAINTS = 0.0005
LONG_UNUSED = timedelta(days=30)
COMPLAINTS_COME_WITHIN = timedelta(days=7)
AFTER_LONG_UNUSED = 0.25


@dataclass(frozen=True, slots=True)
class Plan:
    first_cap: int = FIRST_CAP
    growth: float = GROWTH
    full_cap: int = FULL_CAP


@dataclass(frozen=True, slots=True)
class Day:
    """How a day in use went; `cap` None: the provider was warm."""

    day: date
    cap: int | None
    tried: int
    deferred: int = 0
    blocked: int = 0
    complaints: int = 0


def cap_on(today: date, plan: Plan, last: Day | None) -> int | None:
    """The day's cap for a provider whose last day in use was `last`; None: it is warm."""
    if last is None:
        return plan.first_cap
    level = plan.full_cap if last.cap is None else last.cap
    if today - last.day >= LONG_UNUSED:
        return max(plan.first_cap, int(level * AFTER_LONG_UNUSED))
    if last.blocked:
        return max(plan.first_cap, int(level / plan.growth))
    if _was_bad(last):
        return last.cap
    if level >= plan.full_cap:
        return None
    return min(plan.full_cap, int(level * plan.growth))


def _was_bad(day: Day) -> bool:
    return day.deferred > MOST_DEFERRED * day.tried or day.complaints > MOST_COMPLAINTS * day.tried


def caps(plan: Plan) -> list[int]:
    """The caps of a warm-up that goes well, day by day; behind the last there is none."""
    found = [plan.first_cap]
    while found[-1] < plan.full_cap:
        found.append(min(plan.full_cap, int(found[-1] * plan.growth)))
    return found


def days_needed(people: int, plan: Plan, *, cap: int | None, left_today: int) -> int:
    """How many days after today the last of `people` can go, if every day goes well.

    `cap` is today's, and `left_today` what is left of it.
    """
    waiting, days = people - left_today, 0
    while waiting > 0 and cap is not None:
        cap = None if cap >= plan.full_cap else min(plan.full_cap, int(cap * plan.growth))
        waiting -= waiting if cap is None else cap
        days += 1
    return days


def next_day(now: datetime) -> datetime:
    """When the caps of today give way to those of tomorrow."""
    return datetime.combine(now.astimezone(UTC).date() + timedelta(days=1), time(), tzinfo=UTC)


def start(session: Session, transport_id: int, plan: Plan, *, now: datetime) -> None:
    """Begin to warm a transport up, or go on by another plan from where it stands."""
    if not 1 <= plan.first_cap <= plan.full_cap:
        raise InputError(
            "The first cap must be 1 to the full cap, {full_cap}.", full_cap=plan.full_cap
        )
    # Whole people: ten times 1.05 is ten.
    if not 1 < plan.growth <= MOST_GROWTH or int(plan.first_cap * plan.growth) == plan.first_cap:
        raise InputError(
            "With a growth of {growth:g} a cap of {first_cap} would never grow; choose "
            "more than 1, up to {most}.",
            growth=plan.growth,
            first_cap=plan.first_cap,
            most=MOST_GROWTH,
        )
    row = session.get(WarmUp, transport_id)
    if row is None:
        row = WarmUp(transport_id=transport_id, started_at=now)
        session.add(row)
    row.first_cap, row.growth, row.full_cap = plan.first_cap, plan.growth, plan.full_cap
    session.flush()


def stop(session: Session, transport_id: int) -> None:
    """Warm or not: no caps any more. Raises `StateError` when there were none."""
    session.execute(delete(WarmUpDay).where(WarmUpDay.transport_id == transport_id))
    if not changed(session, delete(WarmUp).where(WarmUp.transport_id == transport_id)):
        raise StateError("This transport is not being warmed up.")


def reserve(session: Session, transport_id: int, route: int, wanted: int, *, now: datetime) -> int:
    """Take so many messages of the day's cap; returns how many there were, `wanted` at most.

    To be called in the transaction of the claim.
    """
    plan = session.get(WarmUp, transport_id)
    if plan is None:
        return wanted
    today = _today(session, plan, route, now)
    allowed = wanted if today.cap is None else max(0, min(wanted, today.cap - today.reserved))
    today.reserved += allowed
    session.flush()
    return allowed


def give_back(
    session: Session, transport_id: int, route: int, unused: int, *, reserved_at: datetime
) -> None:
    """Return what was reserved at `reserved_at` for people who were not tried after all."""
    session.execute(
        update(WarmUpDay)
        .where(*_of(transport_id, route), WarmUpDay.day == reserved_at.astimezone(UTC).date())
        .values(reserved=WarmUpDay.reserved - unused)
    )


def exhausted(session: Session, *, now: datetime) -> frozenset[tuple[int, int]]:
    """The transports, each with a route, that have nothing left today."""
    rows = session.execute(
        select(WarmUpDay.transport_id, WarmUpDay.route).where(
            WarmUpDay.day == now.astimezone(UTC).date(), WarmUpDay.reserved >= WarmUpDay.cap
        )
    )
    return frozenset((transport_id, route) for transport_id, route in rows)


def observe(
    session: Session,
    transport_id: int,
    route: int,
    *,
    tried: int,
    deferred: int,
    blocked: int,
    now: datetime,
) -> None:
    """Count how tries went, for tomorrow's cap; a no-op for a transport that is not warmed up."""
    session.execute(
        update(WarmUpDay)
        .where(*_of(transport_id, route), WarmUpDay.day == now.astimezone(UTC).date())
        .values(
            tried=WarmUpDay.tried + tried,
            deferred=WarmUpDay.deferred + deferred,
            blocked=WarmUpDay.blocked + blocked,
        )
    )


@dataclass(frozen=True, slots=True)
class Progress:
    """How a provider's warm-up stands."""

    route: int
    cap: int | None
    reserved: int
    waiting: int
    ends_on: date | None
    """When the last of those who wait can go; None: nobody waits."""


def progress(session: Session, transport_id: int, *, now: datetime) -> list[Progress]:
    """Raises `StateError` when the transport is not being warmed up."""
    row = session.get(WarmUp, transport_id)
    if row is None:
        raise StateError("This transport is not being warmed up.")
    plan, today = _plan_of(row), now.astimezone(UTC).date()
    waiting = _waiting(session, transport_id)
    used = session.scalars(
        select(WarmUpDay.route).where(WarmUpDay.transport_id == transport_id).distinct()
    )
    found = []
    for route in sorted({*waiting, *used}):
        begun = session.get(WarmUpDay, (transport_id, route, today))
        if begun is not None:
            cap, reserved = begun.cap, begun.reserved
        else:
            last = _last_in_use(session, transport_id, route, today)
            cap, reserved = cap_on(today, plan, _went(last)), 0
        people = waiting.get(route, 0)
        left = people if cap is None else cap - reserved
        days = days_needed(people, plan, cap=cap, left_today=left)
        ends_on = today + timedelta(days=days) if people else None
        found.append(Progress(route, cap, reserved, people, ends_on))
    return found


def _today(session: Session, plan: WarmUp, route: int, now: datetime) -> WarmUpDay:
    """Today's row, locked; made if this is the day's first claim."""
    day = now.astimezone(UTC).date()
    key = (plan.transport_id, route, day)
    if session.get(WarmUpDay, key) is None:
        last = _last_in_use(session, plan.transport_id, route, day)
        if last is not None:
            last.complaints = _complaints(session, last)
        session.execute(
            insert_or_ignore(session, WarmUpDay).values(
                transport_id=plan.transport_id,
                route=route,
                day=day,
                cap=cap_on(day, _plan_of(plan), _went(last)),
                **dict.fromkeys(("reserved", "tried", "deferred", "blocked", "complaints"), 0),
            )
        )
    return session.get_one(WarmUpDay, key, with_for_update=True, populate_existing=True)


def _last_in_use(session: Session, transport_id: int, route: int, day: date) -> WarmUpDay | None:
    """The newest day before `day` on which something was sent."""
    return session.scalar(
        select(WarmUpDay)
        .where(*_of(transport_id, route), WarmUpDay.day < day, WarmUpDay.reserved > 0)
        .order_by(WarmUpDay.day.desc())
        .limit(1)
    )


def _complaints(session: Session, day: WarmUpDay) -> int:
    """Who has complained since that day began, of those who were mailed this way lately.

    A complaint comes hours or days after its mail, so that it counts against the last day in use,
    whichever edition it is about. Whoever is erased by now is not found any more.
    """
    begin = datetime.combine(day.day, time(), tzinfo=UTC)
    lately = begin - COMPLAINTS_COME_WITHIN
    complainers = session.scalars(
        select(Subscriber.id)
        .join(Suppression, Suppression.address_hash == Subscriber.address_hash)
        .where(Suppression.reason == SuppressionReason.COMPLAINED, Suppression.created_at >= begin)
        .distinct()
    ).all()
    if not complainers:
        return 0
    editions = select(Edition.id).where(
        or_(Edition.finished_at.is_(None), Edition.finished_at > lately)
    )
    counted = session.scalar(
        select(func.count(Delivery.subscriber_id.distinct()))
        .join(Batch, (Batch.edition_id == Delivery.edition_id) & (Batch.number == Delivery.batch))
        .where(
            Delivery.edition_id.in_(session.scalars(editions).all()),
            Delivery.subscriber_id.in_(complainers),
            Delivery.state == DeliveryState.SENT,
            Delivery.sent_at > lately,
            Batch.transport_id == day.transport_id,
            Batch.route == day.route,
        )
    )
    return counted or 0


def _went(row: WarmUpDay | None) -> Day | None:
    if row is None:
        return None
    return Day(row.day, row.cap, row.tried, row.deferred, row.blocked, row.complaints)


def _plan_of(row: WarmUp) -> Plan:
    return Plan(row.first_cap, row.growth, row.full_cap)


def _of(transport_id: int, route: int) -> tuple[ColumnElement[bool], ...]:
    return WarmUpDay.transport_id == transport_id, WarmUpDay.route == route


def _waiting(session: Session, transport_id: int) -> dict[int, int]:
    """How many people of each route wait for an edition that may go through this transport."""
    settled = (
        Batch.sent
        + Batch.deferred
        + Batch.failed
        + Batch.uncertain
        + Batch.excluded
        + Batch.cancelled
    )
    may_use_it = exists().where(
        EditionTransport.edition_id == Batch.edition_id,
        EditionTransport.transport_id == transport_id,
    )
    rows = session.execute(
        select(Batch.route, func.sum(Batch.people - settled))
        .join(Edition, Edition.id == Batch.edition_id)
        .where(
            Batch.state != BatchState.DONE,
            Edition.state == EditionState.SENDING,
            or_(Batch.transport_id == transport_id, Batch.transport_id.is_(None) & may_use_it),
        )
        .group_by(Batch.route)
    )
    return {route: int(people) for route, people in rows if people}
