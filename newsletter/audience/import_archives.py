"""Unpacks what arrives packed, within limits: a gzip file as one text, a ZIP as its members."""

import gzip
import io
import stat
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

from newsletter.errors import InputError
from newsletter.words import Words

CHUNK_BYTES = 1 << 20
LARGEST_FILE = 1 << 30
MOST_MEMBERS = 20
LARGEST_ARCHIVE = 200_000_000
GREATEST_RATIO = 100
"""Of unpacked to packed: text does not shrink to less, a bomb does."""

_GZIP = b"\x1f\x8b"
_ZIP = b"PK\x03\x04"


def unpacked(stream: IO[bytes]) -> Iterator[bytes]:
    """The bytes of a file, unpacked if it is a gzip. Raises `InputError` for what is too large."""
    start = stream.read(CHUNK_BYTES)
    if start.startswith(_ZIP):
        raise InputError(
            "it is a ZIP; name a --status for each of its files, or unpack it", field="file"
        )
    counted = _Counted(start, stream)
    if not start.startswith(_GZIP):
        yield from _limited(io.BufferedReader(counted, CHUNK_BYTES), LARGEST_FILE, counted=None)
        return
    try:
        with gzip.GzipFile(fileobj=io.BufferedReader(counted), mode="rb") as unzipped:
            yield from _limited(unzipped, LARGEST_FILE, counted=counted)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError("the gzip is damaged ({error})", field="file", error=error) from error


@dataclass(frozen=True, slots=True)
class Member:
    name: str
    size_bytes: int


def is_zip(stream: IO[bytes]) -> bool:
    """Leaves a seekable stream where it was."""
    start = stream.read(len(_ZIP))
    stream.seek(-len(start), io.SEEK_CUR)
    return start == _ZIP


def members_of(stream: IO[bytes]) -> list[Member]:
    """The files in a ZIP. Raises `InputError` when it is not fit to be unpacked (zip slip, bombs)."""
    with _opened(stream) as archive:
        return [Member(info.filename, info.file_size) for info in _checked(archive)]


def read_member(stream: IO[bytes], name: str) -> Iterator[bytes]:
    """Raises `InputError`; of what a member says about its size nothing is believed."""
    with _opened(stream) as archive:
        info = next((info for info in _checked(archive) if info.filename == name), None)
        if info is None:
            raise InputError("the ZIP has no file called {name!r}", field="status", name=name)
        limit = min(LARGEST_ARCHIVE, info.compress_size * GREATEST_RATIO + CHUNK_BYTES)
        try:
            with archive.open(info) as member:
                yield from _limited(member, limit, counted=None)
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
            raise InputError(
                "{name} in the ZIP is damaged ({error})", field="file", name=name, error=error
            ) from error


class _Counted(io.RawIOBase):
    """What was read ahead, and then the rest; knows how much was taken."""

    def __init__(self, start: bytes, rest: IO[bytes]) -> None:
        self._start = start
        self._rest = rest
        self.taken = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview, /) -> int:  # type: ignore[override]
        wanted = len(buffer)
        piece = self._start[:wanted] if self._start else self._rest.read(wanted)
        self._start = self._start[len(piece) :] if self._start else b""
        buffer[: len(piece)] = piece
        self.taken += len(piece)
        return len(piece)


def _limited(
    stream: IO[bytes] | gzip.GzipFile, limit: int, *, counted: _Counted | None
) -> Iterator[bytes]:
    read = 0
    while chunk := stream.read(CHUNK_BYTES):
        read += len(chunk)
        if read > limit:
            raise InputError(
                "unpacked it has more than {limit:,} bytes; split it", field="file", limit=limit
            )
        if counted is not None and read > counted.taken * GREATEST_RATIO + CHUNK_BYTES:
            raise InputError(
                "it unpacks to more than {greatest} times its size; unpack it",
                field="file",
                greatest=GREATEST_RATIO,
            )
        yield chunk


def _opened(stream: IO[bytes]) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(stream)
    except (zipfile.BadZipFile, ValueError) as error:
        raise InputError("the ZIP is damaged ({error})", field="file", error=error) from error


def _checked(archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    members = archive.infolist()
    if len(members) > MOST_MEMBERS:
        _refuse(
            Words(
                "it holds {count} files; at most {most} are taken",
                count=len(members),
                most=MOST_MEMBERS,
            )
        )
    if sum(info.file_size for info in members) > LARGEST_ARCHIVE:
        _refuse(
            Words("its files have more than {largest:,} bytes together", largest=LARGEST_ARCHIVE)
        )
    for info in members:
        if info.is_dir() or "/" in info.filename or "\\" in info.filename or ".." in info.filename:
            _refuse(Words("it holds folders or paths; only plain files are taken"))
        if stat.S_ISLNK(info.external_attr >> 16):
            _refuse(Words("it holds a link"))
        if info.flag_bits & 0x1:
            _refuse(Words("it is encrypted"))
        if info.file_size > info.compress_size * GREATEST_RATIO + CHUNK_BYTES:
            _refuse(
                Words(
                    "a file in it unpacks to more than {greatest} times its size",
                    greatest=GREATEST_RATIO,
                )
            )
    return members


def _refuse(reason: Words) -> None:
    raise InputError(
        "{reason}; unpack the ZIP and import its files one by one", field="file", reason=reason
    )
