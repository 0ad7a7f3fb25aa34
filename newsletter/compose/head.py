"""Reads what stands before the first story: title, credits, date, greeting and key points."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from newsletter.compose.briefing import RichText
from newsletter.compose.bylines import author_in, credits_in, source_line
from newsletter.compose.dates import Mention, date_line, mentions
from newsletter.compose.findings import Findings
from newsletter.compose.outline import Outline, Text, starts_story
from newsletter.compose.sentences import first_sentence
from newsletter.compose.units import Unit
from newsletter.compose.wording import greets, names_points, names_series
from newsletter.words import Words

_LONGEST_TITLE = 300
_LONGEST_POINT = 220
_MOST_UNNUMBERED = 12

_BRACKETED_SERIES = re.compile(
    r"(?:\[([^\[\]]{1,60})\]|【([^【】]{1,60})】|［([^［］]{1,60})］|〖([^〖〗]{1,60})〗)\s*[:：|｜丨]?\s*(\S.*)"
)
_SEPARATED_SERIES = re.compile(r"([^:：|｜丨]{1,60}?)\s*(?:[:：]|[|｜丨]|\s[-–—]\s)\s*(\S.*)")


@dataclass(frozen=True, slots=True)
class Title:
    """`end` is the index of the unit after it."""

    text: str
    series: str | None
    unit: Unit
    end: int


@dataclass(slots=True)
class Head:
    """`dates` holds the days named in title, datelines and greeting, the surest first."""

    credits: dict[str, str] = field(default_factory=dict)
    intro: list[RichText] = field(default_factory=list)
    points: list[Unit] = field(default_factory=list)
    dates: list[tuple[Mention, Unit]] = field(default_factory=list)


def find_title(units: Sequence[Unit]) -> Title | None:
    at = 0
    while at < len(units) and _is_above_title(units[at]):
        at += 1
    if at == len(units) or not _can_be_title(units[at]):
        return None
    unit, following = units[at], units[at + 1] if at + 1 < len(units) else None
    if unit.name:
        if following and (names_series(unit.name) or _is_headless(units, at)):
            return (
                Title(following.plain, unit.name, following, at + 2)
                if _can_be_title(following) and not following.name
                else None
            )
        return None
    if following and _is_series_alone(unit, following):
        return Title(following.plain, unit.plain, following, at + 2)
    series, text = _split_series(unit.plain)
    if series and date_line(text):
        return Title(series, None, unit, at + 1)
    return Title(text, series, unit, at + 1)


def story_start(text: Text, start: int, parts: Outline) -> int:
    """The index of the first section head, or of a story that stands before all of them."""
    limit = min(parts.heads, default=len(text.units))
    points = find_points(text, start, limit)
    for index in range(points.stop if points else start, limit):
        following = text.next(index)
        is_sure = bool(points) or not parts.heads or text.lead(index) is not None
        is_credited = following is not None and text.units[following].source is not None
        if starts_story(text, index) and (is_sure or is_credited):
            return index
    return limit


def find_points(text: Text, start: int, limit: int) -> range | None:
    """The list of key points: the first run of items that are no stories themselves."""
    index = start
    while index < limit:
        if not text.units[index].is_item:
            if lines := _unnumbered_points(text, index, limit):
                return lines
            index += 1
            continue
        stop = index
        while stop < limit and text.units[stop].is_item:
            stop += 1
        if _are_points(text, range(index, stop)):
            return range(index, stop)
        index = stop
    return None


def read_head(text: Text, title: Title, *, start: int, findings: Findings) -> Head:
    """All units up to `start`, where the stories begin."""
    head = Head()
    units = text.units
    points = find_points(text, title.end, start) or range(0)
    head.points = [units[index] for index in points]
    points_head = points.start - 1 if points else None
    for index, unit in enumerate(units[:start]):
        if unit is title.unit or index in points or (title.series and unit.name == title.series):
            continue
        if index == points_head and index >= title.end and _is_points_head(unit):
            continue
        _read_unit(head, unit, is_above=index < title.end, findings=findings)
    head.dates += [(mention, title.unit) for mention in mentions(title.unit.plain)]
    for index, unit in enumerate(units[title.end : start], start=title.end):
        if not date_line(unit.plain) and index not in points:
            head.dates += [(mention, unit) for mention in mentions(unit.plain)]
    return head


def _read_unit(head: Head, unit: Unit, *, is_above: bool, findings: Findings) -> None:
    for image in unit.images:
        message = Words(
            "This image stands before the first story and was dropped. Move it into a story."
        )
        findings.warning("image-without-story", message, unit.place())
        findings.set_aside(f"![{image.alt}]({image.src})", unit.place())
    if credits := credits_in(unit.plain):
        head.credits |= {role: name for role, name in credits.items() if role not in head.credits}
    elif author := author_in(unit.plain):
        head.credits.setdefault("author", author)
    elif source := source_line(unit.plain):
        head.credits.setdefault("producer", source)
    elif mention := date_line(unit.plain):
        head.dates.append((replace(mention, is_today=True), unit))
    elif unit.rich and not is_above:
        head.intro.append(unit.rich)


def _is_above_title(unit: Unit) -> bool:
    return unit.is_image or bool(credits_in(unit.plain)) or date_line(unit.plain) is not None


def _can_be_title(unit: Unit) -> bool:
    if unit.is_item or unit.source or len(unit.plain) > _LONGEST_TITLE:
        return False
    return not (unit.is_sentence and first_sentence(unit.plain) is not None)


def _is_headless(units: Sequence[Unit], at: int) -> bool:
    """A bracketed first line whose next is followed by credits: series above title."""
    return at + 2 < len(units) and bool(credits_in(units[at + 2].plain))


def _is_series_alone(unit: Unit, following: Unit) -> bool:
    if len(unit.plain) > 40 or not names_series(unit.plain) or following.name or following.is_item:
        return False
    if not _can_be_title(following) or following.is_sentence or _is_above_title(following):
        return False
    is_other = (
        greets(following.plain) or names_points(following.plain) or author_in(following.plain)
    )
    return not is_other and any(mark in following.plain for mark in ";；，,：:")


def _split_series(text: str) -> tuple[str | None, str]:
    if bracketed := _BRACKETED_SERIES.fullmatch(text):
        *names, title = bracketed.groups()
        return _undated(next(filter(None, names))), title
    if separated := _SEPARATED_SERIES.fullmatch(text):
        series, title = separated.groups()
        if names_series(series) or (";" in title or "；" in title):
            return _undated(series), title
    return None, text


def _undated(series: str) -> str:
    """“Tech Brief, March 7” is the series Tech Brief."""
    for mention in mentions(series):
        series = series.replace(mention.text, " ")
    return series.strip(" ,，()（）|｜·-–—") or series


def _unnumbered_points(text: Text, index: int, limit: int) -> range | None:
    """Short lines after a head that announces key points, up to the first section."""
    unit = text.units[index]
    if (
        limit == len(text.units)
        or not unit.plain.endswith((":", "："))
        or not names_points(unit.plain)
    ):
        return None
    following = text.units[index + 1 : limit]
    if not 2 <= len(following) <= _MOST_UNNUMBERED or any(
        line.is_item or line.is_image or line.source or len(line.plain) > _LONGEST_POINT
        for line in following
    ):
        return None
    return range(index + 1, limit)


def _are_points(text: Text, run: range) -> bool:
    items = [text.units[index] for index in run]
    stories = sum(
        item.source is not None or (text.lead(index) is not None and item.width > 150)
        for index, item in zip(run, items, strict=True)
    )
    if 2 * stories > len(items):
        return False
    return len(items) >= 2 or not text.is_body(text.next(run.start))


def _is_points_head(unit: Unit) -> bool:
    if first_sentence(unit.plain) is not None or len(unit.plain) > 80:
        return False
    return unit.plain.endswith((":", "：")) or names_points(unit.plain) or bool(unit.name)
