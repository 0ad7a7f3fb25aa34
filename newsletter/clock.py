"""The one clock: instants are aware and in UTC; local time exists only at the edges.

Whoever compares an instant of the past with now asks `is_steady` first: a wall clock that was just
set makes leases look long over, and deadlines missed, that are neither.
"""

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

STEP = timedelta(seconds=60)
"""NTP slews what is smaller; what is greater was a person, or a machine that slept."""

_shift_file: Path | None = None


def utc_now() -> datetime:
    now = datetime.now(UTC)
    return now if _shift_file is None else now + _shift(_shift_file)


def shift_by(file: Path | None) -> None:
    """Let this process's clock be wrong by as many seconds as `file` says, read anew each time."""
    global _shift_file
    _shift_file = file


def _ahead() -> timedelta:
    """How far the wall clock is ahead of the monotonic one; only changes of it mean anything."""
    return utc_now() - datetime.fromtimestamp(time.monotonic(), UTC)


def _shift(file: Path) -> timedelta:
    try:
        return timedelta(seconds=float(file.read_text()))
    except (OSError, ValueError):  # not written yet, or being written
        return timedelta()


class Steadiness:
    """Compares the wall clock with the monotonic one, which nobody sets."""

    def __init__(self, *, tolerance: timedelta = STEP) -> None:
        self._tolerance = tolerance
        self._ahead = _ahead()
        self._stepped_at: float | None = None

    def is_steady(self, *, rest: timedelta) -> bool:
        """False from a step on until `rest` has passed: by then whoever lives has renewed their leases."""
        ahead = _ahead()
        if abs(ahead - self._ahead) > self._tolerance:
            self._stepped_at = time.monotonic()
        # Slewing adds up over weeks, so what counts is the change since the last look.
        self._ahead = ahead
        if self._stepped_at is None:
            return True
        if time.monotonic() - self._stepped_at < rest.total_seconds():
            return False
        self._stepped_at = None
        return True


_steadiness = Steadiness()


def is_steady(*, rest: timedelta) -> bool:
    """Was this process's wall clock set by less than a minute, or longer than `rest` ago?"""
    return _steadiness.is_steady(rest=rest)
