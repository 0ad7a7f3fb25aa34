"""Every page of the newsroom and the office in a browser: for everybody, on a phone, light and strict."""

import gzip
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page
from starlette.routing import compile_path

from newsletter.bench.pages import LARGEST_BYTES
from newsletter.web.newsroom.site import SCREENS
from tests.browser import running_browser
from tests.flow.pages import DESKTOP, HEIGHTS, PHONE, look, open_page
from tests.web.newsroom.showing import Site, showing

_ASSET = re.compile(rb'(?:href|src)="(/static/[^"]+)"')
NO_PAGES = re.compile(
    r"/newsroom|/office"  # lead on
    r"|/office/letterhead"
    r"|.*/(live|results|progress|look|exact|count|schedule/preview)|/office/segment-(count|people)"
    r"|.*\.csv|/office/imports/\{id\}/report|/account/app/picture"
    r"|.*/(compose/letter|preview/frame|letterhead/specimen)"
    r"|/sign-in/second"  # for who is half signed in
    r"|/account/app"  # once an app is being set up
)
"""Screens that are read and are no pages: parts of pages, files, and letters, which have a frame."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with running_browser() as browser:
        yield browser


@pytest.fixture(scope="module")
def site(
    sqlite_template: Path, redis_server: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    with showing(sqlite_template, redis_server, tmp_path_factory.mktemp("site")) as site:
        yield site


def test_every_screen_that_is_read_is_among_the_pages(site: Site) -> None:
    opened = {path.partition("?")[0] for path in (*site.pages, *site.open_pages)}

    left = [
        screen.path
        for screen in SCREENS
        if screen.get is not None
        and not NO_PAGES.fullmatch(screen.path)
        and not any(map(compile_path(screen.path)[0].match, opened))
    ]

    assert left == []


def test_no_address_breaks(site: Site) -> None:
    broken = {path: status for path, status in site.statuses.items() if status >= 500}

    assert broken == {}


def test_every_page_is_light(site: Site) -> None:
    """As it is transferred, with all that it names: to a phone, at 05:30, in a train."""
    weights: dict[str, int] = {}
    heavy = {}

    for path in site.pages:
        size, assets = _weight(site, path)
        for asset in assets - weights.keys():
            weights[asset], _ = _weight(site, asset)
        whole = size + sum(weights[asset] for asset in assets)
        if whole >= LARGEST_BYTES:
            heavy[path] = whole

    assert heavy == {}


def test_every_page_is_marked_once_in_the_menu(site: Site) -> None:
    marked = {path: _menu(site, path).count('aria-current="page"') for path in site.pages}

    assert {path: times for path, times in marked.items() if times != 1} == {}


@pytest.mark.timeout(600)
def test_every_page_is_without_fault_on_a_phone_and_on_a_desk(browser: Browser, site: Site) -> None:
    found = list(_faults(open_page(browser), site.url, site.open_pages))
    found += _faults(site.member(browser), site.url, site.pages)

    assert found == [], "\n\n".join(found)


def _menu(site: Site, path: str) -> str:
    page = site.get(path).body.decode()
    return page.partition('<nav class="menu"')[2].partition("</nav>")[0]


def _weight(site: Site, path: str) -> tuple[int, set[str]]:
    answer = site.get(path, "Accept-Encoding: gzip")
    is_packed = answer.headers.get("content-encoding") == "gzip"
    body = gzip.decompress(answer.body) if is_packed else answer.body
    return len(answer.body), {each.decode() for each in _ASSET.findall(body)}


def _faults(page: Page, url: str, paths: Iterable[str]) -> Iterator[str]:
    for path in paths:
        page.set_viewport_size({"width": PHONE, "height": HEIGHTS[PHONE]})
        page.emulate_media(color_scheme="dark")
        page.goto(url + path)
        try:
            look(page)
            page.set_viewport_size({"width": DESKTOP, "height": HEIGHTS[DESKTOP]})
            page.emulate_media(color_scheme="light")
            look(page)
        except AssertionError as error:
            yield str(error)
