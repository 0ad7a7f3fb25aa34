"""An address leads to the same story for good, whatever becomes of the edition."""

import datetime
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.compose.anchors import Anchor, Anchored, anchors_of
from newsletter.compose.briefing import Briefing, Section, Span, Story
from newsletter.compose.formatting import format_briefing
from newsletter.compose.parser import parse

HEADLINES = st.text(max_size=80)
STORIES = st.lists(
    st.builds(Story, HEADLINES, st.just(()), href=st.none() | st.just("https://x.example/")),
    max_size=8,
)


def a_story(headline: str, text: str = "", href: str | None = None) -> Story:
    return Story(headline, ((Span(text),),) if text else (), href=href)


def published(stories: list[Story]) -> list[Anchored]:
    return [Anchored(*each) for each in zip(stories, anchors_of(stories), strict=True)]


def names(anchors: tuple[Anchor, ...]) -> list[str]:
    return [anchor.name for anchor in anchors]


@pytest.mark.parametrize(
    ("headline", "name"),
    [
        ("Ferry Line Doubts the Crane", "ferry-line-doubts-the-crane"),
        ("  “Why?” — asks R&D… ", "why-asks-r-d"),
        ("Café, Straße, ＡＢＣ", "café-strasse-abc"),
        ("字节跳动启动新一轮期权回购", "字节跳动启动新一轮期权回购"),
        ("हिन्दी समाचार", "हिन्दी-समाचार"),
        (
            "one two three four five six seven eight nine ten eleven twelve",
            "one two three four five six seven eight nine ten eleven",
        ),
        ("x" * 90, "x" * 60),
        ("字" * 90, "字" * 20),
        ("🚢 !!!", "story"),
        ("", "story"),
        ('"><script>\ud800\x00', "script"),
    ],
)
def test_a_name_is_the_headline_s_words(headline: str, name: str) -> None:
    assert names(anchors_of([a_story(headline)])) == [name.replace(" ", "-")]


def test_two_stories_of_one_headline_have_two_names() -> None:
    stories = [a_story("In brief", each) for each in ("One.", "Two.", "Three.")]

    assert names(anchors_of(stories)) == ["in-brief", "in-brief-2", "in-brief-3"]


@given(STORIES, st.randoms(use_true_random=False))
def test_names_are_unique_have_no_spaces_and_stay_whatever_the_order(
    stories: list[Story], random: Random
) -> None:
    known = published(stories)
    shuffled = random.sample(known, len(known))

    again = anchors_of([each.story for each in shuffled], known)

    assert len({each.anchor.name for each in known}) == len(known)
    assert [each.anchor.number for each in known] == list(range(1, len(known) + 1))
    assert all(
        each.anchor.name and each.anchor.name.split() == [each.anchor.name] for each in known
    )
    by_story = {(each.story, each.anchor) for each in known}
    assert set(zip((each.story for each in shuffled), again, strict=True)) == by_story


@given(STORIES, STORIES)
def test_what_is_new_gets_nothing_that_another_story_had(
    before: list[Story], after: list[Story]
) -> None:
    known = published(before)

    anchors = anchors_of(after, known)

    assert (
        len({each.name for each in anchors}) == len({each.number for each in anchors}) == len(after)
    )
    had = {each.anchor for each in known}
    fresh = [each for each in anchors if each not in had]
    assert not {each.name for each in fresh} & {each.name for each in had}
    assert all(each.number > len(known) for each in fresh)


LONG = "The night ferry will not sail before the crane on the north quay has been repaired."


@pytest.mark.parametrize(
    "now",
    [
        a_story("Ferry stays in port", LONG, "https://x.example/1"),
        a_story("No ferry tonight", LONG, "https://x.example/1"),
        a_story("No ferry tonight", "Nothing of it is as it was.", "https://x.example/1"),
        a_story("Ferry stays in port", "Nothing of it is as it was.", "https://x.example/2"),
        a_story("Ferry stays in port tonight", LONG.replace("north", "south")),
    ],
    ids=["unchanged", "headline", "same link", "same headline", "words"],
)
def test_an_edited_story_keeps_its_name_wherever_it_is_moved(now: Story) -> None:
    known = published(
        [a_story("Rain", "It rains."), a_story("Ferry stays in port", LONG, "https://x.example/1")]
    )

    anchors = anchors_of([now, a_story("Theatre opens", "At eight."), a_story("Rain")], known)

    assert anchors == (
        Anchor(2, "ferry-stays-in-port"),
        Anchor(3, "theatre-opens"),
        Anchor(1, "rain"),
    )


def test_a_text_that_is_pasted_again_has_the_same_names() -> None:
    stories = [a_story(f"Story {each} of the port", LONG + each) for each in "abc"]
    briefing = Briefing(title="T", sections=(Section("Port", tuple(stories)),))

    pasted = parse(format_briefing(briefing), today=datetime.date(2026, 11, 20)).briefing

    assert pasted is not None
    moved = [replace(each, source="Gazette") for each in reversed(list(pasted.stories))]
    assert anchors_of(moved, published(stories)) == anchors_of(stories)[::-1]
