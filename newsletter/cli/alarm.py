"""`newsletter alarm`: what the desk was told about slots."""

from datetime import timedelta

import click

from newsletter.clock import utc_now
from newsletter.db import reading
from newsletter.plan.alarms import recent_alarms


@click.group()
def command() -> None:
    """Show what needed somebody's attention."""


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
