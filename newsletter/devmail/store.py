"""Keeps received mail on disk, small because one morning's letters are nearly equal.

A message is compressed against an earlier one that resembles it, so it costs little more than its
differences. Messages wait in memory for a fraction of a second to be written together; whoever
asks for mail has them written first, so nothing that was accepted is missing from an answer.
"""

import re
import sqlite3
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import zstandard

from newsletter.devmail.headers import header_text
from newsletter.devmail.received import Received
from newsletter.errors import InputError

BATCH_MESSAGES = 256
BATCH_BYTES = 4_194_304
LEVEL = 1
# Below this a resemblance saves nothing worth a second look.
SHORTEST_BASE = 2_048
# A message resembles a base if the base saves at least half of what compression alone leaves.
RESEMBLANCE = 0.5
RECENT_BASES = 4
LOCK_SECONDS = 0.2

_SCHEMA = """
CREATE TABLE IF NOT EXISTS message (
  id INTEGER PRIMARY KEY,
  at REAL NOT NULL,
  mail_from TEXT NOT NULL,
  recipients TEXT NOT NULL,
  sender TEXT NOT NULL,
  subject TEXT NOT NULL,
  size INTEGER NOT NULL,
  connection INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS content (
  id INTEGER PRIMARY KEY,
  base INTEGER,
  octets BLOB NOT NULL
);
"""


@dataclass(frozen=True, slots=True)
class Summary:
    """One line of the mailbox."""

    id: int
    at: datetime
    mail_from: str
    recipients: tuple[str, ...]
    sender: str
    """The From header as text, or the envelope's sender where there is none."""
    subject: str
    size: int
    connection: int


@dataclass(frozen=True, slots=True)
class Kept:
    summary: Summary
    content: bytes


@dataclass(frozen=True, slots=True)
class _Base:
    compressor: zstandard.ZstdCompressor
    most: float
    """The share of its size that a message may need and still resemble this one."""

    @classmethod
    def from_content(cls, content: bytes, *, share_alone: float) -> Self:
        dictionary = _dictionary(content)
        dictionary.precompute_compress(level=LEVEL)
        compressor = zstandard.ZstdCompressor(level=LEVEL, dict_data=dictionary)
        return cls(compressor, RESEMBLANCE * share_alone)


class Mailbox(Protocol):
    """What the pages need, and where mail may wait to be written."""

    def count(self) -> int: ...
    def get(self, message_id: int) -> Kept | None: ...
    def page(
        self, *, before: int | None = None, limit: int = 50, recipient: str = ""
    ) -> list[Summary]: ...
    def clear(self) -> None: ...
    def flush(self) -> None: ...


class Counter:
    """A mailbox that counts its mail and throws it away."""

    def __init__(self) -> None:
        self._count = 0

    def __call__(self, received: Received) -> None:
        self._count += 1

    def count(self) -> int:
        return self._count

    def get(self, message_id: int) -> Kept | None:
        return None

    def page(
        self, *, before: int | None = None, limit: int = 50, recipient: str = ""
    ) -> list[Summary]:
        return []

    def clear(self) -> None:
        self._count = 0

    def flush(self) -> None:
        """Nothing waits here."""


