"""Reads comma, semicolon or tab separated text of any size, record by record."""

import codecs
import csv
import hashlib
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from typing import IO

from newsletter.errors import InputError

LONGEST_LINE = 1_000_000
MOST_LINES_OF_A_RECORD = 20
DELIMITERS = (",", ";", "\t")

_CHUNK = 1 << 20
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


@dataclass(frozen=True, slots=True)
class Survey:
    """What reading a file once through tells about it."""

    sha256: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Record:
    line: int
    """Where it begins, counted from 1."""
    fields: list[str]


@dataclass(frozen=True, slots=True)
class BrokenRecord:
    line: int
    is_too_long: bool
    """Otherwise its quotes do not match."""


def survey(stream: IO[bytes]) -> Survey:
    """Read `stream` to its end and leave it there.

    Raises `InputError`, naming the line, for what is not UTF-8.
    """
    digest = hashlib.sha256()
    decoder = codecs.getincrementaldecoder("utf-8")()
    size_bytes = 0
    lines = 1
    while chunk := stream.read(_CHUNK):
        if size_bytes == 0 and chunk.startswith(_UTF_16):
            message = "line 1: the file is in UTF-16; save it as CSV in UTF-8"
            raise InputError(message)
        _decode(decoder, chunk, lines)
        digest.update(chunk)
        size_bytes += len(chunk)
        lines += chunk.count(b"\n")
    _decode(decoder, b"", lines, final=True)
    return Survey(digest.hexdigest(), size_bytes)


def _decode(
    decoder: codecs.IncrementalDecoder, chunk: bytes, lines: int, *, final: bool = False
) -> None:
    try:
        decoder.decode(chunk, final)
    except UnicodeDecodeError as error:
        line = lines + error.object[: error.start].count(b"\n")
        message = f"line {line}: the text is not UTF-8; save the file as CSV in UTF-8"
        raise InputError(message) from error


def read_records(stream: IO[bytes]) -> tuple[Record, Iterator[Record | BrokenRecord]]:
    """The header and, as they are asked for, the records behind it; blank lines are passed over.

    Whichever of `DELIMITERS` splits the header into most fields is the file's. Raises `InputError`
    when there is no header.
    """
    lines = _Lines(stream)
    header = _read_header(lines)
    delimiter = max(DELIMITERS, key=lambda mark: len(_split([header[1]], mark) or ()))
    fields = _split([header[1]], delimiter)
    if fields is None:
        message = f"line {header[0]}: the quotes of the header do not match"
        raise InputError(message)
    return Record(header[0], fields), _read_rest(lines, delimiter)


class _Lines:
    """Numbered lines of text, some of which may be handed back; None stands for one too long."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._numbers = count(1)
        self._handed_back: deque[tuple[int, str | None]] = deque()

    def __iter__(self) -> Iterator[tuple[int, str | None]]:
        return self

    def __next__(self) -> tuple[int, str | None]:
        if self._handed_back:
            return self._handed_back.popleft()
        raw = self._stream.readline(LONGEST_LINE)
        if not raw:
            raise StopIteration
        number = next(self._numbers)
        if len(raw) == LONGEST_LINE and not raw.endswith(b"\n"):
            self._skip_to_line_end()
            return number, None
        # The survey has seen that it is UTF-8; a file that changed since then must not end in
        # a traceback.
        text = raw.decode("utf-8", "replace")
        return number, text.removeprefix("\ufeff") if number == 1 else text

    def hand_back(self, lines: list[tuple[int, str | None]]) -> None:
        self._handed_back.extendleft(reversed(lines))

    def _skip_to_line_end(self) -> None:
        while rest := self._stream.readline(LONGEST_LINE):
            if rest.endswith(b"\n"):
                return


def _read_header(lines: _Lines) -> tuple[int, str]:
    for number, text in lines:
        if text is None:
            message = f"line {number}: the header has more than {LONGEST_LINE} characters"
            raise InputError(message)
        if not text.isspace():
            return number, text
    message = "the file is empty; it needs a header line, like: email,name,zone"
    raise InputError(message)


def _read_rest(lines: _Lines, delimiter: str) -> Iterator[Record | BrokenRecord]:
    for number, text in lines:
        if text is None:
            yield BrokenRecord(number, is_too_long=True)
        elif not text.isspace():
            fields = _split([text], delimiter) or _split_over_lines(lines, text, delimiter)
            yield Record(number, fields) if fields else BrokenRecord(number, is_too_long=False)


def _split_over_lines(lines: _Lines, first: str, delimiter: str) -> list[str] | None:
    """Join further lines until the quotes match. None, and no line lost, when they never do.

    The csv module by itself would swallow everything up to the next quote.
    """
    taken = [first]
    further: list[tuple[int, str | None]] = []
    while _has_open_quote(taken) and len(taken) < MOST_LINES_OF_A_RECORD:
        following = next(lines, None)
        if following is None:
            break
        further.append(following)
        if following[1] is None:
            break
        taken.append(following[1])
        fields = _split(taken, delimiter)
        if fields is not None:
            return fields
    lines.hand_back(further)
    return None


def _has_open_quote(lines: list[str]) -> bool:
    return sum(line.count('"') for line in lines) % 2 == 1


def _split(lines: list[str], delimiter: str) -> list[str] | None:
    """The fields of one record; None when its quotes do not match."""
    try:
        return next(csv.reader(lines, delimiter=delimiter, strict=True))
    except csv.Error:
        return None
