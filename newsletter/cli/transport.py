"""`newsletter transport`: the SMTP accounts that mail leaves through."""

import click
from sqlalchemy import select

from newsletter.db import reading, transaction
from newsletter.models import Transport
from newsletter.plan.transports import set_transport


@click.group()
def command() -> None:
    """Set up where mail leaves through."""


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
    """Add the transport NAME, or change it.

    URL is smtp+starttls://user:password@relay.example.org:587, smtps://… or smtp://…; without it
    you are asked, so that the password stays out of the shell's history.
    """
    if url is None:
        url = click.prompt("URL", hide_input=True)
    with transaction() as session:
        transport = set_transport(session, name, str(url), connections=connections)
    click.echo(f"{name}: {transport.host}:{transport.port} ({transport.security})")


@command.command("list")
def list_() -> None:
    """Show the transports; passwords are never shown."""
    with reading() as session:
        for transport in session.scalars(select(Transport).order_by(Transport.id)):
            user = f" as {transport.username}" if transport.username else ""
            click.echo(
                f"{transport.name}: {transport.host}:{transport.port} ({transport.security})"
                f"{user}, {transport.connections} connections a process"
            )
