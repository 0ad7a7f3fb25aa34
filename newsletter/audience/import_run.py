"""Runs one import: slice by slice, from wherever it has come to, until it ends or must stop."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Engine, insert, select, update
from sqlalchemy.orm import Session

from newsletter.addresses import mask_address
from newsletter.audience import import_chunks as chunks
from newsletter.audience.attributes import all_attributes
from newsletter.audience.delimited import BrokenRecord, Reader, Record
from newsletter.audience.import_columns import Columns
from newsletter.audience.import_encoding import UTF_8
from newsletter.audience.import_merge import LEFT, Merged, Merger
from newsletter.audience.import_seen import Seen
from newsletter.audience.presets import preset_called
from newsletter.audience.rows import RejectedError, Rejection, Row, RowReader
from newsletter.audience.suppression import OBJECTIONS
from newsletter.clock import utc_now
from newsletter.db import locked, reading, transaction
from newsletter.errors import FencedError, InputError, StateError
from newsletter.models import Import, ImportLine, ImportState
from newsletter.words import Words

RECORDS_PER_SLICE = 10_000
MOST_TAKES = 50
"""So often an import is taken up: what breaks off each time is not tried for ever."""
LONGEST_TEXT = 200

OnProgress = Callable[[int, int], None]
"""Called with the bytes read so far and the bytes in all."""


def never() -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Problem:
    line: int
    field: str
    reason: Rejection
    text: str
    """What was wrong, with addresses masked, or an explanation."""


@dataclass(frozen=True, slots=True)
class Slice:
    rows: list[Row]
    problems: list[Problem]
    last_line: int


def run_import(
    engine: Engine,
    import_id: int,
    *,
    should_stop: Callable[[], bool] = never,
    on_progress: OnProgress | None = None,
) -> ImportState:
    """Bring in what is still to come; returns the state in which that left it.

    Whoever calls this takes the import over: another process that is at it stops at its next slice.
    Raises `StateError` for an import that does not wait for anything.
    """
    job, started_at = _take(engine, import_id)
    if job.state is ImportState.FAILED:
        return job.state
    try:
        with closing(Seen()) as seen:
            run = _Run(engine, job, started_at, seen)
            for done in run.slices():
                if on_progress is not None:
                    on_progress(done, job.size_bytes)
                if should_stop():
                    return ImportState.RUNNING
        return _end(engine, job, ImportState.DONE)
    except InputError as error:
        return _end(engine, job, ImportState.FAILED, error=str(error))
    except FencedError:
        with reading(engine) as session:
            return session.get_one(Import, import_id).state


def _take(engine: Engine, import_id: int) -> tuple[Import, datetime]:
    now = utc_now()
    with transaction(engine) as session:
        job = locked(session, Import, import_id)
        if job is None or job.state not in (ImportState.WAITING, ImportState.RUNNING):
            raise StateError(
                "Import {number} is {state}: nothing to run.",
                number=import_id,
                state=job.state if job else Words("unknown"),
            )
        if job.token >= MOST_TAKES:
            chunks.forget(session, job.id)
            job.state, job.ended_at = ImportState.FAILED, now
            job.error = f"It was broken off {MOST_TAKES} times; import its file again."
            return job, now
        job.state = ImportState.RUNNING
        job.token += 1
        job.started_at = job.started_at or now
        job.alive_at = now
        return job, job.started_at


def _end(engine: Engine, job: Import, state: ImportState, *, error: str = "") -> ImportState:
    now = utc_now()
    with transaction(engine) as session:
        ended = session.execute(
            update(Import)
            .where(Import.id == job.id, Import.token == job.token)
            .values(state=state, error=error, alive_at=now, ended_at=now)
            .returning(Import.id)
        ).one_or_none()
        if ended is not None and not (job.is_dry_run and state is ImportState.DONE):
            chunks.forget(session, job.id)
    return state


@dataclass(slots=True)
class _Run:
    engine: Engine
    job: Import
    started_at: datetime
    """Counts as now for every row, also of what is left after an interruption."""
    seen: Seen
    outcomes: Counter[str] = field(init=False)
    statuses: Counter[str] = field(init=False)

    def __post_init__(self) -> None:
        self.outcomes = Counter(self.job.outcomes)
        self.statuses = Counter(self.job.statuses)

    def slices(self) -> Iterator[int]:
        """Import everything; yields the bytes read, after each transaction."""
        stored = chunks.StoredFile(self.engine, self.job.id)
        with chunks.opened(stored, self.job.encoding) as text:
            reader = Reader(text, self.job.delimiter)
            merger = Merger(self.job, self.started_at)
            for each in read_slices(reader, self._row_reader(), self.seen, after=self.job.line):
                if each.last_line <= self.job.line:
                    self._show_life()
                    continue
                self._save(each, merger, stored.taken)
                yield stored.taken

    def _row_reader(self) -> RowReader:
        with reading(self.engine) as session:
            attributes = {
                attribute.key: attribute
                for attribute in all_attributes(session)
                if attribute.retired_at is None
            }
        return RowReader(
            Columns.of(self.job.meanings),
            words=preset_called(self.job.preset).words if self.job.preset else {},
            file_status=self.job.file_status,
            attributes=attributes,
            is_decoded_strictly=self.job.encoding == UTF_8,
            now=self.started_at,
        )

    def _show_life(self) -> None:
        """What was imported before is read again, and that may take its minutes too."""
        with transaction(self.engine) as session:
            _hold(session, self.job)
            session.execute(
                update(Import).where(Import.id == self.job.id).values(alive_at=utc_now())
            )

    def _save(self, each: Slice, merger: Merger, bytes_read: int) -> None:
        with transaction(self.engine) as session:
            _hold(session, self.job)
            merged = self._merge(session, merger, each.rows)
            self.outcomes.update(problem.reason for problem in each.problems)
            for lines in merged.lines:
                self.outcomes[lines.outcome] += lines.count
            for status, people in merged.statuses.items():
                self.statuses[status.name.lower()] += people
            _report(session, self.job, merged, each.problems)
            session.execute(
                update(Import)
                .where(Import.id == self.job.id)
                .values(
                    line=each.last_line,
                    bytes_read=bytes_read,
                    outcomes=dict(self.outcomes),
                    statuses={word: people for word, people in self.statuses.items() if people},
                    alive_at=utc_now(),
                )
            )

    def _merge(self, session: Session, merger: Merger, rows: list[Row]) -> Merged:
        if not rows:
            return Merged((), Counter())
        if not self.job.is_dry_run:
            return merger.merge(session, rows)
        with session.begin_nested() as savepoint:
            merged = merger.merge(session, rows)
            savepoint.rollback()
        return merged


def read_slices(reader: Reader, rows: RowReader, seen: Seen, *, after: int) -> Iterator[Slice]:
    """The whole file. No slice has lines from both sides of `after`, where an import was broken off:
    what comes before it was imported then, and is read only to be `seen` again.
    """
    taken = _Taken(seen)
    for record in reader:
        taken.take(record, rows)
        if taken.is_full or record.line == after:
            yield taken.cut()
    if taken.records:
        yield taken.cut()


@dataclass(slots=True)
class _Taken:
    """The slice that is being read."""

    seen: Seen
    records: int = 0
    last_line: int = 0
    rows: dict[bytes, Row] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    @property
    def is_full(self) -> bool:
        return self.records >= RECORDS_PER_SLICE

    def take(self, record: Record | BrokenRecord, reader: RowReader) -> None:
        self.records += 1
        self.last_line = record.line
        if isinstance(record, BrokenRecord):
            reason = Rejection.TOO_LONG if record.is_too_long else Rejection.BROKEN_QUOTES
            self.problems.append(Problem(record.line, "line", reason, ""))
            return
        try:
            row = reader.read(record)
        except RejectedError as error:
            self.problems.append(Problem(record.line, error.field, error.reason, error.text))
            return
        first = self.rows.setdefault(row.hash, row)
        if first is not row:
            self._repeat(row, first.line)
            self.rows[row.hash] = _join(first, row)

    def cut(self) -> Slice:
        """What was taken, without those whom an earlier slice had; begins the next one."""
        repeats = self.seen.repeats({row.hash: row.line for row in self.rows.values()})
        for hashed, line in repeats.items():
            row = self.rows.pop(hashed)
            self._repeat(row, line)
            if row.ends_mail:
                self.rows[hashed] = row._replace(is_repeat=True)
        # In the order of keys, so that whoever writes the same ones waits, and not in a circle.
        rows = sorted(self.rows.values(), key=_key)
        problems = sorted(self.problems, key=_line)
        self.rows, self.problems, self.records = {}, [], 0
        return Slice(rows, problems, self.last_line)

    def _repeat(self, row: Row, first_line: int) -> None:
        text = f"{mask_address(row.key)} is on line {first_line} already"
        if row.ends_mail:
            text += ", but this one ends mail and counts"
        self.problems.append(Problem(row.line, "address", Rejection.REPEATED, text))


def _key(row: Row) -> str:
    return row.key


def _line(problem: Problem) -> int:
    return problem.line


def _join(first: Row, repeat: Row) -> Row:
    """Whoever left in either of two lines has left."""
    if not repeat.ends_mail:
        return first
    has_left = repeat.status == LEFT
    stronger = max(first, repeat, key=_strength)
    return first._replace(
        status=max(first.status, repeat.status),
        left_at=repeat.left_at if has_left and first.status != LEFT else first.left_at,
        suppression=stronger.suppression,
        suppressed_at=stronger.suppressed_at,
        is_suppressed_everywhere=stronger.is_suppressed_everywhere,
    )


def _strength(row: Row) -> tuple[bool, bool, bool]:
    """The person's own word counts more than a server's, wherever it stands."""
    return (
        row.suppression is not None,
        row.suppression in OBJECTIONS,
        row.is_suppressed_everywhere,
    )


def _hold(session: Session, job: Import) -> None:
    """Raises `FencedError` when the import was cancelled, or somebody else has taken it up."""
    held = session.scalar(
        select(Import.id)
        .where(
            Import.id == job.id,
            Import.token == job.token,
            Import.state == ImportState.RUNNING,
        )
        .with_for_update()
    )
    if held is None:
        raise FencedError("import {number} goes on elsewhere, or was cancelled", number=job.id)


def _report(session: Session, job: Import, merged: Merged, problems: Iterable[Problem]) -> None:
    lines: list[Mapping[str, object]] = [
        {
            "first_line": lines.first,
            "last_line": lines.last,
            "outcome": lines.outcome.value,
            "field": "",
            "text": "",
        }
        for lines in merged.lines
    ]
    lines += [
        {
            "first_line": problem.line,
            "last_line": problem.line,
            "outcome": problem.reason.value,
            "field": problem.field,
            "text": problem.text[:LONGEST_TEXT],
        }
        for problem in problems
    ]
    if lines:
        session.execute(insert(ImportLine), [{"import_id": job.id, **line} for line in lines])
