"""`newsletter edition send`, `waves` and `unschedule`: when an edition goes out, and to whom when."""

from collections.abc import Iterable
from datetime import UTC, datetime, time, timedelta

import click

from newsletter.cli.times import DAY, INSTANT, LENGTH, TIME_OF_DAY
from newsletter.clock import utc_now
from newsletter.db import reading, transaction
from newsletter.errors import InputError
from newsletter.models import Past
from newsletter.plan import schedule
from newsletter.plan.waves import DEADLINE
from newsletter.report.waves import WaveStatus, preview_waves, wave_statuses

_PAST = click.Choice([each.value for each in Past])


@click.command()
@click.argument("edition_id", type=int)
@click.option("--at", "instant", type=INSTANT, help="Like 2026-11-23T06:30+01:00.")
@click.option("--local", type=TIME_OF_DAY, help="In each reader's own time zone, like 07:00.")
@click.option("--date", "day", type=DAY, help="With --local: the day, like 2026-11-23.")
@click.option("--past", type=_PAST, help="With --local: zones where it is later already. [send]")
@click.option("--deadline", type=LENGTH, help="How late it may be, like 90m. [4h if scheduled]")
def send(
    *,
    edition_id: int,
    instant: datetime | None,
    local: time | None,
    day: datetime | None,
    past: str | None,
    deadline: timedelta | None,
) -> None:
    """Send an approved edition: now, at an instant, or at a local time everywhere."""
    now = utc_now()
    if instant is not None and local is not None:
        message = "Choose --at or --local, not both."
        raise InputError(message)
    if (local is None) is not (day is None) or (local is None and past is not None):
        message = "--local and --date need each other, and --past needs them."
        raise InputError(message)
    with transaction() as session:
        if instant is not None:
            schedule.send_at(session, edition_id, instant, now=now, deadline=deadline or DEADLINE)
        elif local is not None and day is not None:
            schedule.send_local(
                session,
                edition_id,
                day.date(),
                local,
                past=Past(past or Past.SEND),
                now=now,
                deadline=deadline or DEADLINE,
            )
        else:
            schedule.send_now(session, edition_id, now=now, deadline=deadline)
    if instant is None and local is None:
        click.echo(f"Edition {edition_id} is being sent; watch it with: newsletter edition status")
        return
    click.echo(f"Edition {edition_id} is scheduled; see when for whom: newsletter edition waves")


@click.command()
@click.argument("edition_id", type=int)
@click.option("--local", type=TIME_OF_DAY, help="What if it were scheduled for this time?")
@click.option("--date", "day", type=DAY, help="With --local: the day, like 2026-11-23.")
@click.option("--past", type=_PAST, help="With --local: zones where it is later already. [send]")
@click.option("--deadline", type=LENGTH, help="With --local: how late it may be. [4h]")
def waves(
    *,
    edition_id: int,
    local: time | None,
    day: datetime | None,
    past: str | None,
    deadline: timedelta | None,
) -> None:
    """Show when an edition reaches whom, or would reach them."""
    now = utc_now()
    if (local is None) is not (day is None) or (local is None and (past or deadline)):
        message = "--local and --date need each other; --past and --deadline need them."
        raise InputError(message)
    with reading() as session:
        if local is not None and day is not None:
            statuses = preview_waves(
                session,
                edition_id,
                day.date(),
                local,
                past=Past(past or Past.SEND),
                deadline=deadline or DEADLINE,
                now=now,
            )
        else:
            statuses = wave_statuses(session, edition_id)
    if not statuses:
        click.echo(f"Edition {edition_id} is neither scheduled nor sent; see --local and --date.")
        return
    for line in _lines(statuses, now):
        click.echo(line)


@click.command()
@click.argument("edition_id", type=int)
def unschedule(edition_id: int) -> None:
    """Take a schedule back before it has begun; the edition stays approved."""
    with transaction() as session:
        schedule.unschedule(session, edition_id)
    click.echo(f"Edition {edition_id} is approved, and not scheduled any more.")


def _lines(statuses: Iterable[WaveStatus], now: datetime) -> Iterable[str]:
    yield f"{'due (UTC)':<17} {'zones':>5} {'people':>11} {'sent':>11}  what happens"
    for wave in statuses:
        due_at = f"{wave.due_at.astimezone(UTC):%Y-%m-%d %H:%M}"
        zones = len(wave.zones) or "all"
        yield f"{due_at:<17} {zones:>5} {wave.people:>11,} {wave.sent:>11,}  {_fate(wave, now)}"


def _fate(wave: WaveStatus, now: datetime) -> str:
    if wave.exclusion is not None:
        return f"left out: {wave.exclusion.name.lower().replace('_', ' ')}"
    if wave.is_sweep:
        return "looks for who changed their zone or joined meanwhile"
    if wave.deadline_at is not None and wave.deadline_at <= now:
        return "over"
    if wave.due_at <= now:
        return "sending" if wave.is_planned else "at once"
    return "planned" if wave.is_planned else "waits"
