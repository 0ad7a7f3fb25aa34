"""Edits of the structure, and the key points that follow the stories they announce."""

from collections.abc import Callable
from dataclasses import replace
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from newsletter.compose import editing
from newsletter.compose.briefing import Briefing, KeyPoint, Section, Span, Story
from newsletter.compose.content import DraftContent
from newsletter.compose.editing import Spot
from newsletter.errors import NotFoundError


def briefing_of(*sections: str) -> Briefing:
    """`"Port:ab"` is a section with the stories a and b; every story has a key point."""
    made = []
    for text in sections:
        name, _, stories = text.partition(":")
        made.append(Section(name or None, tuple(map(Story, stories))))
    letters = [letter for text in sections for letter in text.partition(":")[2]]
    points = tuple(KeyPoint(letter, number) for number, letter in enumerate(letters, start=1))
    return Briefing(title="T", sections=tuple(made), key_points=points)


def shape(briefing: Briefing) -> list[str]:
    return [
        f"{section.name or ''}:{''.join(story.headline for story in section.stories)}"
        for section in briefing.sections
    ]


def ties(briefing: Briefing) -> dict[str, str | None]:
    headlines = [story.headline for story in briefing.stories]
    return {
        point.text: headlines[point.story - 1] if point.story else None
        for point in briefing.key_points
    }


Edit = Callable[[Briefing], Briefing]


@pytest.mark.parametrize(
    ("edit", "after"),
    [
        (lambda b: editing.move_story_up(b, 2), ["A:ba", "B:cd"]),
        (lambda b: editing.move_story_up(b, 3), ["A:abc", "B:d"]),
        (lambda b: editing.move_story_up(b, 1), ["A:ab", "B:cd"]),
        (lambda b: editing.move_story_down(b, 1), ["A:ba", "B:cd"]),
        (lambda b: editing.move_story_down(b, 2), ["A:a", "B:bcd"]),
        (lambda b: editing.move_story_down(b, 4), ["A:ab", "B:cd"]),
        (lambda b: editing.move_story(b, 1, Spot(1, 99)), ["A:b", "B:cda"]),
        (lambda b: editing.move_story(b, 4, Spot(0, 1)), ["A:adb", "B:c"]),
        (lambda b: editing.move_section(b, 0, 1), ["B:cd", "A:ab"]),
        (lambda b: editing.move_section(b, 1, -5), ["B:cd", "A:ab"]),
        (lambda b: editing.insert_story(b, Spot(0, 1), Story("x")), ["A:axb", "B:cd"]),
        (lambda b: editing.add_section(b, "C", at=1), ["A:ab", "C:", "B:cd"]),
        (lambda b: editing.rename_section(b, 1, None), ["A:ab", ":cd"]),
        (lambda b: editing.replace_story(b, 3, Story("c")), ["A:ab", "B:cd"]),
    ],
    ids=count(),
)
def test_stories_move_and_their_key_points_follow(edit: Edit, after: list[str]) -> None:
    edited = edit(briefing_of("A:ab", "B:cd"))

    assert shape(edited) == after
    assert ties(edited) == {letter: letter for letter in "abcd"}


@pytest.mark.parametrize(
    "edit",
    [
        lambda b: editing.move_story_up(b, 5),
        lambda b: editing.story_at(b, 0),
        lambda b: editing.move_story(b, 1, Spot(2, 0)),
        lambda b: editing.rename_section(b, -1, "x"),
    ],
    ids=count(),
)
def test_what_is_not_there_any_more_is_said(edit: Edit) -> None:
    with pytest.raises(NotFoundError, match="reload the page"):
        edit(briefing_of("A:ab", "B:cd"))


def test_the_first_story_makes_its_section() -> None:
    empty = Briefing(title="", sections=())

    assert shape(editing.insert_story(empty, Spot(0, 0), Story("a"))) == [":a"]


def test_a_deleted_story_is_set_aside_and_comes_back_to_its_place() -> None:
    story = Story("b", ((Span("Its "), Span("text", strong=True)),), "Gazette")
    briefing = editing.replace_story(briefing_of("A:abc"), 2, story)

    removed = editing.remove_story(DraftContent(briefing=briefing), 2)
    restored = editing.put_back(removed, 0, at=Spot(0, 1), story=1)

    assert shape(removed.briefing) == ["A:ac"]
    assert ties(removed.briefing) == {"a": "a", "b": None, "c": "c"}
    assert restored.briefing.sections == briefing.sections
    assert restored.set_aside == ()


def test_a_deleted_section_comes_back_with_its_stories() -> None:
    content = DraftContent(briefing=briefing_of("A:ab", "B:cd"))

    removed = editing.remove_section(content, 0)
    restored = editing.put_back(removed, 0, at=Spot(0, 0), story=1)

    assert shape(removed.briefing) == ["B:cd"]
    assert shape(restored.briefing) == ["A:ab", "B:cd"]


@pytest.mark.parametrize(("name", "after"), [("", ["A:ab", ":"]), ("C", ["A:ab", "C:"])])
def test_an_empty_section_comes_back_too(name: str, after: list[str]) -> None:
    content = DraftContent(briefing=briefing_of("A:ab", f"{name}:"))

    removed = editing.remove_section(content, 1)

    assert shape(editing.put_back(removed, 0, at=Spot(9, 0), story=1).briefing) == after


def test_what_a_paste_left_over_becomes_text_of_a_story() -> None:
    removed = editing.remove_story(DraftContent(briefing=briefing_of("A:ab")), 2)
    content = replace(removed, set_aside=(replace(removed.set_aside[0], text="Left over."),))

    restored = editing.put_back(content, 0, at=None, story=1)

    assert editing.story_at(restored.briefing, 1).paragraphs == ((Span("Left over."),),)
    with pytest.raises(NotFoundError):
        editing.put_back(restored, 0, at=None, story=1)


def test_what_is_set_aside_can_be_forgotten() -> None:
    removed = editing.remove_story(DraftContent(briefing=briefing_of("A:ab")), 2)

    assert editing.drop_aside(removed, 0).set_aside == ()


@settings(deadline=None)
@given(
    st.lists(st.integers(0, 4), min_size=1, max_size=4),
    st.lists(st.tuples(st.integers(1, 16), st.integers(0, 3), st.integers(0, 5)), max_size=8),
)
def test_no_move_loses_a_story_or_a_tie(
    sizes: list[int], moves: list[tuple[int, int, int]]
) -> None:
    letters = iter("abcdefghijklmnopqrst")
    briefing = briefing_of(*(f"S:{''.join(next(letters) for _ in range(size))}" for size in sizes))
    before = {story.headline for story in briefing.stories}

    for number, section, place in moves:
        if number <= len(before) and section < len(sizes):
            briefing = editing.move_story(briefing, number, Spot(section, place))

    assert {story.headline for story in briefing.stories} == before
    assert ties(briefing) == {letter: letter for letter in before}
