"""Decides when a deferred delivery is tried again."""

import random
from datetime import datetime, timedelta

# A greylisting server wants the second try within minutes, a full mailbox has hours.
DELAYS = tuple(timedelta(minutes=minutes) for minutes in (5, 15, 30, 60, 120, 240))
JITTER = 0.2
MAX_AGE = timedelta(hours=24)


def next_attempt(
    attempts: int, *, first_at: datetime, now: datetime, chance: random.Random
) -> datetime | None:
    """When to try again after `attempts` tries, the first of them at `first_at`; None: give up."""
    if now - first_at >= MAX_AGE:
        return None
    delay = DELAYS[min(attempts, len(DELAYS)) - 1]
    return now + delay * (1 + chance.uniform(-JITTER, JITTER))
