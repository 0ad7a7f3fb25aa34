"""`newsletter route`: the mailbox providers, and how fast each is mailed."""

import click

from newsletter.db import transaction
from newsletter.deliver.providers import Provider, routes, set_limits
from newsletter.deliver.providers import route_numbers as number_routes
from newsletter.plan.rates import Rate


@click.group()
def command() -> None:
    """See and set how fast mailbox providers are mailed."""


@command.command("list")
def list_() -> None:
    """Show what each provider is sent at most, over all processes and through each transport."""
    with transaction() as session:
        number_routes(session)
        found = routes(session)
    for number in sorted(found):
        click.echo(_line(found[number]))


@command.command("set")
@click.argument("name")
@click.option("--connections", type=int, help="Messages on their way to it at once.")
@click.option("--rate", help="At most so much, like 100/s, 600/min or 5000/h.")
def set_(name: str, connections: int | None, rate: str | None) -> None:
    """Set what the provider NAME is sent at most; without options as the table of providers has it."""
    parsed = None if rate is None else Rate.parse(rate)
    with transaction() as session:
        click.echo(_line(set_limits(session, name, connections=connections, rate=parsed)))


def _line(provider: Provider) -> str:
    limit = provider.limit
    each = " for each of its sites" if provider.is_per_site else ""
    note = f"; {provider.note}" if provider.note else ""
    return (
        f"{provider.name}: {limit.connections} connections, {limit.rate}{each},"
        f" {limit.messages_per_connection} messages a connection{note}"
    )
