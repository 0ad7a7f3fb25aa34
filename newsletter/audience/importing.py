"""Imports people from a CSV file of any size, slice by slice, and reports what came of each line.

Nobody who left comes back, nothing that a person set is overwritten, and importing the same file
again changes nothing.
"""

import shutil
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import IO

from sqlalchemy import Engine, insert, select, update
from sqlalchemy.orm import Session

from newsletter.addresses import mask_address
from newsletter.audience.delimited import BrokenRecord, Record, read_records, survey
from newsletter.audience.directory import Directory
from newsletter.audience.rows import Columns, RejectedError, Rejection, Row, read_row
from newsletter.audience.suppression import suppress_many, suppressed_among
from newsletter.db import insert_or_ignore, transaction
from newsletter.models import (
    ConsentEvent,
    ConsentKind,
    Subscription,
    SubscriptionStatus,
)

PEOPLE_PER_SLICE = 1_000
MOST_PROBLEMS_KEPT = 1_000

OnProgress = Callable[[int, int], None]
"""Called with the bytes read so far and the bytes in all."""


@dataclass(frozen=True, slots=True)
class Problem:
    line: int
    field: str
    reason: Rejection
    text: str
    """What was wrong, with addresses masked, or an explanation."""


@dataclass(frozen=True, slots=True)
class ImportReport:
    """`lines` = `people` + all rejected; `people` = `created` + `updated` + `unchanged`."""

    lines: int
    """Records behind the header, blank ones apart."""
    people: int
    created: int
    """New on this list."""
    updated: int
    """On it already, and something changed."""
    unchanged: int
    by_status: Mapping[SubscriptionStatus, int]
    """What the people of the file are on this list now."""
    stayed_away: int
    """They had unsubscribed; the file says otherwise and was not believed."""
    suppressed: int
    """People of the file who are never mailed, whether by this file's word or since long."""
    rejected: Mapping[Rejection, int]
    problems: tuple[Problem, ...]
    """The first thousand, in the file's order."""
    ignored_columns: tuple[str, ...]


def import_csv(
    engine: Engine,
    stream: IO[bytes],
    *,
    list_id: int,
    source: str,
    now: datetime,
    on_progress: OnProgress | None = None,
) -> ImportReport:
    """Subscribe the people of `stream` to a list, one transaction for each slice of them.

    `source` names the file in the evidence that every subscription gets. Raises `InputError` before
    anything is written when the file is not UTF-8 text or its header is of no use.
    """
    with tempfile.TemporaryFile() as copy:
        if not stream.seekable():
            shutil.copyfileobj(stream, copy)
            stream = copy
        stream.seek(0)
        facts = survey(stream)
        stream.seek(0)
        header, records = read_records(stream)
        columns = Columns.read(header)
        evidence = {"file": source, "sha256": facts.sha256}
        with closing(_Seen()) as seen:
            run = _Import(engine, list_id, source, evidence, columns, seen, now)
            for _ in run.slices(records):
                if on_progress is not None:
                    on_progress(stream.tell(), facts.size_bytes)
    return run.report()


class _Seen:
    """The addresses of the file so far, on disk: a set of ten million would not stay small."""

    def __init__(self) -> None:
        self._store = sqlite3.connect("", isolation_level=None)
        self._store.execute("PRAGMA journal_mode = OFF")
        self._store.execute("PRAGMA synchronous = OFF")
        self._store.execute("BEGIN")
        self._store.execute("CREATE TABLE seen (hash BLOB PRIMARY KEY, line) WITHOUT ROWID")

    def first_line(self, address_hash: bytes, line: int) -> int:
        """The line that had this address first, which may be `line` itself."""
        new = self._store.execute("INSERT OR IGNORE INTO seen VALUES (?, ?)", (address_hash, line))
        if new.rowcount:
            return line
        found = self._store.execute("SELECT line FROM seen WHERE hash = ?", (address_hash,))
        first: int = found.fetchone()[0]
        return first

    def close(self) -> None:
        self._store.close()


