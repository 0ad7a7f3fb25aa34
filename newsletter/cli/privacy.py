"""`newsletter privacy …`: people's rights, what is kept for how long, and by what right we write."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO, Any

import click

from newsletter.addresses import mask_address
from newsletter.audience.lists import list_by_slug
from newsletter.audience.privacy import Erased, erase, personal_data
from newsletter.audience.privacy_remains import finish_erasures
from newsletter.audience.retention import Cutoffs, Due, apply_retention, count_due
from newsletter.audience.subscribers import find_subscriber
from newsletter.cli.output import json_option, write_json
from newsletter.cli.person import show_page
from newsletter.clock import utc_now
from newsletter.db import get_engine, reading, transaction
from newsletter.report.consents import (
    count_consents,
    count_without_evidence,
    people_without_evidence,
)
from newsletter.report.personal_data import write_archive
from newsletter.settings import get_settings

_WORDS = {
    "people": "people who left every list",
    "events": "opens and clicks",
    "deliveries": "deliveries",
    "attempts": "tries that failed",
    "import_lines": "lines of import reports",
}


@click.group()
def command() -> None:
    """Hand over what is known of a person, erase them, and look at consents and retention."""


@command.command("export")
@click.argument("who")
@click.option("--out", "path", type=click.Path(dir_okay=False, path_type=Path), required=True)
@json_option
def export_command(who: str, path: Path, as_json: bool) -> None:
    """Write all that is known of WHO, an address or a number, to a ZIP with JSON and CSVs."""
    with reading() as session:
        person = find_subscriber(session, who)
        data = personal_data(session, person.id)
    with _private(path) as file:
        write_archive(data, file, now=utc_now())
    rows = {subject: len(rows) for subject, rows in data.subjects.items()}
    if as_json:
        write_json({"file": str(path), "rows": rows})
        return
    click.echo(f"{sum(rows.values()):,} rows about {mask_address(person.address)} are in {path}.")


@contextmanager
def _private(path: Path) -> Iterator[IO[bytes]]:
    """A file that only its owner reads, and that is there whole or not at all."""
    with NamedTemporaryFile(dir=path.resolve().parent, delete=False) as file:
        unfinished = Path(file.name)
        try:
            yield file
        except BaseException:
            unfinished.unlink(missing_ok=True)
            raise
    unfinished.replace(path)


@command.command("erase")
@click.argument("who")
@click.option("--yes", is_flag=True, help="Do not ask; it cannot be taken back.")
@json_option
def erase_command(who: str, yes: bool, as_json: bool) -> None:
    """Forget WHO, an address or a number, for good: only a hash stays, so that nobody mails them."""
    with reading() as session:
        person = find_subscriber(session, who)
    masked = mask_address(person.address)
    if not yes:
        click.confirm(f"Erase {masked}? It cannot be taken back", abort=True, err=True)
    with transaction() as session:
        erased = erase(session, person.id, source="command line", now=utc_now())
    finish_erasures(get_engine(), now=utc_now())
    if as_json:
        write_json(asdict(erased))
        return
    click.echo(f"{masked} is erased, and suppressed everywhere.")
    _explain(erased)


def _explain(erased: Erased) -> None:
    if erased.under_way:
        editions = ", ".join(map(str, erased.under_way))
        click.echo(
            f"Their number, and nothing else, stays in what is under way: edition {editions}."
        )
    if erased.open_imports:
        imports = ", ".join(map(str, erased.open_imports))
        click.echo(
            f"Files that are still being imported may name them, and bring nobody back: {imports}. "
            "They go when the import ends or is cancelled."
        )


@command.command("retention")
@click.option("--dry-run", is_flag=True, help="Only count what is due.")
@json_option
def retention_command(dry_run: bool, as_json: bool) -> None:
    """Delete what has been kept for its time, as beat does every hour; ten minutes at most."""
    now, settings = utc_now(), get_settings()
    if dry_run:
        with reading() as session:
            due = count_due(session, Cutoffs.of(settings, now))
    else:
        due = apply_retention(get_engine(), settings=settings, now=now)
    if as_json:
        write_json(asdict(due))
        return
    _show(due, "due" if dry_run else "deleted")


def _show(due: Due, word: str) -> None:
    for field, number in asdict(due).items():
        click.echo(f"{number:>11,}  {_WORDS[field]} {word}")


@command.command("consents")
@click.option("--list", "slug", required=True)
@click.option("--without-evidence", is_flag=True, help="Name those whose consent nothing proves.")
@click.option("--after", type=int, default=0, help="With --without-evidence: behind this number.")
@click.option("--limit", type=click.IntRange(1, 1000), default=100, show_default=True)
@json_option
def consents_command(
    slug: str, without_evidence: bool, after: int, limit: int, as_json: bool
) -> None:
    """Count a list's people by how, when and on what basis they agreed."""
    if without_evidence:
        _show_unproven(slug, after, limit, as_json=as_json)
        return
    with reading() as session:
        list_id = list_by_slug(session, slug).id
        counts = count_consents(session, list_id)
        unproven = count_without_evidence(session, list_id)
    if as_json:
        consents: list[dict[str, Any]] = [asdict(each) for each in counts]
        write_json({"consents": consents, "without_evidence": unproven})
        return
    for each in counts:
        basis = f", {each.basis}" if each.basis else ""
        click.echo(f"{each.people:>9,}  {each.month}  {each.kind} ({each.how or '-'}{basis})")
    click.echo(f"{unproven:>9,}  without evidence")


def _show_unproven(slug: str, after: int, limit: int, *, as_json: bool) -> None:
    with reading() as session:
        list_id = list_by_slug(session, slug).id
        page = people_without_evidence(session, list_id, after=after, limit=limit)
    show_page(page, as_json=as_json)
