#!/usr/bin/env python3
"""Takes the pictures of the README: runs the demo and looks at it with Chromium.

.venv/bin/python scripts/screenshots.py [--out docs/images]
"""

import json
import random
import re
import shutil
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import click
from playwright.sync_api import Browser, BrowserContext, sync_playwright

from newsletter.demo.run import Demo, running_demo
from newsletter.demo.sample import SAMPLE_BRIEFING, SAMPLE_LIST
from newsletter.settings import PROJECT_ROOT
from newsletter.stack.ports import free_port

IMAGES = PROJECT_ROOT / "docs" / "images"
NAMES = ("chromium", "chromium-browser", "google-chrome")
PHONE = {"width": 375, "height": 812}
DESKTOP = {"width": 1280, "height": 900}
READERS = 400
# Of the demo: the edition that was sent, and the draft.
SENT, DRAFT = 1, 2
PAGES = {
    "today": "/newsroom/today",
    "compose": f"/newsroom/editions/{DRAFT}/compose",
    "preview": f"/newsroom/editions/{DRAFT}/preview",
    "checks": f"/newsroom/editions/{DRAFT}/checks",
    "schedule": f"/newsroom/editions/{DRAFT}/schedule",
    "sending": f"/newsroom/editions/{SENT}/sending",
    "report": f"/newsroom/editions/{SENT}/report",
    "people": f"/newsroom/editions/{SENT}/people?state=excluded",
    "subscribers": "/office/subscribers",
    "segments": "/office/new-segment",
    "import": "/office/imports/1",
    "list": f"/office/lists/{SAMPLE_LIST.slug}",
    "archive": f"/archive/{SAMPLE_LIST.slug}",
}
_PIXEL = re.compile(r"http://[^\"\s]+/o/[^\"\s]+")
_LINK = re.compile(r"http://[^\"\s]+/c/[^\"\s]+")


@click.command()
@click.option("--out", default=IMAGES, type=click.Path(file_okay=False, path_type=Path))
def command(out: Path) -> None:
    """Write the pictures of the mail, the mailbox and the newsroom: desktop in the light, phone in the dark."""
    out.mkdir(parents=True, exist_ok=True)
    with _demo() as demo, _browser() as browser:
        _take_mail(browser, demo, out)
        _read_some(demo)
        _take_pages(browser, demo, out)


@contextmanager
def _demo() -> Iterator[Demo]:
    """The sample edition is sent, and a draft is begun."""
    with running_demo(
        briefing=SAMPLE_BRIEFING,
        subscribers=READERS,
        web_port=free_port(),
        mailbox_port=free_port(),
        on_progress=lambda *_: None,
    ) as demo:
        demo.wait_until_sent(lambda *_: None)
        yield demo


@contextmanager
def _browser() -> Iterator[Browser]:
    executable = next(filter(None, map(shutil.which, NAMES)), None)
    if executable is None:
        message = f"There is no browser; install one of {', '.join(NAMES)}."
        raise click.ClickException(message)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        yield browser
        browser.close()


def _take_mail(browser: Browser, demo: Demo, out: Path) -> None:
    url = demo.system.mailbox_url
    frame = f"{url}/messages/{_messages(url, 1)[0]['id']}/frame"
    phone = browser.new_context(viewport=PHONE)  # type: ignore[arg-type]
    desktop = browser.new_context(viewport=DESKTOP)  # type: ignore[arg-type]
    _take(phone, f"{frame}?scheme=light", out / "mail-phone.png")
    _take(phone, f"{frame}?scheme=dark", out / "mail-dark.png")
    _take(desktop, f"{frame}?scheme=light", out / "mail-desktop.png")
    _take(desktop, f"{url}/messages/{_messages(url, 1)[0]['id']}", out / "mailbox.png")


def _read_some(demo: Demo) -> None:
    """Two in three load the images, and one in four of these follows links: through the real pages."""
    chance = random.Random(7)  # noqa: S311
    url = demo.system.mailbox_url
    for message in _messages(url, READERS):
        if chance.random() > 2 / 3:
            continue
        html = _read(f"{url}/messages/{message['id']}/frame").decode()
        _read(_PIXEL.findall(html)[0])
        if chance.random() < 1 / 4:
            for link in chance.sample(_LINK.findall(html), k=chance.randint(1, 3)):
                _ask(link)


def _take_pages(browser: Browser, demo: Demo, out: Path) -> None:
    light = browser.new_context(viewport=DESKTOP)  # type: ignore[arg-type]
    page = light.new_page()
    page.goto(demo.sign_in)
    page.click("main button")
    page.wait_for_url("**/newsroom/**")
    known: Any = light.storage_state()
    dark = browser.new_context(viewport=PHONE, color_scheme="dark", storage_state=known)  # type: ignore[arg-type]
    for name, path in PAGES.items():
        _take(light, demo.system.web_url + path, out / f"{name}.png")
        _take(dark, demo.system.web_url + path, out / f"{name}-phone.png")


def _messages(url: str, most: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(_read(f"{url}/api/messages?limit={most}"))["messages"]
    return found


def _read(url: str) -> bytes:
    with urllib.request.urlopen(url) as answer:  # noqa: S310  our own
        read: bytes = answer.read()
        return read


def _ask(url: str) -> None:
    """Follow a link as far as our own page, and not to where it leads."""

    class _Stay(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, *_: Any) -> None:
            return None

    with suppress(urllib.error.HTTPError):
        urllib.request.build_opener(_Stay).open(url)


def _take(context: BrowserContext, address: str, file: Path) -> None:
    page = context.new_page()
    page.goto(address, wait_until="load")
    page.wait_for_timeout(500)  # a preview in a frame
    page.screenshot(path=file)
    page.close()
    click.echo(f"{file.name} {file.stat().st_size // 1000} kB")


if __name__ == "__main__":
    command()
