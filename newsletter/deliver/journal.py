"""A worker's own notes of what it put on the wire; they survive `kill -9` of the worker.

One file per process, locked for as long as the process lives: the lock, which the kernel gives back
however the process ends, tells recovery whether the owner is gone. The file is mapped into memory:
a note is a store into the page cache, which outlives the process, and costs no system call. Its
room on the disk is taken beforehand, so that a full disk is an error before a message's content
goes out and never a fault in the middle of a note.

The file is a row of notes of one size, only ever added to. A note's kind is written last: without
one it does not exist, and nothing stands behind it. A message has one note, which its answer
completes. What stands before a note of the kind `_SETTLED` is in the database and of no concern to
recovery; it is kept for a while under another name, for `sent_since`: a database that was restored
from a backup asks there what it has forgotten.
"""

import errno
import fcntl
import logging
import mmap
import os
import struct
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple, Self
from uuid import uuid4

from newsletter.clock import utc_now
from newsletter.deliver.ledger import Lease
from newsletter.deliver.outcome import Reply

logger = logging.getLogger(__name__)

FOLDER = "journals"
SUFFIX = ".journal"
PAST_SUFFIX = ".past"
PAST_KEPT = timedelta(hours=48)
MOST_PAST_BYTES = 1 << 30
"""Of one host: the notes of some sixty million messages. Beyond it the oldest go first."""

ROOM_BYTES = 1 << 18
"""What is taken on the disk at a time."""
FULL_BYTES = 1 << 22
"""From here on a new file is begun, once all that is in this one is settled."""

_NOTE_BYTES = 16
_MAGIC = b"newsletter  j2\r\n"
_CLAIM = struct.Struct("<III")  # edition, batch, token
_MESSAGE = struct.Struct("<QH")  # subscriber, code; or, where all is settled, a time in seconds
_CODE = struct.Struct("<H")
_CODE_AT = 8
_KIND_AT = 15
_CLAIMED, _GOING, _ANSWERED, _SETTLED = 1, 2, 3, 4
_CLOSED = -1


class Journal:
    def __init__(self, notes: "_Notes") -> None:
        self._notes = notes
        self._lease: Lease | None = None
        self._is_settled = True
        self._places: dict[int, int] = {}
        """Of the notes that await their answer, by subscriber."""

    @classmethod
    def create(cls, folder: Path) -> Self:
        """A new, locked journal. Raises `OSError` when the folder cannot be written."""
        folder.mkdir(parents=True, exist_ok=True)
        return cls(_Notes.create(folder))

    def going(self, lease: Lease, subscriber_id: int) -> None:
        """Note that this message's content goes out now.

        Raises `OSError` (a full disk, say): then the content must not go out.
        """
        if lease is not self._lease:
            self._notes.add(_CLAIM, lease.edition_id, lease.batch, lease.token, kind=_CLAIMED)
            self._lease = lease
        self._places[subscriber_id] = self._notes.add(_MESSAGE, subscriber_id, 0, kind=_GOING)
        self._is_settled = False

    def answered(self, lease: Lease, subscriber_id: int, reply: Reply) -> None:
        """Complete the note of a message that was `going`."""
        self._notes.complete(self._places.pop(subscriber_id), reply.code)

    def forget(self) -> None:
        """Nothing noted so far concerns recovery any more: what it says is in the database."""
        if self._is_settled:
            return
        self._notes.add(_MESSAGE, int(utc_now().timestamp()), 0, kind=_SETTLED)
        self._lease, self._is_settled = None, True
        self._places.clear()
        if self._notes.is_full:
            self._turn_over()

    def close(self) -> None:
        """End a settled journal; one with other notes must be left for recovery by `abandon`."""
        self._notes.put_away()
        self.abandon()

    def abandon(self) -> None:
        """Give the journal, with its notes, to whoever recovers next; it takes no more of them."""
        self._notes.close()

    def _turn_over(self) -> None:
        try:
            fresh = _Notes.create(self._notes.path.parent)
        except OSError as error:
            # The old one goes on growing.
            logger.warning("no room for a new journal", extra={"error": error.strerror})
            return
        self.close()
        self._notes = fresh


