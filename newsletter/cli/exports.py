"""`newsletter export`: the people of a list, as CSV or JSON Lines."""

import click

from newsletter.audience.exporting import Audience, write_csv, write_json_lines
from newsletter.audience.lists import list_by_slug
from newsletter.cli.progress import progress_bar
from newsletter.db import get_engine, reading
from newsletter.models import SubscriptionStatus


@click.command()
@click.option("--list", "slug", required=True, help="Whose people.")
@click.option(
    "--status",
    type=click.Choice([status.name.lower() for status in SubscriptionStatus]),
    help="Only people with this status on the list.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["csv", "jsonl"]),
    default="csv",
    show_default=True,
)
@click.option("--raw", is_flag=True, help="CSV for a program: formulas are left as they are.")
@click.option(
    "--out", type=click.Path(dir_okay=False, writable=True), default="-", help="- is the terminal."
)
def command(slug: str, status: str | None, form: str, raw: bool, out: str) -> None:
    """Write the people of a list to a file. Importing it again changes nothing."""
    with reading() as session:
        list_id = list_by_slug(session, slug).id
    audience = Audience(
        list_id=list_id, status=SubscriptionStatus[status.upper()] if status else None
    )
    with (
        click.open_file(out, "w", encoding="utf-8") as file,
        progress_bar("exporting") as on_progress,
    ):
        if form == "csv":
            people = write_csv(get_engine(), audience, file, is_raw=raw, on_progress=on_progress)
        else:
            people = write_json_lines(get_engine(), audience, file, on_progress=on_progress)
    click.echo(f"{people:,} people.", err=True)
