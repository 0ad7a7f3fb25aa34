"""Reads the text that `formatting` writes, in which every part is marked and nothing is guessed."""

import datetime
import re
from collections.abc import Sequence
from dataclasses import dataclass

from newsletter.compose.briefing import Briefing, Image, KeyPoint, RichText, Section
from newsletter.compose.bylines import CREDIT_ROLES
from newsletter.compose.findings import Findings, Place
from newsletter.compose.formatting import (
    DATE,
    HEADING,
    ITEM,
    LANGUAGE,
    RULE,
    SECTION,
    SERIES,
    SOURCE,
    STORY,
    TIE,
    TITLE,
)
from newsletter.compose.inline import read_inline
from newsletter.compose.matching import stories_of
from newsletter.compose.reading import Line, clean_lines
from newsletter.compose.review import (
    review_credits,
    review_points,
    review_quotes,
    review_stories,
)
from newsletter.compose.sentences import language_of, shortened
from newsletter.compose.stories import Draft, Part, Stories, href_of
from newsletter.compose.tidy import tidy
from newsletter.compose.units import Unit, joined
from newsletter.words import Words

_KEYS = (TITLE, SERIES, DATE, LANGUAGE, *CREDIT_ROLES)
_KEY = re.compile(rf"(?P<key>{'|'.join(_KEYS)})\s*[:：](?P<value>.*)", re.IGNORECASE)
_LONGEST_HEAD = 20


def is_formatted(lines: Sequence[Line]) -> bool:
    """It begins with a head, be it that one of its rules was lost."""
    filled = [text for line in lines if (text := line.text.strip())][:_LONGEST_HEAD]
    if not filled:
        return False
    if filled[0] == RULE:
        return len(filled) > 1 and _KEY.fullmatch(filled[1]) is not None
    return _KEY.fullmatch(filled[0]) is not None and RULE in filled


def read_formatted(lines: Sequence[Line], findings: Findings) -> Briefing:
    """Whatever the text: what is missing is a finding, and no word is left out."""
    reader = _Reader(findings)
    body = reader.read_head([line for line in lines if line.text.strip()])
    for line in lines:
        if line.number >= body:
            reader.read(line)
    return reader.close()


def read_part(text: str) -> tuple[Section, ...]:
    """Sections, or a section without a name that holds stories; what stands above the first
    headline is a story without one.
    """
    findings = Findings()
    reader = _Reader(findings)
    if not text.lstrip().startswith(SECTION):
        text = f"{STORY}\n\n{text}"
    for line in clean_lines(text, findings):
        reader.read(line)
    return tidy(reader.close()).sections


def read_paragraphs(text: str) -> tuple[tuple[RichText, ...], tuple[Image, ...]]:
    """A line is a paragraph, as people type them into a field; and the images that stand there."""
    read = [read_inline(line.text.strip()) for line in clean_lines(text, Findings())]
    images = tuple(image for each in read for image in each.images)
    return tuple(each.rich for each in read if each.rich), images


@dataclass(slots=True)
class _Point:
    unit: Unit
    tie: re.Match[str] | None


