"""`newsletter db`: the database's tables."""

import getpass

import click

from newsletter.clock import utc_now
from newsletter.db import get_engine
from newsletter.deliver import arming
from newsletter.deliver.journal import FOLDER
from newsletter.models import schema
from newsletter.settings import get_settings


@click.group()
def command() -> None:
    """Look after the database."""


@command.command()
def upgrade() -> None:
    """Bring the tables to this version; safe to run again."""
    schema.upgrade(get_engine())
    click.echo("The database is at this version.")


@command.command()
@click.confirmation_option(prompt="Are all workers stopped, and is this the database to send from?")
def arm() -> None:
    """Let a database send that was restored from a backup, after reading this host's journals."""
    folder = get_settings().state_dir / FOLDER
    armed = arming.arm(get_engine(), folder, by=getpass.getuser(), now=utc_now())
    click.echo(
        f"The journals of this host knew of {armed.sent} deliveries as sent and of "
        f"{armed.uncertain} as uncertain that this database took for open."
    )
    for edition_id in armed.cancelled:
        click.echo(
            f"Edition {edition_id} is cancelled: it was mailed after the backup, "
            "and this database does not know to whom."
        )
    click.echo("The database may send.")


@command.command()
def check() -> None:
    """Exit with 1 when the tables are not those of this version."""
    if schema.is_current(get_engine()):
        click.echo("The database is at this version.")
        return
    click.echo("The database is not at this version; run: newsletter db upgrade", err=True)
    raise SystemExit(1)