class _Notes:
    """The file, mapped as far as room on the disk was taken for it."""

    def __init__(self, descriptor: int, path: Path) -> None:
        self._descriptor = descriptor
        self.path = path
        self._room = os.fstat(descriptor).st_size
        self._map = mmap.mmap(descriptor, self._room)
        self._end = len(_MAGIC)

    @classmethod
    def create(cls, folder: Path) -> Self:
        path = folder / f"{os.getpid()}-{uuid4().hex[:8]}{SUFFIX}"
        newborn = path.with_suffix(".new")
        descriptor = os.open(newborn, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
        try:
            os.write(descriptor, _MAGIC)
            os.posix_fallocate(descriptor, 0, ROOM_BYTES)
            # Locked before it gets the name that recovery looks for, else a neighbour could take a
            # newborn journal for an orphan and delete it.
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            newborn.rename(path)
        except OSError:
            newborn.unlink(missing_ok=True)
            os.close(descriptor)
            raise
        return cls(descriptor, path)

    @property
    def is_full(self) -> bool:
        return self._end >= FULL_BYTES

    def add(self, form: struct.Struct, *values: int, kind: int) -> int:
        """Write a note behind the last one; returns its place."""
        place = self._end
        if place + _NOTE_BYTES > self._room:
            self._take_room()
        form.pack_into(self._map, place, *values)
        self._map[place + _KIND_AT] = kind
        self._end = place + _NOTE_BYTES
        return place

    def complete(self, place: int, code: int) -> None:
        _CODE.pack_into(self._map, place + _CODE_AT, code)
        self._map[place + _KIND_AT] = _ANSWERED

    def put_away(self) -> None:
        """Keep what was sent, if anything was."""
        if self._descriptor != _CLOSED:
            _put_away(self._descriptor, self.path, end=self._end)

    def close(self) -> None:
        if self._descriptor == _CLOSED:
            return
        self._map.close()
        os.close(self._descriptor)
        # The number may be another file's by now.
        self._descriptor, self._room = _CLOSED, 0

    def _take_room(self) -> None:
        if self._descriptor == _CLOSED:
            raise OSError(errno.EBADF, "bad descriptor: the journal was given up", str(self.path))
        os.posix_fallocate(self._descriptor, self._room, ROOM_BYTES)
        self._room += ROOM_BYTES
        self._map.close()
        self._map = mmap.mmap(self._descriptor, self._room)


@dataclass(slots=True)
class Orphan:
    """What a dead worker noted about one batch."""

    lease: Lease
    answers: dict[int, int] = field(default_factory=dict)
    """Reply code by subscriber."""
    unanswered: set[int] = field(default_factory=set)
    """Content went out and no answer came."""

    @property
    def went_out(self) -> set[int]:
        """All whose content the worker put on the wire, or was about to."""
        return self.unanswered | self.answers.keys()


@dataclass(frozen=True, slots=True)
class Noted:
    """A message whose content went out; `code` is None when no answer to it was noted."""

    edition_id: int
    subscriber_id: int
    code: int | None


@contextmanager
def orphans(folder: Path) -> Iterator[list[Orphan]]:
    """What the journals of dead workers say; they become the past when the block ends well."""
    found: dict[Lease, Orphan] = {}
    taken: list[tuple[int, Path, int]] = []
    try:
        for path in sorted(folder.glob(f"*{SUFFIX}")):
            descriptor = _take_over(path)
            if descriptor is None:
                continue
            notes = list(_notes_in(path))
            taken.append((descriptor, path, notes[-1].place + _NOTE_BYTES if notes else 0))
            _sort_out(notes, found)
        yield list(found.values())
        for descriptor, path, end in taken:
            _put_away(descriptor, path, end=end)
    finally:
        for descriptor, *_ in taken:
            os.close(descriptor)


def sent_since(folder: Path, since: datetime) -> Iterator[Noted]:
    """What this host's workers put on the wire since then, as far as it is still kept, in no order.

    Settled notes carry the time of their batch's end. A message may come twice: once for each try.
    """
    for path in (*folder.glob(f"*{PAST_SUFFIX}"), *folder.glob(f"*{SUFFIX}")):
        notes: list[Noted] = []
        for note in _notes_in(path):
            if note.kind != _SETTLED:
                code = note.code if note.kind == _ANSWERED else None
                notes.append(Noted(note.lease.edition_id, note.number, code))
                continue
            if note.number >= int(since.timestamp()):
                yield from notes
            notes.clear()
        yield from notes


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


def _sort_out(notes: Iterable["_Note"], found: dict[Lease, Orphan]) -> None:
    unsettled: list[_Note] = []
    for note in notes:
        if note.kind == _SETTLED:
            unsettled.clear()
        else:
            unsettled.append(note)
    for note in unsettled:
        orphan = found.setdefault(note.lease, Orphan(note.lease))
        # Of somebody's several tries the last one counts.
        if note.kind == _ANSWERED:
            orphan.unanswered.discard(note.number)
            orphan.answers[note.number] = note.code
        else:
            orphan.answers.pop(note.number, None)
            orphan.unanswered.add(note.number)


class _Note(NamedTuple):
    """`number` is the subscriber, and of a settling the time; `place` is where in the file it is."""

    place: int
    kind: int
    lease: Lease
    number: int
    code: int


def _notes_in(path: Path) -> Iterator[_Note]:
    """Of messages and settlings, each message with the claim that it was sent under."""
    try:
        octets = path.read_bytes()
    except FileNotFoundError:
        return  # it became the past, or too old, since it was listed
    if not octets.startswith(_MAGIC):
        logger.warning("not a journal of this version", extra={"journal": path.name})
        return
    lease = Lease(0, 0, 0)
    for place in range(len(_MAGIC), len(octets) - _NOTE_BYTES + 1, _NOTE_BYTES):
        kind = octets[place + _KIND_AT]
        if kind == _CLAIMED:
            lease = Lease(*_CLAIM.unpack_from(octets, place))
        elif kind:
            yield _Note(place, kind, lease, *_MESSAGE.unpack_from(octets, place))
        else:
            return  # the end, or a note that its writer did not live to finish


def _put_away(descriptor: int, path: Path, *, end: int) -> None:
    """Give a file the name of the past, if there are notes in it, and room for as many only."""
    if end <= len(_MAGIC):
        path.unlink(missing_ok=True)
        return
    os.ftruncate(descriptor, end)
    os.utime(descriptor)  # it is kept for a while from now on
    path.rename(path.with_suffix(PAST_SUFFIX))
    _forget_the_oldest(path.parent)


def _forget_the_oldest(folder: Path) -> None:
    """Whoever adds to a host's past clears it up: where nothing is added, nothing has to go."""
    oldest = (utc_now() - PAST_KEPT).timestamp()
    kept = 0
    for modified_at, size, path in sorted(_past_of(folder), reverse=True):
        kept += size
        if modified_at < oldest or kept > MOST_PAST_BYTES:
            path.unlink(missing_ok=True)


def _past_of(folder: Path) -> Iterator[tuple[float, int, Path]]:
    for path in folder.glob(f"*{PAST_SUFFIX}"):
        try:
            status = path.stat()
        except FileNotFoundError:
            continue  # a neighbour clears up too
        yield status.st_mtime, status.st_size, path
