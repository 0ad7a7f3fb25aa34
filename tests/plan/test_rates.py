import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.errors import InputError
from newsletter.plan.rates import Rate


@pytest.mark.parametrize(
    ("text", "per_second"),
    [("100/s", 100), ("120/min", 2), ("1/min", 1 / 60), ("1800/h", 0.5), (" 86400 / d ", 1)],
)
def test_a_rate_is_a_number_for_a_time(text: str, per_second: float) -> None:
    assert Rate.parse(text).per_second == pytest.approx(per_second)


@pytest.mark.parametrize(
    "text", ["", "100", "0/s", "-1/s", "1.5/s", "100/week", "100/s/s", "many/s"]
)
def test_anything_else_is_no_rate(text: str) -> None:
    with pytest.raises(InputError, match="100/s"):
        Rate.parse(text)


@given(st.integers(1, 10**9 - 1), st.sampled_from(["s", "min", "h", "d"]))
def test_a_rate_reads_what_it_writes(messages: int, unit: str) -> None:
    rate = Rate(messages, unit)

    assert Rate.parse(str(rate)) == rate
