from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.deliver.adaptive import Speed
from newsletter.deliver.meter import CROWDED_SECONDS, SLACK_SECONDS, Meter, Way
from newsletter.deliver.outcome import Reply
from newsletter.deliver.providers import Limit
from newsletter.plan.rates import Rate

ACCEPTED = Reply(250, "2.0.0", "Ok")
BUSY = Reply(450, "4.2.0", "Busy")
SLOW_DOWN = Reply(421, "4.7.0", "Too much")
LIMIT = Limit(10, Rate(10, "s"), 100)


def a_meter(*, share: float = 10.0, slots: int = 5, depth: int = 1) -> Meter:
    return Meter(
        "1:google",
        share,
        way=Way(1, "google", LIMIT),
        slots=slots,
        share=share,
        lapses_at=1e9,
        depth=depth,
    )


def admit(meter: Meter, now: float) -> bool:
    if meter.wait(now) > 0:
        return False
    meter.take(now)
    return True


def test_messages_go_out_evenly() -> None:
    meter = a_meter(share=10.0, slots=1000)

    went = [now / 100 for now in range(200) if admit(meter, now / 100)]

    assert len(went) == pytest.approx(20, abs=1)
    gaps = [later - earlier for earlier, later in pairwise(went)]
    assert min(gaps) > 0.08


@given(
    st.floats(0.5, 500),
    st.lists(st.floats(0, 0.3), min_size=1, max_size=300),
)
def test_r21_no_window_has_more_than_the_rate(share: float, pauses: list[float]) -> None:
    meter = a_meter(share=share, slots=100_000)
    now, went = 0.0, []

    for pause in pauses:
        now += pause
        if admit(meter, now):
            went.append(now)

    for index, start in enumerate(went):
        for position, end in enumerate(went[index:], 1):
            # One at the beginning of a window that is shorter than a pause, and the slack.
            assert position <= share * (end - start + SLACK_SECONDS) + 1.001


def test_r21_so_many_are_on_their_way_at_most() -> None:
    meter = a_meter(share=1000.0, slots=2)

    admitted = [admit(meter, 1.0 + number / 100) for number in range(3)]
    meter.leave(ACCEPTED)

    assert admitted == [True, True, False]
    assert admit(meter, 2.0)


def test_an_envelope_may_ride_behind_each_content() -> None:
    meter = a_meter(share=1000.0, slots=2, depth=2)

    assert [admit(meter, 1.0 + number / 100) for number in range(5)] == [True] * 4 + [False]
    assert meter.connections_used == 2


def test_without_a_lease_nothing_goes() -> None:
    lapsed, nothing, crowded = a_meter(), a_meter(share=0.0), a_meter(slots=0)
    lapsed.lapses_at = 5.0

    assert lapsed.wait(4.9) == 0
    assert lapsed.wait(5.0) == nothing.wait(0.0) == 1.0
    assert crowded.wait(0.0) == CROWDED_SECONDS


def test_a_greater_share_ends_a_long_wait() -> None:
    meter = a_meter(share=1 / 60)
    admit(meter, 100.0)
    assert meter.wait(101.0) == pytest.approx(59, abs=0.1)

    meter.share = 10.0

    assert meter.wait(101.0) == pytest.approx(0.1)
    assert meter.wait(101.1) == 0


def test_r22_fifty_accepted_in_a_row_are_a_step() -> None:
    meter = a_meter()

    for reply in [ACCEPTED] * 49 + [BUSY] + [ACCEPTED] * 99:
        meter.leave(reply)

    assert (meter.steps, meter.slowings) == (1, 0)


def test_r22_a_call_for_less_is_heard_and_a_permanent_refusal_teaches_nothing() -> None:
    meter = a_meter()

    for reply in [ACCEPTED] * 49 + [Reply(550, "5.1.1", "Nobody"), ACCEPTED, SLOW_DOWN]:
        meter.leave(reply)

    assert (meter.steps, meter.slowings) == (1, 1)


def test_whoever_was_not_settled_is_still_to_be_sent() -> None:
    meter = a_meter()
    meter.people = 2
    admit(meter, 1.0)

    meter.leave(None)

    assert (meter.people, meter.in_flight) == (2, 0)


def test_what_was_learnt_bounds_the_limits() -> None:
    meter = a_meter()

    meter.keep_to(Speed(3, 2.0))

    assert (meter.connections, meter.per_second) == (3, 2.0)
    assert not meter.is_full
    meter.keep_to(Speed(99, 99.0))
    assert (meter.connections, meter.per_second) == (10, 10.0)
    assert meter.is_full
