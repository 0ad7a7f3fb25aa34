"""`newsletter seed`: a made-up newsroom of any size in an empty database."""

import click

from newsletter.clock import utc_now
from newsletter.db import get_engine
from newsletter.models import schema
from newsletter.seed.run import seed
from newsletter.settings import get_settings


@click.command()
@click.option(
    "--subscribers", default=1_000_000, show_default=True, type=click.IntRange(100, 20_000_000)
)
@click.option("--editions", default=500, show_default=True, type=click.IntRange(1, 5_000))
def command(subscribers: int, editions: int) -> None:
    """Fill the configured database with lists, people and editions that nobody ever sent.

    The newest three editions have a row for each reader, all have their figures. Nothing is mailed.
    A database that holds a list, a subscriber or an edition is refused.
    """
    engine = get_engine()
    schema.upgrade(engine)
    made = seed(
        engine,
        subscribers=subscribers,
        editions=editions,
        settings=get_settings(),
        now=utc_now(),
        tell=lambda text: click.echo(text, err=True),
    )
    click.echo(
        f"{made.subscribers:,} subscribers and {made.editions:,} editions, "
        f"made in {made.seconds:,.0f} s."
    )
    click.echo("Make yourself an account: newsletter account create --help")
