"""A reader's settings as a reader has them: on a phone, with keys alone, in the light and in the dark."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import time
from pathlib import Path

import pytest
from playwright.sync_api import Browser
from sqlalchemy import Engine

from newsletter.audience.sections import add_section
from newsletter.clock import utc_now
from newsletter.db import make_engine, reading, transaction
from newsletter.models import MailingList, Subscriber, Subscription, SubscriptionStatus
from newsletter.tokens import PersonRef, Purpose
from tests.browser import running_browser
from tests.track.people import Morning, mailed_morning, status_of
from tests.web.public.test_in_a_browser import check, on_a_phone, tab_to
from tests.web.served import running_server, tokens


@dataclass(frozen=True, slots=True)
class Site:
    url: str
    engine: Engine
    morning: Morning

    def settings_of(self, subscriber_id: int) -> str:
        with reading(self.engine) as session:
            mark = session.get_one(Subscriber, subscriber_id).address_hash[:4]
        ref = PersonRef(subscriber_id, utc_now(), mark)
        return f"{self.url}/my/{tokens().of_person(Purpose.SETTINGS, ref)}"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with running_browser() as browser:
        yield browser


@pytest.fixture
def site(sqlite_template: Path, redis_server: str, tmp_path: Path) -> Iterator[Site]:
    shutil.copy(sqlite_template, tmp_path / "newsletter.db")
    database_url = f"sqlite:///{tmp_path / 'newsletter.db'}"
    engine = make_engine(database_url)
    morning = mailed_morning(engine)
    with transaction(engine) as session:
        mailing_list = session.get_one(MailingList, morning.list_id)
        mailing_list.description = "What happened overnight, read in five minutes."
        add_section(session, mailing_list, "port", name="Port")
        add_section(session, mailing_list, "sport", name="Sport")
    with running_server(database_url, redis_server, tmp_path / "web.log") as server:
        yield Site(f"http://127.0.0.1:{server.port}", engine, morning)
    engine.dispose()


def test_a_reader_hides_a_section_and_sets_nine_with_keys_alone(
    browser: Browser, site: Site
) -> None:
    page = on_a_phone(browser)
    page.goto(site.settings_of(site.morning.ada))
    check(page)

    tab_to(page, "[name='section:morning:sport']")
    page.keyboard.press("Space")
    tab_to(page, "#hour")
    page.keyboard.type("0900AM")  # where clocks count to 24, the letters do nothing
    tab_to(page, "button[name=save]")
    page.keyboard.press("Enter")
    page.wait_for_selector("text=Saved.")
    check(page)

    assert page.locator("#hour").input_value() == "09:00"
    assert not page.locator("[name='section:morning:sport']").is_checked()
    with reading(site.engine) as session:
        assert session.get_one(Subscriber, site.morning.ada).delivery_time == time(9)
        tie = session.get_one(Subscription, (site.morning.list_id, site.morning.ada))
        assert tie.hidden_sections == 0b10


def test_the_pages_are_for_everybody_in_the_dark_and_in_chinese_too(
    browser: Browser, site: Site
) -> None:
    with transaction(site.engine) as session:
        session.get_one(Subscriber, site.morning.ada).language = "zh-Hant"
    page = on_a_phone(browser, is_dark=True)
    settings = site.settings_of(site.morning.ada)
    ref = site.morning.subscription(site.morning.ada)
    paths = (f"/p/{tokens().preferences(ref)}", settings.removeprefix(site.url))

    for path in paths:
        page.goto(site.url + path)
        check(page)
        assert page.locator("html").get_attribute("lang") == "zh-Hant"
    page.goto(f"{settings[:-1]}")
    check(page)


def test_leaving_is_taken_back_with_keys_alone(browser: Browser, site: Site) -> None:
    page = on_a_phone(browser)
    page.goto(f"{site.url}/u/{tokens().unsubscribe(site.morning.subscription(site.morning.ada))}")
    tab_to(page, "button")
    page.keyboard.press("Enter")
    page.wait_for_selector("text=You are unsubscribed")
    check(page)
    left = status_of(site.engine, site.morning.list_id, site.morning.ada)

    tab_to(page, "button[name=undo]")
    page.keyboard.press("Enter")
    page.wait_for_selector("text=You are subscribed again")
    check(page)

    assert left is SubscriptionStatus.UNSUBSCRIBED
    assert (
        status_of(site.engine, site.morning.list_id, site.morning.ada)
        is SubscriptionStatus.CONFIRMED
    )
