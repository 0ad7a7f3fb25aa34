#!/usr/bin/env python3
"""Takes the pictures of the README: runs the demo and looks at its mailbox with Chromium.

.venv/bin/python scripts/screenshots.py [--out docs/images]
"""

import json
import shutil
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from playwright.sync_api import Browser, Page, sync_playwright

from newsletter.demo.run import running_demo
from newsletter.demo.sample import SAMPLE_BRIEFING
from newsletter.settings import PROJECT_ROOT
from newsletter.stack.ports import free_port

IMAGES = PROJECT_ROOT / "docs" / "images"
NAMES = ("chromium", "chromium-browser", "google-chrome")
PHONE = {"width": 390, "height": 844}
DESKTOP = {"width": 900, "height": 1000}
WINDOW = {"width": 1200, "height": 800}
READERS = 60


@click.command()
@click.option("--out", default=IMAGES, type=click.Path(file_okay=False, path_type=Path))
def command(out: Path) -> None:
    """Write mail-phone.png, mail-desktop.png, mail-dark.png and mailbox.png."""
    out.mkdir(parents=True, exist_ok=True)
    with _mailbox() as url, _browser() as browser:
        message = _newest_message(url)
        frame = f"{url}/messages/{message}/frame"
        _take(browser, f"{frame}?scheme=light", out / "mail-phone.png", PHONE)
        _take(browser, f"{frame}?scheme=light", out / "mail-desktop.png", DESKTOP)
        _take(browser, f"{frame}?scheme=dark", out / "mail-dark.png", PHONE)
        _take(browser, f"{url}/messages/{message}", out / "mailbox.png", WINDOW)


@contextmanager
def _mailbox() -> Iterator[str]:
    """The address of a mailbox that holds the sample edition."""
    with running_demo(
        briefing=SAMPLE_BRIEFING,
        subscribers=READERS,
        web_port=free_port(),
        mailbox_port=free_port(),
        on_progress=lambda *_: None,
    ) as demo:
        demo.wait_until_sent(lambda *_: None)
        yield demo.system.mailbox_url


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


def _newest_message(url: str) -> int:
    with urllib.request.urlopen(f"{url}/api/messages?limit=1") as answer:  # noqa: S310  our own
        newest: int = json.load(answer)["messages"][0]["id"]
        return newest


def _take(browser: Browser, address: str, file: Path, size: dict[str, int]) -> None:
    page: Page = browser.new_page(viewport={"width": size["width"], "height": size["height"]})
    page.goto(address, wait_until="networkidle")
    page.screenshot(path=file)
    page.close()
    click.echo(f"{file.name} {file.stat().st_size // 1000} kB")


if __name__ == "__main__":
    command()
