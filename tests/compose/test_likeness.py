"""Which addresses are the same page, and which headlines the same story."""

from datetime import date
from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.compose.likeness import Headlines, url_key
from newsletter.compose.parser import read_briefing

BRIEFINGS = Path(__file__).parents[1] / "data" / "briefings"


@pytest.mark.parametrize(
    "other",
    [
        "http://www.harbour.example/news/ferry",
        "https://harbour.example/news/ferry/",
        "https://HARBOUR.example:443/news/ferry#comments",
        "https://m.harbour.example/news/ferry?utm_source=rss&utm_campaign=morning",
        "https://harbour.example/news/ferry/amp",
        "https://harbour.example/news/ferry/index.html?fbclid=abc&gclid=1",
    ],
)
def test_the_same_page_has_many_addresses(other: str) -> None:
    assert url_key(other) == url_key("https://harbour.example/news/ferry")


@pytest.mark.parametrize(
    "other",
    [
        "https://harbour.example/news/ferry-2",
        "https://harbour.example/news/ferry?page=2",
        "https://news.harbour.example/news/ferry",
        "https://harbour.example/News/ferry",
        "https://harbour.example/",
    ],
)
def test_another_page_has_another_address(other: str) -> None:
    assert url_key(other) != url_key("https://harbour.example/news/ferry")


def test_the_order_of_what_was_asked_says_nothing() -> None:
    assert url_key("https://h.example/?b=2&a=1") == url_key("https://h.example/?a=1&b=2")


@given(st.text())
def test_any_text_has_a_key(text: str) -> None:
    try:
        key = url_key(f"https://h.example/{text}")
    except ValueError:
        return  # no address at all

    assert len(key) == 16


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (
            "Ferry line to the islands resumes on Monday after three weeks of storm damage",
            "Ferry line to islands resumes Monday after storm damage",
        ),
        (
            "JD Logistics' revenue hit 166.6 billion in 2023",
            "JD Logistics revenue hit 166.6 billion in 2023",
        ),
        ("京东物流2023年营收1666亿元", "京东物流2023年营收1666亿"),
    ],
)
def test_two_papers_tell_the_same_story(one: str, other: str) -> None:
    assert Headlines([one]).find(other) == 0
    assert Headlines([other]).find(one) == 0


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Apple", "Apple opens a store in Shanghai and sells the first headsets"),
        ("City council votes for a new tram line", "City council votes against higher rents"),
        ("", "Anything at all"),
    ],
)
def test_two_stories_share_some_words(one: str, other: str) -> None:
    assert Headlines([one]).find(other) is None


def test_no_two_stories_of_a_real_briefing_are_taken_for_one() -> None:
    for path in sorted(BRIEFINGS.glob("*.txt")):
        parsed = read_briefing(path.read_bytes(), today=date(2024, 3, 8))
        headlines = [story.headline for story in parsed.briefing.stories] if parsed.briefing else []

        alike = [
            (one, other)
            for one, other in combinations(dict.fromkeys(headlines), 2)
            if Headlines([one]).find(other) is not None
        ]

        assert alike == [], path.name
