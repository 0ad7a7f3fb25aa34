"""The plain-text part of a letter, set from the briefing's structure and never from the HTML."""

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator

from newsletter.render.cut import (
    ADDRESS,
    GREETING,
    JOINED,
    PART_END,
    POINT,
    PREFERENCES,
    UNSUBSCRIBE,
    Slot,
)
from newsletter.render.letter import Letter, LinkedPoint, LinkedSection, LinkedSpan, LinkedStory

COLUMNS = 72

_WIDE = (
    "\u1100-\u115f\u2e80-\u9fff\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe4f\uff00-\uff60\uffe0-\uffe6"
    "\U00020000-\U0003fffd"
)
_OPENING = "「『（《【〈〔"
_CLOSING = "、。，．：；！？）」』》】〉〕”’…％"

# A line may end after any ideograph, but never between one and the punctuation that clings to it.
_ATOM = re.compile(rf"(\s*)([{_OPENING}]*(?:[{_WIDE}]|[^\s{_WIDE}]+)[{_CLOSING}]*)")


def set_text(letter: Letter, slot: Callable[[Slot], str], widen: Callable[[str], str]) -> str:
    """The whole part; `widen` gives a piece of text about the width it will have when filled."""
    return _Setting(letter, slot, widen).text()


def display_width(text: str) -> int:
    """Columns on a terminal: an ideograph takes two, a combining mark none (UAX 11)."""
    if text.isascii():
        return len(text)
    return sum(_character_width(character) for character in text)


def wrap(
    text: str,
    *,
    first: str = "",
    rest: str = "",
    widen: Callable[[str], str] = str,
) -> Iterator[str]:
    """Lines of at most `COLUMNS` columns, except where one word or address is longer by itself."""
    line, width, is_empty = first, display_width(first), True
    for blank, atom in _ATOM.findall(text):
        gap = " " if blank and not is_empty else ""
        needed = len(gap) + display_width(widen(atom))
        if not is_empty and width + needed > COLUMNS:
            yield line
            line, width, gap = rest, display_width(rest), ""
        line += gap + atom
        width += needed
        is_empty = False
    yield line


def _joined(blocks: Iterable[Iterable[str]]) -> str:
    """Each block of lines behind an empty line."""
    return "".join("\n\n" + "\n".join(block) for block in blocks)


def _character_width(character: str) -> int:
    if unicodedata.combining(character) or unicodedata.category(character) in {"Mn", "Me", "Cf"}:
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


class _Setting:
    def __init__(
        self, letter: Letter, slot: Callable[[Slot], str], widen: Callable[[str], str]
    ) -> None:
        self._letter = letter
        self._slot = slot
        self._widen = widen

    def text(self) -> str:
        letter = self._letter
        head = [self._head(), [self._slot(GREETING)], *map(self._paragraph, letter.intro)]
        blocks = [_joined(head)]
        if letter.key_points:
            blocks.append(self._part(letter.points_part, self._key_points(letter.key_points)))
        blocks += (
            self._part(section.part, _joined(self._section(section))) for section in letter.sections
        )
        blocks.append(_joined([self._foot()]))
        return "".join(blocks).lstrip("\n") + "\n"

    def _part(self, part: Slot | None, text: str) -> str:
        return f"{self._slot(part)}{text}{self._slot(PART_END)}" if part else text

    def _wrap(self, text: str, *, first: str = "", rest: str = "") -> Iterator[str]:
        return wrap(text, first=first, rest=rest, widen=self._widen)

    def _head(self) -> list[str]:
        letter = self._letter
        about = filter(None, (letter.masthead.tagline, letter.date))
        colon = letter.words.colon
        title = f"{letter.series}{colon}{letter.title}" if letter.series else letter.title
        return [
            *self._wrap(letter.masthead.name.upper()),
            *(line for text in about for line in self._wrap(text)),
            "",
            *self._wrap(title),
            *(self._wrap(" · ".join(letter.credits)) if letter.credits else ()),
        ]

    def _paragraph(self, spans: Iterable[LinkedSpan]) -> list[str]:
        return list(self._wrap("".join(map(self._span, spans))))

    def _span(self, linked: LinkedSpan) -> str:
        text = linked.span.text
        return f"{text} ({self._slot(linked.link)})" if linked.link else text

    def _key_points(self, points: Iterable[LinkedPoint]) -> str:
        heading = _joined([self._ruled(self._letter.words.key_points, "-")])
        return heading + "".join(self._part(point.part, self._point(point)) for point in points)

    def _point(self, point: LinkedPoint) -> str:
        # Its number takes two columns and is put in later: it is another one for some readers.
        lines = "\n".join(self._wrap(point.text, first="    ", rest="    "))
        return f"\n{self._slot(POINT)}. {lines[4:]}"

    def _section(self, section: LinkedSection) -> Iterator[list[str]]:
        if section.name:
            yield ["", *self._ruled(section.name, "=")]
        for story in section.stories:
            yield from self._story(story)

    def _story(self, story: LinkedStory) -> Iterator[list[str]]:
        yield list(self._wrap(story.headline, first="* ", rest="  "))
        yield from map(self._paragraph, story.paragraphs)
        source = self._letter.words.source.format(name=story.source) if story.source else ""
        yield [*(self._wrap(source) if source else ()), self._slot(story.link)]

    def _ruled(self, heading: str, rule: str) -> list[str]:
        lines = list(self._wrap(heading.upper()))
        return [*lines, rule * max(map(display_width, lines))]

    def _foot(self) -> list[str]:
        letter = self._letter
        words, masthead = letter.words, letter.masthead
        reason = words.reason.format(
            address=self._slot(ADDRESS), list=masthead.name, joined=self._slot(JOINED)
        )
        return [
            "-- ",  # the signature mark, RFC 3676 section 4.3
            *self._wrap(reason),
            f"{words.unsubscribe}{words.colon}{masthead.base_url}/u/{self._slot(UNSUBSCRIBE)}",
            f"{words.preferences}{words.colon}{masthead.base_url}/p/{self._slot(PREFERENCES)}",
            f"{words.read_online}{words.colon}{letter.page}",
            "",
            masthead.name,
            *(part for line in masthead.theme.footer_lines for part in self._wrap(line)),
            *masthead.postal_lines,
        ]
