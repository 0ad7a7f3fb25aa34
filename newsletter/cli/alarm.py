"""`newsletter alarm`: what needed somebody's attention, and which address of a list hears of it."""

import getpass
from datetime import timedelta

import click

from newsletter.audience.lists import list_by_slug
from newsletter.clock import utc_now
from newsletter.db import reading, transaction
from newsletter.plan.alarm_calls import (
    find_target,
    recent_calls,
    remove_target,
    set_target,
    try_out,
)
from newsletter.plan.alarms import recent_alarms

MOST_SHOWN = 20


@click.group()
def command() -> None:
    """Show what needed somebody's attention, and say who else is told."""


@command.command("list")
@click.option("--days", default=7, show_default=True, help="How far to look back.")
def list_(days: int) -> None:
    """Show the alarms of the last days, newest first."""
    with reading() as session:
        alarms = recent_alarms(session, since=utc_now() - timedelta(days=days))
    for alarm, slug in alarms:
        click.echo(f"{alarm.at:%Y-%m-%d %H:%M}Z  {slug}  {alarm.text}")
    if not alarms:
        click.echo(f"No alarm in the last {days} days.")


@command.command()
@click.argument("slug")
@click.argument("url")
def address(slug: str, url: str) -> None:
    """Post the alarms of the list SLUG to URL as well, signed."""
    with transaction() as session:
        list_id = list_by_slug(session, slug).id
        target, secret = set_target(session, list_id, url, by=getpass.getuser(), now=utc_now())
    click.echo(f"Alarms of {slug} are posted to {target.url}")
    if secret is not None:
        click.echo(f"They are signed with this secret, which is shown this once: {secret}")


@command.command()
@click.argument("slug")
def silence(slug: str) -> None:
    """Post the alarms of the list SLUG nowhere any more; the desk's mail stays."""
    with transaction() as session:
        remove_target(session, list_by_slug(session, slug).id)
    click.echo(f"Alarms of {slug} are posted nowhere.")


@command.command("try")
@click.argument("slug")
def try_(slug: str) -> None:
    """Post a test to the address of the list SLUG; the workers send it."""
    with transaction() as session:
        try_out(session, list_by_slug(session, slug), by=getpass.getuser(), now=utc_now())
    click.echo(f"A test is on its way; see: newsletter alarm calls {slug}")


@command.command()
@click.argument("slug")
def calls(slug: str) -> None:
    """Show the last calls of the address of the list SLUG, newest first."""
    with reading() as session:
        list_id = list_by_slug(session, slug).id
        target = find_target(session, list_id)
        found = recent_calls(session, list_id, most=MOST_SHOWN)
    click.echo(f"Posted to {target.url}" if target else f"{slug} has no address for its alarms.")
    for call in found:
        status = call.status or "no answer"
        click.echo(
            f"{call.created_at:%Y-%m-%d %H:%M}Z  {call.state}  {status}  {call.answer}"
            f"  ({call.tries} tries)"
        )
