"""Cuts blocks of lines into units: one title, heading, item, paragraph or image each."""

import bisect
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from newsletter.compose.briefing import Image, RichText, plain
from newsletter.compose.bylines import Source, credits_in, has_source_word, is_photo_line, source_of
from newsletter.compose.dates import date_line
from newsletter.compose.findings import Findings, Place
from newsletter.compose.inline import cut, read_inline, strip
from newsletter.compose.reading import Line
from newsletter.compose.residue import residue
from newsletter.compose.sentences import ends_sentence, is_cjk, starts_afresh, width
from newsletter.compose.wording import names_points

# Above this width nobody breaks lines by hand: the line is a whole paragraph.
WIDEST_WRAPPED = 120

_HEADING = re.compile(r"(?P<marks>#{1,6})(?:\s+|(?=[\[【［*_])|(?<=##)(?=[^\s#]))")
_NUMBER = re.compile(
    r"(?:(?P<dotted>\d{1,2})(?:[.．](?!\d)|、|[)）])|[(（](?P<bracketed>\d{1,2})[)）]"
    r"|(?P<keycap>\d)\ufe0f?\u20e3|(?P<circled>[①-⑳]))\s*(?=\S)"
)
_BULLET = re.compile(r"(?:[-*+–—]\s+|[•·●○◦▪▫■◆◇‣►▶➤➢✅✔🔹🔸🔺👉📌🔵🔴⭐]\ufe0f?\s*)(?=\S)")
_BRACKETED = re.compile(
    r"(?:[\u2600-\u27bf\U0001f000-\U0001faff\ufe0f\u200d]{1,6}\s*)?(?:\[(?P<a>[^\[\]]{1,60})\]|【(?P<b>[^【】]{1,60})】|［(?P<c>[^［］]{1,60})］"
    r"|〖(?P<d>[^〖〗]{1,60})〗|〔(?P<e>[^〔〕]{1,60})〕)[:：]?"
)
_IMAGE_LINE = re.compile(r"\[?[!！][\[［][^\[\]［］]*[\]］][(（][^()（）]*[)）]\S*")
_FILLED = re.compile(r"\S+")


@dataclass(frozen=True)
class Unit:
    """`plain` and `rich` are without list and heading marks, which `level`, `number` and
    `bullet` keep; `raw` is as written, and `place` finds its characters in the file.
    """

    raw: str
    pieces: tuple[tuple[int, Line, int], ...]
    rich: RichText
    images: tuple[Image, ...]
    level: int = 0
    number: int | None = None
    bullet: bool = False

    @cached_property
    def plain(self) -> str:
        return plain(self.rich)

    @cached_property
    def width(self) -> int:
        return width(self.plain)

    @cached_property
    def name(self) -> str | None:
        """What stands between brackets that hold the whole unit."""
        match = _BRACKETED.fullmatch(self.plain)
        return next(filter(None, match.groups()), "").strip() or None if match else None

    @cached_property
    def source(self) -> Source | None:
        return source_of(self.plain)

    @cached_property
    def is_bold(self) -> bool:
        return bool(self.plain) and all(span.strong or not span.text.strip() for span in self.rich)

    @cached_property
    def is_sentence(self) -> bool:
        return ends_sentence(self.plain)

    @property
    def is_item(self) -> bool:
        return self.bullet or self.number is not None

    @property
    def is_image(self) -> bool:
        return bool(self.images) and not self.plain

    def place(self, index: int = 0) -> Place:
        found = bisect.bisect_right(self.pieces, index, key=lambda piece: piece[0]) - 1
        start, line, column = self.pieces[max(found, 0)]
        return line.place(column + index - start)

    def place_of(self, text: str) -> Place:
        return self.place(max(self.raw.find(text), 0))


def units(block: Sequence[Line], findings: Findings, *, is_tight: bool) -> Iterator[Unit]:
    """The units of one block; `is_tight` says that the whole text goes without blank lines."""
    for group in _groups(block, is_tight=is_tight):
        unit = _unit(group.lines, group.level, findings)
        if unit.plain or unit.images:
            yield unit


@dataclass(slots=True)
class _Group:
    """Lines that belong together; a closed group takes no further line."""

    lines: list[Line]
    is_closed: bool
    is_list: bool = False
    level: int = 0


def _groups(block: Sequence[Line], *, is_tight: bool) -> list[_Group]:
    widest = max(width(line.text) for line in block)
    groups: list[_Group] = []
    is_list = False
    for line in block:
        text = line.text.strip()
        if _is_rule(text):
            _underline(groups, text)
            continue
        group = groups[-1] if groups else None
        is_item = bool(_NUMBER.match(_bare(text)) or _BULLET.match(text))
        if group and group.lines and is_item and _is_wrapped_number(group, text, widest):
            is_item = False
        if _stands_alone(text):
            groups.append(_Group([line], is_closed=True))
        elif (
            group is None
            or group.is_closed
            or is_item
            or is_tight
            or is_list
            or _is_break(group, line, widest)
        ):
            groups.append(_Group([line], is_closed=False, is_list=is_item))
        else:
            group.lines.append(line)
        is_list = is_list or (text[-1] in ":：" and names_points(text))
    return [group for group in groups if group.lines]


