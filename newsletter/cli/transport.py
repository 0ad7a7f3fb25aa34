"""`newsletter transport`: the SMTP accounts that mail leaves through, and how they are."""

from datetime import datetime

import click
from pydantic import TypeAdapter
from sqlalchemy import select

from newsletter.audience.lists import list_by_slug
from newsletter.cli.output import json_option, write_json
from newsletter.clock import utc_now
from newsletter.db import reading, transaction
from newsletter.deliver import holds
from newsletter.models import Carries, Pacing, Transport
from newsletter.plan.transports import (
    assign_transports,
    change_transport,
    set_transport,
    transport_of_name,
)
from newsletter.report.transports import (
    HeldThing,
    SendingStatus,
    TransportStatus,
    sending_status,
)

by_option = click.option("--by", default="the command line", show_default=True, help="Your name.")


@click.group()
def command() -> None:
    """Set up where mail leaves through, and see how that is."""


@command.command("set")
@click.argument("name")
@click.argument("url", required=False)
@click.option(
    "--connections",
    default=4,
    show_default=True,
    help="Connections that each worker process may hold open.",
)
def set_(name: str, url: str | None, connections: int) -> None:
    """Add the transport NAME, or change where it leads.

    URL is smtp+starttls://user:password@relay.example.org:587, smtps://… or smtp://…, with
    ?auth=plain, login or xoauth2 behind it where the server must not choose; without it you are
    asked, so that the password stays out of the shell's history.
    """
    if url is None:
        url = click.prompt("URL", hide_input=True)
    with transaction() as session:
        transport = set_transport(session, name, str(url), connections=connections)
        holds.probe_soon(session, transport.id, now=utc_now())
    click.echo(f"{name}: {transport.host}:{transport.port} ({transport.security})")


@command.command("change")
@click.argument("name")
@click.option("--connections", type=int, help="Connections that each worker process may hold open.")
@click.option(
    "--pacing",
    type=click.Choice(list(Pacing)),
    help="Who keeps to the providers' limits: we (providers), or the relay.",
)
@click.option("--rate", help="At most so much over all processes, like 100/s; none: no limit.")
@click.option("--weight", type=int, help="Its share of the mail; 0: only while others are down.")
@click.option("--carries", type=click.Choice(list(Carries)), help="What it is for.")
def change(
    name: str,
    connections: int | None,
    pacing: Pacing | None,
    rate: str | None,
    weight: int | None,
    carries: Carries | None,
) -> None:
    """Change how the transport NAME is used. Editions that are approved keep their weights."""
    with transaction() as session:
        transport = change_transport(
            session,
            name,
            connections=connections,
            pacing=pacing,
            rate=rate,
            weight=weight,
            carries=carries,
        )
        click.echo(_line(transport))


@command.command("assign")
@click.argument("slug", metavar="LIST")
@click.argument("names", metavar="[NAME]...", nargs=-1)
def assign(slug: str, names: tuple[str, ...]) -> None:
    """Let editions of LIST leave through these transports only; without a NAME through any."""
    with transaction() as session:
        chosen = [transport_of_name(session, name) for name in names]
        assign_transports(session, list_by_slug(session, slug), chosen)
    click.echo(f"{slug}: {', '.join(names) or 'any transport'}")


@command.command("list")
def list_() -> None:
    """Show the transports; passwords are never shown."""
    with reading() as session:
        for transport in session.scalars(select(Transport).order_by(Transport.id)):
            click.echo(_line(transport))


@command.command("status")
@json_option
def status(as_json: bool) -> None:
    """Show what is held and why, and what went through the transports within the last hour."""
    with reading() as session:
        found = sending_status(session, now=utc_now())
    if as_json:
        write_json(TypeAdapter(SendingStatus).dump_python(found, mode="json"))
        return
    for transport in found.transports:
        _show(transport)
    for thing in found.holds:
        _show_hold(thing)


@command.command("lift")
@click.argument("hold_id", type=int)
@by_option
def lift(hold_id: int, by: str) -> None:
    """End the hold HOLD_ID before its time; `newsletter transport status` shows the numbers."""
    with transaction() as session:
        lifted = holds.lift(session, hold_id, by=by, now=utc_now())
    click.echo(f"{hold_id}: lifted. It had been held since {_at(lifted.since)}.")


@command.command("open")
@click.argument("name")
@by_option
def open_(name: str, by: str) -> None:
    """Open the breaker of NAME: nothing goes through it until you close it."""
    with transaction() as session:
        transport = transport_of_name(session, name)
        holds.hold_transport(session, transport.id, by=by, now=utc_now())
    click.echo(f"{name}: open, nothing goes through. Close it with: newsletter transport close")


@command.command("close")
@click.argument("name")
@by_option
def close(name: str, by: str) -> None:
    """Close the breaker of NAME: mail goes through it again at once."""
    with transaction() as session:
        transport = transport_of_name(session, name)
        was_held = holds.lift_transport(session, transport.id, by=by, now=utc_now())
    click.echo(f"{name}: {'closed, mail goes through again.' if was_held else 'was closed.'}")


def _line(transport: Transport) -> str:
    user = f" as {transport.username}" if transport.username else ""
    rate = f", {transport.rate}" if transport.rate else ""
    return (
        f"{transport.name}: {transport.host}:{transport.port} ({transport.security}){user}, "
        f"{transport.connections} connections a process{rate}, weight {transport.weight}, "
        f"carries {transport.carries}, paced by {transport.pacing}"
    )


def _show(transport: TransportStatus) -> None:
    hour = transport.last_hour
    click.echo(f"{transport.name}: {transport.host}:{transport.port}, breaker {transport.breaker}")
    click.echo(f"  last hour: {hour.tried} tried, {hour.deferred} deferred, {hour.blocked} blocked")
    if transport.last_error:
        click.echo(f"  last error: {transport.last_error}")
    for learnt in transport.learnt:
        rate = "" if learnt.per_second is None else f", {learnt.per_second:g} messages a second"
        click.echo(f"  {learnt.key}: {learnt.connections} connections{rate}")
    for thing in transport.holds:
        _show_hold(thing)


def _show_hold(thing: HeldThing) -> None:
    scope = thing.scope.value.replace("_", " ")
    until = f", until {_at(thing.until)}" if thing.until else ""
    probe = f", next probe at {_at(thing.probe_at)}" if thing.probe_at else ""
    click.echo(
        f"  hold {thing.id}: {scope} {thing.what}, {thing.action} since {_at(thing.since)}"
        f"{until}{probe} ({thing.rule})"
    )
    click.echo(f"    {thing.reason}")
    if thing.reply:
        click.echo(f"    it said: {thing.reply}")


def _at(instant: datetime) -> str:
    return f"{instant:%Y-%m-%d %H:%M} UTC"
