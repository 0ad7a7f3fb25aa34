"""What changed, as an editor would tell it."""

from dataclasses import replace

from newsletter.compose import editing
from newsletter.compose.briefing import Briefing, Image, KeyPoint, Section, Span, Story
from newsletter.compose.content import DraftContent
from newsletter.compose.difference import (
    Change,
    Difference,
    Run,
    Words,
    difference_of,
    words_changed,
)
from newsletter.compose.editing import Spot


def story(name: str, text: str = "") -> Story:
    return Story(
        f"The {name} of the harbour", ((Span(text or f"All about the {name}."),),), "Gazette"
    )


BEFORE = Briefing(
    title="Harbour Reopens",
    sections=(
        Section("Port", (story("pilots"), story("cranes"), story("ferries"))),
        Section("Town", (story("market"),)),
    ),
    key_points=(KeyPoint("Ferries sail", 3),),
)


def changed(after: Briefing) -> Difference:
    return difference_of(DraftContent(briefing=BEFORE), DraftContent(briefing=after))


def told(difference: Difference) -> list[tuple[str, tuple[Change, ...]]]:
    return [(each.headline.split()[1], each.changes) for each in difference.stories]


def test_the_same_differs_in_nothing() -> None:
    assert changed(BEFORE).is_empty


def test_a_story_that_moved_is_the_only_one_that_did() -> None:
    after = editing.move_story(BEFORE, 3, Spot(0, 0))

    difference = changed(after)

    assert told(difference) == [("ferries", (Change.MOVED,))]
    assert (difference.stories[0].before, difference.stories[0].after) == (3, 1)
    assert difference.head == ()


def test_a_story_in_another_section_moved() -> None:
    after = editing.move_story(BEFORE, 3, Spot(1, 0))

    assert told(changed(after)) == [("ferries", (Change.MOVED,))]


def test_added_removed_and_changed_stories() -> None:
    rewritten = replace(
        story("pilots", "All about the new pilots."),
        images=(Image("https://example.org/p.jpg", "A pilot"),),
    )
    after = editing.replace_story(BEFORE, 1, rewritten)
    after = editing.remove_story(DraftContent(briefing=after), 4).briefing
    after = editing.insert_story(after, Spot(1, 0), Story("Rain expected", ((Span("Soon."),),)))

    difference = changed(after)

    assert told(difference) == [
        ("market", (Change.REMOVED,)),
        ("pilots", (Change.CHANGED,)),
        ("expected", (Change.ADDED,)),
    ]
    text, images = difference.stories[1].fields
    assert (text.name, images.name) == ("text", "images")
    assert Run(Words.ADDED, "new ") in text.runs


def test_a_rewritten_headline_is_a_change_and_no_new_story() -> None:
    renamed = replace(story("cranes"), headline="The old cranes of the harbour")

    difference = changed(editing.replace_story(BEFORE, 2, renamed))

    assert [each.changes for each in difference.stories] == [(Change.CHANGED,)]
    assert [field.name for field in difference.stories[0].fields] == ["headline"]


def test_sections_and_what_stands_above_the_stories() -> None:
    after = replace(
        editing.rename_section(BEFORE, 1, "City"),
        title="Harbour Closed",
        credits={"editor": "Ada"},
        key_points=(),
    )

    difference = changed(after)

    assert difference.sections == ((Change.REMOVED, "Town"), (Change.ADDED, "City"))
    assert [field.name for field in difference.head] == ["title", "key points", "editor"]
    assert told(difference) == [("market", (Change.MOVED,))]


def test_sections_that_changed_places() -> None:
    difference = changed(editing.move_section(BEFORE, 1, 0))

    assert difference.sections == ((Change.MOVED, "Town"),)
    assert difference.stories == ()


def test_words_are_compared_and_chinese_by_the_character() -> None:
    assert words_changed("all is well", "all was well") == (
        Run(Words.KEPT, "all "),
        Run(Words.REMOVED, "is"),
        Run(Words.ADDED, "was"),
        Run(Words.KEPT, " well"),
    )
    assert words_changed("港口开放", "港口关放") == (
        Run(Words.KEPT, "港口"),
        Run(Words.REMOVED, "开"),
        Run(Words.ADDED, "关"),
        Run(Words.KEPT, "放"),
    )


def test_texts_longer_than_any_story_are_told_as_a_whole() -> None:
    before, after = "a b " * 2_000, "b c " * 3_000

    assert words_changed(before, after) == (Run(Words.REMOVED, before), Run(Words.ADDED, after))
