"""The text that an editor writes in: what its parts mean, and what is missing is said at its line."""

import datetime

import pytest

from newsletter.compose.briefing import Briefing, Image, KeyPoint, Section, Span, Story
from newsletter.compose.formatted import read_paragraphs, read_part
from newsletter.compose.parser import Parsed, parse

TEXT = """\
---
series: Harbour Brief
title: Harbour Reopens
date: 2026-11-20
editor: Ada Lovelace
producer: Harbour Press
language: en
---

Good morning, **all**.

- The harbour reopens after the storm.
- Fish is back → story 2
- Nothing to see → no story

# Port

## [Harbour reopens after the storm](https://example.org/a)

![Two ferries](https://example.org/f.jpg)

What happened,
on two lines.

More of it.

Source: Harbour Gazette

## Fishermen land the first catch

They did.

来源：渔报
"""


def read(text: str) -> Parsed:
    return parse(text, today=datetime.date(2026, 11, 20))


def found(parsed: Parsed) -> list[tuple[str, int | None]]:
    return [(finding.code, finding.line) for finding in parsed.findings]


def test_every_part_has_its_mark() -> None:
    parsed = read(TEXT)

    assert parsed.is_formatted
    assert parsed.briefing == Briefing(
        title="Harbour Reopens",
        series="Harbour Brief",
        credits={"editor": "Ada Lovelace", "producer": "Harbour Press"},
        date=datetime.date(2026, 11, 20),
        intro=((Span("Good morning, "), Span("all", strong=True), Span(".")),),
        key_points=(
            KeyPoint("The harbour reopens after the storm.", 1),
            KeyPoint("Fish is back", 2),
            KeyPoint("Nothing to see"),
        ),
        sections=(
            Section(
                "Port",
                (
                    Story(
                        "Harbour reopens after the storm",
                        ((Span("What happened, on two lines."),), (Span("More of it."),)),
                        "Harbour Gazette",
                        (Image("https://example.org/f.jpg", "Two ferries"),),
                        "https://example.org/a",
                    ),
                    Story("Fishermen land the first catch", ((Span("They did."),),), "渔报"),
                ),
            ),
        ),
    )
    assert found(parsed) == [("key-points", 14)]


@pytest.mark.parametrize(
    ("text", "code", "line"),
    [
        ("---\ntitle:\n---\n\n## A\n\nB.\n", "no-title", 1),
        ("---\ntitle: T\n---\n", "no-story", 1),
        ("---\ntitle: T\n---\n\n# Port\n", "section-empty", 5),
        ("---\ntitle: T\n---\n\n## Headline\n", "story-no-body", 5),
        ("---\ntitle: T\n---\n\n# Port\n\nText without a headline.\n", "body-without-headline", 7),
        ("---\ntitle: T\ndate: 7 March\n---\n\n## A\n\nB.\n", "date-mismatch", 3),
        ("---\ntitle: T\nweather: fine\n---\n\n## A\n\nB.\n", "head-unknown", 3),
        ("---\ntitle: T\n\n## A\n\nB.\n", "head-open", 2),
        ("title: T\n---\n\n## A\n\n**B.\n", "raw-markup", 6),
        ("---\ntitle: T\n---\n\n- P → story 9\n\n## A\n\nB.\n", "key-points", 5),
        ("---\ntitle: T\n---\n\n## A\n\nB.\n\nSource: X\nSource: Y\n", "source-repeated", 10),
        ("---\ntitle: T\n---\n\n## A\n\nB.\n\n## A\n\nC.\n", "duplicate-story", 9),
    ],
)
def test_what_is_missing_or_wrong_is_said_at_its_line(text: str, code: str, line: int) -> None:
    parsed = read(text)

    assert parsed.briefing is not None
    assert (code, line) in found(parsed)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("---\ntitle: T\nweather: fine\n---\n", "weather: fine"),
        ("---\ntitle: T\n---\n# Port\nlonely words\n", "lonely words"),
        ("---\ntitle: T\nlonely words", "lonely words"),
        ("---\ntitle: T\n---\n![lonely words](x)", "lonely words"),
        ("---\ntitle: T\n---\n# Port\n![lonely words](x)", "lonely words"),
    ],
)
def test_no_word_is_left_out(text: str, words: str) -> None:
    parsed = read(text)

    assert words in str(parsed.briefing)
    assert parsed.set_aside == ()


def test_a_text_without_such_a_head_is_read_as_newsrooms_paste_it() -> None:
    parsed = read("[Harbour Brief] Harbour Reopens\n\nHeadline\n\nIt did, at noon. (Gazette)\n")

    assert not parsed.is_formatted
    assert parsed.briefing is not None
    assert parsed.briefing.title == "Harbour Reopens"


def test_what_the_paste_brought_along_is_set_aside_with_its_line() -> None:
    text = (
        "[Brief] Title\n\nHeadline of it\n\nIt happened at noon in the port. (Gazette)\n\n"
        "Another headline\n\nIt happened at night in the port. (Gazette)\n\n"
        "Leave a Reply\n\nYour email address will not be published.\n"
    )

    parsed = read(text)

    assert [(aside.text, aside.line) for aside in parsed.set_aside] == [
        ("Leave a Reply", 11),
        ("Your email address will not be published.", 13),
    ]


@pytest.mark.parametrize(
    ("text", "sections"),
    [
        ("# Port\n\n## A\n\nB.", (Section("Port", (Story("A", ((Span("B."),),)),)),)),
        ("## A", (Section(None, (Story("A"),)),)),
        ("Words.", (Section(None, (Story("", ((Span("Words."),),)),)),)),
        ("", (Section(None, (Story(""),)),)),
        ("#", (Section(None, ()),)),
    ],
)
def test_a_part_of_a_text(text: str, sections: tuple[Section, ...]) -> None:
    assert read_part(text) == sections


def test_in_a_field_every_line_is_a_paragraph() -> None:
    paragraphs, images = read_paragraphs("One.\n\n**Two.**\n![a](https://example.org/a.jpg)\n# 3")

    assert paragraphs == (
        (Span("One."),),
        (Span("Two.", strong=True),),
        (Span("# 3"),),
    )
    assert images == (Image("https://example.org/a.jpg", "a"),)
