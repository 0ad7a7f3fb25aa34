"""F-22, R-48: a clock that is set while mail is being sent."""

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from newsletter.clock import Steadiness, utc_now

HOUR = 3600.0
REST = timedelta(seconds=60)


@pytest.fixture
def monotonic(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The monotonic clock, which stands still at its only entry."""
    reading = [time.monotonic()]
    monkeypatch.setattr(time, "monotonic", lambda: reading[0])
    return reading


@pytest.mark.parametrize("seconds", [HOUR, -HOUR, 24 * HOUR, 0.5])
def test_the_file_says_how_wrong_the_clock_is(clock_shift: Path, seconds: float) -> None:
    clock_shift.write_text(f"{seconds}\n")

    wrong = utc_now() - datetime.now(UTC)

    assert wrong.total_seconds() == pytest.approx(seconds, abs=1)


@pytest.mark.parametrize("text", [None, "", "an hour"])
def test_without_a_number_in_the_file_the_clock_is_right(
    clock_shift: Path, text: str | None
) -> None:
    if text is not None:
        clock_shift.write_text(text)

    assert abs(utc_now() - datetime.now(UTC)) < timedelta(seconds=1)


@pytest.mark.parametrize("seconds", [61, -61, HOUR, 24 * HOUR])
def test_a_step_unsettles_until_the_rest_is_over(
    clock_shift: Path, monotonic: list[float], seconds: float
) -> None:
    steadiness = Steadiness()
    assert steadiness.is_steady(rest=REST)

    clock_shift.write_text(str(seconds))

    assert not steadiness.is_steady(rest=REST)
    monotonic[0] += 30
    clock_shift.write_text(str(seconds + 30))
    assert not steadiness.is_steady(rest=REST)
    monotonic[0] += 31
    clock_shift.write_text(str(seconds + 61))
    assert steadiness.is_steady(rest=REST)


def test_a_second_step_begins_the_rest_again(clock_shift: Path, monotonic: list[float]) -> None:
    steadiness = Steadiness()
    clock_shift.write_text(str(HOUR))
    steadiness.is_steady(rest=REST)

    monotonic[0] += 50
    clock_shift.write_text("0")
    assert not steadiness.is_steady(rest=REST)

    monotonic[0] += 50
    clock_shift.write_text("50")
    assert not steadiness.is_steady(rest=REST)


def test_slewing_is_no_step_however_far_it_adds_up(
    clock_shift: Path, monotonic: list[float]
) -> None:
    steadiness = Steadiness()

    for minutes in range(1, 60):
        clock_shift.write_text(str(minutes * 45))
        assert steadiness.is_steady(rest=REST)
