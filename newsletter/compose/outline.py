"""Finds the large parts: residue, section heads, and where the first story starts."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from newsletter.compose.briefing import RichText
from newsletter.compose.bylines import author_in, credits_in, is_photo_line, source_line, source_of
from newsletter.compose.dates import date_line
from newsletter.compose.findings import Findings
from newsletter.compose.inline import cut, strip
from newsletter.compose.residue import Residue, residue
from newsletter.compose.sentences import first_sentence, shortened, starts_afresh, width
from newsletter.compose.units import Unit
from newsletter.compose.wording import greets, names_points
from newsletter.words import Words

LONGEST_HEADLINE = 250
_WIDEST_PLAIN_HEAD = 40
_SHORTEST_BODY = 60

_CHINESE_NUMBER = re.compile(r"[一二三四五六七八九十]{1,3}[、.．]\s*")
_LEAD = re.compile(
    r"(?:【(?P<a>[^【】]{4,120})】|〖(?P<b>[^〖〗]{4,120})〗|\[(?P<c>[^\[\]]{12,200})\])[:：]?\s*(?=\S)"
)


@dataclass(frozen=True, slots=True)
class Lead:
    """A headline and the body that follows it in the same unit."""

    headline: RichText
    body: RichText


class Text:
    """The units of a briefing, each knowing the next one that is not a picture."""

    def __init__(self, units: Sequence[Unit]) -> None:
        self.units = units
        self.outlets = frozenset(unit.source.name.casefold() for unit in units if unit.source)
        self._leads = [lead_of(unit) for unit in units]
        self._following: list[int | None] = [None] * len(units)
        following: int | None = None
        for index in range(len(units) - 1, -1, -1):
            self._following[index] = following
            unit = units[index]
            if not (unit.is_image or is_photo_line(unit.plain) or author_in(unit.plain)):
                following = index

    def next(self, index: int | None) -> int | None:
        return None if index is None else self._following[index]

    def is_body(self, index: int | None) -> bool:
        """Reads like the text of a story rather than its headline."""
        if index is None:
            return False
        unit = self.units[index]
        if unit.name or unit.level or unit.is_bold or unit.number is not None or self.lead(index):
            return False
        return self.has_source(index) or unit.is_sentence or unit.width > LONGEST_HEADLINE

    def has_source(self, index: int) -> bool:
        return source_of(self.units[index].plain, self.outlets) is not None

    def is_headline(self, index: int | None) -> bool:
        """Could stand above a story."""
        if index is None:
            return False
        unit = self.units[index]
        if unit.name or unit.is_image or self.has_source(index) or is_aside(unit):
            return False
        if unit.level or unit.is_bold or unit.number is not None:
            return True
        return not unit.is_sentence and not unit.bullet and len(unit.plain) <= LONGEST_HEADLINE

    def lead(self, index: int) -> Lead | None:
        return self._leads[index]


def lead_of(unit: Unit) -> Lead | None:
    text = unit.plain
    if unit.is_bold or unit.level or unit.is_image:
        return None
    if bracketed := _LEAD.match(text):
        body = strip(cut(unit.rich, bracketed.end(), len(text)))
        start, end = bracketed.span(bracketed.lastgroup or 0)
        if bracketed["c"] is None or unit.is_sentence or unit.source:
            return Lead(strip(cut(unit.rich, start, end)), body)
    if bold_end := _bold_lead(unit):
        return _split(unit, bold_end)
    first_end = first_sentence(text) if unit.is_item else None
    if first_end is None or (unit.source and not text[first_end : unit.source.start].strip()):
        return None
    return _split(unit, first_end)


def is_aside(unit: Unit) -> bool:
    """A line about the briefing or a story, not part of what they say."""
    text = unit.plain
    return bool(
        credits_in(text)
        or author_in(text)
        or source_line(text)
        or is_photo_line(text)
        or date_line(text)
    )


def _split(unit: Unit, end: int) -> Lead:
    headline = strip(cut(unit.rich, 0, end))
    text = unit.plain[:end].rstrip()
    if text[-1] in ".。:：":
        headline = cut(headline, 0, len(text) - 1)
    return Lead(headline, strip(cut(unit.rich, end, len(unit.plain))))


def _bold_lead(unit: Unit) -> int | None:
    """Where a headline in bold ends that the text goes on after, on the same line."""
    if len(unit.rich) < 2 or not unit.rich[0].strong:
        return None
    bold = unit.rich[0].text
    rest = unit.plain[len(bold) :]
    if width(bold) < 12 or width(rest) < width(bold) or not starts_afresh(rest.lstrip("-–—:： ")):
        return None
    is_phrase = len(bold.split()) >= 3 or not bold.isascii()
    return (
        len(bold) if is_phrase and (bold.rstrip()[-1] in ".!?。！？:：" or rest[0] == " ") else None
    )


def without_residue(units: Sequence[Unit], findings: Findings) -> list[Unit]:
    """The units without the leftovers of a web page, each removal with a warning."""
    last_story = max((i for i, unit in enumerate(units) if _is_of_story(unit)), default=-1)
    kept: list[Unit] = []
    bodies = 0
    for index, unit in enumerate(units):
        kind = residue(unit.plain)
        if kind is None:
            kept.append(unit)
            bodies += unit.is_sentence and unit.width >= _SHORTEST_BODY
            continue
        if index < last_story:
            message = Words(
                "“{plain}” looks left over from a web page and was dropped.",
                plain=shortened(unit.plain, 60),
            )
            findings.warning("residue-in-middle", message, unit.place())
            findings.set_aside(unit.raw, unit.place())
            continue
        if kind is Residue.TAIL and (bodies >= 2 or last_story >= 0):
            _drop_tail(units[index:], findings)
            break
        message = Words(
            "Dropped “{plain}”, left over from a web page.", plain=shortened(unit.plain, 60)
        )
        findings.warning("residue-removed", message, unit.place())
        findings.set_aside(unit.raw, unit.place())
    return kept


def _drop_tail(units: Sequence[Unit], findings: Findings) -> None:
    plain = shortened(units[0].plain, 60)
    message = (
        Words(
            "Dropped “{plain}” and {count} more after it, left over from a web page.",
            plain=plain,
            count=len(units) - 1,
        )
        if len(units) > 1
        else Words("Dropped “{plain}”, left over from a web page.", plain=plain)
    )
    findings.warning("residue-removed", message, units[0].place())
    for unit in units:
        findings.set_aside(unit.raw, unit.place())


def _is_of_story(unit: Unit) -> bool:
    return bool(unit.name or unit.source) and not residue(unit.plain)


@dataclass(frozen=True, slots=True)
class Outline:
    """`heads` are the section heads by index; with `has_marks` every headline has a # mark."""

    heads: dict[int, str] = field(default_factory=dict)
    has_marks: bool = False


