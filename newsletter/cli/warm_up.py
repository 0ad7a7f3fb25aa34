"""`newsletter warm-up`: transports that begin with little mail to each provider, and grow daily."""

import click

from newsletter.clock import utc_now
from newsletter.db import reading, transaction
from newsletter.deliver import warm_up
from newsletter.deliver.providers import routes
from newsletter.deliver.warm_up import FIRST_CAP, FULL_CAP, GROWTH, Plan, Progress
from newsletter.plan.transports import transport_of_name


@click.group()
def command() -> None:
    """Let providers get to know a transport, day by day."""


@command.command()
@click.argument("transport")
@click.option("--first", default=FIRST_CAP, show_default=True, help="Messages on the first day.")
@click.option(
    "--growth", default=GROWTH, show_default=True, help="Each day so many times the last."
)
@click.option("--full", default=FULL_CAP, show_default=True, help="The last cap that there is.")
def start(transport: str, first: int, growth: float, full: int) -> None:
    """Cap what goes through TRANSPORT to each provider and day; for one that is warming up,
    change the plan.
    """
    plan = Plan(first, growth, full)
    with transaction() as session:
        found = transport_of_name(session, transport)
        warm_up.start(session, found.id, plan, now=utc_now())
    days = len(warm_up.caps(plan))
    click.echo(
        f"{transport}: {first} a day and provider at first, no cap after {days} days of use."
    )


@command.command()
@click.argument("transport")
def show(transport: str) -> None:
    """Show what may still go today, who waits, and when the last of them can be mailed."""
    with reading() as session:
        found = transport_of_name(session, transport)
        progress = warm_up.progress(session, found.id, now=utc_now())
        names = {number: provider.name for number, provider in routes(session).items()}
    for each in progress:
        click.echo(_line(names.get(each.route, str(each.route)), each))
    if not progress:
        click.echo(f"{transport}: nothing has been sent through it since its warm-up began.")


@command.command()
@click.argument("transport")
def stop(transport: str) -> None:
    """Cap TRANSPORT no longer, and forget its plan."""
    with transaction() as session:
        warm_up.stop(session, transport_of_name(session, transport).id)
    click.echo(f"{transport}: no caps any more.")


def _line(route: str, progress: Progress) -> str:
    if progress.cap is None:
        return f"{route}: warm; {progress.waiting} people wait"
    ends = f", the last of them until {progress.ends_on}" if progress.ends_on else ""
    return (
        f"{route}: {progress.reserved} of {progress.cap} today;"
        f" {progress.waiting} people wait{ends}"
    )
