import datetime
import re
import zlib
from dataclasses import replace
from urllib.parse import quote

import pytest

from newsletter.compose.briefing import Image, Section, Span, Story
from newsletter.errors import InputError, RenderError
from newsletter.render.compiled import Compiled, edition_page
from newsletter.render.cut import CLICK, link_slot
from newsletter.render.letter import Link
from tests.render.factory import (
    make_briefing,
    make_chinese_briefing,
    make_compiled,
    make_masthead,
    rich,
)

PAGE = "https://news.example.org/e/Xk3v9QpL"
BUYBACKS = "bytedance-starts-a-new-round-of-buybacks-prices-rise"
XPENG = "xpeng-requires-dealers-to-stock"
LIU = "liu-chuanzhi-passes-away-at-92"


def only_story(**fields: object) -> Section:
    return Section("News", (replace(Story("Headline", (rich("Body."),)), **fields),))  # type: ignore[arg-type]


def test_links_are_numbered_in_the_order_of_the_page() -> None:
    compiled = make_compiled()

    assert compiled.links == (
        Link(1, f"{PAGE}#{BUYBACKS}", 1),
        Link(2, f"{PAGE}#{LIU}", 3),
        Link(3, "https://jiemian.example/a?b=1&c=2", 1),
        Link(4, "https://jiemian.example/a?b=1&c=2", 1),
        Link(5, f"{PAGE}#{XPENG}", 2),
        Link(6, f"{PAGE}#{LIU}", 3),
    )
    assert [slot for slot in compiled.html.slots if slot.startswith("link")] == [
        link_slot(number) for number in range(1, 7)
    ]


def test_every_story_is_an_anchor() -> None:
    html = make_compiled().html.fill(lambda slot: slot)

    assert re.findall(r'id="([^"]+)"', html) == [BUYBACKS, XPENG, LIU]


def test_an_anchor_in_another_script_is_written_out_in_the_page_and_encoded_in_addresses() -> None:
    compiled = make_compiled(make_chinese_briefing())

    page = edition_page(compiled)

    assert 'id="字节跳动启动新一轮期权回购"' in page
    assert f'href="{PAGE}#{quote("字节跳动启动新一轮期权回购")}"' in page
    assert all(link.url.isascii() for link in compiled.links)


def test_a_tracked_link_is_the_click_token_and_its_number() -> None:
    html = make_compiled().mail_html.fill(lambda slot: f"[{slot}]")

    assert re.findall(r'href="([^"]*/c/[^"]*)"', html) == [
        f"https://news.example.org/c/[{CLICK}]/{number}" for number in range(1, 7)
    ]


def test_no_link_of_a_story_is_left_untracked_in_the_mail() -> None:
    html = make_compiled().mail_html.fill(lambda slot: f"[{slot}]")

    addresses = set(re.findall(r'href="([^"]*)"', html))

    assert {address for address in addresses if "/c/" not in address} == {
        PAGE,
        "https://news.example.org/u/[unsubscribe]",
        "https://news.example.org/p/[preferences]",
    }


def test_a_placeholder_image_is_never_in_the_mail() -> None:
    html = make_compiled().html.fill(lambda slot: slot)

    assert "image_link" not in html
    assert "Financial Associated Press" not in html
    assert '<img class="st-img" src="https://img.example/liu.jpg" width="536" ' in html
    assert 'alt="Liu Chuanzhi in 2012"' in html


@pytest.mark.parametrize(
    "src", ["/a.png", "file:///etc/passwd", "data:image/png;base64,AA", "javascript:x", "https://x"]
)
def test_an_image_without_a_web_address_is_left_out(src: str) -> None:
    compiled = make_compiled(make_briefing(sections=(only_story(images=(Image(src, "A"),)),)))

    assert "st-img" not in compiled.html.fill(lambda slot: slot).partition("<body")[2]


def test_what_an_editor_wrote_is_text() -> None:
    hostile = '<script>alert(1)</script> {{ 7*7 }} </td> "quoted" & more'
    compiled = make_compiled(
        make_briefing(title=hostile, sections=(only_story(headline=hostile, source=hostile),))
    )

    html = compiled.html.fill(lambda slot: slot)

    assert "<script" not in html
    assert html.count("{{ 7*7 }}") == 3
    assert hostile in compiled.text.fill(lambda slot: slot).replace("\n  ", " ")


def test_the_name_of_the_list_is_text_in_every_place() -> None:
    masthead = make_masthead(name="R&D <Weekly>", tagline="{{ x }} & {address}")

    html = make_compiled(masthead=masthead).html.fill(lambda slot: slot)

    assert "<Weekly>" not in html
    assert "subscribed to R&amp;D &lt;Weekly&gt;joined." in html
    assert "{address}" in html


