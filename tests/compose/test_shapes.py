"""Other shapes in which newsrooms paste their briefings."""

import datetime

import pytest

from newsletter.compose.briefing import Briefing, plain
from newsletter.compose.parser import parse

TODAY = datetime.date(2024, 3, 8)


def read(text: str) -> Briefing:
    briefing = parse(text, today=TODAY).briefing
    assert briefing
    return briefing


def stories(text: str) -> list[tuple[str, list[str], str | None]]:
    return [
        (story.headline, [plain(paragraph) for paragraph in story.paragraphs], story.source)
        for story in read(text).stories
    ]


PLAIN = """Harbour Brief: Gull Opens a Lab; Tern Recalls Boats

Published by | Quayside Media
By Jane Doe

Good morning! Today is Friday, March 8. Here is what happened.

Key harbour news today includes:

1. Gull opens a lab.
2. Tern recalls boats.
3. Skua hires people.

Gull Opens a Lab

Gull opened a lab on Monday. It is big. (Tide)

Tern Recalls Boats

Tern recalls boats because of rudders.

It said so on Tuesday. (Pharos)

Skua Hires People

Skua said it would hire. (The Anchor)
"""


def test_a_briefing_without_section_heads() -> None:
    briefing = read(PLAIN)

    assert briefing.series == "Harbour Brief"
    assert briefing.credits == {"producer": "Quayside Media", "author": "Jane Doe"}
    assert briefing.date == datetime.date(2024, 3, 8)
    assert len(briefing.intro) == 1
    assert [point.story for point in briefing.key_points] == [1, 2, 3]
    assert stories(PLAIN) == [
        ("Gull Opens a Lab", ["Gull opened a lab on Monday. It is big."], "Tide"),
        (
            "Tern Recalls Boats",
            ["Tern recalls boats because of rudders.", "It said so on Tuesday."],
            "Pharos",
        ),
        ("Skua Hires People", ["Skua said it would hire."], "The Anchor"),
    ]


MARKDOWN = """# Harbour Brief: Gull Opens a Lab

*By Jane Doe*

*7 March 2024*

Welcome to the **briefing**.

## Key points

- Gull opens a lab
- Tern recalls boats
- Skua opens a shop

## Boats

### [Gull Opens a Lab](https://example.com/a)

Gull opened a [lab](https://example.com/lab) on *Monday*.

![A lab](https://example.com/lab.jpg)

Source: Tide

### Tern Recalls Boats

Tern recalls boats. ([Pharos](https://example.com/p))

## Shops

### Skua opens a shop in Osterhamn

Short text without a stop

Via The Anchor
"""


def test_a_markdown_briefing() -> None:
    briefing = read(MARKDOWN)

    assert briefing.series == "Harbour Brief"
    assert briefing.title == "Gull Opens a Lab"
    assert briefing.credits == {"author": "Jane Doe"}
    assert briefing.date == datetime.date(2024, 3, 7)
    assert [section.name for section in briefing.sections] == ["Boats", "Shops"]
    assert [point.story for point in briefing.key_points] == [1, 2, 3]
    first = next(briefing.stories)
    assert first.href == "https://example.com/a"
    assert first.images[0].src == "https://example.com/lab.jpg"
    assert [story.source for story in briefing.stories] == ["Tide", "Pharos", "The Anchor"]
    assert [finding.code for finding in parse(MARKDOWN, today=TODAY).findings] == [
        "producer-missing",
        "editor-missing",
    ]


CHINESE = """科技早报：海鸥开设实验室；燕鸥召回汽艇
出品 | 码头传媒
责编 | 王一 校对 | 李二
2024年3月8日 星期五

今日要点：
1、海鸥开设实验室
2、燕鸥召回汽艇
3、贼鸥开店

【要闻】
1、海鸥开设实验室。海鸥周一在东港开设实验室，规模很大。（晚潮）
2、燕鸥召回汽艇。燕鸥因船舵问题召回汽艇。（灯塔社）
【产品】
1、贼鸥开店
贼鸥首家门店在东港开业。
来源：锚点日报
2、【鸬鹚发布新船】鸬鹚今天发布了新船，售价不变。（晚潮）
"""


def test_a_chinese_briefing_of_numbered_stories_without_blank_lines() -> None:
    briefing = read(CHINESE)

    assert briefing.series == "科技早报"
    assert briefing.title == "海鸥开设实验室；燕鸥召回汽艇"
    assert briefing.credits == {"producer": "码头传媒", "editor": "王一", "sub-editor": "李二"}
    assert briefing.date == datetime.date(2024, 3, 8)
    assert briefing.language == "zh"
    assert [point.story for point in briefing.key_points] == [1, 2, 3]
    assert stories(CHINESE) == [
        ("海鸥开设实验室", ["海鸥周一在东港开设实验室，规模很大。"], "晚潮"),
        ("燕鸥召回汽艇", ["燕鸥因船舵问题召回汽艇。"], "灯塔社"),
        ("贼鸥开店", ["贼鸥首家门店在东港开业。"], "锚点日报"),
        ("鸬鹚发布新船", ["鸬鹚今天发布了新船，售价不变。"], "晚潮"),
    ]


HEAD = "[S] One; Two\n\nProducer | P\n\nEditor | E\n\n[News]\n\n"


