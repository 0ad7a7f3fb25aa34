import random
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.deliver.retry import GREYLISTED, GREYLISTED_TRIES, JITTER, next_attempt

FIRST = datetime(2026, 11, 20, 7, tzinfo=UTC)
DAY = timedelta(hours=24)


class Even(random.Random):
    """Adds no jitter."""

    def uniform(self, a: float, b: float) -> float:
        return (a + b) / 2


def after(attempts: int, chance: random.Random) -> timedelta:
    due = next_attempt(attempts, first_at=FIRST, now=FIRST, max_age=DAY, chance=chance)
    assert due is not None
    return due - FIRST


@pytest.mark.parametrize(
    ("attempts", "minutes"),
    [(1, 5), (2, 15), (3, 30), (4, 60), (5, 120), (6, 240), (7, 240), (40, 240)],
)
def test_r02_the_waits_grow_to_four_hours(attempts: int, minutes: int) -> None:
    assert after(attempts, Even()) == timedelta(minutes=minutes)


@given(attempts=st.integers(1, 50), seed=st.integers(0, 2**32))
def test_r02_jitter_stays_within_a_fifth(attempts: int, seed: int) -> None:
    wait = after(attempts, Even())

    drawn = after(attempts, random.Random(seed))

    assert wait * (1 - JITTER) <= drawn <= wait * (1 + JITTER)


@given(attempts=st.integers(1, GREYLISTED_TRIES), seed=st.integers(0, 2**32))
def test_r03_a_greylisting_server_is_asked_again_within_five_to_fifteen_minutes(
    attempts: int, seed: int
) -> None:
    due = next_attempt(
        attempts,
        first_at=FIRST,
        now=FIRST,
        max_age=DAY,
        chance=random.Random(seed),
        is_greylisted=True,
    )

    assert due is not None
    assert GREYLISTED[0] <= due - FIRST <= GREYLISTED[1]


def test_r03_who_greylists_for_ever_is_a_server_like_any_other() -> None:
    due = next_attempt(
        GREYLISTED_TRIES + 1,
        first_at=FIRST,
        now=FIRST,
        max_age=DAY,
        chance=Even(),
        is_greylisted=True,
    )

    assert due == FIRST + timedelta(hours=1)


@pytest.mark.parametrize("max_age", [timedelta(hours=1), DAY, timedelta(days=5)])
@pytest.mark.parametrize(
    ("since", "gives_up"),
    [(timedelta(seconds=-1), False), (timedelta(0), True), (timedelta(days=1), True)],
)
def test_r02_it_gives_up_when_the_greatest_age_is_reached(
    max_age: timedelta, since: timedelta, gives_up: bool
) -> None:
    due = next_attempt(
        9, first_at=FIRST, now=FIRST + max_age + since, max_age=max_age, chance=random.Random(1)
    )

    assert (due is None) is gives_up
