"""The same briefing in other dress says the same."""

import datetime
import re
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest

from newsletter.compose.briefing import Briefing
from newsletter.compose.parser import read_briefing

DATA = Path(__file__).parents[1] / "data" / "briefings"
TODAY = datetime.date(2026, 11, 22)
HEAD_LINE = re.compile(r"(?m)^(\**)[\[【]([^\]】\n]+)[\]】](\**)$")
NUMBER = re.compile(r"(?m)^(\s*)(\d)[.、]\s*")

Variant: TypeAlias = Callable[[str], str]


def is_headline(paragraph: str) -> bool:
    if paragraph.startswith(("#", "!", "来源", "返回")):
        return False
    return bool(HEAD_LINE.fullmatch(paragraph)) or not re.search(
        r"[.。!?！？”\"]\s*([(（].*[)）])?$", paragraph
    )


def with_headlines(text: str, change: Variant) -> str:
    head, section, stories = re.split(r"(?m)(^[\[【](?:Major Updates|要闻)[\]】]$)", text)
    stories, *residue = re.split(r"(\n\n(?:Leave a Reply|返回搜狐))", stories, maxsplit=1)
    paragraphs = [
        change(paragraph) if is_headline(paragraph) else paragraph
        for paragraph in (section + stories).split("\n\n")
    ]
    return head + "\n\n".join(paragraphs) + "".join(residue)


def bold(paragraph: str) -> str:
    return paragraph if paragraph.startswith("**") else f"**{paragraph}**"


def wrapped(text: str) -> str:
    return "\n\n".join(
        paragraph
        if paragraph.startswith("#")
        else textwrap.fill(paragraph.strip(), 72, break_on_hyphens=False)
        for paragraph in text.split("\n\n")
    )


VARIANTS: dict[str, Variant] = {
    "CRLF": lambda text: text.replace("\n", "\r\n"),
    "CR": lambda text: text.replace("\n", "\r"),
    "doubled blank lines": lambda text: text.replace("\n\n", "\n\n\n\n"),
    "trailing blanks": lambda text: text.replace("\n", "  \t\n"),
    "all heads bold": lambda text: with_headlines(text, bold),
    "no head bold": lambda text: text.replace("**", ""),
    "underscores": lambda text: text.replace("**", "__"),
    "Chinese section brackets": lambda text: HEAD_LINE.sub(r"\1【\2】\3", text),
    "full-width section brackets": lambda text: HEAD_LINE.sub(r"\1［\2］\3", text),
    "Markdown section heads": lambda text: HEAD_LINE.sub(r"## \2", text),
    "full-width credits": lambda text: re.sub(r"(?m)\(([^()\n]+)\)$", r"（\1）", text),
    "narrow credits": lambda text: re.sub(r"(?m)（([^（）\n]+)）$", r"(\1)", text),
    "1) numbers": lambda text: NUMBER.sub(r"\1\2) ", text),
    "1、 numbers": lambda text: NUMBER.sub(r"\1\2、", text),
    "1. numbers": lambda text: NUMBER.sub(r"\1\2. ", text),
    "bullets": lambda text: NUMBER.sub("- ", text),
    "keycap numbers": lambda text: NUMBER.sub("\\1\\2\ufe0f\u20e3 ", text),
    "BOM": lambda text: "\ufeff" + text,
    "no-break spaces": lambda text: text.replace(" ", "\u00a0"),
    "zero-width spaces": lambda text: text.replace("e", "e\u200b"),
    "final newlines": lambda text: text + "\n\n",
    "byline with a colon": lambda text: re.sub(r"(?m)^(\w+) \| ", r"\1: ", text),
    "published by": lambda text: text.replace("Producer |", "Published by |"),
    "residue removed": lambda text: re.split(r"\n\n(?:Leave a Reply|返回搜狐)", text)[0],
    "wrapped at 72": lambda text: wrapped(text) if text.isascii() or "Harbour" in text else text,
    "rules between sections": lambda text: HEAD_LINE.sub(r"---\n\n\g<0>", text),
}


@pytest.mark.parametrize("name", ["everything-odd-at-once.txt", "chinese-morning-paste.txt"])
@pytest.mark.parametrize("variant", VARIANTS.values(), ids=VARIANTS)
def test_the_same_briefing_in_other_dress_reads_the_same(name: str, variant: Variant) -> None:
    text = (DATA / name).read_text(encoding="utf-8")

    assert read(variant(text)) == read(text)


def test_a_paste_without_blank_lines_reads_the_same() -> None:
    text = (DATA / "everything-odd-at-once.txt").read_text(encoding="utf-8")

    assert read(text.replace("\n\n", "\n")) == read(text)


def test_a_missing_editor_is_a_warning_and_nothing_else_changes() -> None:
    text = (DATA / "everything-odd-at-once.txt").read_text(encoding="utf-8")

    parsed = read_briefing(text.replace("Editor | Mara Lindqvist\n\n", "").encode(), today=TODAY)

    assert parsed.briefing
    assert parsed.briefing.sections == read(text).sections
    assert "editor-missing" in [finding.code for finding in parsed.findings]


def test_without_section_heads_all_stories_are_in_one_section() -> None:
    text = (DATA / "everything-odd-at-once.txt").read_text(encoding="utf-8")

    briefing = read(HEAD_LINE.sub("", text))

    assert [section.name for section in briefing.sections] == [None]
    assert list(briefing.stories) == list(read(text).stories)


def read(text: str) -> Briefing:
    briefing = read_briefing(text.encode(), today=TODAY).briefing
    assert briefing
    return briefing
