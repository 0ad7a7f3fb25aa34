"""One briefing with every oddity that newsroom pastes have shown, read line by line."""

import datetime
from pathlib import Path

from newsletter.compose.briefing import Image, from_json, plain, to_json
from newsletter.compose.findings import Severity
from newsletter.compose.parser import Parsed, parse, read_briefing

DATA = Path(__file__).parents[1] / "data" / "briefings"
TODAY = datetime.date(2026, 11, 22)


def read(name: str) -> Parsed:
    return read_briefing((DATA / name).read_bytes(), today=TODAY)


def codes(parsed: Parsed) -> dict[str, list[int | None]]:
    lines: dict[str, list[int | None]] = {}
    for finding in parsed.findings:
        lines.setdefault(finding.code, []).append(finding.line)
    return lines


def test_the_head_names_series_title_credits_and_date() -> None:
    briefing = read("everything-odd-at-once.txt").briefing

    assert briefing
    assert briefing.series == "Harbour Brief"
    assert briefing.title == "Ferry Line Splits in Two; Former Chair of Norvik Passes"
    assert briefing.credits == {"producer": "Quayside Media", "editor": "Mara Lindqvist"}
    assert briefing.date == datetime.date(2024, 3, 7)
    assert briefing.language == "en"
    assert len(briefing.intro) == 1
    assert plain(briefing.intro[0]).startswith("Today is Thursday, March 7th.")


def test_sections_stories_and_sources_are_all_there() -> None:
    briefing = read("everything-odd-at-once.txt").briefing

    assert briefing
    assert [(section.name, len(section.stories)) for section in briefing.sections] == [
        ("Major Updates", 4),
        ("Harbour Figure", 3),
        ("Policy News", 2),
        ("Product Updates", 3),
    ]
    assert [story.source for story in briefing.stories] == [
        "Daily Anchor", "LateTide", "All-Weather Ledger", "Pharos", None, "New Osterhamn News",
        "Globe Tide", "Coastal Press", "Strait News Network", "Tech Shoal", None, None,
    ]  # fmt: skip
    assert all(len(story.paragraphs) == 1 for story in briefing.stories)


def test_key_points_lead_to_their_stories() -> None:
    briefing = read("everything-odd-at-once.txt").briefing

    assert briefing
    assert [point.story for point in briefing.key_points] == [1, 3, 10, 11, 8]


def test_a_picture_stays_with_its_story() -> None:
    briefing = read("everything-odd-at-once.txt").briefing

    assert briefing
    assert {story.headline: story.images for story in briefing.stories if story.images} == {
        "Former Chair of Norvik Holdings, Elin Strand, Passed Away at the Age of 92": (
            Image("image_link", "Coastal Press"),
        )
    }


def test_every_oddity_is_reported_on_its_line() -> None:
    parsed = read("everything-odd-at-once.txt")

    assert codes(parsed) == {
        "date-without-year": [7],
        "source-missing": [41, 71, 75],
        "image-placeholder": [45],
        "image-alt-looks-like-source": [45],
        "headings-mixed": [47],
        "quotes-mixed": [49],
        "stray-heading": [75],
        "orphan-line": [79],
        "residue-removed": [81],
    }
    assert not [found for found in parsed.findings if found.severity is Severity.ERROR]


def test_a_chinese_paste_reads_as_well() -> None:
    briefing = read("chinese-morning-paste.txt").briefing

    assert briefing
    assert briefing.language == "zh"
    assert briefing.series == "海港早报"
    assert briefing.credits == {"producer": "码头传媒", "editor": "林马拉", "reporter": "陈小舟"}
    assert briefing.date == datetime.date(2024, 3, 7)
    assert [(section.name, len(section.stories)) for section in briefing.sections] == [
        ("要闻", 3),
        ("海港人物", 2),
        ("政策动态", 1),
        ("产品动态", 2),
    ]
    assert [point.story for point in briefing.key_points] == [1, 3, 7]
    assert [story.source for story in briefing.stories] == [
        "锚点日报", "晚潮", "全天候账本", None, "新东港报", "海岸通讯社", "蓝鹭财经", "科技浅滩",
    ]  # fmt: skip


def test_what_was_read_survives_json() -> None:
    for name in ("everything-odd-at-once.txt", "chinese-morning-paste.txt"):
        briefing = read(name).briefing

        assert briefing
        assert from_json(to_json(briefing)) == briefing


HEAD = "[S] One; Two\n\nProducer | P\n\nEditor | E\n\nToday is Friday, March 8th, 2024.\n\n"


def errors(text: str) -> list[tuple[str, int | None]]:
    parsed = parse(text, today=TODAY)
    return [
        (found.code, found.line) for found in parsed.findings if found.severity is Severity.ERROR
    ]


def test_a_text_without_a_title_has_no_briefing() -> None:
    text = "[News]\n\nGull Opens a Shop\n\nGull opened a shop. (Tide)"

    parsed = parse(text, today=TODAY)

    assert parsed.briefing is None
    assert errors(text) == [("no-title", 1)]


def test_a_text_without_a_story_has_no_briefing() -> None:
    assert parse("Just a line", today=TODAY).briefing is None
    assert errors("Just a line") == [("no-story", 1)]


def test_an_empty_text_says_so() -> None:
    assert errors(" \n\u00a0\n") == [("empty", None)]


def test_an_empty_section_is_an_error_on_its_line() -> None:
    text = HEAD + "[Empty]\n\n[News]\n\nGull Opens\n\nIt opened. (Tide)"

    assert errors(text) == [("section-empty", 9)]


def test_a_headline_without_text_is_an_error() -> None:
    text = HEAD + "[News]\n\nGull Opens\n\nTern Closes\n\nIt closed. (Tide)"

    assert errors(text) == [("story-no-body", 11)]


def test_a_text_without_headline_is_an_error() -> None:
    text = HEAD + "[News]\n\nGull Opens\n\nIt opened. (Tide)\n\nIt closed. (Pharos)"

    assert errors(text) == [("body-without-headline", 15)]


def test_the_same_headline_or_section_twice_is_an_error() -> None:
    story = "[News]\n\nGull Opens\n\nIt opened. (Tide)\n\n"

    assert errors(HEAD + story + story) == [("duplicate-section", 15), ("duplicate-story", 17)]


def test_a_weekday_that_does_not_fit_its_date_is_an_error() -> None:
    text = HEAD.replace("Friday", "Monday") + "[News]\n\nGull Opens\n\nIt opened. (Tide)"

    assert errors(text) == [("date-mismatch", 7)]


def test_residue_between_stories_takes_no_story_along() -> None:
    text = (
        HEAD + "[News]\n\nGull Opens\n\nIt opened. (Tide)\n\nShare this:\n\n"
        "Tern Closes\n\nIt closed. (Pharos)"
    )

    parsed = parse(text, today=TODAY)

    assert parsed.briefing
    assert len(list(parsed.briefing.stories)) == 2
    assert codes(parsed)["residue-in-middle"] == [15]


def test_a_missing_number_is_a_warning() -> None:
    text = HEAD + "Key news:\n\n1. Gull opens\n3. Tern closes\n\n[News]\n\nGull Opens\n\nIt opened."

    assert codes(parse(text, today=TODAY))["numbering-gap"] == [12]
