"""A worker's own notes of what it put on the wire; they survive `kill -9` of the worker.

One append-only file per process, locked for as long as the process lives: the lock, which the
kernel gives back however the process ends, tells recovery whether the owner is gone. A record is
one `write` of a few bytes, so it is in the page cache, whole, before the message's final dot.
"""

import fcntl
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self
from uuid import uuid4

from newsletter.deliver.ledger import Lease
from newsletter.deliver.outcome import Reply

FOLDER = "journals"
SUFFIX = ".journal"

_RECORD = struct.Struct("<cIIIQH")  # kind, edition, batch, token, subscriber, code
_GOING = b"g"
_ANSWERED = b"a"
_CLOSED = -1


class Journal:
    def __init__(self, descriptor: int, path: Path) -> None:
        self._descriptor = descriptor
        self._path = path

    @classmethod
    def create(cls, folder: Path) -> Self:
        """A new, locked journal. Raises `OSError` when the folder cannot be written."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{os.getpid()}-{uuid4().hex[:8]}{SUFFIX}"
        newborn = path.with_suffix(".new")
        descriptor = os.open(newborn, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_APPEND, 0o600)
        # Locked before it gets the name that recovery looks for, else a neighbour could take a
        # newborn journal for an orphan and delete it.
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        newborn.rename(path)
        return cls(descriptor, path)

    def going(self, lease: Lease, subscriber_id: int) -> None:
        """Note that this message's content goes out now.

        Raises `OSError` (a full disk, say): then the content must not go out.
        """
        self._write(_GOING, lease, subscriber_id, 0)

    def answered(self, lease: Lease, subscriber_id: int, reply: Reply) -> None:
        self._write(_ANSWERED, lease, subscriber_id, reply.code)

    def forget(self) -> None:
        """Drop all records: what they say is in the database."""
        os.ftruncate(self._descriptor, 0)

    def close(self) -> None:
        """End an empty journal; one with records must be left for recovery by `abandon`."""
        self._path.unlink(missing_ok=True)
        self.abandon()

    def abandon(self) -> None:
        """Give the journal, with its records, to whoever recovers next; it takes no more of them."""
        if self._descriptor != _CLOSED:
            os.close(self._descriptor)
        # The number may be another file's by now.
        self._descriptor = _CLOSED

    def _write(self, kind: bytes, lease: Lease, subscriber_id: int, code: int) -> None:
        record = _RECORD.pack(kind, lease.edition_id, lease.batch, lease.token, subscriber_id, code)
        written = os.write(self._descriptor, record)
        if written != _RECORD.size:
            # A record behind a torn one would be misread.
            os.ftruncate(self._descriptor, os.fstat(self._descriptor).st_size - written)
            message = f"{self._path} took only a part of a record"
            raise OSError(message)


@dataclass(slots=True)
class Orphan:
    """What a dead worker noted about one batch."""

    lease: Lease
    answers: dict[int, int] = field(default_factory=dict)
    """Reply code by subscriber."""
    unanswered: set[int] = field(default_factory=set)
    """Content went out and no answer came."""


@contextmanager
def orphans(folder: Path) -> Iterator[list[Orphan]]:
    """What the journals of dead workers say; they are deleted when the block ends well."""
    found: dict[Lease, Orphan] = {}
    taken: list[tuple[int, Path]] = []
    try:
        for path in sorted(folder.glob(f"*{SUFFIX}")):
            descriptor = _take_over(path)
            if descriptor is None:
                continue
            taken.append((descriptor, path))
            _read(descriptor, found)
        yield list(found.values())
        for _, path in taken:
            path.unlink(missing_ok=True)
    finally:
        for descriptor, _ in taken:
            os.close(descriptor)


def _take_over(path: Path) -> int | None:
    """An open descriptor of a journal whose owner is gone; None when it lives or was quicker."""
    try:
        descriptor = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    if not path.exists():  # another recovery finished it between our open and our lock
        os.close(descriptor)
        return None
    return descriptor


def _read(descriptor: int, found: dict[Lease, Orphan]) -> None:
    with open(descriptor, "rb", closefd=False) as journal:
        while len(record := journal.read(_RECORD.size)) == _RECORD.size:
            kind, edition_id, batch, token, subscriber_id, code = _RECORD.unpack(record)
            lease = Lease(edition_id, batch, token)
            orphan = found.setdefault(lease, Orphan(lease))
            if kind == _GOING:
                orphan.unanswered.add(subscriber_id)
            else:
                orphan.unanswered.discard(subscriber_id)
                orphan.answers[subscriber_id] = code
