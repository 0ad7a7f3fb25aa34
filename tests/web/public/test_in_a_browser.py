"""Signing up as a reader does it: on a phone, with keys alone, in the light and in the dark."""

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import Browser, Page
from sqlalchemy import Engine

from newsletter.audience.answers import answer_requests
from newsletter.audience.signup import request_signup
from newsletter.clock import utc_now
from newsletter.db import make_engine, reading, transaction
from newsletter.models import MailingList, SignupRequest, SubscriptionStatus
from newsletter.settings import Settings
from newsletter.web.public.snippet import form_snippet
from tests.audience.signing_up import a_form, mails, make_list, requests, status
from tests.browser import running_browser
from tests.web.served import running_server, tokens
from tests.web.served import settings_for as settings_of_server

PHONE = {"width": 375, "height": 812}
ADA = "ada@readers.example"


@dataclass(frozen=True, slots=True)
class Site:
    url: str
    engine: Engine
    settings: Settings

    def answer(self) -> None:
        answer_requests(self.engine, settings=self.settings, now=utc_now())

    def request_of(self, address: str) -> SignupRequest:
        return next(each for each in requests(self.engine) if each.address == address)

    def confirm_path(self, address: str) -> str:
        return f"/confirm/{tokens().confirmation(self.request_of(address).reference)}"

    def refuse_path(self, address: str) -> str:
        return f"/not-me/{tokens().refusal(self.request_of(address).address_hash)}"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with running_browser() as browser:
        yield browser


