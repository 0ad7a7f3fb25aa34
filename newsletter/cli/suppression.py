"""`newsletter suppression …`: who is never mailed, and how somebody may be again."""

import getpass
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import IO, Any

import click
from sqlalchemy.orm import Session

from newsletter.addresses import mask_address, parse_address
from newsletter.audience.lists import all_lists, list_by_slug
from newsletter.audience.suppression import (
    SoughtSuppressions,
    list_suppressions,
    suppress,
    suppressions_of,
)
from newsletter.audience.suppression_export import write_csv, write_json_lines
from newsletter.audience.suppression_import import SuppressionReport, import_suppressions
from newsletter.audience.suppression_lifting import (
    Accident,
    extent_of,
    lift,
    lifted_of,
    route_called,
    undo_all,
)
from newsletter.cli.output import json_option, write_json
from newsletter.cli.times import INSTANT
from newsletter.clock import utc_now
from newsletter.db import get_engine, reading, transaction
from newsletter.models import (
    EVERYWHERE,
    LiftedSuppression,
    ReplyClass,
    Suppression,
    SuppressionReason,
)

PROBLEMS_SHOWN = 20
EVERY_LIST = "every list"

_reasons = click.Choice([reason.value for reason in SuppressionReason])
_for_list = click.option("--list", "slug", help="Only for this list; without it, for every list.")


@click.group()
def command() -> None:
    """Keep addresses from ever being mailed; they are kept as hashes and outlive the person."""


@command.command("add")
@click.argument("address")
@click.option(
    "--reason", type=_reasons, default=SuppressionReason.ON_REQUEST.value, show_default=True
)
@_for_list
@json_option
def add_command(address: str, reason: str, slug: str | None, as_json: bool) -> None:
    """Never mail ADDRESS again, even if it is imported or signs up once more."""
    parsed = parse_address(address)
    with transaction() as session:
        is_new = suppress(
            session,
            parsed,
            reason=SuppressionReason(reason),
            source=f"command line, {getpass.getuser()}",
            list_id=_list_id(session, slug),
            now=utc_now(),
        )
    masked = mask_address(str(parsed))
    if as_json:
        write_json({"address": masked, "is_new": is_new})
        return
    click.echo(f"{masked} is suppressed." if is_new else f"{masked} was suppressed already.")


@command.command("show")
@click.argument("address")
@json_option
def show_command(address: str, as_json: bool) -> None:
    """Say whether ADDRESS is suppressed and why, and what was lifted for it."""
    parsed = parse_address(address)
    with reading() as session:
        slugs = _slugs(session)
        entries, lifted = suppressions_of(session, parsed), lifted_of(session, parsed)
    if as_json:
        write_json(
            {
                "suppressions": [_entry_as_json(entry, slugs) for entry in entries],
                "lifted": [_lifted_as_json(entry, slugs) for entry in lifted],
            }
        )
        return
    if not entries:
        click.echo(f"{mask_address(str(parsed))} is not suppressed.")
    for entry in entries:
        click.echo(_line(entry, slugs))
    for each in lifted:
        click.echo(
            f"{_line(each, slugs)}; lifted {_day(each.lifted_at)} by {each.lifted_by}: {each.why}"
        )


@command.command("list")
@_for_list
@click.option("--reason", type=_reasons)
@click.option("--source", help="A part of what the entry's source says.")
@click.option("--after", help="Begin behind the page that named this.")
@click.option("--limit", type=click.IntRange(1, 1000), default=100, show_default=True)
@json_option
def list_command(
    slug: str | None,
    reason: str | None,
    source: str | None,
    after: str | None,
    limit: int,
    as_json: bool,
) -> None:
    """Show the entries, page by page, the oldest first; of the addresses only hashes are kept."""
    with reading() as session:
        slugs = _slugs(session)
        page = list_suppressions(
            session,
            SoughtSuppressions(
                list_id=_list_id(session, slug) if slug else None,
                reason=SuppressionReason(reason) if reason else None,
                source=source,
            ),
            after=after,
            limit=limit,
        )
    if as_json:
        entries = [_entry_as_json(entry, slugs) for entry in page.entries]
        write_json({"suppressions": entries, "next_after": page.next_after})
        return
    for entry in page.entries:
        click.echo(f"{entry.address_hash.hex()}  {_line(entry, slugs)}")
    if page.next_after is not None:
        click.echo(f"… and more: --after {page.next_after}", err=True)


@command.command("lift")
@click.argument("address")
@click.option("--reason", "why", required=True, help="Why they may be mailed again; it is kept.")
@_for_list
@json_option
def lift_command(address: str, why: str, slug: str | None, as_json: bool) -> None:
    """Let ADDRESS be mailed again. A complaint or the person's own wish only they take back."""
    parsed = parse_address(address)
    with transaction() as session:
        lifted = lift(
            session,
            parsed,
            list_id=_list_id(session, slug),
            by=getpass.getuser(),
            why=why,
            now=utc_now(),
        )
    masked = mask_address(str(parsed))
    if as_json:
        write_json({"address": masked, "lifted": lifted.reason.value})
        return
    click.echo(f"{masked} may be mailed again; it was suppressed as {lifted.reason}.")


