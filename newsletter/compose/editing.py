"""Edits of a briefing's structure; key points follow the stories that they announce.

Sections and points count from 0. Stories count from 1 over the whole briefing, as key points name
them; the place of a story within its section counts from 0.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from newsletter.compose.briefing import Briefing, KeyPoint, Section, Story
from newsletter.compose.content import DraftContent
from newsletter.compose.findings import SetAside
from newsletter.compose.formatted import read_part
from newsletter.compose.formatting import format_section, format_story
from newsletter.errors import NotFoundError


@dataclass(frozen=True, slots=True)
class Spot:
    """Where a story stands, or shall stand: the place is cut down to the section's length."""

    section: int
    place: int


def spot_of(briefing: Briefing, number: int) -> Spot:
    """Raises `NotFoundError`."""
    left = number
    for index, section in enumerate(briefing.sections):
        if 1 <= left <= len(section.stories):
            return Spot(index, left - 1)
        left -= len(section.stories)
    raise NotFoundError(
        "There is no story {number}. Somebody may have changed the draft; reload the page.",
        number=number,
    )


def story_at(briefing: Briefing, number: int) -> Story:
    spot = spot_of(briefing, number)
    return briefing.sections[spot.section].stories[spot.place]


def replace_story(briefing: Briefing, number: int, story: Story) -> Briefing:
    spot = spot_of(briefing, number)
    stories = list(briefing.sections[spot.section].stories)
    stories[spot.place] = story
    return _with_stories(briefing, spot.section, stories)


def insert_story(briefing: Briefing, spot: Spot, story: Story) -> Briefing:
    """At `spot`, or in a new section of a briefing that has none."""
    if not briefing.sections:
        briefing = replace(briefing, sections=(Section(None, ()),))
        spot = Spot(0, 0)
    _section_at(briefing, spot.section)

    def edit(rows: list[list[_Row]]) -> None:
        rows[spot.section].insert(spot.place, _Row(story, None))

    return _edited(briefing, edit)


def move_story(briefing: Briefing, number: int, to: Spot) -> Briefing:
    """`to` is counted without the story itself."""
    spot = spot_of(briefing, number)
    _section_at(briefing, to.section)

    def edit(rows: list[list[_Row]]) -> None:
        row = rows[spot.section].pop(spot.place)
        rows[to.section].insert(to.place, row)

    return _edited(briefing, edit)


def move_story_up(briefing: Briefing, number: int) -> Briefing:
    """Past the story above it, or to the end of the section above."""
    spot = spot_of(briefing, number)
    if spot.place:
        return move_story(briefing, number, Spot(spot.section, spot.place - 1))
    if spot.section:
        above = len(briefing.sections[spot.section - 1].stories)
        return move_story(briefing, number, Spot(spot.section - 1, above))
    return briefing


def move_story_down(briefing: Briefing, number: int) -> Briefing:
    """Past the story below it, or to the start of the section below."""
    spot = spot_of(briefing, number)
    if spot.place + 1 < len(briefing.sections[spot.section].stories):
        return move_story(briefing, number, Spot(spot.section, spot.place + 1))
    if spot.section + 1 < len(briefing.sections):
        return move_story(briefing, number, Spot(spot.section + 1, 0))
    return briefing


def remove_story(content: DraftContent, number: int) -> DraftContent:
    """The story is set aside, from where it can be put back."""
    spot = spot_of(content.briefing, number)
    story = story_at(content.briefing, number)

    def edit(rows: list[list[_Row]]) -> None:
        rows[spot.section].pop(spot.place)

    briefing = _edited(content.briefing, edit)
    return _setting_aside(replace(content, briefing=briefing), format_story(story))


def add_section(briefing: Briefing, name: str | None, *, at: int) -> Briefing:
    sections = list(briefing.sections)
    sections.insert(at, Section(name, ()))
    return replace(briefing, sections=tuple(sections))


def rename_section(briefing: Briefing, index: int, name: str | None) -> Briefing:
    section = _section_at(briefing, index)
    return _with_section(briefing, index, replace(section, name=name))


def move_section(briefing: Briefing, index: int, to: int) -> Briefing:
    """`to` is counted without the section itself, and cut down to what there is."""
    _section_at(briefing, index)
    order = list(range(len(briefing.sections)))
    order.insert(max(to, 0), order.pop(index))

    def edit(rows: list[list[_Row]]) -> None:
        rows[:] = [rows[each] for each in order]

    names = [briefing.sections[each].name for each in order]
    edited = _edited(briefing, edit)
    sections = zip(names, edited.sections, strict=True)
    return replace(edited, sections=tuple(replace(each, name=name) for name, each in sections))


