"""`newsletter export`: the people of a list or of a segment, as CSV or JSON Lines."""

import click

from newsletter.audience.exporting import Audience, write_csv, write_json_lines
from newsletter.audience.lists import list_by_slug
from newsletter.audience.segments.query import segmented
from newsletter.audience.segments.saved import segment_by_name
from newsletter.cli.progress import progress_bar
from newsletter.clock import utc_now
from newsletter.db import get_engine, reading
from newsletter.errors import InputError
from newsletter.models import SubscriptionStatus


@click.command()
@click.option("--list", "slug", help="Whose people.")
@click.option("--segment", help="Only people of this segment; of everybody without --list.")
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
def command(
    slug: str | None, segment: str | None, status: str | None, form: str, raw: bool, out: str
) -> None:
    """Write the people of a list or segment to a file. Importing it again changes nothing."""
    audience = _audience(slug, segment, status)
    with (
        click.open_file(out, "w", encoding="utf-8") as file,
        progress_bar("exporting") as on_progress,
    ):
        if form == "csv":
            people = write_csv(get_engine(), audience, file, is_raw=raw, on_progress=on_progress)
        else:
            people = write_json_lines(get_engine(), audience, file, on_progress=on_progress)
    click.echo(f"{people:,} people.", err=True)


def _audience(slug: str | None, segment: str | None, status: str | None) -> Audience:
    if slug is None and (segment is None or status is not None):
        raise InputError("name the --list, or a --segment without --status", field="list")
    with reading() as session:
        found = segment_by_name(session, segment) if segment else None
        return Audience(
            list_id=list_by_slug(session, slug).id if slug else None,
            people=segmented(session, found.definition, now=utc_now()).people if found else None,
            status=SubscriptionStatus[status.upper()] if status else None,
        )
