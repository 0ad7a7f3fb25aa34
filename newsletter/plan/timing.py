"""Turns a wall-clock time on a date in a time zone into an instant.

The rules come from the tzdata package alone, so that hosts with other files of their own agree.
"""

from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from importlib import metadata, resources
from zoneinfo import ZoneInfo

TZDATA = metadata.version("tzdata")
"""The edition of the rules: 2026.1 is what IANA calls 2026a."""

_UTC_ZONE = ZoneInfo("UTC")
_SECOND = timedelta(seconds=1)


@cache
def zone_names() -> frozenset[str]:
    """All that there are rules for."""
    return frozenset((resources.files("tzdata") / "zones").read_text("utf-8").split())


@cache
def find_rules(name: str) -> ZoneInfo | None:
    """The rules of an IANA zone; None for a name that is none, or is none any more."""
    if name not in zone_names():
        return None
    with (resources.files("tzdata") / "zoneinfo").joinpath(*name.split("/")).open("rb") as file:
        return ZoneInfo.from_file(file, key=name)


def rules_of(name: str) -> ZoneInfo:
    """The rules of a list's zone, which was looked at when the list was made; UTC if it is gone."""
    return find_rules(name) or _UTC_ZONE


def instant_of(day: date, at: time, zone: ZoneInfo) -> datetime | None:
    """When clocks in the zone show that time on that day.

    Twice: the first. Not at all, because they were put forward: the first instant after it. None
    when the zone left the whole day out, as Samoa did with 30 December 2011.
    """
    instant = _first_at(datetime.combine(day, at), zone)
    if instant.astimezone(zone).date() == day:
        return instant
    if _first_at(datetime.combine(day, time.min), zone).astimezone(zone).date() == day:
        return instant  # put forward over midnight: the day began, but not that hour of it
    return None


def by_instant(
    zones: Iterable[str], day: date, at: time
) -> tuple[dict[datetime, list[str]], list[str]]:
    """The zones that share an instant, earliest first; and those in which the day does not exist.

    Names without rules are left out.
    """
    shared: dict[datetime, list[str]] = {}
    left_out = []
    for name in zones:
        zone = find_rules(name)
        if zone is None:
            continue
        instant = instant_of(day, at, zone)
        if instant is None:
            left_out.append(name)
        else:
            shared.setdefault(instant, []).append(name)
    return dict(sorted(shared.items())), left_out


def _first_at(wall: datetime, zone: ZoneInfo) -> datetime:
    """The first instant at which clocks in the zone show `wall`, or anything later."""
    # fold=0 is the first of two; of a time that is skipped, it is as far beyond the gap as `wall`
    # is into it, and fold=1 as far before it.
    instant = wall.replace(tzinfo=zone, fold=0).astimezone(UTC)
    if _wall(instant, zone) == wall:
        return instant
    before = wall.replace(tzinfo=zone, fold=1).astimezone(UTC)
    while instant - before > _SECOND:
        middle = before + (instant - before) // _SECOND // 2 * _SECOND
        if _wall(middle, zone) < wall:
            before = middle
        else:
            instant = middle
    return instant


def _wall(instant: datetime, zone: ZoneInfo) -> datetime:
    return instant.astimezone(zone).replace(tzinfo=None)