class _Reader:
    """`part` and `draft` are the section and the story that are open, None when none is."""

    def __init__(self, findings: Findings) -> None:
        self.findings = findings
        self.values: dict[str, tuple[str, Place]] = {}
        self.intro: list[Unit] = []
        self.points: list[_Point] = []
        self.units: list[Unit] = []
        self.stories = Stories()
        self.part: Part | None = None
        self.draft: Draft | None = None
        self.paragraph: list[Line] = []
        self.start = Place(1, 1)

    def read_head(self, filled: Sequence[Line]) -> int:
        """The number of the line on which the body begins."""
        self.start = filled[0].place(0)
        lines = filled[1:] if filled[0].text.strip() == RULE else filled
        end = _end_of_head(lines)
        if end == len(lines) or lines[end].text.strip() != RULE:
            message = Words(
                "The head ends with a line “{rule}”. Put it below title, date and credits.",
                rule=RULE,
            )
            self.findings.error("head-open", message, lines[max(end - 1, 0)].place(0))
        for line in lines[:end]:
            self._read_value(line)
        if end == len(lines):
            return filled[-1].number + 1
        return lines[end].number + (lines[end].text.strip() == RULE)

    def read(self, line: Line) -> None:
        text = line.text.strip()
        if not text:
            self._close_paragraph()
        elif heading := HEADING.fullmatch(text):
            self._close_paragraph()
            self._open(heading, self._unit_of(line, heading["text"] or ""))
        elif self.draft and (source := SOURCE.fullmatch(text)):
            self._close_paragraph()
            self._add_source(self._unit_of(line, source["name"]))
        elif not self.part and (item := ITEM.fullmatch(text)):
            self._close_paragraph()
            self._add_point(line, item["text"])
        elif _is_image(text):
            self._close_paragraph()
            self._add(self._unit_of(line, text))
        else:
            self.paragraph.append(line)

    def close(self) -> Briefing:
        self._close_paragraph()
        self._close_part()
        return self._briefing()

    # The head

    def _read_value(self, line: Line) -> None:
        text = line.text.strip()
        if pair := _KEY.fullmatch(text):
            self.values[pair["key"].lower()] = (pair["value"].strip(), line.place(0))
            return
        message = Words(
            "“{line}” is none of {known}. It was read as part of the intro.",
            line=shortened(text, 60),
            known=", ".join(_KEYS),
        )
        self.findings.error("head-unknown", message, line.place(0))
        self._add(self._unit_of(line, text))

    def _value(self, key: str) -> str | None:
        value, _ = self.values.get(key, ("", self.start))
        return value or None

    def _date(self) -> datetime.date | None:
        written, place = self.values.get(DATE, ("", self.start))
        if not written:
            self.findings.hint("date-missing", Words("No date is given in the head."), place)
            return None
        try:
            return datetime.date.fromisoformat(written)
        except ValueError:
            message = Words(
                "“{written}” is no date. Write it as 2026-11-20.", written=shortened(written, 60)
            )
            self.findings.error("date-mismatch", message, place)
            return None

    # Sections and stories

    def _open(self, heading: re.Match[str], unit: Unit) -> None:
        if heading["marks"] == SECTION:
            self._close_part()
            self._open_part(Part(unit.plain or None, unit.place()))
        else:
            self._open_draft(unit)
            self._add_images(unit)

    def _open_part(self, part: Part) -> Part:
        self.part = part
        self.stories.parts.append(part)
        return part

    def _open_draft(self, unit: Unit) -> Draft:
        part = self.part or self._open_part(Part(None, None))
        self.draft = Draft(unit.plain, unit.place(), images=part.images, href=href_of(unit.rich))
        part.images = []
        part.drafts.append(self.draft)
        return self.draft

    def _close_part(self) -> None:
        part = self.part
        if part and part.images:
            assert part.place
            self._open_headless(part.place)
        if part and part.place and not part.drafts:
            message = (
                Words(
                    "The section “{name}” has no story. Add one or delete the section.",
                    name=part.name,
                )
                if part.name
                else Words("This section has no story. Add one or delete the section.")
            )
            self.findings.error("section-empty", message, part.place)
        self.part = self.draft = None

    def _open_headless(self, place: Place) -> Draft:
        message = Words("This has no headline above it. Add a line “## …” with one.")
        self.findings.error("body-without-headline", message, place)
        part = self.part or self._open_part(Part(None, None))
        self.draft = Draft("", place, images=part.images)
        part.images = []
        part.drafts.append(self.draft)
        return self.draft

    def _add_source(self, unit: Unit) -> None:
        assert self.draft
        if self.draft.source:
            message = Words(
                "A second source, “{new}”, replaced “{old}”.", new=unit.plain, old=self.draft.source
            )
            self.findings.warning("source-repeated", message, unit.place())
        self.draft.source = unit.plain or None

    def _add_point(self, line: Line, text: str) -> None:
        tie = TIE.search(text)
        unit = self._unit_of(line, text[: tie.start()] if tie else text)
        if unit.plain:
            self.points.append(_Point(unit, tie))

    def _close_paragraph(self) -> None:
        if self.paragraph:
            raw, pieces = joined(self.paragraph)
            self.paragraph = []
            self._add(self._unit(raw, pieces))

    def _add(self, unit: Unit) -> None:
        if unit.plain and not self.part:
            self.intro.append(unit)
        elif unit.plain:
            draft = self.draft or self._open_headless(unit.place())
            draft.paragraphs.append(unit.rich)
        self._add_images(unit)

    def _add_images(self, unit: Unit) -> None:
        placed = [(image, unit.place()) for image in unit.images]
        if self.draft:
            self.draft.images += placed
        elif placed:
            part = self.part or self._open_part(Part(None, unit.place()))
            part.images += placed

    def _unit_of(self, line: Line, text: str) -> Unit:
        return self._unit(text, ((0, line, max(line.text.rfind(text), 0)),))

    def _unit(self, raw: str, pieces: tuple[tuple[int, Line, int], ...]) -> Unit:
        read = read_inline(raw)
        unit = Unit(raw, pieces, read.rich, read.images)
        for problem in read.problems:
            self.findings.warning(problem.code, problem.message, unit.place(problem.at))
        self.units.append(unit)
        return unit

    # The whole

    def _briefing(self) -> Briefing:
        credits = {role: name for role in self.values if (name := self._value(role))}
        stories = list(self.stories.drafts)
        ties = self._ties([draft.headline for draft in stories])
        self._review(stories, ties)
        return Briefing(
            title=self._value(TITLE) or "",
            series=self._value(SERIES),
            credits={role: name for role, name in credits.items() if role in CREDIT_ROLES},
            date=self._date(),
            intro=tuple(unit.rich for unit in self.intro),
            key_points=tuple(
                KeyPoint(point.unit.plain, story)
                for point, story in zip(self.points, ties, strict=True)
            ),
            sections=tuple(part.section() for part in self.stories.parts),
            language=self._value(LANGUAGE) or language_of(unit.plain for unit in self.units),
        )

    def _ties(self, headlines: Sequence[str]) -> list[int | None]:
        """As they are written, else the story with the headline that is most like it."""
        found = stories_of([point.unit.plain for point in self.points], headlines)
        return [
            self._tied(point, len(headlines)) if point.tie else story
            for point, story in zip(self.points, found, strict=True)
        ]

    def _tied(self, point: _Point, stories: int) -> int | None:
        number = int((point.tie and point.tie["story"]) or 0)
        if number <= stories:
            return number or None
        message = Words(
            "There is no story {number}; the last one is {stories}.", number=number, stories=stories
        )
        self.findings.warning("key-points", message, point.unit.place())
        return None

    def _review(self, stories: Sequence[Draft], ties: Sequence[int | None]) -> None:
        findings = self.findings
        if not self._value(TITLE):
            findings.error(
                "no-title", Words("There is no title. Write one in the head."), self.start
            )
        if not stories:
            message = Words(
                "There is no story yet. A story is a line “## …” with its text below it."
            )
            findings.error("no-story", message, self.start)
        for draft in stories:
            if not draft.paragraphs:
                message = (
                    Words(
                        "The story “{headline}” has no text. Write it or delete the headline.",
                        headline=shortened(draft.headline, 60),
                    )
                    if draft.headline
                    else Words("This story has no text. Write it or delete the headline.")
                )
                findings.error("story-no-body", message, draft.place)
        review_stories(self.stories, findings)
        review_points([point.unit for point in self.points], ties, findings)
        review_credits(self.values, findings)
        review_quotes(self.units, findings)


def _end_of_head(lines: Sequence[Line]) -> int:
    """The index of the rule that ends it; without one, of the first line that gives no value."""
    for index, line in enumerate(lines[:_LONGEST_HEAD]):
        if line.text.strip() == RULE:
            return index
        if HEADING.fullmatch(line.text.strip()):
            break
    values = (index for index, line in enumerate(lines) if not _KEY.fullmatch(line.text.strip()))
    return next(values, len(lines))


def _is_image(text: str) -> bool:
    read = read_inline(text)
    return bool(read.images) and not read.rich
