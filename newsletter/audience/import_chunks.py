"""Keeps the file of an import in the database while it is needed, so that any worker can read it."""

import hashlib
import io
from collections.abc import Iterable

import zstandard
from sqlalchemy import Engine, delete, exists, insert, select
from sqlalchemy.orm import Session

from newsletter.audience.import_encoding import Encoding, EncodingFinder
from newsletter.db import reading, transaction
from newsletter.models import ImportChunk

_LEVEL = 1


class FileFacts:
    """What storing a file has told about it."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()
        self._encoding = EncodingFinder()
        self.size_bytes = 0

    def look_at(self, chunk: bytes) -> None:
        self._digest.update(chunk)
        self._encoding.look_at(chunk)
        self.size_bytes += len(chunk)

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()

    def encoding(self) -> Encoding:
        return self._encoding.found()


def store(engine: Engine, import_id: int, chunks: Iterable[bytes]) -> FileFacts:
    """One transaction a chunk: an upload may be slow, and SQLite has one writer."""
    facts = FileFacts()
    compressor = zstandard.ZstdCompressor(level=_LEVEL)
    for number, chunk in enumerate(chunks):
        facts.look_at(chunk)
        body = compressor.compress(chunk)
        with transaction(engine) as session:
            session.execute(
                insert(ImportChunk).values(import_id=import_id, number=number, body=body)
            )
    return facts


def forget(session: Session, import_id: int) -> None:
    session.execute(delete(ImportChunk).where(ImportChunk.import_id == import_id))


def is_kept(session: Session, import_id: int) -> bool:
    return bool(session.scalar(select(exists().where(ImportChunk.import_id == import_id))))


class StoredFile(io.RawIOBase):
    """The file again, from its beginning; `taken` tells how much of it was read."""

    def __init__(self, engine: Engine, import_id: int) -> None:
        self._engine = engine
        self._import_id = import_id
        self._number = 0
        self._left = memoryview(b"")
        self.taken = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview, /) -> int:  # type: ignore[override]
        if not self._left:
            self._left = memoryview(self._next())
        length = min(len(buffer), len(self._left))
        buffer[:length] = self._left[:length]
        self._left = self._left[length:]
        self.taken += length
        return length

    def _next(self) -> bytes:
        with reading(self._engine) as session:
            body = session.scalar(
                select(ImportChunk.body).where(
                    ImportChunk.import_id == self._import_id, ImportChunk.number == self._number
                )
            )
        self._number += 1
        return b"" if body is None else zstandard.ZstdDecompressor().decompress(body)


def opened(stored: StoredFile, encoding: str) -> io.TextIOWrapper:
    """Its text: only a line feed ends a line, and what is not in the encoding becomes U+FFFD."""
    return io.TextIOWrapper(
        io.BufferedReader(stored, 1 << 16), encoding=encoding, errors="replace", newline="\n"
    )
