"""Reads comma, semicolon or tab separated text of any size, record by record."""

import csv
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from typing import IO, NamedTuple

from newsletter.errors import InputError

LONGEST_LINE = 1_000_000
MOST_LINES_OF_A_RECORD = 20
DELIMITERS = (",", ";", "\t")


class Record(NamedTuple):
    """A tuple because one is made per line."""

    line: int
    """Where it begins, counted from 1."""
    fields: list[str]


@dataclass(frozen=True, slots=True)
class BrokenRecord:
    line: int
    is_too_long: bool
    """Otherwise its quotes do not match."""


class Reader:
    """A header, and the records behind it as they are asked for; blank lines are passed over.

    Only a line feed ends a line. Raises `InputError` when there is no header.
    """

    def __init__(self, text: IO[str], delimiter: str | None = None) -> None:
        """Without `delimiter` it is whichever of `DELIMITERS` splits the header into most fields."""
        self._lines = _Lines(text)
        line, header = _read_header(self._lines)
        self.delimiter = delimiter or max(
            DELIMITERS, key=lambda mark: len(_split([header], mark) or ())
        )
        titles = _split([header], self.delimiter)
        if titles is None:
            raise InputError("line {line}: the quotes of the header do not match", line=line)
        self.header = Record(line, titles)

    def __iter__(self) -> Iterator[Record | BrokenRecord]:
        delimiter = self.delimiter
        for number, text in self._lines:
            if text is None:
                yield BrokenRecord(number, is_too_long=True)
            elif '"' not in text:
                # What nearly every line is: there the csv module would do the same, and slower.
                if not text.isspace():
                    yield Record(number, text.rstrip("\r\n").split(delimiter))
            else:
                fields = _split([text], delimiter) or self._split_over_lines(text)
                yield Record(number, fields) if fields else BrokenRecord(number, is_too_long=False)

    def _split_over_lines(self, first: str) -> list[str] | None:
        """Join further lines until the quotes match. None, and no line lost, when they never do.

        The csv module by itself would swallow everything up to the next quote.
        """
        taken = [first]
        further: list[tuple[int, str | None]] = []
        while _has_open_quote(taken) and len(taken) < MOST_LINES_OF_A_RECORD:
            following = next(self._lines, None)
            if following is None:
                break
            further.append(following)
            if following[1] is None:
                break
            taken.append(following[1])
            fields = _split(taken, self.delimiter)
            if fields is not None:
                return fields
        self._lines.hand_back(further)
        return None


class _Lines:
    """Numbered lines of text, some of which may be handed back; None stands for one too long."""

    def __init__(self, text: IO[str]) -> None:
        self._text = text
        self._numbers = count(1)
        self._handed_back: deque[tuple[int, str | None]] = deque()

    def __iter__(self) -> Iterator[tuple[int, str | None]]:
        return self

    def __next__(self) -> tuple[int, str | None]:
        if self._handed_back:
            return self._handed_back.popleft()
        line = self._text.readline(LONGEST_LINE)
        if not line:
            raise StopIteration
        number = next(self._numbers)
        if len(line) == LONGEST_LINE and line[-1] != "\n":
            self._skip_to_line_end()
            return number, None
        return number, line

    def hand_back(self, lines: list[tuple[int, str | None]]) -> None:
        self._handed_back.extendleft(reversed(lines))

    def _skip_to_line_end(self) -> None:
        while rest := self._text.readline(LONGEST_LINE):
            if rest.endswith("\n"):
                return


def _read_header(lines: _Lines) -> tuple[int, str]:
    for number, text in lines:
        if text is None:
            raise InputError(
                "line {number}: the header has more than {longest} characters",
                number=number,
                longest=LONGEST_LINE,
            )
        if not text.isspace():
            return number, text
    raise InputError("the file is empty; it needs a header line, like: email,name,zone")


def _has_open_quote(lines: list[str]) -> bool:
    return sum(line.count('"') for line in lines) % 2 == 1


def _split(lines: list[str], delimiter: str) -> list[str] | None:
    """The fields of one record; None when its quotes do not match."""
    try:
        return next(csv.reader(lines, delimiter=delimiter, strict=True))
    except csv.Error:
        return None
