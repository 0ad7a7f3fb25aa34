"""A briefing as the templates need it: links numbered in order, fixed words and dates chosen."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from newsletter.compose.anchors import Anchor, anchors_of
from newsletter.compose.briefing import Briefing, Image, KeyPoint, RichText, Span, Story
from newsletter.render.cut import Slot, link_slot, part_slot
from newsletter.render.masthead import Masthead
from newsletter.render.words import Words, words_for

_FETCHABLE = re.compile(r"https?://[^\s/?#\"<>]+\.[^\s\"<>]+", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Link:
    """`story` is the number of the story it stands in (`Anchor.number`), None outside of any story."""

    number: int
    url: str
    story: int | None


@dataclass(frozen=True, slots=True)
class LinkedSpan:
    span: Span
    link: Slot | None


@dataclass(frozen=True, slots=True)
class LinkedPoint:
    """`link` is None where no story is known; `section` is the place of that story's, from 0 on."""

    text: str
    link: Slot | None
    section: int | None

    @property
    def part(self) -> Slot | None:
        """What it goes with; None: with nothing."""
        return None if self.section is None else part_slot([self.section])


@dataclass(frozen=True, slots=True)
class LinkedStory:
    anchor: str
    headline: str
    link: Slot
    paragraphs: tuple[tuple[LinkedSpan, ...], ...]
    source: str | None
    images: tuple[Image, ...]


@dataclass(frozen=True, slots=True)
class LinkedSection:
    name: str | None
    stories: tuple[LinkedStory, ...]
    part: Slot


@dataclass(frozen=True, slots=True)
class Letter:
    """`page` is the address of the edition's public page; `credits` are whole phrases."""

    masthead: Masthead
    words: Words
    page: str
    subject: str
    preheader: str
    title: str
    series: str | None
    date: str | None
    credits: tuple[str, ...]
    intro: tuple[tuple[LinkedSpan, ...], ...]
    key_points: tuple[LinkedPoint, ...]
    sections: tuple[LinkedSection, ...]
    links: tuple[Link, ...]

    @property
    def points_part(self) -> Slot | None:
        """What the key points go with, all of them; None: one or another of them always stays."""
        sections = [point.section for point in self.key_points]
        known = sorted({section for section in sections if section is not None})
        return None if None in sections or not known else part_slot(known)


def page_address(masthead: Masthead, public_id: str) -> str:
    return f"{masthead.base_url}/e/{public_id}"


def is_fetchable(image: Image) -> bool:
    """Whether a mail can show it: a paste's placeholder is no address that anybody could fetch."""
    return _FETCHABLE.fullmatch(image.src) is not None


def write_letter(
    briefing: Briefing,
    masthead: Masthead,
    *,
    public_id: str,
    subject: str,
    preheader: str,
    anchors: Sequence[Anchor] = (),
    taken: Sequence[Link] = (),
) -> Letter:
    """`anchors` are the stories' own, where some were published before.

    `taken` are the links of the edition's earlier revisions, whose numbers mean them for good.
    """
    words = words_for(briefing.language, house=masthead.language)
    anchors = anchors or anchors_of(tuple(briefing.stories))
    numbering = _Numbering(page_address(masthead, public_id), anchors, taken)
    return Letter(
        masthead=masthead,
        words=words,
        page=numbering.page,
        subject=subject,
        preheader=preheader,
        title=briefing.title,
        series=briefing.series,
        date=words.long_date(briefing.date) if briefing.date else None,
        credits=_credits(briefing.credits, words),
        intro=tuple(numbering.rich(rich) for rich in briefing.intro),
        key_points=numbering.points(briefing),
        sections=numbering.sections(briefing),
        links=tuple(numbering.links),
    )


def _sections_of_stories(briefing: Briefing) -> dict[int, int]:
    """The place of each story's section, from 0 on, by the story's number."""
    places = [place for place, each in enumerate(briefing.sections) for _ in each.stories]
    return dict(enumerate(places, start=1))


def _credits(credits: Mapping[str, str], words: Words) -> tuple[str, ...]:
    return tuple(words.credit(role, name) for role, name in credits.items())


class _Numbering:
    """Gives each link the next number, in the order in which the letter shows them.

    A link that an earlier revision had keeps its number.
    """

    def __init__(self, page: str, anchors: Sequence[Anchor], taken: Sequence[Link]) -> None:
        self.page = page
        self._anchors = anchors
        self.links: list[Link] = []
        self._unused = list(taken)
        self._last = max((link.number for link in taken), default=0)

    def points(self, briefing: Briefing) -> tuple[LinkedPoint, ...]:
        sections = _sections_of_stories(briefing)
        return tuple(self._point(point, sections) for point in briefing.key_points)

    def sections(self, briefing: Briefing) -> tuple[LinkedSection, ...]:
        anchors = iter(self._anchors)
        return tuple(
            LinkedSection(
                section.name,
                tuple(self._story(story, next(anchors)) for story in section.stories),
                part_slot([place]),
            )
            for place, section in enumerate(briefing.sections)
        )

    def rich(self, rich: RichText, story: int | None = None) -> tuple[LinkedSpan, ...]:
        return tuple(
            LinkedSpan(span, self._link(span.href, story) if span.href else None) for span in rich
        )

    def _point(self, point: KeyPoint, sections: Mapping[int, int]) -> LinkedPoint:
        if point.story is None or point.story not in sections:
            return LinkedPoint(point.text, None, None)
        link = self._link_to(self._anchors[point.story - 1])
        return LinkedPoint(point.text, link, sections[point.story])

    def _story(self, story: Story, anchor: Anchor) -> LinkedStory:
        number = anchor.number
        return LinkedStory(
            anchor=anchor.name,
            headline=story.headline,
            link=self._link(story.href, number) if story.href else self._link_to(anchor),
            paragraphs=tuple(self.rich(rich, number) for rich in story.paragraphs),
            source=story.source,
            images=tuple(filter(is_fetchable, story.images)),
        )

    def _link_to(self, anchor: Anchor) -> Slot:
        return self._link(f"{self.page}#{quote(anchor.name)}", anchor.number)

    def _link(self, url: str, story: int | None) -> Slot:
        link = self._taken(url, story) or self._new(url, story)
        self.links.append(link)
        return link_slot(link.number)

    def _taken(self, url: str, story: int | None) -> Link | None:
        """What readers followed is counted for the story that the link has stood in from the first."""
        same = next((link for link in self._unused if (link.url, link.story) == (url, story)), None)
        if same:
            self._unused.remove(same)
        return same

    def _new(self, url: str, story: int | None) -> Link:
        self._last += 1
        return Link(self._last, url, story)
