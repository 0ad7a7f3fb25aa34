"""A stranger's way on a phone, with keys alone: through the archive, to a story, to the form."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from newsletter.stack.ports import free_port
from tests.browser import running_browser
from tests.flow.pages import PHONE, look, look_at_letter, open_page
from tests.web.newsroom.seeded import make_template
from tests.web.public.test_in_a_browser import tab_to
from tests.web.served import running_server


@pytest.fixture(scope="module")
def url(
    sqlite_template: Path, redis_server: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """Of a site with a dozen editions behind it."""
    folder, port = tmp_path_factory.mktemp("archive"), free_port()
    database_url = f"sqlite:///{make_template(sqlite_template, folder)}"
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("NEWSLETTER_BASE_URL", f"http://127.0.0.1:{port}")
        with running_server(database_url, redis_server, folder / "web.log", port=port):
            yield f"http://127.0.0.1:{port}"


@pytest.mark.parametrize("is_dark", [False, True], ids=["light", "dark"])
def test_a_stranger_reads_yesterdays_edition_and_comes_to_the_form(url: str, is_dark: bool) -> None:
    with running_browser() as browser:
        page = open_page(browser, width=PHONE, is_dark=is_dark)
        page.goto(f"{url}/archive/morning")
        look(page)

        press(page, ".editions a")
        page.wait_for_url("**/archive/morning/*")
        newest = page.url
        look_at_letter(page)

        fifth = page.locator("td[id]").nth(4)
        page.goto(f"{newest}#{fifth.get_attribute('id')}")  # as a feed leads there
        expect(fifth).to_be_in_viewport()
        page.goto(newest)
        press(page, "a[rel=prev]")
        page.wait_for_url(lambda address: not address.startswith(newest))
        look_at_letter(page)

        press(page, "a[href$='/s/morning']")
        expect(page.locator("#address")).to_be_visible()
        look(page)


def press(page: Page, selector: str) -> None:
    """From the top of the page, with Tab and Enter."""
    page.evaluate("document.activeElement.blur(); scrollTo(0, 0)")
    tab_to(page, selector)
    page.keyboard.press("Enter")
