"""Signing in and managing access as people do: on a phone, with keys alone, with a passkey, in the dark."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pyotp
import pytest
from playwright.sync_api import Browser, Page
from sqlalchemy import Engine

from newsletter.accounts.people import Rights, create_account, set_password
from newsletter.clock import utc_now
from newsletter.db import make_engine, transaction
from newsletter.models import Role
from newsletter.stack.ports import free_port
from tests.accounts.staff import PASSWORD
from tests.browser import running_browser
from tests.newsroom import add_list
from tests.web.public.test_in_a_browser import check, on_a_phone, tab_to
from tests.web.served import running_server

_numbers = count(1)
PAGES = (
    "/account",
    "/account/password",
    "/account/second-factor",
    "/account/confirm",
    "/office/accounts",
    "/office/accounts/invite",
    "/office/accounts/1",
    "/office/api-keys",
    "/office/api-keys/new",
    "/office/audit",
    "/office/settings",
)


@dataclass(frozen=True, slots=True)
class Site:
    url: str
    engine: Engine

    def account(self, email: str, name: str, role: Role) -> int:
        with transaction(self.engine) as session:
            account = create_account(
                session, email, name, Rights(role), by="the tests", now=utc_now()
            )
            set_password(session, account, PASSWORD, now=utc_now())
            return account.id


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with running_browser() as browser:
        yield browser


@pytest.fixture(scope="module")
def served(
    sqlite_template: Path, redis_server: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    folder, port = tmp_path_factory.mktemp("served"), free_port()
    shutil.copy(sqlite_template, folder / "newsletter.db")
    database_url = f"sqlite:///{folder / 'newsletter.db'}"
    engine = make_engine(database_url)
    add_list(engine)
    site = Site(f"http://localhost:{port}", engine)
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("NEWSLETTER_BASE_URL", site.url)
        with running_server(database_url, redis_server, folder / "web.log", port=port):
            yield site
    engine.dispose()


@pytest.fixture
def ada(served: Site) -> str:
    """The address of an admin whom no other test has changed."""
    email = f"ada{next(_numbers)}@harbour.example"
    served.account(email, "Ada", Role.ADMIN)
    return email


def sign_in_with_keys(page: Page, site: Site, email: str, wanted: str) -> None:
    page.goto(f"{site.url}/sign-in?next={wanted}")
    check(page)
    page.keyboard.type(email)  # the field has the focus
    tab_to(page, "#password")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")


def with_authenticator(page: Page) -> None:
    """The browser's own virtual device, which knows its owner by a finger."""
    session = page.context.new_cdp_session(page)
    session.send("WebAuthn.enable")
    device = {
        "protocol": "ctap2",
        "transport": "internal",
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": True,
        "automaticPresenceSimulation": True,
    }
    session.send("WebAuthn.addVirtualAuthenticator", {"options": device})


@pytest.mark.parametrize("is_dark", [False, True])
def test_every_page_about_access_holds_on_a_phone(
    browser: Browser, served: Site, ada: str, is_dark: bool
) -> None:
    page = on_a_phone(browser, is_dark=is_dark)
    for url in ("/sign-in", "/reset", "/sign-in/link/x"):
        page.goto(served.url + url)
        check(page)

    sign_in_with_keys(page, served, ada, "/account")
    page.wait_for_url(f"{served.url}/account")
    for url in PAGES:
        page.goto(served.url + url)
        assert page.url == served.url + url
        check(page)


def test_an_app_is_set_up_and_asked_for_with_keys_alone(
    browser: Browser, served: Site, ada: str
) -> None:
    page = on_a_phone(browser)
    sign_in_with_keys(page, served, ada, "/account/second-factor")
    page.wait_for_url(f"{served.url}/account/second-factor")
    tab_to(page, "form[action='/account/app/new'] button")
    page.keyboard.press("Enter")
    page.wait_for_url(f"{served.url}/account/app")
    check(page)
    assert page.evaluate("document.querySelector('.qr').naturalWidth") > 100
    totp = pyotp.TOTP(page.inner_text("main .mono").replace(" ", ""))
    page.keyboard.type(totp.now())
    page.keyboard.press("Enter")
    page.wait_for_selector("text=Keep these recovery codes")
    check(page)
    code = page.inner_text("#codes").split()[0]

    page.context.clear_cookies()
    sign_in_with_keys(page, served, ada, "/account")
    page.wait_for_url(f"{served.url}/sign-in/second?next=%2Faccount")
    check(page)
    page.keyboard.type(code)
    page.keyboard.press("Enter")

    page.wait_for_url(f"{served.url}/account")


def test_a_passkey_is_added_and_signs_in_without_a_password(
    browser: Browser, served: Site, ada: str
) -> None:
    page = on_a_phone(browser)
    with_authenticator(page)
    sign_in_with_keys(page, served, ada, "/account/second-factor")
    page.wait_for_url(f"{served.url}/account/second-factor")

    page.fill("#name", "laptop")
    page.click("text=Add a passkey")
    page.wait_for_selector("text=Keep these recovery codes")
    page.goto(f"{served.url}/account/second-factor")
    assert "laptop" in page.inner_text("main")
    check(page)
    page.context.clear_cookies()
    page.goto(f"{served.url}/sign-in?next=/account")
    page.click("text=Sign in with a passkey")

    page.wait_for_url(f"{served.url}/account")


def test_who_breaks_a_passkey_off_is_told_and_stays_on_the_page(
    browser: Browser, served: Site
) -> None:
    page = on_a_phone(browser)
    with_authenticator(page)  # which has no passkey of this site
    page.goto(f"{served.url}/sign-in")

    page.click("text=Sign in with a passkey")

    page.wait_for_selector("text=That was broken off")
    check(page)


def test_shutting_somebody_out_asks_first_and_takes_two_presses(
    browser: Browser, served: Site, ada: str
) -> None:
    served.account("bo@harbour.example", "Bo", Role.WRITER)
    page = on_a_phone(browser)
    sign_in_with_keys(page, served, ada, "/office/accounts")
    page.wait_for_url(f"{served.url}/office/accounts")
    page.get_by_role("link", name="Bo", exact=True).click()

    page.click("summary:has-text('Shut them out')")
    check(page)
    page.click("form[action$='/disable'] button")

    page.wait_for_selector("text=Bo is shut out.")
    check(page)