@pytest.fixture(scope="module")
def site(
    sqlite_template: Path, redis_server: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    """One for all: each test signs up somebody else."""
    folder = tmp_path_factory.mktemp("site")
    shutil.copy(sqlite_template, folder / "newsletter.db")
    database_url = f"sqlite:///{folder / 'newsletter.db'}"
    engine = make_engine(database_url)
    make_list(
        engine,
        description="What happened overnight in Port Ellery, read in five minutes.",
        send_time="07:00",
    )
    make_list(engine, "weekly", description="The week in one mail, on Saturdays.")
    with running_server(database_url, redis_server, folder / "web.log") as server:
        settings = settings_of_server(redis_server, folder)
        yield Site(f"http://127.0.0.1:{server.port}", engine, settings)
    engine.dispose()


def on_a_phone(
    browser: Browser, *, is_dark: bool = False, locale: str = "en-GB", zone: str = "Europe/Paris"
) -> Page:
    page = browser.new_page(
        viewport={"width": PHONE["width"], "height": PHONE["height"]},
        color_scheme="dark" if is_dark else "light",
        locale=locale,
        timezone_id=zone,
    )
    # A script or a style that the page's policy refuses is told here, as is one that fails.
    page.add_init_script(
        "window.faults = [];"
        "addEventListener('error', event => faults.push(event.message));"
        "addEventListener('securitypolicyviolation', event => faults.push(event.blockedURI))"
    )
    return page


def check(page: Page) -> None:
    """No violation that axe knows, nothing to scroll sideways for, nothing that the page refused."""
    assert page.evaluate("window.faults") == []
    results = Axe().run(page)
    assert results.violations_count == 0, results.generate_report()
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


def tab_to(page: Page, selector: str) -> None:
    for _ in range(20):
        page.keyboard.press("Tab")
        if page.evaluate("selector => document.activeElement.matches(selector)", selector):
            return
    message = f"no key leads to {selector}"
    raise AssertionError(message)


def test_a_reader_signs_up_on_a_phone_with_keys_alone(browser: Browser, site: Site) -> None:
    page = on_a_phone(browser, zone="Asia/Taipei", locale="zh-TW")
    page.goto(f"{site.url}/s/daily")
    check(page)
    page.wait_for_timeout(2100)  # a person takes longer than the shortest time that is believed

    tab_to(page, "#address")
    page.keyboard.type(ADA)
    tab_to(page, "button")
    page.keyboard.press("Enter")

    page.wait_for_selector("text=請查看您的信箱")
    check(page)
    site.answer()
    assert [mail.kind for mail in mails(site.engine) if mail.to_address == ADA] == ["confirm"]

    page.goto(site.url + site.confirm_path(ADA))
    check(page)
    assert status(site.engine, ADA) is None
    tab_to(page, "button")
    page.keyboard.press("Enter")
    page.wait_for_selector("text=您已成功訂閱")
    check(page)

    assert status(site.engine, ADA) is SubscriptionStatus.CONFIRMED
    request = site.request_of(ADA)
    assert (request.zone, request.language, request.ip) == ("Asia/Taipei", "zh-TW", "127.0.0.1")


def test_a_reader_who_chose_the_language_keeps_it(browser: Browser, site: Site) -> None:
    page = on_a_phone(browser, locale="en-GB")
    page.goto(f"{site.url}/s")

    page.click("text=简体中文")
    assert page.locator("html").get_attribute("lang") == "zh-Hans"

    assert page.locator("input[name=language]").input_value() == "zh-Hans"
    assert page.locator("input[name=zone]").input_value() == "Europe/Paris"


def test_the_field_for_machines_is_out_of_sight_and_out_of_the_keys_order(
    browser: Browser, site: Site
) -> None:
    page = on_a_phone(browser)
    page.goto(f"{site.url}/s/daily")

    reached = []
    for _ in range(12):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.name || ''"))

    assert "address" in reached
    assert "website" not in reached
    box = page.locator("#website").bounding_box()
    assert box is None or box["x"] + box["width"] < 0


def test_a_mistake_is_told_beside_its_field_and_the_field_has_the_focus(
    browser: Browser, site: Site
) -> None:
    page = on_a_phone(browser)
    page.goto(f"{site.url}/s")
    page.fill("#address", "ada")
    page.check("input[name=list-weekly]")
    page.click("button")

    page.wait_for_selector("[role=alert]")

    check(page)
    assert page.evaluate("document.activeElement.id") == "address"
    described = page.locator("#address").get_attribute("aria-describedby") or ""
    assert "address-wrong" in described
    assert page.locator("#address").input_value() == "ada"
    assert page.locator("input[name=list-weekly]").is_checked()


def test_the_form_of_a_page_elsewhere_leads_to_ours_filled_in(browser: Browser, site: Site) -> None:
    with reading(site.engine) as session:
        snippet = form_snippet(session.get_one(MailingList, 1), site.url)
    page = on_a_phone(browser)
    page.set_content(f"<!doctype html><title>Elsewhere</title>{snippet}")

    page.fill("input[name=address]", ADA)
    page.click("button")

    page.wait_for_selector("text=press the button once more")
    check(page)
    assert page.locator("#address").input_value() == ADA
    assert not re.search("script|style=", snippet)


@pytest.mark.parametrize("is_dark", [False, True], ids=["light", "dark"])
def test_every_page_is_without_fault_in_both_schemes(
    browser: Browser, site: Site, is_dark: bool, tmp_path: Path
) -> None:
    page = on_a_phone(browser, is_dark=is_dark)
    address = "bo@readers.example" if is_dark else "cy@readers.example"
    with transaction(site.engine) as session:
        request_signup(session, a_form(session, address, [1, 2]), now=utc_now())
    site.answer()
    paths = ["/s", "/s/daily", "/s/daily?lang=zh-Hans", "/link", site.confirm_path(address)]
    for number, path in enumerate([*paths, site.refuse_path(address)]):
        page.goto(site.url + path)
        check(page)
        page.screenshot(path=tmp_path / f"{number}.png", full_page=True)

    page.click("button")
    page.wait_for_selector("text=You will get no mail from us")
    check(page)
    page.screenshot(path=tmp_path / "refused.png", full_page=True)
    assert status(site.engine, address) is None
