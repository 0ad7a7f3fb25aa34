"""The dress of a list: chosen in the office, tried beside the form, worn by the mail."""

import io
import re
from datetime import UTC, datetime
from html import unescape
from pathlib import Path
from urllib.parse import urlencode

import pytest
from PIL import Image
from sqlalchemy import select

from newsletter.addresses import parse_address
from newsletter.audience.colours import MUTED, READABLE, contrast
from newsletter.db import reading, transaction
from newsletter.models import Font, MailingList, Role
from newsletter.plan.editions import masthead_of
from newsletter.render.compiled import Compiled, edition_page
from newsletter.render.masthead import Masthead
from newsletter.render.message import Assembler
from newsletter.render.recipient import Recipient
from newsletter.render.theme import TALLEST_LOGO, WIDEST_LOGO, Logo, Theme, font_stacks
from newsletter.tokens import Tokens
from tests.newsroom import add_list, settings_for
from tests.render.factory import make_compiled, make_masthead
from tests.site import Member, Site, text_of

DRESS = {
    "slug": "harbour",
    "name": "The Harbour Brief",
    "tagline": "At seven",
    "language": "en",
    "accent": "#b3541e",
    "backdrop": "#fff4e0",
    "heading_font": "palatino",
    "text_font": "verdana",
    "footer": "Set in the harbour.\nPrinted nowhere.",
}


@pytest.fixture
def admin(site: Site) -> Member:
    return site.member(Role.ADMIN)


def a_picture(width: int = 800, height: int = 200) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (width, height), "#336699").save(file, "PNG")
    return file.getvalue()


def the_masthead(site: Site, tmp_path: Path) -> Masthead:
    with reading(site.engine) as session:
        return masthead_of(session.scalars(select(MailingList)).one(), settings_for(tmp_path))


def message_of(compiled: Compiled) -> str:
    assembler = Assembler(compiled, Tokens(((0, "a secret for tests, and long enough"),)))
    reader = Recipient(
        subscriber_id=1,
        list_id=compiled.masthead.list_id,
        address=parse_address("ada@readers.example"),
        name="Ada",
        joined_on=None,
    )
    raw = assembler.message(reader, date=datetime(2026, 11, 23, 6, tzinfo=UTC))
    return raw.decode("latin-1")


def test_the_preview_wears_what_the_form_says(site: Site, admin: Member) -> None:
    add_list(site.engine)

    part = admin.get(f"/office/letterhead?{urlencode(DRESS)}", headers={"HX-Request": "true"})
    frame = re.search(r'src="([^"]+)"', part.text)
    assert frame is not None
    letter = admin.get(unescape(frame[1]))

    assert letter.status_code == 200
    assert "Palatino" in letter.text
    assert "Verdana" in letter.text
    assert "#fff4e0" in letter.text
    assert "Printed nowhere." in letter.text
    assert "sandbox" in letter.headers["content-security-policy"]
    assert "<script" not in letter.text


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("backdrop", "#777777", "choose a lighter colour"),
        ("accent", "#12345", "six hexadecimal digits"),
        ("text_font", "papyrus", "choose one of"),
    ],
)
def test_the_preview_says_what_cannot_be_used(
    site: Site, admin: Member, field: str, value: str, said: str
) -> None:
    part = admin.get(f"/office/letterhead?{urlencode(DRESS | {field: value})}")

    assert said in text_of(part)
    assert "<iframe" not in part.text


def test_a_pale_accent_is_moved_until_it_can_be_read_and_that_is_said(
    site: Site, admin: Member
) -> None:
    part = admin.get(f"/office/letterhead?{urlencode(DRESS | {'accent': '#ffee88'})}")

    words = text_of(part)
    assert "Your accent is moved to this" in words
    shown, ratio = re.findall(r"By day: (#\w{6}) ?, contrast ([\d.]+) to 1", words)[0]
    assert contrast(shown, "#ffffff") >= READABLE
    assert float(ratio) >= READABLE


def test_the_preview_tells_nothing_of_a_list_that_is_not_theirs(site: Site) -> None:
    """S-09"""
    with transaction(site.engine) as session:
        own_id, other_id = add_list(site.engine, "own"), add_list(site.engine, "harbour")
        session.get_one(MailingList, other_id).logo = "secret.png"
    narrowed = site.member(Role.ADMIN, lists={own_id: Role.ADMIN})

    letter = narrowed.get(f"/office/letterhead/specimen?{urlencode(DRESS)}")

    assert letter.status_code == 200
    assert "1 Quay Street" not in letter.text


