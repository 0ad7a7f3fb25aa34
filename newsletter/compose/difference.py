"""What changed between two versions of a draft, told by section and story rather than by line."""

import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from enum import StrEnum

from newsletter.compose.briefing import Briefing, Story
from newsletter.compose.content import DraftContent
from newsletter.compose.formatting import format_paragraphs
from newsletter.compose.pairing import pairs_of

# Comparing takes the square of the words; texts longer than any story's are told as a whole.
_MOST_WORDS = 4_000

_WORD = re.compile(r"\s+|[\u3400-\u9fff]|[^\s\u3400-\u9fff]+")


class Change(StrEnum):
    ADDED = "added"
    REMOVED = "removed"
    MOVED = "moved"
    CHANGED = "changed"


class Words(StrEnum):
    KEPT = "kept"
    ADDED = "added"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True)
class Run:
    """Neighbouring words of one fate."""

    words: Words
    text: str


@dataclass(frozen=True, slots=True)
class FieldChange:
    """`name` is a word for the page: headline, text, source, title or a role."""

    name: str
    runs: tuple[Run, ...]


@dataclass(frozen=True, slots=True)
class StoryChange:
    """`changes` holds what happened to it; `before` and `after` are its numbers, None where it is not."""

    headline: str
    section: str | None
    changes: tuple[Change, ...]
    before: int | None
    after: int | None
    fields: tuple[FieldChange, ...] = ()


@dataclass(frozen=True, slots=True)
class Difference:
    """`sections` tells of names added and removed; `head` of all that stands above the stories."""

    head: tuple[FieldChange, ...]
    sections: tuple[tuple[Change, str], ...]
    stories: tuple[StoryChange, ...]

    @property
    def is_empty(self) -> bool:
        return not (self.head or self.sections or self.stories)


def difference_of(before: DraftContent, after: DraftContent) -> Difference:
    return Difference(
        head=tuple(_fields(_head(before), _head(after))),
        sections=tuple(_sections(before.briefing, after.briefing)),
        stories=tuple(_stories(before.briefing, after.briefing)),
    )


def words_changed(before: str, after: str) -> tuple[Run, ...]:
    """The words of both in reading order; of a Chinese text, the characters."""
    old, new = _WORD.findall(before), _WORD.findall(after)
    if max(len(old), len(new)) > _MOST_WORDS:
        old, new = [before], [after]
    runs: list[Run] = []
    matcher = SequenceMatcher(None, old, new, autojunk=False)
    for _, old_from, old_to, new_from, new_to in matcher.get_opcodes():
        if old[old_from:old_to] == new[new_from:new_to]:
            runs.append(Run(Words.KEPT, "".join(new[new_from:new_to])))
            continue
        if old_from < old_to:
            runs.append(Run(Words.REMOVED, "".join(old[old_from:old_to])))
        if new_from < new_to:
            runs.append(Run(Words.ADDED, "".join(new[new_from:new_to])))
    return tuple(runs)


@dataclass(frozen=True, slots=True)
class _Numbered:
    number: int
    section: str | None
    story: Story


def _stories(before: Briefing, after: Briefing) -> Iterator[StoryChange]:
    old, new = _numbered(before), _numbered(after)
    pairs = _pairs(old, new)
    moved = _moved(pairs, old, new)
    kept = set(pairs.values())
    for each in old:
        if each.number not in kept:
            story = each.story
            yield StoryChange(story.headline, each.section, (Change.REMOVED,), each.number, None)
    by_number = {each.number: each for each in old}
    for each in new:
        if each.number not in pairs:
            fields = tuple(_fields({}, _parts(each.story)))
            yield StoryChange(
                each.story.headline, each.section, (Change.ADDED,), None, each.number, fields
            )
            continue
        was = by_number[pairs[each.number]]
        fields = tuple(_fields(_parts(was.story), _parts(each.story)))
        is_moved = each.number in moved
        changes = (Change.MOVED,) * is_moved + (Change.CHANGED,) * bool(fields)
        if changes:
            yield StoryChange(
                each.story.headline, each.section, changes, was.number, each.number, fields
            )


def _numbered(briefing: Briefing) -> list[_Numbered]:
    stories = [(section.name, story) for section in briefing.sections for story in section.stories]
    return [_Numbered(number, *each) for number, each in enumerate(stories, start=1)]


def _pairs(old: Sequence[_Numbered], new: Sequence[_Numbered]) -> dict[int, int]:
    """The old number of every new story that was there before."""
    places = pairs_of([each.story for each in old], [each.story for each in new])
    return {new[place].number: old[was].number for place, was in places.items()}


def _moved(pairs: dict[int, int], old: Sequence[_Numbered], new: Sequence[_Numbered]) -> set[int]:
    """As few as possible: those in another section, and in each section those outside the longest
    row that kept its order.
    """
    sections = {each.number: each.section for each in old}
    staying: set[int] = set()
    for name in {each.section for each in new}:
        row = [pairs[each.number] for each in new if each.section == name and each.number in pairs]
        staying |= set(_longest_ascending([was for was in row if sections[was] == name]))
    return {number for number, was in pairs.items() if was not in staying}


def _longest_ascending(numbers: Sequence[int]) -> tuple[int, ...]:
    """Of distinct numbers, by the smallest end of a row of each length."""
    rows: list[tuple[int, ...]] = []
    for number in numbers:
        length = bisect_left(rows, number, key=lambda row: row[-1])
        row = (*(rows[length - 1] if length else ()), number)
        rows[length : length + 1] = [row]
    return rows[-1] if rows else ()


def _sections(before: Briefing, after: Briefing) -> Iterator[tuple[Change, str]]:
    old = [section.name or "" for section in before.sections]
    new = [section.name or "" for section in after.sections]
    for name in old:
        if name not in new:
            yield Change.REMOVED, name
    for name in new:
        if name not in old:
            yield Change.ADDED, name
    shared_old = [name for name in old if name in new]
    shared_new = [name for name in new if name in old]
    if shared_old != shared_new:
        first = next(name for was, name in zip(shared_old, shared_new, strict=False) if was != name)
        yield Change.MOVED, first


def _head(content: DraftContent) -> dict[str, str]:
    briefing = content.briefing
    headlines = dict(enumerate((story.headline for story in briefing.stories), start=1))
    points = (
        f"{point.text} → {headlines.get(point.story)}" if point.story else point.text
        for point in briefing.key_points
    )
    return {
        "subject": content.subject or "",
        "preheader": content.preheader or "",
        "title": briefing.title,
        "series": briefing.series or "",
        "date": briefing.date.isoformat() if briefing.date else "",
        "language": briefing.language,
        **briefing.credits,
        "intro": format_paragraphs(briefing.intro),
        "key points": "\n".join(points),
        "text that holds no briefing": content.unread_text or "",
    }


def _parts(story: Story) -> dict[str, str]:
    return {
        "headline": story.headline,
        "link": story.href or "",
        "text": format_paragraphs(story.paragraphs),
        "source": story.source or "",
        "images": "\n".join(f"{image.alt} ({image.src})" for image in story.images),
    }


def _fields(before: dict[str, str], after: dict[str, str]) -> Iterator[FieldChange]:
    for name in dict.fromkeys((*before, *after)):
        old, new = before.get(name, ""), after.get(name, "")
        if old != new:
            yield FieldChange(name, words_changed(old, new))
