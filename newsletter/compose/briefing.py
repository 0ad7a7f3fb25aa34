"""The structured content of one morning: what the parser makes and every later stage reads."""

import datetime
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias


@dataclass(frozen=True, slots=True)
class Span:
    """A run of text in one style; `href` is an http or https address, None where there is no link."""

    text: str
    strong: bool = False
    emphasis: bool = False
    href: str | None = None


RichText: TypeAlias = tuple[Span, ...]


def plain(rich: RichText) -> str:
    return "".join(span.text for span in rich)


@dataclass(frozen=True, slots=True)
class Image:
    """`src` is kept as written: a check, not the parser, refuses what is no address."""

    src: str
    alt: str


@dataclass(frozen=True, slots=True)
class Story:
    """One headline and its paragraphs; `href` is where the headline leads, None if nowhere."""

    headline: str
    paragraphs: tuple[RichText, ...] = ()
    source: str | None = None
    images: tuple[Image, ...] = ()
    href: str | None = None


@dataclass(frozen=True, slots=True)
class Section:
    """`name` is None for the one section of a briefing that has no section heads."""

    name: str | None
    stories: tuple[Story, ...]


@dataclass(frozen=True, slots=True)
class KeyPoint:
    """`story` is the 1-based position of the story it announces, over the whole briefing."""

    text: str
    story: int | None = None


@dataclass(frozen=True, slots=True)
class Briefing:
    """`credits` maps a role (producer, editor, sub-editor, author, reporter) to a name; absent roles
    are absent.

    `language` is a BCP 47 tag (en, zh) that the parser read off the text.
    """

    title: str
    sections: tuple[Section, ...]
    series: str | None = None
    credits: Mapping[str, str] = field(default_factory=dict)
    date: datetime.date | None = None
    intro: tuple[RichText, ...] = ()
    key_points: tuple[KeyPoint, ...] = ()
    language: str = "en"

    @property
    def stories(self) -> Iterator[Story]:
        for section in self.sections:
            yield from section.stories


def to_json(briefing: Briefing) -> dict[str, Any]:
    """A lossless JSON form, kept in revisions; `from_json` reads it back."""
    return {
        "title": briefing.title,
        "series": briefing.series,
        "credits": dict(briefing.credits),
        "date": briefing.date.isoformat() if briefing.date else None,
        "intro": [_rich_to_json(rich) for rich in briefing.intro],
        "key_points": [{"text": point.text, "story": point.story} for point in briefing.key_points],
        "sections": [
            {"name": section.name, "stories": [_story_to_json(story) for story in section.stories]}
            for section in briefing.sections
        ],
        "language": briefing.language,
    }


def from_json(data: Mapping[str, Any]) -> Briefing:
    return Briefing(
        title=data["title"],
        series=data["series"],
        credits=data["credits"],
        date=datetime.date.fromisoformat(data["date"]) if data["date"] else None,
        intro=tuple(_rich_from_json(rich) for rich in data["intro"]),
        key_points=tuple(KeyPoint(point["text"], point["story"]) for point in data["key_points"]),
        sections=tuple(
            Section(section["name"], tuple(_story_from_json(story) for story in section["stories"]))
            for section in data["sections"]
        ),
        language=data["language"],
    )


def _story_to_json(story: Story) -> dict[str, Any]:
    return {
        "headline": story.headline,
        "paragraphs": [_rich_to_json(rich) for rich in story.paragraphs],
        "source": story.source,
        "images": [{"src": image.src, "alt": image.alt} for image in story.images],
        "href": story.href,
    }


def _story_from_json(data: Mapping[str, Any]) -> Story:
    return Story(
        headline=data["headline"],
        paragraphs=tuple(_rich_from_json(rich) for rich in data["paragraphs"]),
        source=data["source"],
        images=tuple(Image(image["src"], image["alt"]) for image in data["images"]),
        href=data["href"],
    )


def _rich_to_json(rich: RichText) -> list[dict[str, Any]]:
    return [
        {
            "text": span.text,
            **({"strong": True} if span.strong else {}),
            **({"emphasis": True} if span.emphasis else {}),
            **({"href": span.href} if span.href else {}),
        }
        for span in rich
    ]


def _rich_from_json(data: list[dict[str, Any]]) -> RichText:
    return tuple(
        Span(
            span["text"],
            strong=span.get("strong", False),
            emphasis=span.get("emphasis", False),
            href=span.get("href"),
        )
        for span in data
    )
