"""The theme's promises that no single module could keep."""

import re
from itertools import pairwise

from newsletter.render.message import Assembler
from newsletter.settings import TEMPLATES
from tests.render.factory import MORNING, TOKENS, make_compiled, make_recipient

CSS = TEMPLATES / "email" / "edition"
RULE = re.compile(r"(\.[a-z0-9-]+) \{([^}]*)\}")


def colours_of(file: str) -> set[str]:
    css = re.sub(r"\{\{ (\w+)\.\w+ \}\}", "#colour", (CSS / file).read_text(encoding="utf-8"))
    return {name for name, body in RULE.findall(css) if "#colour" in body}


def test_every_class_with_a_colour_has_another_by_night() -> None:
    by_day = colours_of("inline.css")

    assert by_day == colours_of("head_dark.css") == colours_of("head_outlook_dark.css")


def test_every_colour_of_the_page_comes_from_such_a_class() -> None:
    template = (CSS / "body.html").read_text(encoding="utf-8")
    html = make_compiled().html.fill(lambda slot: slot)
    body = html[html.index("<body") :]

    coloured = [
        tag for tag in re.findall(r"<[^>]*style=[^>]*>", body) if re.search(r"color:#", tag)
    ]

    assert not re.search(r"(?<!&)#[0-9a-f]{6}", template)
    assert coloured
    classes = {name.removeprefix(".") for name in colours_of("inline.css")}
    for tag in coloured:
        names = re.search(r'class="([^"]*)"', tag)
        assert names is not None, tag
        assert classes & set(names[1].split()), tag


def test_a_style_block_that_gmail_would_drop_is_small_and_simple() -> None:
    html = make_compiled().html.fill(lambda slot: slot)
    blocks = re.findall(r"<style>(.*?)</style>", html, re.DOTALL)

    assert len(blocks) == 5
    assert sum(map(len, blocks)) < 12_000
    for block in blocks:
        assert "@import" not in block
        assert not re.search(r"rgb\(|hsl\(|var\(|>=|url\(", block)
        assert block.count("@") <= 1


def test_layout_tables_say_that_they_are_no_tables() -> None:
    html = make_compiled().html.fill(lambda slot: slot)

    tables = re.findall(r"<table[^>]*>", html)

    assert tables
    assert all('role="presentation"' in table for table in tables)


def test_headings_go_down_one_level_at_a_time() -> None:
    html = make_compiled().html.fill(lambda slot: slot)

    levels = [int(level) for level in re.findall(r"<h([1-6])", html)]

    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_the_pixel_is_the_last_of_the_mail() -> None:
    raw = Assembler(make_compiled(), TOKENS).message(make_recipient(), date=MORNING)
    html = make_compiled().mail_html.fill(lambda slot: slot)

    assert html.rstrip().endswith("</body>\n</html>")
    assert html.rindex("<img") > html.rindex("</table>")
    assert b"/o/" in raw