def remove_section(content: DraftContent, index: int) -> DraftContent:
    """With its stories, all of which are set aside together."""
    briefing = content.briefing
    section = _section_at(briefing, index)

    def edit(rows: list[list[_Row]]) -> None:
        rows[index].clear()

    emptied = _edited(briefing, edit)
    sections = emptied.sections[:index] + emptied.sections[index + 1 :]
    content = replace(content, briefing=replace(emptied, sections=sections))
    return _setting_aside(content, format_section(section))


def put_back(content: DraftContent, index: int, *, at: Spot | None, story: int) -> DraftContent:
    """Make what was set aside a part of the briefing again: sections where they can stand, stories
    at `at` (None: at the end), and any other text at the end of story number `story`.

    Raises `NotFoundError`.
    """
    if not 0 <= index < len(content.set_aside):
        raise NotFoundError(
            "It is not there any more. Somebody may have put it back; reload the page."
        )
    text = content.set_aside[index].text
    left = content.set_aside[:index] + content.set_aside[index + 1 :]
    part = read_part(text)
    briefing = content.briefing
    if part[0].name or len(part) > 1 or not part[0].stories:
        place = min(at.section if at else len(briefing.sections), len(briefing.sections))
        for offset, section in enumerate(part):
            briefing = _insert_section(briefing, section, at=place + offset)
    elif part[0].stories[0].headline or not any(briefing.stories):
        spot = at if at and at.section < len(briefing.sections) else _end_of(briefing)
        for offset, each in enumerate(part[0].stories):
            briefing = insert_story(briefing, Spot(spot.section, spot.place + offset), each)
    else:
        briefing = replace_story(briefing, story, _joined(story_at(briefing, story), part[0]))
    return replace(content, briefing=briefing, set_aside=left)


def drop_aside(content: DraftContent, index: int) -> DraftContent:
    left = content.set_aside[:index] + content.set_aside[index + 1 :]
    return replace(content, set_aside=left)


def replace_points(briefing: Briefing, points: Sequence[KeyPoint]) -> Briefing:
    return replace(briefing, key_points=tuple(points))


@dataclass(frozen=True, slots=True)
class _Row:
    """A story with the number it had; None for one that is new."""

    story: Story
    number: int | None


def _edited(briefing: Briefing, edit: Callable[[list[list[_Row]]], None]) -> Briefing:
    """`edit` works on the stories of each section in place."""
    rows: list[list[_Row]] = []
    number = 0
    for section in briefing.sections:
        rows.append([])
        for story in section.stories:
            number += 1
            rows[-1].append(_Row(story, number))
    edit(rows)
    order = [row.number for each in rows for row in each]
    numbers = {old: new for new, old in enumerate(order, start=1) if old is not None}
    return replace(
        briefing,
        sections=tuple(
            replace(section, stories=tuple(row.story for row in each))
            for section, each in zip(briefing.sections, rows, strict=True)
        ),
        key_points=tuple(
            replace(point, story=numbers.get(point.story) if point.story else None)
            for point in briefing.key_points
        ),
    )


def _insert_section(briefing: Briefing, section: Section, *, at: int) -> Briefing:
    briefing = add_section(briefing, section.name, at=at)
    for place, story in enumerate(section.stories):
        briefing = insert_story(briefing, Spot(at, place), story)
    return briefing


def _end_of(briefing: Briefing) -> Spot:
    if not briefing.sections:
        return Spot(0, 0)
    return Spot(len(briefing.sections) - 1, len(briefing.sections[-1].stories))


def _joined(story: Story, more: Section) -> Story:
    added = more.stories[0]
    return replace(
        story,
        paragraphs=story.paragraphs + added.paragraphs,
        images=story.images + added.images,
        source=story.source or added.source,
    )


def _section_at(briefing: Briefing, index: int) -> Section:
    if not 0 <= index < len(briefing.sections):
        raise NotFoundError(
            "There is no such section. Somebody may have changed the draft; reload the page."
        )
    return briefing.sections[index]


def _with_section(briefing: Briefing, index: int, section: Section) -> Briefing:
    sections = list(briefing.sections)
    sections[index] = section
    return replace(briefing, sections=tuple(sections))


def _with_stories(briefing: Briefing, index: int, stories: Sequence[Story]) -> Briefing:
    section = replace(briefing.sections[index], stories=tuple(stories))
    return _with_section(briefing, index, section)


def _setting_aside(content: DraftContent, text: str) -> DraftContent:
    """The newest on top."""
    return replace(content, set_aside=(SetAside(text, 0), *content.set_aside))
