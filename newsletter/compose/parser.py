"""Reads a briefing as newsrooms paste it; whatever the text, it answers with findings."""

import datetime
from collections.abc import Sequence
from dataclasses import dataclass

from newsletter.compose.briefing import Briefing, KeyPoint
from newsletter.compose.dates import date_of, mentions
from newsletter.compose.findings import Finding, Findings, SetAside
from newsletter.compose.formatted import is_formatted, read_formatted
from newsletter.compose.head import Head, Title, find_title, read_head, story_start
from newsletter.compose.matching import stories_of
from newsletter.compose.outline import Text, outline, with_bracketed_headlines, without_residue
from newsletter.compose.reading import MAX_BLOCKS, MAX_BYTES, Line, blocks, clean_lines, decode
from newsletter.compose.review import (
    review_credits,
    review_date,
    review_points,
    review_quotes,
    review_stories,
)
from newsletter.compose.sentences import language_of, width
from newsletter.compose.stories import read_stories
from newsletter.compose.units import WIDEST_WRAPPED, Unit, units
from newsletter.words import Words

# Each line of a block may turn out to be a paragraph of its own.
_MAX_LINES = 10 * MAX_BLOCKS


@dataclass(frozen=True, slots=True)
class Parsed:
    """`briefing` is None when the text has no title or no story; an error then says why.

    `set_aside` is what the text holds besides, in its order. A text in the form that `formatting`
    writes always has a briefing, however incomplete, and nothing besides.
    """

    briefing: Briefing | None
    findings: tuple[Finding, ...]
    set_aside: tuple[SetAside, ...] = ()
    is_formatted: bool = False


def read_briefing(raw: bytes, *, today: datetime.date) -> Parsed:
    findings = Findings()
    if len(raw) > MAX_BYTES:
        return _too_large(findings)
    text = decode(raw, findings)
    if text is None:
        return Parsed(None, findings.in_reading_order())
    return _parsed(text, today, findings)


def parse(text: str, *, today: datetime.date) -> Parsed:
    """`today` decides the year of a date that has none."""
    findings = Findings()
    if len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        return _too_large(findings)
    return _parsed(text, today, findings)


def _parsed(text: str, today: datetime.date, findings: Findings) -> Parsed:
    lines = clean_lines(text, findings)
    if is_formatted(lines):
        briefing = read_formatted(lines, findings)
        return Parsed(briefing, findings.in_reading_order(), is_formatted=True)
    read = _briefing(lines, today, findings)
    return Parsed(read, findings.in_reading_order(), findings.aside_in_reading_order())


def _too_large(findings: Findings) -> Parsed:
    message = Words(
        "The text is larger than {kilobytes} KB. A briefing has no more than a few pages.",
        kilobytes=MAX_BYTES // 1024,
    )
    findings.error("too-large", message)
    return Parsed(None, findings.in_reading_order())


def _briefing(lines: Sequence[Line], today: datetime.date, findings: Findings) -> Briefing | None:
    found = _units(lines, findings)
    if found is None:
        return None
    if not found:
        findings.error("empty", Words("There is no text."))
        return None
    cleaned = Text(without_residue(found, findings))
    title = find_title(cleaned.units)
    if title is None:
        message = Words("There is no title. Put it on the first line, as in “[Series] Title”.")
        findings.error("no-title", message, found[0].place())
        return None
    return _read(cleaned, title, today, findings)


def _units(lines: Sequence[Line], findings: Findings) -> list[Unit] | None:
    parts = list(blocks(list(lines)))
    is_tight = _is_tight(parts)
    found: list[Unit] = []
    for block in parts:
        if len(parts) > MAX_BLOCKS or len(block) + len(found) > _MAX_LINES:
            message = Words(
                "There are more than {max_blocks} paragraphs. Split the text.",
                max_blocks=MAX_BLOCKS,
            )
            findings.error("too-many-blocks", message)
            return None
        found += units(block, findings, is_tight=is_tight)
    return found


def _is_tight(parts: Sequence[Sequence[Line]]) -> bool:
    """The text goes without blank lines: each line is a paragraph, and some are long."""
    lines = [line for block in parts for line in block]
    long = sum(width(line.text) > WIDEST_WRAPPED for line in lines)
    return len(lines) >= 4 * len(parts) and 10 * long >= len(lines)


def _read(text: Text, title: Title, today: datetime.date, findings: Findings) -> Briefing | None:
    text = with_bracketed_headlines(text, title.end)
    parts = outline(text, title.end)
    start = story_start(text, title.end, parts)
    head = read_head(text, title, start=start, findings=findings)
    stories = read_stories(text, parts, start=start, findings=findings)
    if not any(stories.drafts):
        message = Words("There is no story. A story is a headline with its text below it.")
        findings.error("no-story", message, title.unit.place())
        return None
    if not parts.heads:
        findings.hint(
            "no-sections", Words("There are no section heads; all stories are in one section.")
        )
    credits = head.credits | {
        role: name for role, name in stories.credits.items() if role not in head.credits
    }
    points = stories_of(
        [unit.plain for unit in head.points], [draft.headline for draft in stories.drafts]
    )
    review_stories(stories, findings)
    review_points(head.points, points, findings)
    review_credits(credits, findings)
    review_quotes(text.units, findings)
    return Briefing(
        title=title.text,
        series=title.series,
        credits=credits,
        date=_date(head, text, today, findings),
        intro=tuple(head.intro),
        key_points=tuple(
            KeyPoint(unit.plain, story) for unit, story in zip(head.points, points, strict=True)
        ),
        sections=tuple(part.section() for part in stories.parts if part.drafts),
        language=language_of(unit.plain for unit in text.units),
    )


def _date(head: Head, text: Text, today: datetime.date, findings: Findings) -> datetime.date | None:
    everywhere = [mention for unit in text.units for mention in mentions(unit.plain)]
    dating = date_of([mention for mention, _ in head.dates], everywhere, today=today)
    unit = None
    if dating:
        unit = next(unit for mention, unit in head.dates if mention.text == dating.mention.text)
    review_date(dating, unit, findings)
    return dating.date if dating else None
