"""F-22: wall-clock times through all the oddities of time zones."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.plan.timing import by_instant, find_rules, instant_of, rules_of, zone_names

FIRST, LAST = date(2026, 11, 22), date(2036, 11, 22)
SECOND = timedelta(seconds=1)
QUARTER = timedelta(minutes=15)

zones = st.sampled_from(sorted(zone_names())).map(rules_of)
days = st.dates(FIRST, LAST)
times = st.times().map(lambda at: at.replace(second=0, microsecond=0))


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def wall(instant: datetime, zone: ZoneInfo) -> datetime:
    return instant.astimezone(zone).replace(tzinfo=None)


def assert_is_the_first(instant: datetime, shown: datetime, zone: ZoneInfo) -> None:
    """The clocks show `shown`, or have just jumped over it, and never did before."""
    assert wall(instant, zone) >= shown
    assert wall(instant - SECOND, zone) < shown
    for quarters in range(1, 12):
        assert wall(instant - quarters * QUARTER, zone) < shown


@pytest.mark.parametrize(
    ("zone", "day", "at", "instant"),
    [
        ("Europe/Berlin", "2026-11-23", "07:00", "2026-11-23T06:00"),
        # Put forward: 02:30 is not, 03:00 is the first time after it.
        ("Europe/Berlin", "2027-03-28", "02:30", "2027-03-28T01:00"),
        ("America/New_York", "2027-03-14", "02:30", "2027-03-14T07:00"),
        # Put back: 02:30 is twice, the first counts.
        ("Europe/Berlin", "2027-10-31", "02:30", "2027-10-31T00:30"),
        ("America/New_York", "2026-11-01", "01:30", "2026-11-01T05:30"),
        # Half an hour is put forward here.
        ("Australia/Lord_Howe", "2027-10-03", "02:15", "2027-10-02T15:30"),
        # The day begins at 01:00.
        ("Africa/Cairo", "2027-04-30", "00:30", "2027-04-29T22:00"),
        # Put forward over midnight: the day exists, its last hour does not.
        ("America/Nuuk", "2027-03-27", "23:30", "2027-03-28T01:00"),
        # A leap day.
        ("Europe/Dublin", "2028-02-29", "07:00", "2028-02-29T07:00"),
        ("Pacific/Kiritimati", "2026-11-23", "07:00", "2026-11-22T17:00"),
        ("Pacific/Apia", "2011-12-29", "07:00", "2011-12-29T17:00"),
        ("Pacific/Apia", "2011-12-31", "07:00", "2011-12-30T17:00"),
    ],
)
def test_a_wall_clock_time_is_one_instant(zone: str, day: str, at: str, instant: str) -> None:
    found = instant_of(date.fromisoformat(day), time.fromisoformat(at), rules_of(zone))

    assert found == utc(instant)


@pytest.mark.parametrize(
    ("zone", "day"), [("Pacific/Apia", "2011-12-30"), ("Pacific/Kwajalein", "1993-08-21")]
)
@pytest.mark.parametrize("at", [time(0, 0), time(7, 0), time(23, 59)])
def test_a_day_that_a_zone_left_out_has_no_instant(zone: str, day: str, at: time) -> None:
    assert instant_of(date.fromisoformat(day), at, rules_of(zone)) is None


@given(zones, days, times)
def test_no_clock_showed_it_before(zone: ZoneInfo, day: date, at: time) -> None:
    instant = instant_of(day, at, zone)

    assert instant is not None
    assert_is_the_first(instant, datetime.combine(day, at), zone)


@given(zones, days, times)
def test_the_next_day_comes_a_day_later_give_or_take_two_hours(
    zone: ZoneInfo, day: date, at: time
) -> None:
    today, tomorrow = instant_of(day, at, zone), instant_of(day + timedelta(days=1), at, zone)

    assert today is not None
    assert tomorrow is not None
    assert timedelta(hours=22) <= tomorrow - today <= timedelta(hours=26)


def test_around_every_change_of_every_zone_in_ten_years() -> None:
    changes = 0
    for name in sorted(zone_names()):
        zone = rules_of(name)
        for day in days_of_change(zone):
            changes += 1
            for hour in range(5):
                shown = datetime.combine(day, time(hour, 30))
                instant = instant_of(day, shown.time(), zone)
                assert instant is not None
                assert wall(instant, zone) >= shown > wall(instant - SECOND, zone)

    assert changes > 2_000


def days_of_change(zone: ZoneInfo) -> list[date]:
    """Whose clocks are not a day ahead of those of the day before; weeks without are skipped."""
    found = []
    week = datetime.combine(FIRST, time(12), UTC)
    while week.date() < LAST:
        following = week + timedelta(days=7)
        if week.astimezone(zone).utcoffset() != following.astimezone(zone).utcoffset():
            found += [
                (week + timedelta(days=number)).date()
                for number in range(1, 8)
                if (week + timedelta(days=number - 1)).astimezone(zone).utcoffset()
                != (week + timedelta(days=number)).astimezone(zone).utcoffset()
            ]
        week = following
    return found


def test_the_whole_world_shares_few_instants_within_little_more_than_a_day() -> None:
    shared, left_out = by_instant(zone_names(), date(2026, 11, 23), time(7))

    instants = list(shared)
    assert instants == sorted(instants)
    assert 35 <= len(instants) <= 45
    assert instants[-1] - instants[0] <= timedelta(hours=27)
    assert sum(map(len, shared.values())) == len(zone_names())
    assert left_out == []
    assert {"Europe/Berlin", "Europe/Paris", "Africa/Lagos"} <= set(shared[utc("2026-11-23T06:00")])


def test_zones_without_that_day_and_names_without_rules_have_no_instant() -> None:
    names = ["Pacific/Apia", "Pacific/Auckland", "Mars/Olympus"]

    shared, left_out = by_instant(names, date(2011, 12, 30), time(7))

    assert list(shared.values()) == [["Pacific/Auckland"]]
    assert left_out == ["Pacific/Apia"]


@pytest.mark.parametrize("name", ["", "Mars/Olympus", "../../etc/passwd", "Europe"])
def test_a_name_without_rules_is_none(name: str) -> None:
    assert find_rules(name) is None
    assert rules_of(name).key == "UTC"
