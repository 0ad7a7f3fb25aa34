"""The model's rules: what a briefing keeps when it is saved, which is what text can say."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import groupby

from newsletter.compose.briefing import (
    Briefing,
    Image,
    KeyPoint,
    RichText,
    Section,
    Span,
    Story,
    plain,
)
from newsletter.compose.bylines import CREDIT_ROLES
from newsletter.compose.inline import is_web_address, strip
from newsletter.compose.reading import clean_text

LONGEST_ALT = 500

_LANGUAGE = re.compile(r"[A-Za-z]{2,8}(?:-[A-Za-z0-9]{1,8}){0,5}")


def tidy(briefing: Briefing) -> Briefing:
    """Clean characters, no empty paragraphs, known roles, links that lead somewhere.

    Headlines and section names may be empty: a story is begun before it is written.
    """
    stories = sum(len(section.stories) for section in briefing.sections)
    return Briefing(
        title=clean_text(briefing.title),
        series=_or_none(briefing.series),
        credits={
            role: clean_text(name)
            for role, name in briefing.credits.items()
            if role in CREDIT_ROLES and clean_text(name)
        },
        date=briefing.date,
        intro=tuple(_paragraphs(briefing.intro)),
        key_points=tuple(_points(briefing.key_points, stories)),
        sections=tuple(_section(section) for section in briefing.sections),
        language=briefing.language if _LANGUAGE.fullmatch(briefing.language) else "en",
    )


def tidy_rich(rich: Iterable[Span]) -> RichText:
    """Neighbours in the same style are one span, and none begins or ends the text with a blank."""
    spans = [
        replace(span, text=_inner(span.text), href=_address(span.href))
        for span in rich
        if span.text
    ]
    joined = tuple(_joined(span for span in spans if span.text))
    return strip(joined)


def _section(section: Section) -> Section:
    return Section(_or_none(section.name), tuple(_story(story) for story in section.stories))


def _story(story: Story) -> Story:
    return Story(
        headline=clean_text(story.headline),
        paragraphs=tuple(_paragraphs(story.paragraphs)),
        source=_or_none(story.source),
        images=tuple(_image(image) for image in story.images),
        href=_address(story.href) if clean_text(story.headline) else None,
    )


def _image(image: Image) -> Image:
    return Image(clean_text(image.src), clean_text(clean_text(image.alt)[:LONGEST_ALT]))


def _points(points: Iterable[KeyPoint], stories: int) -> Iterator[KeyPoint]:
    for point in points:
        if text := clean_text(point.text):
            is_known = point.story is not None and 1 <= point.story <= stories
            yield KeyPoint(text, point.story if is_known else None)


def _paragraphs(paragraphs: Iterable[RichText]) -> Iterator[RichText]:
    for rich in paragraphs:
        tidied = tidy_rich(rich)
        if plain(tidied):
            yield tidied


def _joined(spans: Iterable[Span]) -> Iterator[Span]:
    for style, run in groupby(spans, key=lambda span: replace(span, text="")):
        yield replace(style, text=_inner("".join(span.text for span in run)))


def _inner(text: str) -> str:
    """Clean, with the blanks that part it from its neighbours."""
    lead = " " * (len(text) - len(text.lstrip()))
    trail = " " * (len(text) - len(text.rstrip()))
    return f"{lead}{clean_text(text)}{trail}" if text.strip() else lead


def _address(href: str | None) -> str | None:
    if href is None:
        return None
    cleaned = clean_text(href)
    return cleaned if is_web_address(cleaned) else None


def _or_none(text: str | None) -> str | None:
    return clean_text(text or "") or None