class Store:
    """One thread's; the directory belongs to one store at a time."""

    def __init__(self, directory: Path) -> None:
        self._waiting: list[tuple[int, Received]] = []
        self._waiting_bytes = 0
        self._bases: OrderedDict[int, _Base] = OrderedDict()
        self._plain = zstandard.ZstdCompressor(level=LEVEL)
        with _explained(directory):
            directory.mkdir(parents=True, exist_ok=True)
            self._database = sqlite3.connect(
                directory / "mail.sqlite3",
                timeout=LOCK_SECONDS,
                isolation_level=None,
                check_same_thread=False,
            )
            self._database.execute("PRAGMA locking_mode = EXCLUSIVE")
            self._database.execute("PRAGMA journal_mode = WAL")
            self._database.execute("PRAGMA synchronous = NORMAL")
            self._database.executescript(_SCHEMA)
            row = self._database.execute("SELECT count(*), max(id) FROM message").fetchone()
        self._count: int = row[0]
        self._last_id: int = row[1] or 0

    def __call__(self, received: Received) -> None:
        self._last_id += 1
        self._count += 1
        self._waiting.append((self._last_id, received))
        self._waiting_bytes += len(received.content)
        if len(self._waiting) >= BATCH_MESSAGES or self._waiting_bytes >= BATCH_BYTES:
            self.flush()

    def count(self) -> int:
        return self._count

    def get(self, message_id: int) -> Kept | None:
        self.flush()
        row = self._database.execute("SELECT * FROM message WHERE id = ?", (message_id,)).fetchone()
        return Kept(_summary(row), self._content(message_id)) if row else None

    def page(
        self, *, before: int | None = None, limit: int = 50, recipient: str = ""
    ) -> list[Summary]:
        """Newest first; `recipient` is any part of an address, without regard to case."""
        self.flush()
        wanted = re.sub(r"([\\%_])", r"\\\1", recipient)
        rows = self._database.execute(
            r"SELECT * FROM message WHERE id < ? AND recipients LIKE ? ESCAPE '\'"
            " ORDER BY id DESC LIMIT ?",
            (self._last_id + 1 if before is None else before, f"%{wanted}%", limit),
        )
        return [_summary(row) for row in rows]

    def clear(self) -> None:
        self._forget_waiting()
        self._bases.clear()
        self._count = 0
        self._database.executescript("DELETE FROM message; DELETE FROM content; VACUUM;")

    def flush(self) -> None:
        if not self._waiting:
            return
        try:
            self._write(self._waiting)
        except sqlite3.Error:
            # Nothing was written, so nothing may be compressed against it when it is tried again.
            self._bases.clear()
            raise
        self._forget_waiting()

    def _write(self, waiting: list[tuple[int, Received]]) -> None:
        contents = [(number, *self._compress(number, mail.content)) for number, mail in waiting]
        with self._database:
            self._database.execute("BEGIN")
            self._database.executemany("INSERT INTO content VALUES (?, ?, ?)", contents)
            self._database.executemany(
                "INSERT INTO message VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                [_row(number, mail) for number, mail in waiting],
            )

    def close(self) -> None:
        try:
            self.flush()
        finally:
            self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _forget_waiting(self) -> None:
        self._waiting = []
        self._waiting_bytes = 0

    def _compress(self, number: int, content: bytes) -> tuple[int | None, bytes]:
        """The message it is compressed against, if any, and the compressed octets."""
        if len(content) < SHORTEST_BASE:
            return None, self._plain.compress(content)
        for number_of_base, base in reversed(self._bases.items()):
            octets = base.compressor.compress(content)
            if len(octets) < base.most * len(content):
                self._bases.move_to_end(number_of_base)
                return number_of_base, octets
        alone = self._plain.compress(content)
        share_alone = len(alone) / len(content)
        self._bases[number] = _Base.from_content(content, share_alone=share_alone)
        if len(self._bases) > RECENT_BASES:
            self._bases.popitem(last=False)
        return None, alone

    def _content(self, number: int) -> bytes:
        base, octets = self._database.execute(
            "SELECT base, octets FROM content WHERE id = ?", (number,)
        ).fetchone()
        dictionary = None if base is None else _dictionary(self._content(base))
        return zstandard.ZstdDecompressor(dict_data=dictionary).decompress(octets)


def _dictionary(content: bytes) -> zstandard.ZstdCompressionDict:
    return zstandard.ZstdCompressionDict(content, dict_type=zstandard.DICT_TYPE_RAWCONTENT)


@contextmanager
def _explained(directory: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, sqlite3.Error) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        if reason == "database is locked":
            reason = "another devmail is using it"
        raise InputError(
            "{directory}: cannot keep mail there: {reason}", directory=directory, reason=reason
        ) from error


def _row(number: int, mail: Received) -> tuple[int, float, str, str, str, str, int, int]:
    return (
        number,
        mail.at.timestamp(),
        mail.mail_from,
        "\n".join(mail.rcpt_to),
        header_text(mail.content, "From") or mail.mail_from,
        header_text(mail.content, "Subject"),
        len(mail.content),
        mail.connection,
    )


def _summary(row: tuple[int, float, str, str, str, str, int, int]) -> Summary:
    number, at, mail_from, recipients, sender, subject, size, connection = row
    return Summary(
        id=number,
        at=datetime.fromtimestamp(at, UTC),
        mail_from=mail_from,
        recipients=tuple(recipients.split("\n")),
        sender=sender,
        subject=subject,
        size=size,
        connection=connection,
    )
