"""`newsletter figures`: whether the figures say what the rows do."""

import click

from newsletter.db import get_engine
from newsletter.report.recount import check_figures, mend_figures

MOST_SHOWN = 100


@click.group()
def command() -> None:
    """Compare figures with what they count."""


@command.command()
@click.argument("edition_ids", metavar="[EDITION_ID]...", type=int, nargs=-1)
@click.option("--mend", is_flag=True, help="Set each figure to what its rows say.")
def check(edition_ids: tuple[int, ...], *, mend: bool) -> None:
    """Count the rows of editions, or of all editions and lists, and compare with their figures.

    Exit code 1: some differ, and were not mended. The ledger's own counters are never changed.
    """
    compare = mend_figures if mend else check_figures
    differences = compare(get_engine(), edition_ids)
    for each in differences[:MOST_SHOWN]:
        click.echo(f"{each.what}: stored {each.stored:,}, counted {each.counted:,}")
    if len(differences) > MOST_SHOWN:
        click.echo(f"and {len(differences) - MOST_SHOWN:,} more")
    if not differences:
        click.echo("All figures are what their rows say.")
    elif mend:
        click.echo(f"Figures mended: {len(differences):,}.")
    else:
        raise SystemExit(1)