@dataclass(slots=True)
class _Import:
    engine: Engine
    list_id: int
    source: str
    evidence: Mapping[str, str]
    columns: Columns
    seen: _Seen
    now: datetime
    directory: Directory = field(default_factory=Directory)
    lines: int = 0
    people: int = 0
    created: int = 0
    updated: int = 0
    stayed_away: int = 0
    suppressed: int = 0
    by_status: Counter[SubscriptionStatus] = field(default_factory=Counter)
    rejected: Counter[Rejection] = field(default_factory=Counter)
    problems: list[Problem] = field(default_factory=list)

    def slices(self, records: Iterator[Record | BrokenRecord]) -> Iterator[None]:
        """Import everything, yielding after each transaction."""
        rows: dict[str, Row] = {}
        for record in records:
            self.lines += 1
            self._take(record, rows)
            if len(rows) == PEOPLE_PER_SLICE:
                self._save(rows)
                rows.clear()
                yield
        if rows:
            self._save(rows)
        yield

    def report(self) -> ImportReport:
        return ImportReport(
            lines=self.lines,
            people=self.people,
            created=self.created,
            updated=self.updated,
            unchanged=self.people - self.created - self.updated,
            by_status=dict(sorted((+self.by_status).items())),
            stayed_away=self.stayed_away,
            suppressed=self.suppressed,
            rejected=dict(self.rejected.most_common()),
            problems=tuple(self.problems),
            ignored_columns=self.columns.ignored,
        )

    def _take(self, record: Record | BrokenRecord, rows: dict[str, Row]) -> None:
        if isinstance(record, BrokenRecord):
            reason = Rejection.TOO_LONG if record.is_too_long else Rejection.BROKEN_QUOTES
            self._reject(Problem(record.line, "line", reason, ""))
            return
        try:
            row = read_row(record, self.columns, self.now)
        except RejectedError as error:
            self._reject(Problem(record.line, error.field, error.reason, error.text))
            return
        key = row.person.address_key
        first = self.seen.first_line(row.person.address_hash, row.line)
        if first != row.line:
            text = f"{mask_address(key)} is on line {first} already"
            self._reject(Problem(row.line, "address", Rejection.REPEATED, text))
            if row.ends_mail:
                rows[key] = _join(rows.get(key), row)
            return
        self.people += 1
        rows[key] = row

    def _reject(self, problem: Problem) -> None:
        self.rejected[problem.reason] += 1
        if len(self.problems) < MOST_PROBLEMS_KEPT:
            self.problems.append(problem)

    def _save(self, rows: Mapping[str, Row]) -> None:
        with transaction(self.engine) as session:
            saved = self.directory.save(
                session, [row.person for row in rows.values()], now=self.now
            )
            by_id = {saved.ids[key]: row for key, row in sorted(rows.items())}
            created = self._subscribe(session, by_id)
            changed = self._change(session, by_id, by_id.keys() - created)
            self._keep_evidence(session, by_id, created | changed)
            self._suppress(session, rows)
        self.created += len(created)
        for number in (changed | saved.completed) - created:
            self.updated += not by_id[number].is_repeat

    def _subscribe(self, session: Session, by_id: Mapping[int, Row]) -> set[int]:
        """Make the subscriptions that the list lacks; returns whose they are."""
        new = [
            {
                "list_id": self.list_id,
                "subscriber_id": number,
                "status": row.status,
                "hidden_sections": 0,
                "joined_at": row.joined_at or self.now,
                "left_at": self.now if row.status is SubscriptionStatus.UNSUBSCRIBED else None,
            }
            for number, row in by_id.items()
        ]
        statement = insert_or_ignore(session, Subscription).returning(Subscription.subscriber_id)
        created = set(session.connection().execute(statement, new).scalars())
        self.by_status.update(by_id[number].status for number in created)
        return created

    def _change(self, session: Session, by_id: Mapping[int, Row], there: set[int]) -> set[int]:
        """Move the subscriptions that were there on; returns whose changed."""
        if not there:
            return set()
        found = session.execute(
            select(Subscription.subscriber_id, Subscription.status)
            .where(Subscription.list_id == self.list_id, Subscription.subscriber_id.in_(there))
            .order_by(Subscription.subscriber_id)
            .with_for_update()
        )
        moving: dict[SubscriptionStatus, set[int]] = {}
        for number, before in found:
            row = by_id[number]
            after = status_after(before, row.status)
            if after is not before:
                moving.setdefault(after, set()).add(number)
            if before is SubscriptionStatus.UNSUBSCRIBED and not row.is_repeat:
                self.stayed_away += row.status is not before
            self.by_status[after] += 1
            self.by_status[before] -= row.is_repeat
        for after, numbers in moving.items():
            session.execute(
                update(Subscription)
                .where(
                    Subscription.list_id == self.list_id, Subscription.subscriber_id.in_(numbers)
                )
                .values(
                    status=after,
                    left_at=self.now if after is SubscriptionStatus.UNSUBSCRIBED else None,
                )
                .execution_options(synchronize_session=False)
            )
        return set().union(*moving.values())

    def _keep_evidence(self, session: Session, by_id: Mapping[int, Row], numbers: set[int]) -> None:
        events = [
            {
                "subscriber_id": number,
                "list_id": self.list_id,
                "kind": ConsentKind.IMPORTED,
                "at": self.now,
                "evidence": {**self.evidence, "line": row.line, "status": row.status.name.lower()},
            }
            for number, row in by_id.items()
            if number in numbers
        ]
        if events:
            session.connection().execute(insert(ConsentEvent), events)

    def _suppress(self, session: Session, rows: Mapping[str, Row]) -> None:
        reasons = {
            row.person.address_hash: row.suppression
            for row in rows.values()
            if row.suppression is not None
        }
        hashes = [row.person.address_hash for row in rows.values()]
        before = suppressed_among(session, hashes, list_id=self.list_id)
        suppress_many(session, reasons, source=self.source, now=self.now)
        for row in rows.values():
            was_so = row.person.address_hash in before
            is_new = row.suppression is not None and not was_so
            self.suppressed += is_new or (was_so and not row.is_repeat)


def status_after(before: SubscriptionStatus, wanted: SubscriptionStatus) -> SubscriptionStatus:
    """Nobody who left comes back, and nobody who confirmed has to confirm again.

    The order of the states says so: pending, confirmed, unsubscribed.
    """
    return max(before, wanted)


def _join(first: Row | None, repeat: Row) -> Row:
    """Whoever left in either of two lines has left; None when `first` has been saved already."""
    if first is None:
        return replace(repeat, is_repeat=True)
    return replace(
        first,
        status=status_after(first.status, repeat.status),
        suppression=first.suppression or repeat.suppression,
    )
