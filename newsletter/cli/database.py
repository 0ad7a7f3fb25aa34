"""`newsletter db`: the database's tables."""

import click

from newsletter.db import get_engine
from newsletter.models import schema


@click.group()
def command() -> None:
    """Look after the database."""


@command.command()
def upgrade() -> None:
    """Bring the tables to this version; safe to run again."""
    schema.upgrade(get_engine())
    click.echo("The database is at this version.")


@command.command()
def check() -> None:
    """Exit with 1 when the tables are not those of this version."""
    if schema.is_current(get_engine()):
        click.echo("The database is at this version.")
        return
    click.echo("The database is not at this version; run: newsletter db upgrade", err=True)
    raise SystemExit(1)
