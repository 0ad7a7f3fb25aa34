"""What the compose page shows of a draft: its text or cards, the letter, and what was found in it."""

import bisect
import datetime
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from newsletter.accounts.roles import Role
from newsletter.compose.briefing import Briefing, RichText, Section
from newsletter.compose.content import DraftContent
from newsletter.compose.findings import Finding, Severity
from newsletter.compose.formatting import format_briefing, format_paragraphs
from newsletter.compose.media import media_url, recent_media
from newsletter.compose.parser import parse
from newsletter.compose.preheader import preheader_of
from newsletter.errors import InputError, RenderError
from newsletter.plan.drafts import Draft, draft_of
from newsletter.plan.proofs import Proof, proof_of
from newsletter.render.preview import Persona, preview_html
from newsletter.web.newsroom.pages import rendered
from newsletter.web.newsroom.visit import Visit
from newsletter.web.newsroom.way import Way, way_of
from newsletter.words import Words

TEXT, CARDS = "text", "cards"

_MOST_PICTURES = 20
_READER = Persona("", "reader@example.org")
_STORY_LINE = re.compile(r"#{2,6}(?:\s|$)")


@dataclass(frozen=True, slots=True)
class Shown:
    """A finding with where it leads: a line of the text, a story's card, or nowhere."""

    severity: Severity
    code: str
    message: str
    line: int | None
    story: int | None


@dataclass(frozen=True, slots=True)
class StoryCard:
    number: int
    section: int
    place: int


@dataclass(frozen=True, slots=True)
class Typed:
    """A text as it stands in the field, and what was found when it was read."""

    text: str
    findings: tuple[Finding, ...]


@dataclass
class Desk:
    """An edition's draft as somebody works on it; `mode` is one of TEXT and CARDS."""

    way: Way
    draft: Draft
    mode: str
    typed: Typed | None = None
    """None: nobody has just typed, and the text is the draft's."""
    trouble: Words | None = None
    """Why there is no letter, once one was asked for."""

    @property
    def visit(self) -> Visit:
        return self.way.visit

    @property
    def content(self) -> DraftContent:
        return self.draft.content

    @property
    def briefing(self) -> Briefing:
        return self.content.briefing

    @property
    def url(self) -> str:
        return f"{self.way.url}/compose"

    @cached_property
    def text(self) -> str:
        """As it stands in the field: what was typed last, be it not in our form."""
        if self.typed is not None:
            return self.typed.text
        return self.content.text if self.mode == TEXT else format_briefing(self.briefing)

    @cached_property
    def read(self) -> tuple[Finding, ...]:
        if self.typed is not None:
            return self.typed.findings
        return parse(self.text, today=today(self.visit)).findings

    @cached_property
    def proof(self) -> Proof | None:
        """None when no letter can be made of it; `trouble` then says why."""
        try:
            return proof_of(
                self.content,
                self.way.edition,
                self.way.lists,
                read=self.read,
                settings=self.visit.settings,
                now=self.visit.now,
            )
        except (InputError, RenderError) as error:
            self.trouble = error.words
            return None

    @cached_property
    def findings(self) -> Sequence[Shown]:
        """Errors first, each at its line or its story; of nothing, nothing."""
        if self.content.is_empty:
            return ()
        found = self.proof.findings if self.proof else self.read
        lines = _story_lines(self.text)
        headlines = [story.headline for story in self.briefing.stories]
        return [_shown(each, lines, headlines) for each in found]

    def findings_of(self, story: int) -> Sequence[Shown]:
        return [each for each in self.findings if each.story == story]

    @property
    def head_facts(self) -> Sequence[str]:
        date = self.briefing.date.isoformat() if self.briefing.date else None
        return [*filter(None, (self.briefing.series, date)), *self.briefing.credits.values()]

    @property
    def own_preheader(self) -> str:
        """What the preheader is while nobody wrote one."""
        return preheader_of(self.briefing)

    def written(self, paragraphs: Sequence[RichText]) -> str:
        return format_paragraphs(paragraphs)

    @property
    def counts(self) -> Mapping[Severity, int]:
        return Counter(each.severity for each in self.findings)

    @property
    def pictures(self) -> Sequence[tuple[str, str]]:
        """Address and name of what was uploaded last, to be used again."""
        base_url = self.visit.settings.base_url
        recent = recent_media(self.visit.session, most=_MOST_PICTURES)
        return [(media_url(each, base_url), each.name) for each in recent]

    @property
    def letter(self) -> str:
        return preview_html(self.proof.compiled, _READER, is_dark=False) if self.proof else ""

    @property
    def sections(self) -> Iterator[tuple[int, Section, Sequence[StoryCard]]]:
        """Each with its index and its stories as they are numbered over the whole briefing."""
        number = 0
        for index, section in enumerate(self.briefing.sections):
            cards = []
            for place in range(len(section.stories)):
                number += 1
                cards.append(StoryCard(number, index, place))
            yield index, section, cards

    def part(self, name: str, **more: Any) -> str:
        """A part of the page, as the page itself would have it."""
        given = {"visit": self.visit, "form_token": self.visit.form_token}
        return rendered(f"newsroom/compose/_{name}.html", given | self.context | more)

    @property
    def context(self) -> dict[str, Any]:
        return {
            "desk": self,
            "draft": self.draft,
            "content": self.content,
            "briefing": self.briefing,
            "way": self.way,
            "edition": self.way.edition,
            "here": "compose",
        }


def desk_of(visit: Visit, mode: str) -> Desk:
    """Raises as `Visit.edition`."""
    way = way_of(visit, Role.WRITER)
    return Desk(way, draft_of(visit.session, way.edition.id), mode)


def today(visit: Visit) -> datetime.date:
    """Where the visitor is: what a date without its year is measured by."""
    return visit.now.astimezone(visit.zone).date()


def _shown(finding: Finding, lines: Sequence[int], headlines: Sequence[str]) -> Shown:
    story = None
    if finding.line and lines:
        story = bisect.bisect_right(lines, finding.line) or None
    elif not finding.line:
        named = (
            number
            for number, headline in enumerate(headlines, start=1)
            if headline and f"“{headline}”" in finding.message
        )
        story = next(named, None)
    line = finding.line or (lines[story - 1] if story and story <= len(lines) else None)
    return Shown(finding.severity, finding.code, finding.message, line, story)


def _story_lines(text: str) -> list[int]:
    """On which lines of a text in our form the stories begin; none of any other text."""
    if not text.startswith("---"):
        return []
    lines = enumerate(text.split("\n"), start=1)
    return [number for number, line in lines if _STORY_LINE.match(line.strip())]