def test_a_control_character_in_a_story_is_named() -> None:
    briefing = make_briefing(sections=(only_story(headline="Ring\x07 the bell"),))

    with pytest.raises(RenderError, match=r"U\+0007, after .*Ring"):
        make_compiled(briefing)


@pytest.mark.parametrize("mark", ["\r\n", "\n", "\r", "\0", "\x85", "\u2028", "\u2029", "\ud800"])
def test_a_subject_is_one_line(mark: str) -> None:
    with pytest.raises(InputError, match="subject holds a line break"):
        make_compiled(subject=f"Hello{mark}Bcc: all@example.org")


@pytest.mark.parametrize("briefing", [make_briefing(), make_chinese_briefing()])
def test_a_compiled_edition_survives_storage(briefing: object) -> None:
    compiled = make_compiled(briefing)  # type: ignore[arg-type]

    assert Compiled.from_bytes(compiled.to_bytes()) == compiled


@pytest.mark.parametrize("stored", [b"", b"junk", zlib.compress(b"[")])
def test_a_damaged_copy_is_refused(stored: bytes) -> None:
    with pytest.raises(RenderError, match="damaged; compile it again"):
        Compiled.from_bytes(stored)


def test_a_copy_of_another_version_is_refused() -> None:
    with pytest.raises(RenderError, match="format 99"):
        Compiled.from_bytes(zlib.compress(b'{"format": 99}'))


def test_the_sizes_are_those_of_a_typical_message() -> None:
    compiled = make_compiled()

    assert compiled.html_bytes == pytest.approx(17_000, rel=0.2)
    assert 0 < compiled.text_bytes < compiled.html_bytes


def test_the_web_page_tracks_nobody_and_greets_nobody() -> None:
    page = edition_page(make_compiled())

    assert "/c/" not in page
    assert "/o/" not in page
    assert "/u/" not in page
    assert "Good morning." in page
    assert "You get this because" not in page
    assert "View in browser" not in page
    assert 'href="https://jiemian.example/a?b=1&amp;c=2"' in page
    assert f'href="{PAGE}#{LIU}"' in page
    assert "1 Press Lane" in page
    assert "mail-only" not in page


def test_a_minimal_briefing_makes_a_whole_letter() -> None:
    briefing = make_briefing(
        series=None,
        credits={},
        date=None,
        intro=(),
        key_points=(),
        sections=(Section(None, (Story("Headline", (rich("Body."),)),)),),
    )

    compiled = make_compiled(briefing, make_masthead(tagline=None), preheader="")

    assert "Key points" not in compiled.html.fill(lambda slot: slot)
    assert "Headline" in compiled.text.fill(lambda slot: slot)


def test_a_chinese_letter_has_chinese_words_and_fonts() -> None:
    compiled = make_compiled(make_chinese_briefing(), make_masthead(language="zh-Hans"))

    html = compiled.html.fill(lambda slot: slot)

    assert '<html lang="zh-Hans"' in html
    assert "今日要点" in html
    assert "PingFang SC" in html
    assert "编辑：王一清" in html
    assert "PingFang" not in make_compiled().html.fill(lambda slot: slot)


def test_the_preheader_stands_first_and_hidden() -> None:
    compiled = make_compiled(preheader="In short: everything.")
    html = compiled.shown_html.fill(lambda slot: slot)

    assert '<div class="pre" style="display:none' in html
    assert html.index("In short: everything.") < html.index("View in browser")
    assert "In short" not in compiled.text.fill(lambda slot: slot)


def test_a_link_in_the_introduction_belongs_to_no_story() -> None:
    intro = ((Span("Read "), Span("this", href="https://a.example/?q=%20&amp;x=é#f")),)

    compiled = make_compiled(make_briefing(intro=intro, date=datetime.date(2024, 3, 7)))

    assert Link(1, "https://a.example/?q=%20&amp;x=é#f", None) in compiled.links
    assert 'href="https://a.example/?q=%20&amp;amp;x=é#f"' in edition_page(compiled)


@pytest.mark.parametrize(
    "changes",
    [
        {"slug": "Not A Slug"},
        {"mail_domain": "bad domain"},
        {"accent": "red"},
        {"base_url": "https://news.example.org/"},
        {"base_url": "javascript:alert(1)"},
        {"name": "Brief\r\nBcc: x@example.org"},
        {"sender_name": "Brief\0"},
        {"sender_address": "no address"},
        {"sender_address": "josé@example.org"},
        {"reply_to": "a@b@c"},
    ],
)
def test_a_masthead_that_would_break_a_mail_is_refused(changes: dict[str, str]) -> None:
    with pytest.raises(InputError):
        make_masthead(**changes)
