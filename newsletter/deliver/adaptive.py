"""How fast a provider may be mailed at this moment: more as long as it accepts, half when it asks for
less (additive increase, multiplicative decrease).

What was learnt is a row, the same for all workers, so that it outlives every one of them and Redis.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from newsletter.db import insert_or_ignore
from newsletter.deliver.outcome import Reply
from newsletter.deliver.providers import Limit
from newsletter.models import Pace

FIRST_CONNECTIONS = 5
ACCEPTED_A_STEP = 50
FEWEST_CONNECTIONS = 1
LOWEST_RATE = 1 / 60
STEPS_OF_RATE = 10
ONE_SLOWING = timedelta(seconds=10)
"""Replies that ask for less come from all connections at once, and mean it once."""


@dataclass(frozen=True, slots=True)
class Speed:
    """`rate` is in messages a second; `slowed_at` is when the provider last asked for less."""

    connections: int
    rate: float
    slowed_at: datetime | None = None


def first_speed(limit: Limit) -> Speed:
    return Speed(min(FIRST_CONNECTIONS, limit.connections), limit.rate.per_second)


def within(speed: Speed, limit: Limit) -> Speed:
    """What was learnt under another limit, brought down to this one."""
    return Speed(
        min(speed.connections, limit.connections),
        min(speed.rate, limit.rate.per_second),
        speed.slowed_at,
    )


def adapt(speed: Speed, limit: Limit, *, steps: int, is_slowed: bool, now: datetime) -> Speed:
    """The speed after so many times 50 accepted messages in a row, or after a call for less."""
    if is_slowed:
        return _slower(speed, now)
    for _ in range(steps):
        speed = _faster(speed, limit)
    return speed


def _slower(speed: Speed, now: datetime) -> Speed:
    if speed.slowed_at is not None and now - speed.slowed_at < ONE_SLOWING:
        return speed
    return Speed(
        max(FEWEST_CONNECTIONS, speed.connections // 2),
        max(LOWEST_RATE, speed.rate / 2),
        slowed_at=now,
    )


def _faster(speed: Speed, limit: Limit) -> Speed:
    full = limit.rate.per_second
    # From a message a minute to ten a second in one step would be no probing.
    rate = min(full, speed.rate * 2, speed.rate + full / STEPS_OF_RATE)
    return Speed(min(limit.connections, speed.connections + 1), rate, speed.slowed_at)


def asks_for_less(reply: Reply) -> bool:
    """421, or a 4.7.x that is not about greylisting, which says nothing about how fast we are."""
    if reply.code == 421:
        return True
    is_policy = reply.enhanced is not None and reply.enhanced.startswith("4.7.")
    return is_policy and "greylist" not in reply.text.lower().replace("gray", "grey")


def speeds(session: Session, transport_id: int, keys: Collection[str]) -> dict[str, Speed]:
    """What was learnt about these keys; those that are missing are begun with carefully."""
    rows = session.scalars(
        select(Pace).where(Pace.transport_id == transport_id, Pace.key.in_(keys))
    )
    return {row.key: _speed(row) for row in rows}


def learn(
    session: Session,
    transport_id: int,
    key: str,
    *,
    limit: Limit,
    steps: int,
    is_slowed: bool,
    now: datetime,
) -> Speed:
    """Change what is known about a key by what this process has seen; returns what all know now."""
    beginning = first_speed(limit)
    session.execute(
        insert_or_ignore(session, Pace).values(
            transport_id=transport_id,
            key=key,
            connections=beginning.connections,
            rate=beginning.rate,
            changed_at=now,
        )
    )
    row = session.get_one(Pace, (transport_id, key), with_for_update=True)
    known = within(_speed(row), limit)
    speed = adapt(known, limit, steps=steps, is_slowed=is_slowed, now=now)
    row.connections, row.rate, row.slowed_at = speed.connections, speed.rate, speed.slowed_at
    row.changed_at = now
    return speed


def _speed(row: Pace) -> Speed:
    return Speed(row.connections, row.rate, row.slowed_at)
