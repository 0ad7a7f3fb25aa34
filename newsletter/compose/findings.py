"""What was found in a text or a letter: a code, how bad it is, where, and what to do."""

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from newsletter.words import Words


class Severity(StrEnum):
    ERROR = "error"
    WARNING = "warning"
    HINT = "hint"


class Place(NamedTuple):
    """Both from 1, in the file as the person sees it; columns count characters."""

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Finding:
    """`line` and `column` are None for what concerns the whole text."""

    code: str
    severity: Severity
    message: Words
    line: int | None = None
    column: int | None = None


@dataclass(frozen=True, slots=True)
class SetAside:
    """What no part of the briefing is made of, and can be put back: from this line of a paste, or
    with no line (0) a story or section that was deleted.
    """

    text: str
    line: int


@dataclass(slots=True)
class Findings:
    """Collects findings in any order; a text with thousands of one kind reports the first few."""

    MOST_OF_A_KIND = 50

    _aside: list[SetAside] = field(default_factory=list)
    _found: list[Finding] = field(default_factory=list)
    _counts: Counter[str] = field(default_factory=Counter)

    def error(self, code: str, message: Words, place: Place | None = None) -> None:
        self._add(code, Severity.ERROR, message, place)

    def warning(self, code: str, message: Words, place: Place | None = None) -> None:
        self._add(code, Severity.WARNING, message, place)

    def hint(self, code: str, message: Words, place: Place | None = None) -> None:
        self._add(code, Severity.HINT, message, place)

    def set_aside(self, text: str, place: Place) -> None:
        self._aside.append(SetAside(text, place.line))

    def aside_in_reading_order(self) -> tuple[SetAside, ...]:
        return tuple(sorted(self._aside, key=lambda aside: aside.line))

    def in_reading_order(self) -> tuple[Finding, ...]:
        return tuple(sorted(self._found, key=lambda found: (found.line or 0, found.column or 0)))

    def _add(self, code: str, severity: Severity, message: Words, place: Place | None) -> None:
        self._counts[code] += 1
        if self._counts[code] > self.MOST_OF_A_KIND:
            return
        line, column = place if place else (None, None)
        self._found.append(Finding(code, severity, message, line, column))
