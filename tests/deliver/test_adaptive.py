from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine

from newsletter.db import reading, transaction
from newsletter.deliver.adaptive import (
    ONE_SLOWING,
    Speed,
    adapt,
    asks_for_less,
    first_speed,
    learn,
    speeds,
    within,
)
from newsletter.deliver.outcome import Reply
from newsletter.deliver.providers import Limit
from newsletter.plan.rates import Rate
from tests.newsroom import add_transport

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
LIMIT = Limit(connections=10, rate=Rate(100, "s"), messages_per_connection=100)


def more(speed: Speed, *, steps: int = 1, limit: Limit = LIMIT) -> Speed:
    return adapt(speed, limit, steps=steps, is_slowed=False, now=NOON)


def less(speed: Speed, *, at: datetime = NOON) -> Speed:
    return adapt(speed, LIMIT, steps=0, is_slowed=True, now=at)


@pytest.mark.parametrize(("limit", "connections"), [(1, 1), (5, 5), (10, 5), (25, 5)])
def test_r22_a_provider_is_begun_with_five_connections_at_most(
    limit: int, connections: int
) -> None:
    assert first_speed(Limit(limit, Rate(100, "s"), 100)).connections == connections


def test_r22_each_step_adds_a_connection_up_to_the_limit() -> None:
    speed = first_speed(LIMIT)

    reached = [more(speed, steps=steps).connections for steps in (1, 2, 5, 6, 100)]

    assert reached == [6, 7, 10, 10, 10]


def test_r22_a_call_for_less_halves() -> None:
    speed = less(Speed(10, 100.0))

    assert (speed.connections, speed.rate) == (5, 50.0)


def test_r22_there_is_always_one_connection_and_one_message_a_minute() -> None:
    speed, at = Speed(10, 100.0), NOON
    for _ in range(50):
        speed = less(speed, at=at)
        at += ONE_SLOWING

    assert speed.connections == 1
    assert speed.rate == pytest.approx(1 / 60)


def test_r22_what_all_connections_say_at_once_counts_once() -> None:
    once = less(Speed(8, 100.0))

    assert less(once, at=NOON + ONE_SLOWING / 2) == once
    assert less(once, at=NOON + ONE_SLOWING).connections == 2


def test_r22_a_provider_that_was_very_slow_is_probed_gently() -> None:
    rates = [more(Speed(1, 1 / 60), steps=steps).rate for steps in (1, 2, 3)]

    assert rates == pytest.approx([2 / 60, 4 / 60, 8 / 60])
    assert more(Speed(1, 50.0)).rate == 60.0


@given(st.lists(st.integers(0, 30) | st.none(), max_size=50), st.integers(1, 30))
def test_r22_a_speed_never_leaves_its_bounds(story: list[int | None], connections: int) -> None:
    limit = Limit(connections, Rate(30, "min"), 100)
    speed, at = first_speed(limit), NOON

    for steps in story:
        at += ONE_SLOWING
        speed = adapt(speed, limit, steps=steps or 0, is_slowed=steps is None, now=at)

        assert 1 <= speed.connections <= connections
        assert 1 / 60 <= speed.rate <= 0.5


def test_a_limit_that_was_lowered_counts_at_once() -> None:
    assert within(Speed(10, 100.0), Limit(2, Rate(60, "min"), 10)) == Speed(2, 1.0)


@pytest.mark.parametrize(
    ("code", "enhanced", "text", "is_so"),
    [
        (421, None, "Too many connections", True),
        (421, "4.3.0", "Closing", True),
        (450, "4.7.1", "Rate limited, slow down", True),
        (451, "4.7.650", "The mail server has been temporarily rate limited", True),
        (450, "4.7.1", "Greylisted, try again in 300 seconds", False),
        (451, "4.7.1", "Graylisting in action", False),
        (452, "4.2.2", "Mailbox full", False),
        (450, None, "Busy", False),
        (550, "5.7.1", "Blocked", False),
    ],
)
def test_r22_which_replies_ask_for_less(
    code: int, enhanced: str | None, text: str, *, is_so: bool
) -> None:
    assert asks_for_less(Reply(code, enhanced, text)) is is_so


def test_r22_what_was_learnt_is_known_to_all_and_outlives_them(engine: Engine) -> None:
    transport_id = add_transport(engine, 25)

    def learnt(key: str, *, steps: int = 0, is_slowed: bool = False, minutes: int = 0) -> Speed:
        now = NOON + timedelta(minutes=minutes)
        with transaction(engine) as session:
            return learn(
                session, transport_id, key, limit=LIMIT, steps=steps, is_slowed=is_slowed, now=now
            )

    learnt("google", steps=2)
    learnt("google", steps=1)
    learnt("yahoo", is_slowed=True)
    learnt("yahoo", is_slowed=True, minutes=1)

    with reading(engine) as session:
        known = speeds(session, transport_id, ["google", "yahoo", "other"])
    assert {key: speed.connections for key, speed in known.items()} == {"google": 8, "yahoo": 1}
    assert known["yahoo"].rate == 25.0