def test_a_logo_stands_where_the_name_stood(site: Site, admin: Member, tmp_path: Path) -> None:
    add_list(site.engine)

    answer = admin.post(
        "/office/lists/harbour/logo", files={"logo": ("logo.png", a_picture(), "image/png")}
    )

    assert answer.status_code == 303
    masthead = the_masthead(site, tmp_path)
    assert masthead.theme.logo is not None
    page = edition_page(make_compiled(masthead=masthead))
    assert f'src="{masthead.logo_url}"' in page
    assert 'alt="The Harbour Brief"' in page
    admin.post("/office/lists/harbour/logo/remove")
    assert the_masthead(site, tmp_path).theme.logo is None


def test_what_is_no_picture_is_no_logo(site: Site, admin: Member, tmp_path: Path) -> None:
    """S-21"""
    add_list(site.engine)
    svg = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'

    answer = admin.post(
        "/office/lists/harbour/logo", files={"logo": ("logo.svg", svg, "image/svg+xml")}
    )

    assert answer.status_code == 422
    assert the_masthead(site, tmp_path).theme.logo is None


@pytest.mark.parametrize(
    ("size", "shown"), [((800, 200), (280, 70)), ((100, 80), (50, 40)), ((80, 840), (8, 84))]
)
def test_a_logo_is_shown_at_half_its_pixels_and_within_its_place(
    size: tuple[int, int], shown: tuple[int, int]
) -> None:
    assert Logo("x.png", *size).shown_size == shown
    assert shown[0] <= WIDEST_LOGO
    assert shown[1] <= TALLEST_LOGO


def test_a_letter_wears_its_theme_through_storing_inlining_and_sending() -> None:
    theme = Theme(
        heading_font=Font.TIMES,
        text_font=Font.TREBUCHET,
        backdrop="#fff4e0",
        footer="Set in <b>the</b> harbour.\n{{ 7 * 7 }}",
        logo=Logo("abc.png", 800, 200),
    )
    compiled = make_compiled(masthead=make_masthead(theme=theme))

    again = Compiled.from_bytes(compiled.to_bytes())

    assert again.masthead.theme == theme
    html = again.mail_html.fill(lambda _slot: "")
    assert '"Times New Roman", Times' in html
    assert '"Trebuchet MS"' in html
    assert "#fff4e0" in html
    assert "&lt;b&gt;the&lt;/b&gt;" in html
    assert "{{ 7 * 7 }}" in html
    assert "{{ 7 * 7 }}" in again.mail_text.fill(lambda _slot: "")
    assert "/media/abc.png" in message_of(again).replace("=\r\n", "")


def test_a_form_from_before_themes_is_read_as_plain() -> None:
    compiled = make_compiled()

    assert compiled.masthead.theme == Theme()


@pytest.mark.parametrize("font", list(Font))
def test_each_font_has_a_stack_that_ends_with_what_every_program_has(font: Font) -> None:
    stack = font_stacks()[font]
    words = make_compiled().words

    css = stack.in_language(words)

    assert css.endswith("sans-serif" if stack.kind == "sans" else "serif")
    assert '"' not in css


def test_the_plain_backdrop_can_carry_grey_text() -> None:
    assert contrast(Theme().backdrop, MUTED) >= READABLE


def test_the_pages_for_readers_wear_it_too(site: Site, admin: Member) -> None:
    add_list(site.engine)
    with transaction(site.engine) as session:
        mailing_list = session.scalars(select(MailingList)).one()
        mailing_list.is_public = True
        mailing_list.backdrop, mailing_list.heading_font = "#fff4e0", Font.PALATINO
        mailing_list.logo, mailing_list.logo_width, mailing_list.logo_height = "abc.png", 800, 200

    form = site.client.get("/s/harbour")
    sheet = re.search(r'href="(/dress/harbour\.css\?v=\w+)"', form.text)
    assert sheet is not None
    style = site.client.get(sheet[1])

    assert '<img src="/media/abc.png" width="280" height="70" alt="The Harbour Brief">' in form.text
    assert style.headers["content-type"].startswith("text/css")
    assert "--page: #fff4e0;" in style.text
    assert "Palatino" in style.text
    assert site.client.get("/dress/nowhere.css").status_code == 404
    assert site.client.get("/dress/harbour").status_code == 404
