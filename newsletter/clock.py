"""The one clock: instants are aware and in UTC; local time exists only at the edges."""

from datetime import UTC, datetime


def utc_now() -> datetime:
    return datetime.now(UTC)
