"""How a person at a terminal writes dates, times of day, instants and lengths of time."""

import re
from datetime import datetime, time, timedelta

import click

DAY = click.DateTime(["%Y-%m-%d"])

_UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1)}
_LENGTH = re.compile(r"([0-9]{1,4})([mh])")


class TimeOfDay(click.ParamType[time]):
    name = "HH:MM"

    def convert(
        self, value: str | time, param: click.Parameter | None, ctx: click.Context | None
    ) -> time:
        if isinstance(value, time):
            return value
        try:
            return datetime.strptime(value, "%H:%M").time()  # noqa: DTZ007  a wall-clock time
        except ValueError:
            self.fail(f"{value!r} is no time of day; write it like 07:00.", param, ctx)


class Instant(click.ParamType[datetime]):
    name = "instant"

    def convert(
        self, value: str | datetime, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        if isinstance(value, datetime):
            return value
        try:
            instant = datetime.fromisoformat(value)
        except ValueError:
            instant = None
        if instant is None or instant.tzinfo is None:
            self.fail(
                f"{value!r} is no instant; write it like 2026-11-23T06:30+01:00, with the offset.",
                param,
                ctx,
            )
        return instant


class Length(click.ParamType[timedelta]):
    name = "length"

    def convert(
        self, value: str | timedelta, param: click.Parameter | None, ctx: click.Context | None
    ) -> timedelta:
        if isinstance(value, timedelta):
            return value
        match = _LENGTH.fullmatch(value)
        if match is None or int(match[1]) == 0:
            self.fail(f"{value!r} is no length of time; write it like 90m or 4h.", param, ctx)
        return int(match[1]) * _UNITS[match[2]]


TIME_OF_DAY = TimeOfDay()
INSTANT = Instant()
LENGTH = Length()
