"""`newsletter subscribers …`: imports people from a file, and stops mail to an address."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from newsletter.addresses import mask_address, parse_address
from newsletter.audience.importing import ImportReport, OnProgress, import_csv
from newsletter.audience.lists import list_by_slug
from newsletter.audience.suppression import suppress
from newsletter.clock import utc_now
from newsletter.db import get_engine, reading, transaction
from newsletter.models import EVERYWHERE, SuppressionReason

PROBLEMS_SHOWN = 20


@click.group()
def command() -> None:
    """Import people, and stop mail to an address."""


@command.command("import")
@click.argument(
    "file", type=click.Path(exists=True, dir_okay=False, readable=True, allow_dash=True)
)
@click.option("--list", "slug", required=True, help="The list that they are subscribed to.")
@click.option("--json", "as_json", is_flag=True, help="Write the whole report as JSON.")
def import_command(file: str, slug: str, as_json: bool) -> None:
    """Subscribe the people of FILE, a CSV in UTF-8 with a header line; - reads standard input.

    Columns: email; name, or first_name and last_name; zone; language; status; joined_at. Nobody
    who unsubscribed is brought back, and importing the same file again changes nothing.
    """
    with reading() as session:
        list_id = list_by_slug(session, slug).id
    with click.open_file(file, "rb") as stream, _progress_bar() as on_progress:
        report = import_csv(
            get_engine(),
            stream,
            list_id=list_id,
            source=click.format_filename(file, shorten=True),
            now=utc_now(),
            on_progress=on_progress,
        )
    if as_json:
        click.echo(json.dumps(_as_dict(report), ensure_ascii=False, indent=2))
    else:
        show_report(report)


@command.command("suppress")
@click.argument("address")
@click.option(
    "--reason",
    type=click.Choice([reason.value for reason in SuppressionReason]),
    default=SuppressionReason.ON_REQUEST.value,
    show_default=True,
)
@click.option("--list", "slug", help="Only for this list; without it, for all lists.")
def suppress_command(address: str, reason: str, slug: str | None) -> None:
    """Never mail ADDRESS again, even if it is imported or signs up once more."""
    parsed = parse_address(address)
    with transaction() as session:
        is_new = suppress(
            session,
            parsed,
            reason=SuppressionReason(reason),
            source="command line",
            list_id=list_by_slug(session, slug).id if slug else EVERYWHERE,
            now=utc_now(),
        )
    masked = mask_address(str(parsed))
    click.echo(f"{masked} is suppressed." if is_new else f"{masked} was suppressed already.")


@contextmanager
def _progress_bar() -> Iterator[OnProgress]:
    console = Console(stderr=True)
    columns = (
        TextColumn("importing"),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
    )
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as progress:
        task = progress.add_task("import", total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


def show_report(report: ImportReport) -> None:
    click.echo(
        f"{report.people:,} people in {report.lines:,} lines: {report.created:,} new on the list, "
        f"{report.updated:,} changed, {report.unchanged:,} as they were."
    )
    for status, people in report.by_status.items():
        click.echo(f"  {people:>9,}  {status.name.lower()}")
    if report.suppressed:
        click.echo(f"{report.suppressed:,} of them are suppressed and get no mail.")
    if report.stayed_away:
        click.echo(f"{report.stayed_away:,} had unsubscribed before and stay so.")
    if report.ignored_columns:
        click.echo(f"Ignored columns: {', '.join(report.ignored_columns)}.")
    if report.rejected:
        _show_rejected(report)


def _show_rejected(report: ImportReport) -> None:
    click.echo(f"Lines left out: {sum(report.rejected.values()):,}")
    for reason, lines in report.rejected.items():
        click.echo(f"  {lines:>9,}  {reason.value}")
    for problem in report.problems[:PROBLEMS_SHOWN]:
        detail = f" ({problem.text})" if problem.text else ""
        click.echo(f"  line {problem.line}, {problem.field}: {problem.reason.value}{detail}")
    if sum(report.rejected.values()) > PROBLEMS_SHOWN:
        click.echo(f"  … and more; --json lists the first {len(report.problems):,}.")


def _as_dict(report: ImportReport) -> dict[str, Any]:
    return {
        "lines": report.lines,
        "people": report.people,
        "created": report.created,
        "updated": report.updated,
        "unchanged": report.unchanged,
        "by_status": {status.name.lower(): people for status, people in report.by_status.items()},
        "stayed_away": report.stayed_away,
        "suppressed": report.suppressed,
        "rejected": {reason.value: lines for reason, lines in report.rejected.items()},
        "problems": [
            {
                "line": problem.line,
                "field": problem.field,
                "reason": problem.reason.value,
                "text": problem.text,
            }
            for problem in report.problems
        ],
        "ignored_columns": list(report.ignored_columns),
    }
