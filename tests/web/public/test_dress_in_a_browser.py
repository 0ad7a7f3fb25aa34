"""Readers' pages wear what the list's mail wears, and stay readable by day and by night."""

import io
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image as Picture
from playwright.sync_api import Browser, Page, expect

from newsletter.audience.answers import answer_requests
from newsletter.audience.lists import set_logo
from newsletter.audience.signup import request_signup
from newsletter.clock import utc_now
from newsletter.compose.media import keep_picture, reencode
from newsletter.db import make_engine, reading, transaction
from newsletter.models import Font, MailingList, SignupRequest, Subscriber
from newsletter.tokens import PersonRef, Purpose
from tests.audience.signing_up import a_form
from tests.browser import running_browser
from tests.flow.pages import DESKTOP, PHONE, look, open_page
from tests.track.people import mailed_morning
from tests.web.served import running_server, settings_for, tokens

YELLOW, OLIVE = "#ffe600", "rgb(125, 113, 0)"
"""No text can be read in the one on white; it is worn darker by day."""


@dataclass(frozen=True, slots=True)
class Site:
    url: str
    paths: tuple[str, ...]
    leaving: str


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with running_browser() as browser:
        yield browser


@pytest.fixture(scope="module")
def site(
    sqlite_template: Path, redis_server: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    shutil.copy(sqlite_template, folder / "newsletter.db")
    database_url = f"sqlite:///{folder / 'newsletter.db'}"
    engine = make_engine(database_url)
    morning = mailed_morning(engine)
    now, file = utc_now(), io.BytesIO()
    Picture.new("RGB", (400, 120), "#7a1f5c").save(file, "PNG")
    with transaction(engine) as session:
        logo = keep_picture(session, reencode(file.getvalue()), name="logo.png", by="Ed", now=now)
        mailing_list = session.get_one(MailingList, morning.list_id)
        mailing_list.accent, mailing_list.backdrop = YELLOW, "#fff4e0"
        mailing_list.heading_font, mailing_list.text_font = Font.PALATINO, Font.VERDANA
        key = f"{logo.key}.{logo.extension}"
        set_logo(session, mailing_list.slug, key, width=logo.width, height=logo.height)
        mailing_list.is_public = True
        new = a_form(session, "new@readers.example", [morning.list_id])
        request_signup(session, new, now=now)
    answer_requests(engine, settings=settings_for(redis_server, folder), now=now)
    with reading(engine) as session:
        reference = session.query(SignupRequest).one().reference
        mark = session.get_one(Subscriber, morning.ada).address_hash[:4]
    person = PersonRef(morning.ada, now, mark)
    ref = morning.subscription(morning.ada)
    with running_server(database_url, redis_server, folder / "web.log") as server:
        yield Site(
            f"http://127.0.0.1:{server.port}",
            (
                "/s/morning",
                "/archive/morning",
                f"/confirm/{tokens().confirmation(reference)}",
                f"/p/{tokens().preferences(ref)}",
                f"/my/{tokens().of_person(Purpose.SETTINGS, person)}",
                f"/my-data/{tokens().of_person(Purpose.DATA, person)}",
                f"/erase-me/{tokens().of_person(Purpose.ERASE, person)}",
            ),
            f"/u/{tokens().unsubscribe(ref)}",
        )
    engine.dispose()


@pytest.mark.parametrize("is_dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [PHONE, DESKTOP])
def test_every_page_of_a_reader_wears_the_list_s_dress(
    browser: Browser, site: Site, width: int, is_dark: bool
) -> None:
    page = open_page(browser, width=width, is_dark=is_dark)

    for path in site.paths:
        page.goto(site.url + path)
        look_at_dress(page, is_dark=is_dark)
    page.goto(site.url + site.leaving)
    look_at_dress(page, is_dark=is_dark)
    page.click("button")
    expect(page.locator("h1.done")).to_be_visible()
    look_at_dress(page, is_dark=is_dark)
    page.click("button[name=undo]")
    expect(page.locator("h1.done")).to_be_visible()
    look_at_dress(page, is_dark=is_dark)


def look_at_dress(page: Page, *, is_dark: bool) -> None:
    look(page)
    logo = page.locator(".masthead img")
    assert logo.evaluate("image => image.naturalWidth") == 400, page.url
    assert "Palatino" in page.evaluate("getComputedStyle(document.querySelector('h1')).fontFamily")
    bar = page.evaluate("getComputedStyle(document.querySelector('main')).borderTopColor")
    assert bar == ("rgb(255, 230, 0)" if is_dark else OLIVE), page.url
