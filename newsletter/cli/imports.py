"""`newsletter import FILE …`: people from a file; and what became of the imports so far."""

import getpass
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from typing import IO, Any

import click

from newsletter.audience.import_archives import is_zip, members_of, read_member, unpacked
from newsletter.audience.import_report import ImportReport, report_of, write_report
from newsletter.audience.import_run import run_import
from newsletter.audience.import_undo import Undone, run_undoing, start_undoing, undone_of
from newsletter.audience.importing import (
    MOST_ON_A_PAGE,
    ImportPlan,
    Inspection,
    cancel_import,
    forget_file,
    get_import,
    inspect_file,
    list_imports,
    receive_file,
    resume_import,
    start_import,
)
from newsletter.audience.lists import list_by_slug, refuse_retired
from newsletter.cli.output import json_option, write_json
from newsletter.cli.progress import progress_bar
from newsletter.clock import utc_now
from newsletter.db import get_engine, reading
from newsletter.errors import InputError, StateError
from newsletter.models import Import, ImportState, LegalBasis

PROBLEMS_SHOWN = 20
IMPORTS_ON_A_PAGE = 20
_DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs"}
_BASES = {basis.value.replace(" ", "-"): basis for basis in LegalBasis}


class DefaultGroup(click.Group):
    """`newsletter import people.csv` is short for `newsletter import file people.csv`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] not in ctx.help_option_names:
            args = ["file", *args]
        return super().parse_args(ctx, args)


@click.group(cls=DefaultGroup)
def command() -> None:
    """Import people from a file; show, resume, cancel and undo imports.

    newsletter import FILE is short for newsletter import file FILE.
    """


@command.command("file")
@click.argument(
    "file", type=click.Path(exists=True, dir_okay=False, readable=True, allow_dash=True)
)
@click.option("--list", "slug", required=True, help="The list that they are subscribed to.")
@click.option(
    "--basis", type=click.Choice(list(_BASES)), required=True, help="Why they may be written to."
)
@click.option("--note", default="", help="Where and how they agreed; kept as evidence.")
@click.option("--map", "maps", multiple=True, help="TITLE=MEANING of a column; repeatable.")
@click.option("--preset", help="listmonk, mailchimp, ghost, substack, or none.")
@click.option("--encoding", help="Like utf-8, cp1252 or gb18030, if it was found wrongly.")
@click.option("--delimiter", help="A comma, a semicolon or tab, if it was found wrongly.")
@click.option(
    "--status",
    "statuses",
    multiple=True,
    help="What people are of whom the file does not say it; in a ZIP NAME=STATUS for each file.",
)
@click.option("--tag", "tags", multiple=True, help="Put on all of them; repeatable.")
@click.option("--overwrite", "overwrites", is_flag=True, help="Replace what is known already.")
@click.option("--dry-run", is_flag=True, help="Only report; change nothing.")
@click.option("--background", is_flag=True, help="Let a worker do it.")
@click.option("--yes", "is_confirmed", is_flag=True, help="Do not ask whether it is read rightly.")
@json_option
def file_command(
    file: str,
    slug: str,
    basis: str,
    maps: tuple[str, ...],
    statuses: tuple[str, ...],
    dry_run: bool,
    background: bool,
    is_confirmed: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Subscribe the people of FILE, a CSV with a header line, also gzipped; - reads standard input.

    How the file is read is shown first. Nobody who unsubscribed is brought back, nobody suppressed
    is subscribed, and importing the same file again changes nothing.
    """
    plan = ImportPlan(
        basis=_BASES[basis],
        columns=_pairs("map", maps),
        is_dry_run=dry_run,
        is_background=background,
        **options,
    )
    with reading() as session:
        mailing_list = list_by_slug(session, slug)
        refuse_retired(mailing_list)
    reports = []
    with click.open_file(file, "rb") as stream:
        for name, status, parts in _files(stream, click.format_filename(file, True), statuses):
            import_id = receive_file(
                get_engine(),
                parts,
                list_id=mailing_list.id,
                file_name=name,
                by=getpass.getuser(),
                now=utc_now(),
            )
            with _forgetting(import_id):
                each = replace(plan, status=status)
                _confirm(import_id, name, each, is_confirmed=is_confirmed, may_ask=file != "-")
                start_import(get_engine(), import_id, each)
            if background:
                click.echo(f"Import {import_id} waits for a worker.", err=True)
            else:
                _run(import_id)
            reports.append(_report(import_id))
    _show_all(reports, as_json=as_json)


@command.command("show")
@click.argument("import_id", metavar="ID", type=click.IntRange(1))
@json_option
def show_command(import_id: int, as_json: bool) -> None:
    """Show how far import ID has come, and what became of its lines."""
    with reading() as session:
        job = get_import(session, import_id)
    if as_json:
        write_json(_job_as_dict(job) | _report_as_dict(_report(import_id)))
        return
    _show_job(job)
    show_report(_report(import_id))


