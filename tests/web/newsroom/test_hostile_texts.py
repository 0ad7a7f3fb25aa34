"""Whatever anybody wrote is text on every page, and nothing else (S-16)."""

import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.browser import running_browser
from tests.flow.pages import HEIGHTS, PHONE, faults_of, is_too_wide
from tests.web.newsroom.hostile import TEXTS, make_hostile
from tests.web.newsroom.showing import CORRECTED, REVIEWED, Site, showing

LETTERS = tuple(
    f"/newsroom/editions/{REVIEWED}/{frame}" for frame in ("compose/letter", "preview/frame")
)
PUBLIC = ("/s", "/s/morning", "/archive/morning")
_ALIVE = """() => {
  const found = [...document.querySelectorAll(
    "base[href], object, embed, math, video, template, [http-equiv], [hx-get='/sign-out'], " +
    "[href^='javascript:' i], [src^='javascript:' i], [href^='data:' i], [src='x'], [srcdoc], " +
    "script:not([src^='/static/']), link[href*='hostile'], form[action*='hostile']"
  )];
  for (const each of document.querySelectorAll("*")) {
    if (each.getAttributeNames().some(name => name.startsWith("on") || name.startsWith("hx-on"))) {
      found.push(each);
    }
  }
  return found.map(each => each.outerHTML.slice(0, 200));
}"""
_TOLD = """() => [
  document.documentElement.textContent,
  ...[...document.querySelectorAll("input, textarea")].map(each => each.value),
].join("\\n")"""


@pytest.fixture(scope="module")
def site(
    sqlite_template: Path, redis_server: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("hostile")
    with showing(sqlite_template, redis_server, folder, prepare=make_hostile) as site:
        yield site


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with running_browser() as browser:
        yield browser


def test_no_text_becomes_anything_else_on_any_page(browser: Browser, site: Site) -> None:
    page = site.member(browser)
    page.set_viewport_size({"width": PHONE, "height": HEIGHTS[PHONE]})
    alive: dict[str, list[str]] = {}
    wide: list[str] = []
    told = ""

    for path in (*site.pages, *site.open_pages, *PUBLIC, *LETTERS):
        page.goto(site.url + path)
        refused = [each for each in faults_of(page) if "status of 404" not in each]  # its icon
        found = page.evaluate(_ALIVE) + refused
        told += page.evaluate(_TOLD)
        if found:
            alive[path] = found
        if is_too_wide(page) and path not in LETTERS:
            wide.append(path)

    assert alive == {}
    assert wide == []
    assert [text for text in TEXTS if text not in told] == []
    assert {path: status for path, status in site.statuses.items() if status >= 500} == {}


def test_no_cell_of_a_file_is_a_formula(browser: Browser, site: Site) -> None:
    page = site.member(browser)
    files = [path for path, status in site.statuses.items() if _is_file(path) and status == 200]
    cells = []

    for path in (*files, f"/newsroom/editions/{CORRECTED}/people.csv?state=waiting"):
        answer = page.context.request.get(site.url + path)
        cells += [cell for row in csv.reader(io.StringIO(answer.text())) for cell in row]

    assert len(files) >= 5
    assert any("HYPERLINK" in cell for cell in cells)
    assert [cell for cell in cells if cell.lstrip().startswith(("=", "+", "@", "\t"))] == []


def _is_file(path: str) -> bool:
    return path.endswith(".csv") or re.fullmatch(r"/office/imports/\d+/report", path) is not None
