"""Writes a briefing as text, which `formatted` reads back without any loss.

---
series: Harbour Brief
title: Harbour Reopens After the Storm
date: 2026-11-20
editor: Ada Lovelace
language: en
---

Good morning.

- The harbour reopens. → story 1

# Port

## Harbour Reopens

![Two ferries at the quay](https://example.org/ferries.jpg)

What happened, with **bold**, *emphasis* and [links](https://example.org).

Source: Harbour Gazette
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeAlias

from newsletter.compose.briefing import Briefing, Image, KeyPoint, RichText, Section, Span, Story
from newsletter.compose.inline import read_inline
from newsletter.compose.matching import stories_of
from newsletter.compose.tidy import tidy

RULE = "---"
TITLE, SERIES, DATE, LANGUAGE = "title", "series", "date", "language"
SECTION, STORY, POINT = "#", "##", "-"
HEADING = re.compile(r"(?P<marks>#{1,6})(?:\s+(?P<text>.*))?")
ITEM = re.compile(r"(?:[-*+•]|\d{1,2}[.)])\s+(?P<text>.*)")
SOURCE = re.compile(r"(?:source|来源)\s*[:：|｜]\s*(?P<name>.*)", re.IGNORECASE)
TIE = re.compile(r"\s*→\s*(?:story\s+(?P<story>\d{1,4})|no\s+story)$", re.IGNORECASE)

_SPECIAL = re.compile(r"(?P<ascii>[\\*_\[\]<>&!{}])|[！［］]")
_IN_LABEL = re.compile(r"(?P<ascii>[\\*_<>&!{}])|[\[\]！［］]")
_IN_ADDRESS = re.compile(r"[\s()（）<>&\"']")
_IN_ALT = re.compile(r"[\[\]［］&]")
_MARK = re.compile(r"[#*+.):|-]")
# A label may have 500 characters, and any of these may need eight.
_LONGEST_PIECE = 60

Escape: TypeAlias = Callable[[str], str]


def format_briefing(briefing: Briefing) -> str:
    """Reading it gives `tidy(briefing)` again, whatever the briefing holds."""
    briefing = tidy(briefing)
    headlines = [story.headline for story in briefing.stories]
    parts = [
        "\n".join(_head(briefing)),
        *(_guarded(format_rich(rich), HEADING, ITEM) for rich in briefing.intro),
        "\n".join(_points(briefing.key_points, headlines)),
        *_sections(briefing.sections),
    ]
    return "\n\n".join(filter(None, parts)) + "\n"


def format_section(section: Section) -> str:
    """A part of the text, which `formatted.read_part` reads."""
    name = f"{SECTION} {format_rich((Span(section.name),))}" if section.name else SECTION
    return "\n\n".join([name, *map(format_story, section.stories)])


def format_story(story: Story) -> str:
    return "\n\n".join(_story(story))


def format_paragraphs(paragraphs: Iterable[RichText]) -> str:
    """What `formatted.read_paragraphs` reads."""
    return "\n\n".join(map(format_rich, paragraphs))


def format_rich(rich: RichText) -> str:
    """With as few marks as read back: plain, then escaped, then every style spelt out."""
    for escape in (str, _escaped):
        text = _starred(rich, escape)
        if _reads_back(text, rich):
            return text
    return "".join(map(_spelt_out, rich))


def _head(briefing: Briefing) -> Iterator[str]:
    yield RULE
    if briefing.series:
        yield f"{SERIES}: {briefing.series}"
    yield f"{TITLE}: {briefing.title}".rstrip()
    if briefing.date:
        yield f"{DATE}: {briefing.date.isoformat()}"
    for role, name in briefing.credits.items():
        yield f"{role}: {name}"
    yield f"{LANGUAGE}: {briefing.language}"
    yield RULE


def _points(points: Sequence[KeyPoint], headlines: Sequence[str]) -> Iterator[str]:
    found = stories_of([point.text for point in points], headlines)
    for point, story in zip(points, found, strict=True):
        text = format_rich((Span(point.text),))
        if point.story == story and not TIE.search(text):
            yield f"{POINT} {text}"
        else:
            yield f"{POINT} {text} → {f'story {point.story}' if point.story else 'no story'}"


def _sections(sections: Iterable[Section]) -> Iterator[str]:
    for number, section in enumerate(sections):
        if section.name:
            yield f"{SECTION} {format_rich((Span(section.name),))}"
        elif number or not section.stories:
            yield SECTION
        for story in section.stories:
            yield from _story(story)


def _story(story: Story) -> Iterator[str]:
    headline = format_rich((Span(story.headline, href=story.href),)) if story.headline else ""
    yield f"{STORY} {headline}".rstrip()
    yield from map(_image, story.images)
    for rich in story.paragraphs:
        yield _guarded(format_rich(rich), HEADING, SOURCE)
    if story.source:
        yield f"Source: {format_rich((Span(story.source),))}"


def _image(image: Image) -> str:
    written = f"![{image.alt}]({image.src})"
    read = read_inline(written)
    if read.images == (image,) and not read.rich:
        return written
    return f"![{_IN_ALT.sub(_entity, image.alt)}]({_IN_ADDRESS.sub(_entity, image.src)})"


def _guarded(text: str, *marks: re.Pattern[str]) -> str:
    """A paragraph that only looks like something else."""
    if not any(mark.fullmatch(text) for mark in marks):
        return text
    escaped = _MARK.sub(r"\\\g<0>", text, count=1)
    if not any(mark.fullmatch(escaped) for mark in marks):
        return escaped
    return f"&#{ord(text[0])};{text[1:]}"


def _starred(rich: RichText, escape: Escape) -> str:
    parts = []
    before = Span("")
    for span in (*rich, Span("")):
        parts.append("**" * (span.strong is not before.strong))
        parts.append("*" * (span.emphasis is not before.emphasis))
        parts.append(_linked(span, escape) if span.href else escape(span.text))
        before = span
    return "".join(parts)


def _linked(span: Span, escape: Escape) -> str:
    assert span.href
    return f"[{escape(span.text)}]({_address(span.href)})"


def _reads_back(text: str, rich: RichText) -> bool:
    read = read_inline(text)
    return read.rich == rich and not read.images and not read.problems


def _spelt_out(span: Span) -> str:
    style = "b" * span.strong + "i" * span.emphasis
    if not style and not span.href:
        return _escaped(span.text)
    target = f"({_address(span.href)})" if span.href else ""
    mark = f"{{{style}}}" if style else ""
    pieces = (
        span.text[start : start + _LONGEST_PIECE]
        for start in range(0, len(span.text), _LONGEST_PIECE)
    )
    return "".join(f"[{_IN_LABEL.sub(_escape, piece)}]{target}{mark}" for piece in pieces)


def _address(href: str) -> str:
    if read_inline(f"[x]({href})").rich == (Span("x", href=href),):
        return href
    return _IN_ADDRESS.sub(_entity, href)


def _escaped(text: str) -> str:
    return _SPECIAL.sub(_escape, text)


def _escape(match: re.Match[str]) -> str:
    return f"\\{match[0]}" if match["ascii"] else _entity(match)


def _entity(match: re.Match[str]) -> str:
    return f"&#{ord(match[0])};"