@command.command("list")
@click.option("--before", type=click.IntRange(1), help="Only those with a smaller number.")
@click.option(
    "--limit", default=IMPORTS_ON_A_PAGE, show_default=True, type=click.IntRange(1, MOST_ON_A_PAGE)
)
@json_option
def list_command(before: int | None, limit: int, as_json: bool) -> None:
    """Show the imports, the newest first."""
    with reading() as session:
        jobs = list_imports(session, before=before, limit=limit)
    if as_json:
        write_json([_job_as_dict(job) for job in jobs])
        return
    for job in jobs:
        click.echo(f"{job.id:>6}  {job.created_at:%Y-%m-%d %H:%M}  {job.state:<9}  {job.file_name}")
    if len(jobs) == limit:
        click.echo(f"… and more: --before {jobs[-1].id}", err=True)


@command.command("report")
@click.argument("import_id", metavar="ID", type=click.IntRange(1))
@click.option("--out", type=click.Path(dir_okay=False, writable=True), default="-")
def report_command(import_id: int, out: str) -> None:
    """Write what became of each line of import ID, as CSV."""
    with reading() as session, click.open_file(out, "w", encoding="utf-8") as file:
        get_import(session, import_id)
        write_report(session, import_id, file)


@command.command("cancel")
@click.argument("import_id", metavar="ID", type=click.IntRange(1))
def cancel_command(import_id: int) -> None:
    """Stop import ID. What came in stays; newsletter import undo takes it back."""
    cancel_import(get_engine(), import_id, now=utc_now())
    click.echo(f"Import {import_id} is cancelled.")


@command.command("resume")
@click.argument("import_id", metavar="ID", type=click.IntRange(1))
@click.option("--background", is_flag=True, help="Let a worker do it.")
@json_option
def resume_command(import_id: int, background: bool, as_json: bool) -> None:
    """Go on with import ID where it was broken off; whoever is still at it stops."""
    resume_import(get_engine(), import_id, is_background=background)
    if background:
        click.echo(f"Import {import_id} waits for a worker.", err=True)
    else:
        _run(import_id)
    _show_all([_report(import_id)], as_json=as_json)


@command.command("undo")
@click.argument("import_id", metavar="ID", type=click.IntRange(1))
@click.option("--background", is_flag=True, help="Let a worker do it.")
@json_option
def undo_command(import_id: int, background: bool, as_json: bool) -> None:
    """Take import ID back: remove what it alone made; what people did since stays."""
    by = getpass.getuser()
    start_undoing(get_engine(), import_id, by=by, now=utc_now(), is_background=background)
    if background:
        click.echo(f"Import {import_id} waits for a worker to undo it.", err=True)
        return
    undone = run_undoing(get_engine(), import_id, now=utc_now())
    if as_json:
        write_json(asdict(undone))
        return
    click.echo(_words_of(undone))


def _words_of(undone: Undone) -> str:
    return (
        f"Removed {undone.subscriptions:,} subscriptions, {undone.people:,} people of whom nothing "
        f"else is known, {undone.tags:,} tags and {undone.suppressions:,} suppressions."
    )


def _pairs(option: str, texts: Iterable[str]) -> dict[str, str]:
    pairs = [text.rpartition("=") for text in texts]
    if any(not separator for _, separator, _ in pairs):
        raise InputError("{option}: write it as TITLE=MEANING", option=option)
    return {title.strip(): meaning.strip() for title, _, meaning in pairs}


def _files(
    stream: IO[bytes], name: str, statuses: tuple[str, ...]
) -> Iterator[tuple[str, str | None, Iterable[bytes]]]:
    """The name, the stated status and the bytes of each file to import."""
    if not (stream.seekable() and is_zip(stream)):
        if len(statuses) > 1:
            raise InputError("it is one file, so name one status", field="status")
        yield name, statuses[0] if statuses else None, unpacked(stream)
        return
    members = [member.name for member in members_of(stream)]
    stated = {
        file.strip(): status.strip()
        for file, _, status in (each.rpartition("=") for each in statuses)
    }
    if set(stated) != set(members):
        raise InputError(
            "the class of a person is the file they are in; state it for each: {options}",
            field="status",
            options=" ".join(f"--status '{member}=…'" for member in members),
        )
    for member in members:
        yield f"{name}: {member}", stated[member], read_member(stream, member)


@contextmanager
def _forgetting(import_id: int) -> Iterator[None]:
    """A file that is not to be imported, or not so, is not kept."""
    try:
        yield
    except BaseException:
        cancel_import(get_engine(), import_id, now=utc_now())
        raise


