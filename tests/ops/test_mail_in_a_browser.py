"""The sample edition as a real browser lays it out."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from playwright.sync_api import Browser, Page

from newsletter.cli.render import command
from newsletter.demo.sample import SAMPLE_BRIEFING
from tests.browser import running_browser

TALLEST = 1000


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with running_browser() as browser:
        yield browser


@pytest.fixture(scope="module")
def mail(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mail")
    rendered = CliRunner().invoke(command, [str(SAMPLE_BRIEFING), "--out", str(folder)])
    assert rendered.exit_code == 0, rendered.output
    return folder / "edition.html"


def opened(browser: Browser, mail: Path, *, width: int, is_dark: bool = False) -> Page:
    page = browser.new_page(
        viewport={"width": width, "height": TALLEST}, color_scheme="dark" if is_dark else "light"
    )
    page.route("http*://**", lambda route: route.abort())  # the pixel leads to no server
    page.goto(mail.as_uri(), wait_until="domcontentloaded")
    return page


@pytest.mark.parametrize("width", [320, 390, 600, 1200])
def test_no_reader_has_to_scroll_sideways(browser: Browser, mail: Path, width: int) -> None:
    page = opened(browser, mail, width=width)

    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_text_on_a_phone_is_large_enough_to_read(browser: Browser, mail: Path) -> None:
    page = opened(browser, mail, width=390)

    sizes = page.evaluate(
        "[...document.querySelectorAll('p')].filter(p => p.innerText.length > 80)"
        ".map(p => parseFloat(getComputedStyle(p).fontSize))"
    )

    assert min(sizes) >= 13


@pytest.mark.parametrize("is_dark", [False, True])
def test_the_mail_follows_the_readers_scheme(browser: Browser, mail: Path, is_dark: bool) -> None:
    page = opened(browser, mail, width=390, is_dark=is_dark)

    behind_the_title = page.evaluate(
        "(() => { let node = document.querySelector('h1'); let colour = 'rgba(0, 0, 0, 0)';"
        " while (node && colour === 'rgba(0, 0, 0, 0)')"
        " { colour = getComputedStyle(node).backgroundColor; node = node.parentElement; }"
        " return colour.match(/[0-9.]+/g).slice(0, 3).map(Number); })()"
    )

    assert (sum(behind_the_title) / 3 < 128) is is_dark
