"""Whatever the text, reading it ends soon, raises nothing and points inside the text."""

import datetime
import json
import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.compose.briefing import from_json, to_json
from newsletter.compose.parser import Parsed, parse, read_briefing
from newsletter.compose.reading import MAX_BYTES

TODAY = datetime.date(2026, 11, 22)
LINE_END = re.compile(r"\r\n|\r|\n")
FRAGMENTS = [
    "[S] A; B", "[News]", "【要闻】", "Producer | P", "Gull Opens", "It opened. (Tide)", "# ", "## Gull",
    "**", "*", "_", "[t](https://a.example)", "[t](x:y)", "![a](b)", "\n", "\n\n", "\r\n", "1. ", "- ",
    "1、", "Key news:", "今日要点：", "Leave a Reply", "Share this:", "Source: Tide", "来源：晚潮", "（晚潮）",
    "Thursday, March 7th", "2024年2月30日", "March 40, 2024", "&amp;", "&#0;", "<b>", "\u0000", "\u200b",
    "\u00a0", "e\u0301", "\ud800", "\ufeff", "â€™", "---", "By Jane Doe", "Photo: x", "Gull? ", "。", "\u2028",
]  # fmt: skip
texts = st.lists(st.sampled_from(FRAGMENTS) | st.text(max_size=8), max_size=40).map("".join)


def assert_sound(parsed: Parsed, text: str) -> None:
    lines = LINE_END.split(text.removeprefix("\ufeff"))
    for finding in parsed.findings:
        assert (finding.line is None) == (finding.column is None)
        if finding.line is not None and finding.column is not None:
            assert 1 <= finding.line <= len(lines)
            assert 1 <= finding.column <= max(len(lines[finding.line - 1]), 1)
    if parsed.briefing:
        stored = json.loads(json.dumps(to_json(parsed.briefing)))
        assert from_json(stored) == parsed.briefing
        assert parsed.briefing.title
        assert all(story.headline for story in parsed.briefing.stories)


@given(texts)
def test_any_text_is_read_without_raising(text: str) -> None:
    assert_sound(parse(text, today=TODAY), text)


@given(st.binary(max_size=300))
def test_any_bytes_are_read_without_raising(raw: bytes) -> None:
    parsed = read_briefing(raw, today=TODAY)

    assert parsed.briefing is not None or parsed.findings


@pytest.mark.parametrize(
    "fragment",
    [
        "[",
        "*",
        "**a ",
        "_a",
        "[a](",
        "![",
        "<a",
        "&",
        "(",
        "# a\n",
        "a\n\n",
        "1. a\n",
        "\u0301\u0316",
        "。",
        "——",
    ],
)
def test_a_large_text_of_one_mark_is_read_in_little_time(fragment: str) -> None:
    raw = b"[S] A; B\n\n" + fragment.encode() * (MAX_BYTES // len(fragment.encode()) - 10)
    started = time.process_time()

    parsed = read_briefing(raw, today=TODAY)

    assert time.process_time() - started < 8
    assert len(parsed.findings) < 500
