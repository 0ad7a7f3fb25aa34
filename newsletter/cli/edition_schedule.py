"""`newsletter edition send`, `waves` and `unschedule`: when an edition goes out, and to whom when."""

import getpass
from collections.abc import Iterable
from datetime import UTC, datetime, time, timedelta

import click
from sqlalchemy.orm import Session

from newsletter.accounts import audit
from newsletter.cli.times import DAY, INSTANT, LENGTH, TIME_OF_DAY
from newsletter.clock import utc_now
from newsletter.db import reading, transaction
from newsletter.errors import InputError
from newsletter.models import Edition, EditionState, Past
from newsletter.plan import schedule
from newsletter.plan.caution import caution_for
from newsletter.plan.dispatch import AtInstant, AtLocalTime, AtOnce, When, send_edition
from newsletter.plan.hourly_cap import CapReached
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
@click.option("--yes-to", "people", type=int, help="It goes to so many people; do not ask me.")
def send(
    *,
    edition_id: int,
    instant: datetime | None,
    local: time | None,
    day: datetime | None,
    past: str | None,
    deadline: timedelta | None,
    people: int | None,
) -> None:
    """Send an approved edition: now, at an instant, or at a local time everywhere."""
    if instant is not None and local is not None:
        raise InputError("Choose --at or --local, not both.")
    if (local is None) is not (day is None) or (local is None and past is not None):
        raise InputError("--local and --date need each other, and --past needs them.")
    when: When = AtOnce(deadline)
    if instant is not None:
        when = AtInstant(instant, deadline or DEADLINE)
    elif local is not None and day is not None:
        when = AtLocalTime(day.date(), local, Past(past or Past.SEND), deadline or DEADLINE)
    typed = _ask(edition_id) if people is None else str(people)
    try:
        with transaction() as session:
            now = utc_now()
            caution = send_edition(session, edition_id, when, typed=typed, now=now)
            _note(session, "edition sent", edition_id, now, people=caution.people)
            edition = session.get_one(Edition, edition_id, populate_existing=True)
    except CapReached as error:
        with transaction() as session:
            _note(session, "sending refused", edition_id, utc_now(), why=str(error))
        raise
    click.echo(_said(edition))


def _ask(edition_id: int) -> str:
    """The number of people as somebody types it, where that is asked for; in no transaction."""
    with reading() as session:
        caution = caution_for(session, edition_id)
    if not caution.needs_number:
        return ""
    words = (
        f"It goes to {caution.people:,} people. Type that number to send it (a script says "
        f"--yes-to {caution.people})"
    )
    typed: str = click.prompt(words, err=True)
    return typed


def _said(edition: Edition) -> str:
    if edition.state is EditionState.SENDING:
        return f"Edition {edition.id} is being sent; watch it with: newsletter edition status"
    if edition.held_until is not None:
        return (
            f"Edition {edition.id} begins at {edition.held_until.astimezone(UTC):%H:%M:%S} UTC. "
            f"Until then you can pull it back: newsletter edition unschedule {edition.id}"
        )
    return f"Edition {edition.id} is scheduled; see when for whom: newsletter edition waves"


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
        raise InputError("--local and --date need each other; --past and --deadline need them.")
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
        _note(session, "edition pulled back", edition_id, utc_now())
    click.echo(f"Edition {edition_id} is approved, and not scheduled any more.")


def _note(session: Session, action: str, edition_id: int, now: datetime, **details: object) -> None:
    audit.record(
        session,
        actor=f"{getpass.getuser()} (command line)",
        account_id=None,
        action=action,
        subject=str(edition_id),
        details=details,
        now=now,
    )


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