@command.command("undo")
@click.option("--since", type=INSTANT, required=True, help="The accident's begin.")
@click.option("--until", type=INSTANT, required=True, help="Its end.")
@click.option("--route", help="Only addresses at this provider; newsletter route list names them.")
@click.option("--class", "reply_class", type=click.Choice([each.value for each in ReplyClass]))
@click.option("--reason", type=_reasons)
@click.option("--source", help="A part of what the entry's source says.")
@click.option("--because", "why", help="Lift them, for this reason; without it: only count them.")
@json_option
def undo_command(
    since: datetime,
    until: datetime,
    route: str | None,
    reply_class: str | None,
    reason: str | None,
    source: str | None,
    why: str | None,
    as_json: bool,
) -> None:
    """Take back what an accident suppressed: a provider that refused everybody, a wrong file."""
    with reading() as session:
        accident = Accident(
            since=since,
            until=until,
            reason=SuppressionReason(reason) if reason else None,
            reply_class=ReplyClass(reply_class) if reply_class else None,
            route=route_called(session, route).id if route else None,
            source=source,
        )
        extent = extent_of(session, accident)
    lifted = 0
    if why is not None:
        by = getpass.getuser()
        lifted = undo_all(get_engine(), accident, by=by, why=why, now=utc_now())
    if as_json:
        found = {kind.value: entries for kind, entries in extent.found.items()}
        write_json({"found": found, "liftable": extent.liftable, "lifted": lifted})
        return
    for kind, entries in sorted(extent.found.items()):
        click.echo(f"{entries:>9,}  {kind.value}")
    if why is None:
        click.echo(f"{extent.liftable:,} would be lifted; do it with --because REASON.")
        return
    click.echo(f"{lifted:,} lifted; complaints and people's own wishes stay.")


@command.command("import")
@click.argument(
    "file", type=click.Path(exists=True, dir_okay=False, readable=True, allow_dash=True)
)
@click.option(
    "--reason", type=_reasons, default=SuppressionReason.IMPORTED.value, show_default=True
)
@_for_list
@json_option
def import_command(file: str, reason: str, slug: str | None, as_json: bool) -> None:
    """Suppress the addresses of FILE: a CSV with a header, one address a line, or our own export."""
    with reading() as session:
        list_id = _list_id(session, slug)
    with click.open_file(file, "rb") as stream:
        report = import_suppressions(
            get_engine(),
            stream,
            reason=SuppressionReason(reason),
            source=f"file {click.format_filename(file, shorten=True)}",
            list_id=list_id,
            now=utc_now(),
        )
    if as_json:
        write_json(_report_as_json(report))
        return
    click.echo(
        f"{report.lines:,} lines: {report.new:,} newly suppressed, "
        f"{report.known:,} suppressed already, {report.rejected:,} left out."
    )
    for problem in report.problems[:PROBLEMS_SHOWN]:
        click.echo(f"  line {problem.line}: {problem.text}")
    if report.rejected > PROBLEMS_SHOWN:
        click.echo(f"  … and more; --json lists the first {len(report.problems):,}.")


@command.command("export")
@click.option("--list", "slug", help="Only this list's own; without it, all there are.")
@click.option("--out", "path", type=click.Path(dir_okay=False, writable=True), default="-")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, for a program.")
def export_command(slug: str | None, path: str, as_json: bool) -> None:
    """Write the suppressions as a CSV. It has hashes: the addresses themselves are kept nowhere.

    Only an installation with the same NEWSLETTER_ADDRESS_KEY can read it.
    """
    with reading() as session:
        list_id = _list_id(session, slug) if slug else None
    with _opened(path) as file:
        written = (write_json_lines if as_json else write_csv)(get_engine(), file, list_id=list_id)
    click.echo(f"{written:,} entries.", err=True)


@contextmanager
def _opened(path: str) -> Iterator[IO[str]]:
    with click.open_file(path, "w", encoding="utf-8") as file:
        yield file


def _list_id(session: Session, slug: str | None) -> int:
    return list_by_slug(session, slug).id if slug else EVERYWHERE


def _slugs(session: Session) -> dict[int, str]:
    slugs = {mailing_list.id: mailing_list.slug for mailing_list in all_lists(session)}
    return slugs | {EVERYWHERE: EVERY_LIST}


def _line(entry: Suppression | LiftedSuppression, slugs: dict[int, str]) -> str:
    scope = slugs.get(entry.list_id, f"list {entry.list_id}")
    kind = f", {entry.reply_class}" if entry.reply_class else ""
    return f"{_day(entry.created_at)}  {scope}: {entry.reason}{kind} ({entry.source})"


def _day(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M}"


def _entry_as_json(entry: Suppression | LiftedSuppression, slugs: dict[int, str]) -> dict[str, Any]:
    return {
        "hash": entry.address_hash.hex(),
        "list": None if entry.list_id == EVERYWHERE else slugs.get(entry.list_id),
        "reason": entry.reason.value,
        "class": entry.reply_class.value if entry.reply_class else None,
        "source": entry.source,
        "created_at": entry.created_at.isoformat(),
    }


def _lifted_as_json(entry: LiftedSuppression, slugs: dict[int, str]) -> dict[str, Any]:
    return _entry_as_json(entry, slugs) | {
        "lifted_at": entry.lifted_at.isoformat(),
        "lifted_by": entry.lifted_by,
        "why": entry.why,
    }


def _report_as_json(report: SuppressionReport) -> dict[str, Any]:
    return {
        "lines": report.lines,
        "new": report.new,
        "known": report.known,
        "rejected": report.rejected,
        "problems": [problem._asdict() for problem in report.problems],
    }
