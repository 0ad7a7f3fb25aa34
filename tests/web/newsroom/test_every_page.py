"""Every page of the newsroom and the office in a browser: reachable for everybody, narrow, light and strict."""

import gzip
import http.client
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page
from starlette.routing import compile_path

from newsletter.accounts.links import make_link
from newsletter.accounts.people import Rights, create_account
from newsletter.accounts.sessions import begin_session
from newsletter.bench.pages import LARGEST_BYTES, example_paths
from newsletter.clock import utc_now
from newsletter.db import make_engine, reading, transaction
from newsletter.models import LinkPurpose, Role
from newsletter.web.newsroom.site import SCREENS
from tests.browser import running_browser
from tests.flow.pages import DESKTOP, HEIGHTS, PHONE, look, open_page
from tests.web.newsroom.furnished import furnish
from tests.web.newsroom.seeded import make_template
from tests.web.served import Answer, Server, running_server, settings_for

_ASSET = re.compile(rb'(?:href|src)="(/static/[^"]+)"')
_WHOLE = b'<main id="main"'
REVIEWED, CORRECTED = 15, 16
"""Editions of the furnishing."""
MORE = (
    f"/newsroom/editions/{REVIEWED}",
    f"/newsroom/editions/{REVIEWED}/review",
    f"/newsroom/editions/{REVIEWED}/test",
    f"/newsroom/editions/{REVIEWED}/kept/1",
    f"/newsroom/editions/{REVIEWED}/compose?mode=text",
    f"/newsroom/editions/{CORRECTED}/people?q=1",
    f"/newsroom/editions/{CORRECTED}/preview?look=dark",
    "/office/imports/2",
    "/office/subscribers?q=ada",
    "/newsroom/editions?state=draft",
)
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


@dataclass(frozen=True, slots=True)
class Site:
    url: str
    server: Server
    token: str
    statuses: dict[str, int]
    """Of every address that there may be, with examples that fit and examples that do not."""
    pages: tuple[str, ...]
    """Of who is signed in."""
    open_pages: tuple[str, ...]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with running_browser() as browser:
        yield browser


@pytest.fixture(scope="module")
def site(
    sqlite_template: Path, redis_server: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    folder, now = tmp_path_factory.mktemp("site"), utc_now()
    file = make_template(sqlite_template, folder, now=now)
    engine = make_engine(f"sqlite:///{file}")
    furnish(engine, settings_for(redis_server, folder), now=now)
    with transaction(engine) as session:
        ada = create_account(
            session, "ada@harbour.example", "Ada Admin", Rights(Role.ADMIN), by="the tests", now=now
        )
        token = begin_session(session, ada.id, user_agent="tests", now=now)
        links = [
            make_link(session, ada.id, purpose, base_url="", now=now) for purpose in LinkPurpose
        ]
    with reading(engine) as session:
        paths = sorted({*example_paths(session), *MORE})
    with running_server(f"sqlite:///{file}", redis_server, folder / "web.log") as server:
        answers = {path: server.get(path, _cookie(token)) for path in paths}
        yield Site(
            f"http://127.0.0.1:{server.port}",
            server,
            token,
            {path: answer.status for path, answer in answers.items()},
            tuple(path for path, answer in answers.items() if _is_page(answer)),
            ("/sign-in", "/reset", *links),
        )
    engine.dispose()


def _is_page(answer: Answer) -> bool:
    return answer.status == http.client.OK and _WHOLE in answer.body


def _cookie(token: str) -> str:
    return f"Cookie: newsletter={token}"


def test_every_screen_that_is_read_is_among_the_pages(site: Site) -> None:
    left = []
    for screen in SCREENS:
        if screen.get is None or NO_PAGES.fullmatch(screen.path):
            continue
        known = compile_path(screen.path)[0]
        if not any(known.match(path.partition("?")[0]) for path in (*site.pages, *site.open_pages)):
            left.append(screen.path)

    assert left == []


def test_no_address_breaks(site: Site) -> None:
    broken = {path: status for path, status in site.statuses.items() if status >= 500}

    assert broken == {}


def test_every_page_is_light(site: Site) -> None:
    """Compressed, with all that it names: a phone at 05:30 in a train."""
    weights: dict[str, int] = {}

    def weight(path: str) -> tuple[int, set[str]]:
        answer = site.server.get(path, _cookie(site.token), "Accept-Encoding: gzip")
        is_packed = answer.headers.get("content-encoding") == "gzip"
        body = gzip.decompress(answer.body) if is_packed else answer.body
        return len(answer.body), {each.decode() for each in _ASSET.findall(body)}

    heavy = {}
    for path in site.pages:
        size, assets = weight(path)
        for asset in assets - weights.keys():
            weights[asset] = weight(asset)[0]
        whole = size + sum(weights[asset] for asset in assets)
        if whole >= LARGEST_BYTES:
            heavy[path] = whole

    assert heavy == {}


def test_every_page_is_without_fault_on_a_phone_and_on_a_desk(browser: Browser, site: Site) -> None:
    stranger, member = open_page(browser), open_page(browser)
    member.context.add_cookies([{"name": "newsletter", "value": site.token, "url": site.url}])

    found = list(_faults(stranger, site.url, site.open_pages))
    found += _faults(member, site.url, site.pages)

    assert found == [], "\n\n".join(found)


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
