"""Suppresses the addresses of a file of any size: a CSV, one address a line, or our own export."""

import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count, islice
from typing import IO, NamedTuple, cast

from sqlalchemy import Engine, select

from newsletter.addresses import (
    HASH_BYTES,
    address_hash,
    address_key_id,
    mask_address,
    parse_address,
)
from newsletter.audience.delimited import DELIMITERS, LONGEST_LINE, BrokenRecord, Reader, Record
from newsletter.audience.suppression import NewSuppression, keep_suppressions
from newsletter.db import reading, transaction
from newsletter.errors import AddressError, InputError
from newsletter.models import EVERYWHERE, MailingList, SuppressionReason

ENTRIES_AT_ONCE = 1_000
LOOK_BYTES = 1_000
MOST_PROBLEMS_KEPT = 1_000
LONGEST_SOURCE_SHOWN = 40
_ADDRESS_TITLES = ("address", "email", "e-mail", "email address", "email_address")
_HASH, _KEY_ID, _LIST, _REASON = "hash", "key_id", "list", "reason"
_CREATED_AT, _SOURCE = "created_at", "source"


class Problem(NamedTuple):
    line: int
    text: str
    """What was wrong, with addresses masked."""


@dataclass(slots=True)
class SuppressionReport:
    """`lines` = `new` + `known` + `rejected`."""

    lines: int = 0
    new: int = 0
    known: int = 0
    """Suppressed before, or named twice."""
    rejected: int = 0
    problems: list[Problem] = field(default_factory=list)
    """The first thousand."""


@dataclass(frozen=True, slots=True)
class _Defaults:
    list_id: int
    reason: SuppressionReason
    source: str
    now: datetime


def import_suppressions(
    engine: Engine,
    stream: IO[bytes],
    *,
    reason: SuppressionReason,
    source: str,
    list_id: int = EVERYWHERE,
    now: datetime,
) -> SuppressionReport:
    """What a line says of its list and reason counts, `list_id` and `reason` for all that do not.

    Again with the same file nothing changes. Raises `InputError` when the file is no text, or has no
    column to go by.
    """
    buffered = io.BufferedReader(cast("io.RawIOBase", stream))
    with reading(engine) as session:
        lists = {row.slug: row.id for row in session.scalars(select(MailingList))}
    defaults = _Defaults(list_id, reason, source, now)
    report = SuppressionReport()
    entries = _entries(_records(buffered), lists, defaults, report)
    while slice_ := list(islice(entries, ENTRIES_AT_ONCE)):
        with transaction(engine) as session:
            new = keep_suppressions(session, slice_)
        report.new += new
        report.known += len(slice_) - new
    return report


def _records(stream: "io.BufferedReader[io.RawIOBase]") -> Iterator[Record | BrokenRecord]:
    """The header first; a file without one has a header made for it."""
    first = stream.peek(LOOK_BYTES)[:LOOK_BYTES].partition(b"\n")[0]
    text = io.TextIOWrapper(stream, encoding="utf-8-sig", errors="replace", newline="\n")
    if b"@" not in first or any(mark.encode() in first for mark in DELIMITERS):
        reader = Reader(text)
        yield reader.header
        yield from reader
        return
    yield Record(0, [_ADDRESS_TITLES[0]])
    for number in count(1):
        line = text.readline(LONGEST_LINE)
        if not line:
            return
        if line.strip():
            yield Record(number, [line.strip()])


def _entries(
    records: Iterator[Record | BrokenRecord],
    lists: Mapping[str, int],
    defaults: _Defaults,
    report: SuppressionReport,
) -> Iterator[NewSuppression]:
    header = next(records)
    assert isinstance(header, Record)
    places = {title.strip().casefold(): place for place, title in enumerate(header.fields)}
    address_at = next((places[title] for title in _ADDRESS_TITLES if title in places), None)
    if address_at is None and not {_HASH, _KEY_ID} <= places.keys():
        raise InputError(
            "the file needs a column `address` or `email`, or the columns `hash` and `key_id` of "
            "our own export"
        )
    for record in records:
        report.lines += 1
        try:
            yield _read(record, places, address_at, lists, defaults)
        except InputError as error:
            report.rejected += 1
            if len(report.problems) < MOST_PROBLEMS_KEPT:
                report.problems.append(Problem(record.line, str(error)))


def _read(
    record: Record | BrokenRecord,
    places: Mapping[str, int],
    address_at: int | None,
    lists: Mapping[str, int],
    defaults: _Defaults,
) -> NewSuppression:
    if isinstance(record, BrokenRecord):
        raise InputError("the line is too long, or its quotes do not match")

    def cell(title: str) -> str:
        place = places.get(title)
        return (
            record.fields[place].strip() if place is not None and place < len(record.fields) else ""
        )

    if address_at is not None:
        hashed = _hash_of(record.fields[address_at] if address_at < len(record.fields) else "")
    else:
        hashed = _read_hash(cell(_HASH), cell(_KEY_ID))
    return NewSuppression(
        hashed,
        _read_list(cell(_LIST), lists, defaults),
        _read_reason(cell(_REASON), defaults),
        cell(_SOURCE) or defaults.source,
        _read_time(cell(_CREATED_AT), defaults),
    )


def _hash_of(text: str) -> bytes:
    try:
        return address_hash(parse_address(text))
    except AddressError as error:
        raise InputError("{address} is no address", address=mask_address(text)) from error


def _read_hash(text: str, key_id: str) -> bytes:
    if key_id != address_key_id():
        raise InputError(
            "the hash was made with another NEWSLETTER_ADDRESS_KEY ({key}) than ours "
            "({ours}), so it says nothing here",
            field="key_id",
            key=key_id or "unknown",
            ours=address_key_id(),
        )
    try:
        hashed = bytes.fromhex(text)
    except ValueError:
        hashed = b""
    if len(hashed) != HASH_BYTES:
        raise InputError("write {digits} hexadecimal digits", field="hash", digits=HASH_BYTES * 2)
    return hashed


def _read_list(slug: str, lists: Mapping[str, int], defaults: _Defaults) -> int:
    if not slug:
        return defaults.list_id
    if slug not in lists:
        raise InputError(
            "there is none called {slug!r}", field="list", slug=slug[:LONGEST_SOURCE_SHOWN]
        )
    return lists[slug]


def _read_reason(text: str, defaults: _Defaults) -> SuppressionReason:
    """A word that is not ours may mean anything: then it is what the admin says of the file."""
    try:
        return SuppressionReason(text)
    except ValueError:
        return defaults.reason


def _read_time(text: str, defaults: _Defaults) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return defaults.now
    return min(at if at.tzinfo else at.replace(tzinfo=UTC), defaults.now)