def _unit(lines: Sequence[Line], level: int, findings: Findings) -> Unit:
    raw, pieces = joined(lines)
    inline = read_inline(raw)
    rich = inline.rich
    number: int | None = None
    bullet = False
    for _ in range(4):
        text = plain(rich)
        if heading := _HEADING.match(text):
            level = len(heading["marks"])
            rich = _without(rich, heading)
            text = plain(rich).rstrip()
            rich = cut(rich, 0, len(text.rstrip("#")) if text.endswith(" #") else len(text))
        elif number is None and (counted := _NUMBER.match(text)):
            number = _value(counted)
            rich = _without(rich, counted)
        elif not bullet and (dot := _BULLET.match(text)):
            bullet = True
            rich = _without(rich, dot)
        else:
            break
    unit = Unit(raw, pieces, rich, inline.images, level, number, bullet)
    for problem in inline.problems:
        findings.warning(problem.code, problem.message, unit.place(problem.at))
    return unit


def joined(lines: Sequence[Line]) -> tuple[str, tuple[tuple[int, Line, int], ...]]:
    """The lines with a blank between them, or none between two Chinese characters."""
    parts: list[str] = []
    pieces: list[tuple[int, Line, int]] = []
    length = 0
    for line in lines:
        text = line.text.strip()
        if parts and not (is_cjk(parts[-1][-1]) and is_cjk(text[0])):
            parts.append(" ")
            length += 1
        pieces.append((length, line, len(line.text) - len(line.text.lstrip())))
        parts.append(text)
        length += len(text)
    return "".join(parts), tuple(pieces)


def _without(rich: RichText, prefix: re.Match[str]) -> RichText:
    return strip(cut(rich, prefix.end(), len(prefix.string)))


def _value(match: re.Match[str]) -> int:
    if match["circled"]:
        return ord(match["circled"]) - ord("①") + 1
    return int(match["dotted"] or match["bracketed"] or match["keycap"])


def _bare(text: str) -> str:
    return text.strip("*_# ")


def _stands_alone(text: str) -> bool:
    bare = _bare(text)
    return bool(
        _HEADING.match(text)
        or _BRACKETED.fullmatch(bare)
        or _IMAGE_LINE.fullmatch(text)
        or (text.startswith("**") and text.endswith("**") and text.count("**") == 2)
        or credits_in(bare)
        or date_line(bare)
        or has_source_word(bare)
        or is_photo_line(bare)
        or residue(bare)
    )


def _is_rule(text: str) -> bool:
    characters = set(text.replace(" ", ""))
    return len(text) >= 3 and len(characters) == 1 and characters <= set("-*_=—–~·•─━")


def _underline(groups: list[_Group], rule: str) -> None:
    """A line of = or - below a line of text makes it a heading; any rule ends what is above."""
    if not groups:
        return
    group = groups[-1]
    if not group.is_closed and len(group.lines) == 1 and not group.is_list and rule[0] in "=-":
        group.level = 1 if rule[0] == "=" else 2
    group.is_closed = True


def _is_wrapped_number(group: _Group, text: str, widest: int) -> bool:
    """A number that only came to the start of a line because the paragraph was wrapped there."""
    counted = _NUMBER.match(text)
    return (
        counted is not None
        and not group.is_closed
        and not group.is_list
        and _value(counted) != 1
        and not ends_sentence(group.lines[-1].text)
        and _is_full(group.lines[-1].text, text, widest)
    )


def _is_full(text: str, following: str, widest: int) -> bool:
    """The line is wrapped: the next word had no room on it."""
    word = _FILLED.match(following.strip())
    needed = 2 if is_cjk(following.strip()[0]) else width(word[0]) if word else 0
    return widest <= WIDEST_WRAPPED and width(text) + 1 + needed > widest


def _is_break(group: _Group, line: Line, widest: int) -> bool:
    """The writer ended a paragraph here, or a headline: the line was not merely full."""
    text, following = group.lines[-1].text.strip(), line.text.strip()
    if text[-1] in ":：" and len(group.lines) == 1 and width(text) <= 80:
        return True
    if source_of(text):
        return True
    if _is_full(text, following, widest):
        return False
    if ends_sentence(text):
        return not ends_sentence(following)
    return len(group.lines) == 1 and starts_afresh(following) and text[-1] not in ",，、;；-–—"
