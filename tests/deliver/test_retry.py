import random
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.deliver.retry import JITTER, MAX_AGE, next_attempt

FIRST = datetime(2026, 11, 20, 7, tzinfo=UTC)


class Even(random.Random):
    """Adds no jitter."""

    def uniform(self, a: float, b: float) -> float:
        return (a + b) / 2


@pytest.mark.parametrize(
    ("attempts", "minutes"),
    [(1, 5), (2, 15), (3, 30), (4, 60), (5, 120), (6, 240), (7, 240), (40, 240)],
)
def test_the_waits_grow_to_four_hours(attempts: int, minutes: int) -> None:
    due = next_attempt(attempts, first_at=FIRST, now=FIRST, chance=Even())

    assert due == FIRST + timedelta(minutes=minutes)


@given(attempts=st.integers(1, 50), seed=st.integers(0, 2**32))
def test_jitter_stays_within_a_fifth(attempts: int, seed: int) -> None:
    even = next_attempt(attempts, first_at=FIRST, now=FIRST, chance=Even())
    due = next_attempt(attempts, first_at=FIRST, now=FIRST, chance=random.Random(seed))

    assert even is not None
    assert due is not None
    wait = even - FIRST
    assert wait * (1 - JITTER) <= due - FIRST <= wait * (1 + JITTER)


@pytest.mark.parametrize(
    ("age", "gives_up"),
    [
        (MAX_AGE - timedelta(seconds=1), False),
        (MAX_AGE, True),
        (MAX_AGE + timedelta(days=1), True),
    ],
)
def test_a_day_after_the_first_try_it_gives_up(age: timedelta, gives_up: bool) -> None:
    due = next_attempt(9, first_at=FIRST, now=FIRST + age, chance=random.Random(1))

    assert (due is None) is gives_up
