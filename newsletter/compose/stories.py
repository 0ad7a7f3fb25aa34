"""Reads sections and stories, and tells headlines from paragraphs as a careful reader would."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from newsletter.compose.briefing import Image, RichText, Section, Story, plain
from newsletter.compose.bylines import (
    Source,
    author_in,
    credits_in,
    is_photo_line,
    source_line,
    source_of,
)
from newsletter.compose.findings import Findings, Place
from newsletter.compose.inline import cut, strip
from newsletter.compose.outline import LONGEST_HEADLINE, Lead, Outline, Text
from newsletter.compose.sentences import first_sentence, is_cjk, is_title_case, shortened
from newsletter.compose.units import Unit
from newsletter.words import Words

# A block as long as this below a headline is its body, even without a final stop.
_SHORTEST_UNSTOPPED_BODY = 60
_LONGEST_ORPHAN = 60
_LONGEST_QUESTION = 120


class Role(StrEnum):
    SECTION = "section"
    HEADLINE = "headline"
    STORY = "story"
    BODY = "body"
    UNSURE_BODY = "unsure body"
    IMAGE = "image"
    SOURCE = "source"
    ASIDE = "aside"


@dataclass(slots=True)
class Draft:
    """A story while it is read; `has_mark` and `is_bold` say how its headline was marked."""

    headline: str
    place: Place
    paragraphs: list[RichText] = field(default_factory=list)
    source: str | None = None
    images: list[tuple[Image, Place]] = field(default_factory=list)
    href: str | None = None
    number: int | None = None
    has_mark: bool = False
    is_bold: bool = False

    def story(self) -> Story:
        images = tuple(image for image, _ in self.images)
        return Story(self.headline, tuple(self.paragraphs), self.source, images, self.href)


@dataclass(slots=True)
class Part:
    """A section while it is read; the unnamed one has no place."""

    name: str | None
    place: Place | None
    drafts: list[Draft] = field(default_factory=list)
    images: list[tuple[Image, Place]] = field(default_factory=list)

    def section(self) -> Section:
        return Section(self.name, tuple(draft.story() for draft in self.drafts))


@dataclass(slots=True)
class Stories:
    parts: list[Part] = field(default_factory=list)
    credits: dict[str, str] = field(default_factory=dict)

    @property
    def drafts(self) -> Iterator[Draft]:
        for part in self.parts:
            yield from part.drafts


def read_stories(text: Text, parts: Outline, *, start: int, findings: Findings) -> Stories:
    reader = _Reader(text, parts, findings)
    for index in range(start, len(text.units)):
        reader.read(index)
    reader.close_part()
    return reader.stories


class _Reader:
    """`part` and `draft` are the section and story that are open, None when none is."""

    def __init__(self, text: Text, parts: Outline, findings: Findings) -> None:
        self.text = text
        self.parts = parts
        self.findings = findings
        self.stories = Stories()
        self.part: Part | None = None
        self.draft: Draft | None = None

    def read(self, index: int) -> None:
        unit = self.text.units[index]
        match self._role(index):
            case Role.SECTION:
                self._open_part(Part(self.parts.heads[index], unit.place()))
            case Role.HEADLINE:
                self._open_draft(unit, unit.rich)
                self._add_images(unit)
            case Role.STORY:
                lead = self.text.lead(index)
                assert lead
                self._open_draft(unit, lead.headline)
                self._add_body(lead.body, unit)
            case Role.BODY:
                self._add_body(unit.rich, unit)
            case Role.UNSURE_BODY:
                message = Words(
                    "Read as text of the story above: it has no final stop, but is no headline."
                )
                self.findings.hint("unsure", message, unit.place())
                self._add_body(unit.rich, unit)
            case Role.IMAGE:
                self._add_images(unit)
            case Role.SOURCE:
                self._add_source(unit)
            case Role.ASIDE:
                self._read_aside(unit)

    def close_part(self) -> None:
        part = self.part
        if not part:
            return
        if self.draft and not self.draft.paragraphs:
            self._close_bodiless(part, self.draft)
        if part.place and not part.drafts:
            message = Words(
                "The section “{name}” has no story. Add one or delete the section.", name=part.name
            )
            self.findings.error("section-empty", message, part.place)
            self.findings.set_aside(f"[{part.name}]", part.place)
        for image, place in part.images:
            message = Words(
                "This image stands in no story and was dropped. Move it below a headline."
            )
            self.findings.warning("image-without-story", message, place)
            self.findings.set_aside(f"![{image.alt}]({image.src})", place)
        self.part = self.draft = None

    # Which role a unit plays

    def _role(self, index: int) -> Role:
        unit = self.text.units[index]
        if index in self.parts.heads:
            return Role.SECTION
        if unit.is_image:
            return Role.IMAGE
        if is_photo_line(unit.plain) or author_in(unit.plain) or credits_in(unit.plain):
            return Role.ASIDE
        if self._is_source(unit):
            return Role.SOURCE
        if self._is_whole_story(index, self.text.lead(index)):
            return Role.STORY
        if unit.level:
            return Role.HEADLINE
        if self.parts.has_marks and self.draft:
            return Role.BODY
        if unit.is_bold and len(unit.plain) <= LONGEST_HEADLINE:
            return Role.HEADLINE
        if self._source_of(unit.plain):
            return Role.BODY
        if self.draft and not self.draft.paragraphs:
            return self._role_below_headline(index)
        return self._role_after_story(index)

    def _role_below_headline(self, index: int) -> Role:
        unit = self.text.units[index]
        if unit.is_sentence or unit.bullet:
            return Role.BODY
        if unit.number is not None or unit.width <= _SHORTEST_UNSTOPPED_BODY:
            return Role.HEADLINE
        if first_sentence(unit.plain) or len(unit.plain) > LONGEST_HEADLINE:
            return Role.UNSURE_BODY
        if is_title_case(unit.plain) or self.text.is_body(self.text.next(index)):
            return Role.HEADLINE
        return Role.UNSURE_BODY

    def _role_after_story(self, index: int) -> Role:
        unit = self.text.units[index]
        is_above_body = self.text.is_body(self.text.next(index))
        if unit.number is not None:
            return Role.HEADLINE
        if self.draft and unit.bullet:
            return Role.BODY
        if unit.is_sentence:
            if is_above_body and self._is_stopped_headline(unit):
                return Role.HEADLINE
            return Role.BODY
        if len(unit.plain) > LONGEST_HEADLINE:
            return Role.UNSURE_BODY
        if self.draft and not is_above_body and first_sentence(unit.plain):
            return Role.UNSURE_BODY
        return Role.HEADLINE

    def _is_stopped_headline(self, unit: Unit) -> bool:
        """A headline that ends like a sentence: a question, a call, a stop too many."""
        if first_sentence(unit.plain) is not None:
            return False
        if self.draft is None:
            return len(unit.plain) <= LONGEST_HEADLINE
        if unit.width > _LONGEST_QUESTION:
            return False
        if self.draft.source or is_title_case(unit.plain):
            return True
        return unit.plain[-1] in "？！" and is_cjk(unit.plain[0])

    def _is_whole_story(self, index: int, lead: Lead | None) -> bool:
        if lead is None:
            return False
        unit = self.text.units[index]
        is_awaited = self.draft is not None and not self.draft.paragraphs
        if is_awaited and (self.draft is None or self.draft.number is None or unit.number is None):
            return unit.plain[0] in "【〖"
        if unit.bullet and self.draft is not None:
            return bool(unit.source)
        return True

    def _is_source(self, unit: Unit) -> bool:
        name = source_line(unit.plain)
        return bool(name) and self.draft is not None and bool(self.draft.paragraphs)

    def _source_of(self, text: str) -> Source | None:
        return source_of(text, self.text.outlets)

    # What it does to the story

    def _open_part(self, part: Part) -> None:
        self.close_part()
        self.part = part
        self.stories.parts.append(part)

    def _open_draft(self, unit: Unit, rich: RichText) -> None:
        part = self._current_part()
        if self.draft and not self.draft.paragraphs:
            self._report_bodiless(self.draft)
        draft = Draft(
            plain(rich).strip(),
            unit.place(),
            images=part.images,
            href=href_of(rich),
            number=unit.number,
            has_mark=unit.level > 0,
            is_bold=all(span.strong for span in rich),
        )
        part.images = []
        part.drafts.append(draft)
        self.draft = draft

    def _add_body(self, rich: RichText, unit: Unit) -> None:
        source = self._source_of(plain(rich))
        self._add_images(unit)
        if self.draft and self.draft.source and source and source.name != self.draft.source:
            self.draft = None
        if self.draft is None:
            message = Words("This text has no headline above it and was left out. Add a headline.")
            self.findings.error("body-without-headline", message, unit.place())
            self.findings.set_aside(unit.raw, unit.place())
            return
        if self.draft.source and not source:
            message = Words(
                "Read as more of the story above, although that already ended with its source."
            )
            self.findings.hint("unsure", message, unit.place())
        if source:
            self.draft.source = source.name
            rich = strip(cut(rich, 0, source.start))
        self.draft.paragraphs.append(rich)

    def _add_images(self, unit: Unit) -> None:
        placed = [(image, unit.place()) for image in unit.images]
        if self.draft:
            self.draft.images += placed
        elif placed:
            self._current_part().images += placed

    def _add_source(self, unit: Unit) -> None:
        assert self.draft
        name = source_line(unit.plain)
        if self.draft.source and self.draft.source != name:
            message = Words(
                "A second source, “{name}”, replaced “{old}” of this story.",
                name=name,
                old=self.draft.source,
            )
            self.findings.warning("source-repeated", message, unit.place())
        self.draft.source = name

    def _read_aside(self, unit: Unit) -> None:
        credits = credits_in(unit.plain)
        if credits and not is_photo_line(unit.plain):
            self.stories.credits = credits | self.stories.credits
            return
        self._drop(unit.plain, unit.place())

    def _close_bodiless(self, part: Part, draft: Draft) -> None:
        """The last headline of a section may be left over from something that was cut away."""
        if len(draft.headline) <= _LONGEST_ORPHAN and not draft.images and len(part.drafts) > 1:
            part.drafts.remove(draft)
            self._drop(draft.headline, draft.place)
        else:
            self._report_bodiless(draft)

    def _report_bodiless(self, draft: Draft) -> None:
        message = Words(
            "The story “{headline}” has no text. Write it or delete the headline.",
            headline=shortened(draft.headline, 60),
        )
        self.findings.error("story-no-body", message, draft.place)

    def _drop(self, text: str, place: Place) -> None:
        message = Words(
            "“{line}” stands alone, neither headline nor text, and was dropped.",
            line=shortened(text, 60),
        )
        self.findings.warning("orphan-line", message, place)
        self.findings.set_aside(text, place)

    def _current_part(self) -> Part:
        if self.part is None:
            self._open_part(Part(None, None))
        assert self.part
        return self.part


def href_of(rich: RichText) -> str | None:
    """Where a headline leads that is one link from end to end."""
    targets = {span.href for span in rich if span.text.strip()}
    return targets.pop() if len(targets) == 1 else None