@pytest.mark.parametrize(
    ("text", "headline", "paragraphs", "source"),
    [
        (
            "1. Gull opens in the U.S. and Japan. It opened with $1.5 billion. (Tide)",
            "Gull opens in the U.S. and Japan",
            ["It opened with $1.5 billion."],
            "Tide",
        ),
        (
            "**Gull opens a lab.** The lab opened on Monday, and it is big. — Tide",
            "Gull opens a lab",
            ["The lab opened on Monday, and it is big."],
            "Tide",
        ),
        ("Will Gull Open?\n\nIt may. (Tide)", "Will Gull Open?", ["It may."], "Tide"),
        (
            "Gull Opens in the U.S.\n\nIt did. Source: Tide",
            "Gull Opens in the U.S.",
            ["It did."],
            "Tide",
        ),
        (
            "Gull Opens\nGull opened a lab on Monday. (via Tide)",
            "Gull Opens",
            ["Gull opened a lab on Monday."],
            "Tide",
        ),
        (
            "Gull Opens\n\nOne stopped.\n\nTwo (in part) stopped. “Yes.” （来源：晚潮）",
            "Gull Opens",
            ["One stopped.", "Two (in part) stopped. “Yes.”"],
            "晚潮",
        ),
        (
            "Gull Opens\n\nThe guild (GSW).\n\n(Tide)",
            "Gull Opens",
            ["The guild (GSW)."],
            "Tide",
        ),
        (
            "Gull Opens\n\n- One fact\n- Another fact\n\nSource: Tide",
            "Gull Opens",
            ["One fact", "Another fact"],
            "Tide",
        ),
        (
            "🚢 Gull Opens\n\n![Gull](https://example.com/g.jpg) It opened. (Tide)",
            "🚢 Gull Opens",
            ["It opened."],
            "Tide",
        ),
        (
            "Gull Opens\n==========\n\nIt opened. (Space.com)",
            "Gull Opens",
            ["It opened."],
            "Space.com",
        ),
    ],
)
def test_one_story(text: str, headline: str, paragraphs: list[str], source: str) -> None:
    assert stories(HEAD + text) == [(headline, paragraphs, source)]


def test_a_text_that_forgot_its_stop_is_no_second_headline() -> None:
    text = (
        HEAD + "Gull opens a lab\n\n"
        "The lab opened on Monday with 1.5 billion crowns from several firms and a bank\n\n"
        "Tern recalls boats\n\n"
        "Rudders are at fault in all of the boats, the company said on Monday (Tide)\n\n"
        "Skua hires\n\nIt hires people. (Tide)"
    )

    assert [story[2] for story in stories(text)] == [None, "Tide", "Tide"]
    assert "unsure" in [finding.code for finding in parse(text, today=TODAY).findings]


def test_brackets_above_texts_are_headlines_not_sections() -> None:
    text = "海港早报\n\n【海鸥开设实验室】\n\n海鸥开设实验室。（晚潮）\n\n【燕鸥召回】\n\n燕鸥召回汽艇。（晚潮）"

    assert [story[0] for story in stories(text)] == ["海鸥开设实验室", "燕鸥召回"]


def test_short_lines_above_headlines_are_sections() -> None:
    text = (
        "Morning Briefing\n\nMarch 8, 2024\n\nMajor Updates\n\nGull Opens\n\nIt opened. (Tide)\n\n"
        "Tern Closes\n\nIt closed. (Tide)\n\nProduct News\n\nSkua Hires\n\nIt hires. (Tide)"
    )

    briefing = read(text)

    assert briefing.title == "Morning Briefing"
    assert [(part.name, len(part.stories)) for part in briefing.sections] == [
        ("Major Updates", 2),
        ("Product News", 1),
    ]


def test_credits_and_date_may_stand_above_the_title() -> None:
    text = "Producer | P\n2024-03-08 07:30 来源：码头\n[S] One; Two\n\n[N]\n\nGull Opens\n\nIt opened. (Tide)"

    briefing = read(text)

    assert (briefing.series, briefing.title) == ("S", "One; Two")
    assert briefing.credits["producer"] == "P"
    assert briefing.date == datetime.date(2024, 3, 8)


def test_an_editors_note_is_part_of_the_greeting() -> None:
    text = (
        "[S] One; Two\n\nEditor’s note: we are late.\n\nSorry for that.\n\n"
        "Highlights\n• Gull opens\n• Tern closes\n\n[N]\n\nGull Opens\n\nIt opened. (Tide)"
    )

    assert len(read(text).intro) == 2
    assert len(read(text).key_points) == 2


def test_unnumbered_key_points_below_their_head() -> None:
    text = "[S] A; B\n\n今日要点：\n海鸥开设实验室\n燕鸥召回汽艇\n\n【要闻】\n\n海鸥开设实验室\n\n海鸥开设。（晚潮）"

    assert [point.text for point in read(text).key_points] == ["海鸥开设实验室", "燕鸥召回汽艇"]


def test_credits_below_the_last_story_count() -> None:
    text = (
        HEAD.replace("Editor | E\n\n", "") + "海鸥开设\n\n海鸥开设。（晚潮）\n\n（责任编辑：李四）"
    )

    assert read(text).credits["editor"] == "李四"


def test_emoji_before_section_heads_and_keycap_numbers() -> None:
    text = (
        "**[Harbour Brief] A Opens; B Closes**\n\n**Producer** | P\n**Editor** | E\n\n"
        "**Today's highlights:**\n\n1\ufe0f\u20e3 Gull opens a lab\n2\ufe0f\u20e3 Tern recalls boats\n\n"
        "📱 **[Products & Apps]**\n\n![Gull](https://example.com/g.jpg)\n\n"
        "Gull Opens a Lab (Updated)\n\nIt opened. (Tide)\n\nRead more: https://example.com\n\n"
        "Tern Recalls Boats!\n\nIt recalled boats.\n\nRudders are bad. (Pharos)"
    )

    briefing = read(text)

    assert [section.name for section in briefing.sections] == ["Products & Apps"]
    assert [point.story for point in briefing.key_points] == [1, 2]
    assert next(briefing.stories).images
    assert [story.source for story in briefing.stories] == ["Tide", "Pharos"]