def _confirm(
    import_id: int, name: str, plan: ImportPlan, *, is_confirmed: bool, may_ask: bool
) -> None:
    inspection = inspect_file(get_engine(), import_id, plan)
    _show_inspection(name, inspection)
    if is_confirmed:
        return
    if may_ask and sys.stdin.isatty():
        click.confirm("Import it so?", abort=True, err=True)
    elif inspection.is_encoding_guessed:
        raise InputError(
            "{name} is not UTF-8 and was taken for {encoding}; if that is right, say "
            "--encoding {encoding}",
            field="encoding",
            name=name,
            encoding=inspection.encoding,
        )


def _run(import_id: int) -> None:
    try:
        with progress_bar("importing") as on_progress:
            state = run_import(get_engine(), import_id, on_progress=on_progress)
    except KeyboardInterrupt:
        raise StateError(
            "Broken off. It goes on with: newsletter import resume {number}", number=import_id
        ) from None
    # The file is at hand, should the dry run be followed by an import.
    forget_file(get_engine(), import_id)
    if state is ImportState.FAILED:
        raise InputError(_report(import_id).error)


def _report(import_id: int) -> ImportReport:
    with reading() as session:
        return report_of(session, import_id)


def _show_inspection(name: str, inspection: Inspection) -> None:
    guess = ", which is a guess" if inspection.is_encoding_guessed else ""
    preset = f", an export of {inspection.preset}" if inspection.preset else ""
    click.echo(
        f"{name}: {inspection.encoding}{guess}, separated by "
        f"{_DELIMITERS[inspection.delimiter]}{preset}",
        err=True,
    )
    for column in inspection.columns:
        examples = ", ".join(text for text in column.examples if text)
        click.echo(f"  {column.title[:30]:<30} {column.meaning:<16} {examples[:60]}", err=True)


def _show_job(job: Import) -> None:
    click.echo(f"Import {job.id} of {job.file_name}: {job.state}")
    if job.state in (ImportState.WAITING, ImportState.RUNNING) and job.size_bytes:
        click.echo(f"  {100 * job.bytes_read // job.size_bytes} % read, up to line {job.line:,}")
    click.echo(f"  sha256 {job.sha256}, {job.size_bytes:,} bytes")
    click.echo(f"  by {job.by} on {job.created_at:%Y-%m-%d %H:%M}")
    if job.basis:
        click.echo(f"  basis: {job.basis}{f' ({job.note})' if job.note else ''}")
    if job.error:
        click.echo(f"  {job.error}")
    if job.undone_by:
        click.echo(f"  {_words_of(undone_of(job))}")


def _show_all(reports: list[ImportReport], *, as_json: bool) -> None:
    if as_json:
        found = [_report_as_dict(report) for report in reports]
        write_json(found[0] if len(found) == 1 else found)
        return
    for report in reports:
        show_report(report)


def show_report(report: ImportReport) -> None:
    kind = "Dry run" if report.is_dry_run else "Import"
    click.echo(f"{kind} {report.import_id}: {report.people:,} people in {report.lines:,} lines.")
    for outcome, lines in sorted(report.outcomes.items(), key=lambda each: -each[1]):
        click.echo(f"  {lines:>9,}  {outcome}")
    if report.statuses:
        words = (f"{people:,} {status.name.lower()}" for status, people in report.statuses.items())
        click.echo(f"On the list now: {', '.join(words)}.")
    if report.ignored_columns:
        click.echo(f"Ignored columns: {', '.join(report.ignored_columns)}.")
    for problem in report.problems[:PROBLEMS_SHOWN]:
        detail = f" ({problem.text})" if problem.text else ""
        click.echo(f"  line {problem.line}, {problem.field}: {problem.reason.value}{detail}")
    if len(report.problems) > PROBLEMS_SHOWN:
        click.echo(f"  … and more: newsletter import report {report.import_id}")


def _job_as_dict(job: Import) -> dict[str, Any]:
    return {
        "id": job.id,
        "file": job.file_name,
        "sha256": job.sha256,
        "state": job.state,
        "bytes_read": job.bytes_read,
        "size_bytes": job.size_bytes,
        "line": job.line,
        "basis": job.basis,
        "note": job.note,
        "by": job.by,
        "tags": job.tags,
        "error": job.error,
        "created_at": job.created_at.isoformat(),
        "ended_at": job.ended_at.isoformat() if job.ended_at else None,
        "undone_by": job.undone_by,
        "undone": asdict(undone_of(job)),
    }


def _report_as_dict(report: ImportReport) -> dict[str, Any]:
    return {
        "import": report.import_id,
        "state": report.state,
        "is_dry_run": report.is_dry_run,
        "lines": report.lines,
        "people": report.people,
        "outcomes": dict(report.outcomes),
        "statuses": {status.name.lower(): people for status, people in report.statuses.items()},
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
