from collections import Counter
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from newsletter.deliver.routing import (
    Limited,
    Obstacles,
    choose,
    may_carry,
    obstacles_of,
    probes,
)
from newsletter.models import Hold, HoldAction, HoldScope
from newsletter.plan.rates import Rate
from tests.newsroom import MORNING

ROUTE = 3
FREE = Obstacles()


def chosen(
    choice: dict[int, int], obstacles: Obstacles = FREE, *, stays_with: int | None = None
) -> Counter[int | None]:
    """How often each transport is chosen over a thousand batches."""
    return Counter(
        choose(choice, ROUTE, obstacles, stays_with=stays_with, draw=f"1:{number}:0")
        for number in range(1000)
    )


def held(scope: HoldScope, key: str, **values: object) -> Hold:
    fields: dict[str, object] = {"transport_id": 0, "action": HoldAction.SUSPEND} | values
    return Hold(scope=scope, key=key, since=MORNING, **fields)


def test_batches_are_shared_out_by_weight() -> None:
    counts = chosen({1: 1, 2: 3})

    assert 200 < counts[1] < 300
    assert counts[1] + counts[2] == 1000


def test_a_transport_without_weight_is_used_only_while_the_others_are_down() -> None:
    choice = {1: 1, 2: 0}

    assert set(chosen(choice)) == {1}
    assert set(chosen(choice, Obstacles(down=frozenset({1})))) == {2}


@given(draw=st.text(), weights=st.dictionaries(st.integers(1, 9), st.integers(0, 5), min_size=1))
def test_the_same_batch_always_draws_the_same_transport(draw: str, weights: dict[int, int]) -> None:
    first = choose(weights, ROUTE, FREE, stays_with=None, draw=draw)

    assert first in weights
    assert choose(weights, ROUTE, FREE, stays_with=None, draw=draw) == first


def test_r03_a_batch_stays_with_its_transport_unless_that_is_down() -> None:
    choice = {1: 1, 2: 1000}

    assert set(chosen(choice, stays_with=1)) == {1}
    assert set(chosen(choice, Obstacles(down=frozenset({1})), stays_with=1)) == {2}


def test_r44_a_route_that_one_transport_is_held_for_goes_through_the_other() -> None:
    obstacles = Obstacles(routes=frozenset({(1, ROUTE)}))

    assert set(chosen({1: 1, 2: 1}, obstacles)) == {2}
    assert not may_carry({1: 1}, ROUTE, obstacles)
    assert may_carry({1: 1}, ROUTE + 1, obstacles)


def test_r43_nothing_is_claimed_while_every_transport_is_down_until_a_probe_is_due() -> None:
    waiting = held(
        HoldScope.TRANSPORT, "1", transport_id=1, probe_at=MORNING + timedelta(seconds=30)
    )

    early = obstacles_of([waiting], now=MORNING)
    due = obstacles_of([waiting], now=MORNING + timedelta(seconds=30))

    assert not may_carry({1: 1}, ROUTE, early)
    assert may_carry({1: 1}, ROUTE, due)
    assert list(probes({1: 1, 2: 1}, due)) == [1]
    assert choose({1: 1}, ROUTE, due, stays_with=None, draw="") is None


def test_r43_a_probe_under_way_is_nobody_elses() -> None:
    later = MORNING + timedelta(minutes=1)
    probed = held(HoldScope.TRANSPORT, "1", transport_id=1, probe_at=MORNING, probing_until=later)

    assert not obstacles_of([probed], now=MORNING).probes_due
    assert obstacles_of([probed], now=later).probes_due == {1}


def test_each_kind_of_hold_is_an_obstacle_of_its_own_kind() -> None:
    holds = [
        held(HoldScope.ROUTE, "3", transport_id=1),
        held(HoldScope.SENDER_DOMAIN, "harbour.example"),
        held(HoldScope.RECIPIENT_DOMAIN, "12"),
        held(HoldScope.EDITION, "7"),
        held(HoldScope.ROUTE, "4", transport_id=1, action=HoldAction.RATE, value="10/min"),
        held(HoldScope.ROUTE, "4", transport_id=1, action=HoldAction.CONNECTIONS, value="2"),
    ]

    obstacles = obstacles_of(holds, now=MORNING)

    assert obstacles.routes == {(1, 3)}
    assert obstacles.sender_domains == {"harbour.example"}
    assert obstacles.recipient_domains == {12}
    assert obstacles.editions == {7}
    assert obstacles.limit(1, 4) == Limited(connections=2, rate=Rate(10, "min"))
    assert obstacles.limit(1, 3) == Limited()
