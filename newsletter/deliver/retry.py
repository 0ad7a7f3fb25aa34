"""Decides when a deferred delivery is tried again."""

import random
from datetime import datetime, timedelta

# RFC 5321 section 4.5.4.1 wants two tries in the first hour; a full mailbox has hours.
DELAYS = tuple(timedelta(minutes=minutes) for minutes in (5, 15, 30, 60, 120, 240))
JITTER = 0.2
GREYLISTED = (timedelta(minutes=5), timedelta(minutes=15))
"""When to come back to a server that turns every stranger away once."""
GREYLISTED_TRIES = 3
"""Who is still a stranger after so many tries is being refused for another reason."""


def next_attempt(
    attempts: int,
    *,
    first_at: datetime,
    now: datetime,
    max_age: timedelta,
    chance: random.Random,
    is_greylisted: bool = False,
) -> datetime | None:
    """When to try again after `attempts` tries, the first of them at `first_at`; None: give up.

    Nobody is given up before `max_age` has passed, and nobody is tried after it.
    """
    ends = first_at + max_age
    if now >= ends:
        return None
    if is_greylisted and attempts <= GREYLISTED_TRIES:
        soonest, latest = GREYLISTED
        return now + soonest + (latest - soonest) * chance.random()
    delay = DELAYS[min(attempts, len(DELAYS)) - 1]
    return now + delay * (1 + chance.uniform(-JITTER, JITTER))
