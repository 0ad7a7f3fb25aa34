import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from newsletter.render.plaintext import COLUMNS, display_width, wrap
from tests.render.factory import make_chinese_briefing, make_compiled


@pytest.mark.parametrize(
    ("text", "width"), [("abc", 3), ("王一清", 6), ("e\u0301", 1), ("（x）", 5), ("a\u200bb", 2)]
)
def test_an_ideograph_takes_two_columns(text: str, width: int) -> None:
    assert display_width(text) == width


def test_an_address_is_never_broken() -> None:
    address = "https://example.org/" + "a" * 200

    lines = list(wrap(f"Read all of it at {address} today"))

    assert lines == ["Read all of it at", address, "today"]


def test_a_line_does_not_begin_with_closing_punctuation() -> None:
    text = "字" * 36 + "。后面" + "字" * 40

    lines = list(wrap(text))

    assert not any(line.startswith("。") for line in lines)
    assert "".join(lines) == text


@settings(deadline=None)
@given(st.text(alphabet=st.sampled_from("ab 字。（é-"), max_size=400))
def test_wrapping_keeps_every_character_and_the_width(text: str) -> None:
    lines = list(wrap(text))

    assert "".join("".join(lines).split()) == "".join(text.split())
    for line in lines:
        has_a_place_to_break = " " in line.strip() or line.count("字") > 1
        assert display_width(line) <= COLUMNS or not has_a_place_to_break


def test_a_numbered_point_hangs_its_lines() -> None:
    lines = list(wrap("word " * 30, first=" 1. ", rest="    "))

    assert lines[0].startswith(" 1. word")
    assert all(line.startswith("    word") for line in lines[1:])


def test_the_part_has_every_headline_in_order_and_no_markup() -> None:
    text = make_compiled().shown_text.fill(lambda slot: f"[{slot}]")

    headlines = ["ByteDance Starts", "XPeng Requires", "Liu Chuanzhi Passes"]
    assert sorted(headlines, key=text.index) == headlines
    assert "KEY POINTS\n----------\n" in text
    assert "MAJOR UPDATES\n=============\n" in text
    assert "<p" not in text
    assert "\n-- \n" in text
    assert "Unsubscribe: https://news.example.org/u/[unsubscribe]" in text
    assert "1 Press Lane" in text
    assert "[open]" not in text


def test_chinese_lines_keep_to_the_columns() -> None:
    text = make_compiled(make_chinese_briefing()).text.fill(lambda slot: "")

    assert max(map(display_width, text.splitlines())) <= COLUMNS
