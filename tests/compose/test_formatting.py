"""A briefing written as text reads as the same briefing."""

import datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from newsletter.compose.briefing import (
    Briefing,
    Image,
    KeyPoint,
    RichText,
    Section,
    Span,
    Story,
)
from newsletter.compose.bylines import CREDIT_ROLES
from newsletter.compose.formatting import format_briefing, format_rich
from newsletter.compose.inline import read_inline
from newsletter.compose.parser import parse
from newsletter.compose.tidy import tidy, tidy_rich

TODAY = datetime.date(2026, 11, 20)

# What text is made of, and what could be taken for a mark, a head, a list, a source or a tie.
ODD = [
    *(
        "*",
        "**",
        "***",
        "_",
        "__",
        "\\",
        "[",
        "]",
        "(",
        ")",
        "![",
        "{b}",
        "{bi}",
        "<b>",
        "&",
        "&amp;",
    ),
    *(
        "#",
        "## ",
        "- ",
        "• ",
        "1. ",
        "---",
        "title:",
        "Source: ",
        "来源：",
        " → story 1",
        " → no story",
    ),
    *(
        "！［",
        "］（",
        "（",
        "）",
        "【",
        "】",
        "\u0301",
        "\u0327",
        "é",
        "한",
        "中文",
        "。",
        "Ã©",
        "â€™",
        "🙂",
        "\u200b",
    ),
    *(
        "\t",
        "\n",
        "\u00a0",
        "\u3000",
        "\x00",
        "\x85",
        "\ud800",
        "  ",
        "https://a.example/x",
        "a",
        "Z",
        "7",
        ".",
    ),
]
texts = st.lists(st.sampled_from(ODD) | st.text(max_size=5), max_size=8).map("".join)
addresses = st.none() | st.one_of(
    st.just("https://a.example/x?a=1&copy=2&b=(3"),
    texts.map(lambda text: f"https://a.example/{text}"),
    texts,
)
spans = st.builds(Span, texts, st.booleans(), st.booleans(), addresses)
rich_texts = st.lists(spans, max_size=5).map(tuple)
maybe = st.none() | texts
stories = st.builds(
    Story,
    headline=texts,
    paragraphs=st.lists(rich_texts, max_size=3).map(tuple),
    source=maybe,
    images=st.lists(st.builds(Image, texts | addresses.map(str), texts), max_size=2).map(tuple),
    href=addresses,
)
sections = st.builds(Section, maybe, st.lists(stories, max_size=3).map(tuple))
briefings = st.builds(
    Briefing,
    title=texts,
    sections=st.lists(sections, max_size=3).map(tuple),
    series=maybe,
    credits=st.dictionaries(st.sampled_from(CREDIT_ROLES) | texts, texts, max_size=3),
    date=st.none() | st.dates(),
    intro=st.lists(rich_texts, max_size=2).map(tuple),
    key_points=st.lists(st.builds(KeyPoint, texts, st.none() | st.integers(0, 9)), max_size=3).map(
        tuple
    ),
    language=st.sampled_from(["en", "zh", "zh-Hant", "x", "not a language"]),
)


@settings(deadline=None)
@given(briefings)
def test_reading_what_was_written_gives_the_same_briefing(briefing: Briefing) -> None:
    text = format_briefing(briefing)

    read = parse(text, today=TODAY)

    assert read.briefing == tidy(briefing)
    assert read.is_formatted
    assert read.set_aside == ()


@settings(deadline=None)
@given(briefings)
def test_tidying_twice_changes_nothing_more(briefing: Briefing) -> None:
    once = tidy(briefing)

    assert tidy(once) == once
    assert format_briefing(once) == format_briefing(briefing)


@settings(deadline=None)
@given(rich_texts)
def test_every_style_reads_back(rich: RichText) -> None:
    tidied = tidy_rich(rich)

    assert read_inline(format_rich(tidied)).rich == tidied


def test_a_briefing_as_an_editor_sees_it() -> None:
    briefing = Briefing(
        title="Harbour *Reopens*",
        series="Harbour Brief",
        credits={"editor": "Ada"},
        date=TODAY,
        intro=((Span("Good "), Span("morning", strong=True), Span(".")),),
        key_points=(KeyPoint("The harbour reopens", 1), KeyPoint("Unrelated", 1)),
        sections=(
            Section(
                "Port",
                (
                    Story(
                        "The harbour reopens",
                        (
                            (
                                Span("# no heading, "),
                                Span("a link", href="https://a.example/"),
                            ),
                        ),
                        "Gazette",
                        (Image("https://a.example/f.jpg", "A ferry"),),
                        "https://a.example/story",
                    ),
                ),
            ),
        ),
    )

    assert format_briefing(briefing) == (
        "---\nseries: Harbour Brief\ntitle: Harbour *Reopens*\ndate: 2026-11-20\neditor: Ada\n"
        "language: en\n---\n\nGood **morning**.\n\n- The harbour reopens\n- Unrelated → story 1\n\n"
        "# Port\n\n## [The harbour reopens](https://a.example/story)\n\n"
        "![A ferry](https://a.example/f.jpg)\n\n"
        "\\# no heading, [a link](https://a.example/)\n\nSource: Gazette\n"
    )


def test_bold_that_no_stars_can_say_is_spelt_out() -> None:
    rich = (
        Span("un"),
        Span("believ", strong=True),
        Span("able "),
        Span("so ", emphasis=True),
        Span("it is"),
    )

    assert format_rich(rich) == "un[believ]{b}able [so ]{i}it is"
    assert read_inline(format_rich(rich)).rich == rich