def with_bracketed_headlines(text: Text, start: int) -> Text:
    """Where every bracketed line stands right above a body, they are headlines, not sections."""
    heads = _bracketed_heads(text, start)
    if len(heads) < 2 or not all(text.is_body(text.next(index)) for index in heads):
        return text
    return Text(
        [
            replace(unit, rich=cut(unit.rich, 1, len(unit.plain.rstrip(":：")) - 1))
            if index in heads
            else unit
            for index, unit in enumerate(text.units)
        ]
    )


def outline(text: Text, start: int) -> Outline:
    """Bracketed heads, else # heads, else short lines that stand above headlines."""
    levels = _levels(text, start)
    bracketed = _bracketed_heads(text, start)
    if bracketed:
        return Outline(bracketed)
    sections = {level for level, indexes in levels.items() if _stand_above(text, indexes)}
    heads = {index: text.units[index].plain for level in sections for index in levels[level]}
    stories = [index for level, found in levels.items() if level not in sections for index in found]
    has_marks = len(stories) >= 2 and (bool(sections) or len(stories) >= 3)
    return Outline(heads or _plain_heads(text, start), has_marks)


def starts_story(text: Text, index: int) -> bool:
    unit = text.units[index]
    if is_aside(unit) or unit.is_image or greets(unit.plain):
        return False
    if lead := text.lead(index):
        return width("".join(span.text for span in lead.body)) >= _SHORTEST_BODY // 2
    following = text.next(index)
    return (
        text.is_headline(index)
        and text.is_body(following)
        and not unit.plain.endswith((":", "：", ","))
    )


def _bracketed_heads(text: Text, start: int) -> dict[int, str]:
    heads = {
        index: unit.name
        for index, unit in enumerate(text.units)
        if index >= start and unit.name and not source_line(unit.plain)
    }
    first = min(heads, default=0)
    following = text.next(first) if heads else None
    if (
        following is not None
        and names_points(heads[first])
        and _is_short_item(text.units[following])
    ):
        del heads[first]
    return heads


def _is_short_item(unit: Unit) -> bool:
    return unit.is_item and not unit.source


def _levels(text: Text, start: int) -> dict[int, list[int]]:
    levels: dict[int, list[int]] = {}
    for index, unit in enumerate(text.units):
        following = text.next(index)
        if index < start or not unit.level or unit.name:
            continue
        if (
            names_points(unit.plain)
            and following is not None
            and _is_short_item(text.units[following])
        ):
            continue
        if greets(unit.plain):
            continue
        levels.setdefault(unit.level, []).append(index)
    return levels


def _stand_above(text: Text, indexes: Sequence[int]) -> bool:
    """Most of these headings have a headline below them, not a body."""
    return 2 * sum(_is_above_headline(text, index) for index in indexes) > len(indexes)


def _is_above_headline(text: Text, index: int) -> bool:
    following = text.next(index)
    if following is None or text.is_body(following):
        return False
    if text.units[following].level:
        return text.units[following].level > text.units[index].level
    return text.lead(following) is not None or starts_story(text, following)


def _plain_heads(text: Text, start: int) -> dict[int, str]:
    """Two or more short lines, the first above the first story, each above a headline."""
    heads: dict[int, str] = {}
    for index in range(start, len(text.units)):
        if _is_plain_head(text, index):
            heads[index] = _CHINESE_NUMBER.sub("", text.units[index].plain, count=1).rstrip(":：")
        elif not heads and starts_story(text, index):
            return {}
    return heads if len(heads) >= 2 else {}


def _is_plain_head(text: Text, index: int) -> bool:
    unit = text.units[index]
    if unit.level or unit.is_item or unit.is_sentence or unit.is_image or greets(unit.plain):
        return False
    if unit.width > _WIDEST_PLAIN_HEAD or is_aside(unit) or names_points(unit.plain):
        return False
    following = text.next(index)
    return following is not None and starts_story(text, following)
