"""Imports people from a file of any size: receives it, shows how it would be read, and brings it in.

The file is kept in the database while it is needed, and each slice of it is one transaction with
the line it ends at: an import goes on after any death, in any process, without a half or a double
row. Nobody who left comes back, nothing that a person set is overwritten, and importing the same
file again changes nothing.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import PurePath
from typing import IO

from sqlalchemy import Engine, delete, select
from sqlalchemy.orm import Session

from newsletter.audience import import_chunks as chunks
from newsletter.audience.attributes import all_attributes
from newsletter.audience.delimited import DELIMITERS, Reader, Record
from newsletter.audience.fields import CONTROL_CHARACTER, read_line, refuse
from newsletter.audience.import_archives import unpacked
from newsletter.audience.import_columns import Columns, meanings_of
from newsletter.audience.import_encoding import read_encoding
from newsletter.audience.import_report import ImportReport, report_of
from newsletter.audience.import_run import OnProgress, run_import
from newsletter.audience.lists import refuse_retired
from newsletter.audience.presets import preset_called, recognise
from newsletter.audience.rows import STATUS_WORDS
from newsletter.audience.tags import read_tag
from newsletter.db import reading, transaction
from newsletter.errors import NotFoundError, StateError
from newsletter.models import Import, ImportLine, ImportState, LegalBasis, MailingList
from newsletter.queue import Job, enqueue_after_commit

LONGEST_FILE_NAME = 200
LONGEST_NOTE = 500
MOST_ON_A_PAGE = 500
EXAMPLES = 3
NO_PRESET = "none"


@dataclass(frozen=True, slots=True)
class ImportPlan:
    """How a received file is to be imported."""

    basis: LegalBasis
    note: str = ""
    """Where and how these people agreed."""
    columns: Mapping[str, str] = field(default_factory=dict)
    """What titles mean, where neither a preset nor the title itself says so rightly."""
    preset: str | None = None
    """None: the one that the header is recognised by, if any; `NO_PRESET`: none at all."""
    encoding: str | None = None
    """None: as it was found; so with the delimiter."""
    delimiter: str | None = None
    status: str | None = None
    """What everybody is of whom the file does not say it."""
    tags: Sequence[str] = ()
    overwrites: bool = False
    is_narrow: bool = False
    """Whoever imports may act on this list alone: nobody is suppressed elsewhere by it."""
    is_dry_run: bool = False
    is_background: bool = False


@dataclass(frozen=True, slots=True)
class Column:
    title: str
    meaning: str
    examples: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Inspection:
    """How a file would be read, for somebody to confirm."""

    encoding: str
    is_encoding_guessed: bool
    delimiter: str
    preset: str | None
    columns: tuple[Column, ...]


def receive_file(
    engine: Engine,
    parts: Iterable[bytes],
    *,
    list_id: int,
    file_name: str,
    by: str,
    now: datetime,
) -> int:
    """Keep a file and find out how it is written; returns the number of the new import.

    `parts` are its bytes unpacked, as `import_archives` gives them. Raises `InputError` for a file
    that is too large or has no header, and `StateError` for a retired list.
    """
    with transaction(engine) as session:
        refuse_retired(session.get_one(MailingList, list_id))
        job = Import(list_id=list_id, file_name=_plain_name(file_name), by=by, created_at=now)
        job.outcomes, job.statuses = {}, {}
        session.add(job)
    try:
        facts = chunks.store(engine, job.id, parts)
        encoding = facts.encoding()
        reader = _reader(engine, job.id, encoding.name, None)
    except BaseException:
        with transaction(engine) as session:
            session.delete(session.get_one(Import, job.id))
        raise
    with transaction(engine) as session:
        session.add(job)
        job.sha256, job.size_bytes = facts.sha256, facts.size_bytes
        job.encoding, job.is_encoding_guessed = encoding.name, encoding.is_guess
        job.delimiter = reader.delimiter
        job.titles = _titles(reader)
        job.preset = recognise(job.titles)
    return job.id


def inspect_file(engine: Engine, import_id: int, plan: ImportPlan) -> Inspection:
    """What `start_import` would make of the file, with its first rows. Raises `InputError`."""
    with reading(engine) as session:
        job = get_import(session, import_id)
        _read_as(engine, session, job, plan)
        session.expunge(job)
    examples = _first_rows(_reader(engine, job.id, job.encoding, job.delimiter))
    return Inspection(
        encoding=job.encoding,
        is_encoding_guessed=job.is_encoding_guessed,
        delimiter=job.delimiter,
        preset=job.preset,
        columns=tuple(
            Column(title, meaning, tuple(row[place] for row in examples if place < len(row)))
            for place, (title, meaning) in enumerate(zip(job.titles, job.meanings, strict=True))
        ),
    )


def start_import(engine: Engine, import_id: int, plan: ImportPlan) -> Import:
    """Confirm how a received file is read, and let it run.

    In the background a worker takes it; otherwise whoever started it calls `run_import`. After a
    dry run it is started anew, with another plan if need be, as long as its file is kept. Raises
    `InputError`, `NotFoundError`, and `StateError` when it was started before.
    """
    with transaction(engine) as session:
        job = get_import(session, import_id, is_locked=True)
        _begin_anew(session, job)
        refuse_retired(session.get_one(MailingList, job.list_id))
        _read_as(engine, session, job, plan)
        Columns.of(job.meanings)
        _require_status(job, plan)
        job.basis = plan.basis
        job.note = read_line("note", plan.note, longest=LONGEST_NOTE, may_be_empty=True)
        job.file_status = _read_status(plan.status)
        job.tags = sorted({read_tag(tag) for tag in plan.tags})
        job.overwrites = _read_overwrites(plan)
        job.is_narrow = plan.is_narrow
        job.is_dry_run = plan.is_dry_run
        job.is_background = plan.is_background
        job.state = ImportState.WAITING
        if job.is_background:
            enqueue_after_commit(session, Job.IMPORT_FILES)
    return job


def import_file(
    engine: Engine,
    stream: IO[bytes],
    plan: ImportPlan,
    *,
    list_id: int,
    file_name: str,
    by: str,
    now: datetime,
    on_progress: OnProgress | None = None,
) -> ImportReport:
    """Receive, start and run in one; for callers who need nobody to confirm. Raises `InputError`."""
    import_id = receive_file(
        engine, unpacked(stream), list_id=list_id, file_name=file_name, by=by, now=now
    )
    start_import(engine, import_id, plan)
    run_import(engine, import_id, on_progress=on_progress)
    forget_file(engine, import_id)
    with reading(engine) as session:
        return report_of(session, import_id)


def resume_import(engine: Engine, import_id: int, *, is_background: bool) -> Import:
    """Let a broken off import go on; whoever was at it stops. Raises `StateError`."""
    with transaction(engine) as session:
        job = get_import(session, import_id, is_locked=True)
        if job.state not in (ImportState.WAITING, ImportState.RUNNING):
            raise StateError(
                "Import {number} is {state}: there is nothing to resume.",
                number=job.id,
                state=job.state,
            )
        job.state = ImportState.WAITING
        job.token += 1
        job.is_background = is_background
        if is_background:
            enqueue_after_commit(session, Job.IMPORT_FILES)
    return job


def cancel_import(engine: Engine, import_id: int, *, now: datetime) -> Import:
    """Stop at the next slice and forget the file; what came in stays, until it is undone."""
    with transaction(engine) as session:
        job = get_import(session, import_id, is_locked=True)
        if job.state not in (ImportState.RECEIVED, ImportState.WAITING, ImportState.RUNNING):
            raise StateError(
                "Import {number} is {state}: there is nothing to cancel.",
                number=job.id,
                state=job.state,
            )
        job.state = ImportState.CANCELLED
        job.token += 1
        job.ended_at = now
        chunks.forget(session, job.id)
    return job


def get_import(session: Session, import_id: int, *, is_locked: bool = False) -> Import:
    """Raises `NotFoundError`."""
    found = session.get(Import, import_id, with_for_update=is_locked)
    if found is None:
        raise NotFoundError("There is no import {number}.", number=import_id)
    return found


def list_imports(
    session: Session,
    *,
    before: int | None = None,
    limit: int = 50,
    list_ids: Collection[int] | None = None,
) -> list[Import]:
    """The newest first; those with a smaller number than `before`, into these lists or any."""
    query = select(Import).order_by(Import.id.desc()).limit(min(limit, MOST_ON_A_PAGE))
    if list_ids is not None:
        query = query.where(Import.list_id.in_(list_ids))
    if before is not None:
        query = query.where(Import.id < before)
    return list(session.scalars(query))


def is_open(session: Session, job: Import) -> bool:
    """Whether it can be started: for the first time, or after a dry run whose file is still kept."""
    if job.state is ImportState.DONE and job.is_dry_run:
        return chunks.is_kept(session, job.id)
    return job.state is ImportState.RECEIVED


def forget_file(engine: Engine, import_id: int) -> None:
    """For good: after a dry run that nothing is to follow."""
    with transaction(engine) as session:
        chunks.forget(session, import_id)


def _begin_anew(session: Session, job: Import) -> None:
    if not is_open(session, job):
        raise StateError(
            "Import {number} was started already: it is {state}.", number=job.id, state=job.state
        )
    session.execute(delete(ImportLine).where(ImportLine.import_id == job.id))
    job.outcomes, job.statuses = {}, {}
    job.line, job.bytes_read, job.error = 0, 0, ""
    job.started_at = job.alive_at = job.ended_at = None


def _read_as(engine: Engine, session: Session, job: Import, plan: ImportPlan) -> None:
    """Set on `job` how it is read. Raises `InputError`."""
    if plan.encoding is not None:
        job.encoding, job.is_encoding_guessed = _read_encoding(plan.encoding), False
    if plan.delimiter is not None:
        job.delimiter = _read_delimiter(plan.delimiter)
    if plan.encoding is not None or plan.delimiter is not None:
        job.titles = _titles(_reader(engine, job.id, job.encoding, job.delimiter))
        job.preset = recognise(job.titles)
    if plan.preset is not None:
        job.preset = None if plan.preset == NO_PRESET else plan.preset
    preset = preset_called(job.preset) if job.preset else None
    job.meanings = meanings_of(
        job.titles,
        preset=preset,
        said=plan.columns,
        attributes={each.key for each in all_attributes(session) if each.retired_at is None},
    )


def _require_status(job: Import, plan: ImportPlan) -> None:
    preset = preset_called(job.preset) if job.preset else None
    if preset is None or not preset.status_is_the_file or plan.status is not None:
        return
    if "status" not in job.meanings:
        refuse(
            "status",
            "an export of {name} has a file each for those who are subscribed, "
            "unsubscribed and cleaned; say what the people of {file} are",
            name=preset.name,
            file=job.file_name,
        )


def _read_status(text: str | None) -> str | None:
    if text is None:
        return None
    word = text.strip().casefold()
    if word not in STATUS_WORDS:
        refuse("status", "write one of: {known}", known=", ".join(STATUS_WORDS))
    return word


def _read_overwrites(plan: ImportPlan) -> bool:
    if plan.overwrites and plan.is_narrow:
        refuse(
            "overwrites", "people may be on lists that are not yours; what is known of them stays"
        )
    return plan.overwrites


def _read_encoding(text: str) -> str:
    try:
        return read_encoding(text)
    except LookupError:
        refuse("encoding", "write one like utf-8, cp1252 or gb18030")


def _read_delimiter(text: str) -> str:
    mark = "\t" if text in ("tab", "\\t") else text
    if mark not in DELIMITERS:
        refuse("delimiter", "write a comma, a semicolon or the word tab")
    return mark


def _plain_name(file_name: str) -> str:
    """As evidence has it, and without the folders of somebody's machine."""
    name = CONTROL_CHARACTER.sub("\N{REPLACEMENT CHARACTER}", PurePath(file_name).name)
    return name[-LONGEST_FILE_NAME:] or "file"


def _reader(engine: Engine, import_id: int, encoding: str, delimiter: str | None) -> Reader:
    return Reader(chunks.opened(chunks.StoredFile(engine, import_id), encoding), delimiter)


def _titles(reader: Reader) -> list[str]:
    return [
        CONTROL_CHARACTER.sub("\N{REPLACEMENT CHARACTER}", title.strip())
        for title in reader.header.fields
    ]


def _first_rows(reader: Reader) -> list[list[str]]:
    rows: list[list[str]] = []
    for record in reader:
        if isinstance(record, Record):
            rows.append(record.fields)
        if len(rows) == EXAMPLES:
            break
    return rows
