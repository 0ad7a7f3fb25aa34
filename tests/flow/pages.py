"""Pages as people have them open, and what must never be wrong with one."""

from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import Browser, ConsoleMessage, Dialog, Page, expect

PHONE, DESKTOP = 375, 1280
HEIGHTS = {PHONE: 812, DESKTOP: 900}
_IS_WIDE = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
_FIGURES = """() => Object.fromEntries(
  [...document.querySelectorAll(".live-figures .figure")].map(each => [
    each.querySelector("dt").textContent,
    Number(each.querySelector("dd").firstChild.textContent.replaceAll(",", "")),
  ])
)"""
_INLINE = """() => [...document.querySelectorAll("[style]:not([style='']), style, script:not([src])")]
  .filter(each => each.type !== "application/json")
  .map(each => each.outerHTML.slice(0, 120))"""

_faults: dict[Page, list[str]] = {}


def open_page(browser: Browser, *, width: int = DESKTOP, is_dark: bool = False) -> Page:
    """A browser of somebody's own, that notes whatever goes wrong in it."""
    context = browser.new_context(
        viewport={"width": width, "height": HEIGHTS[width]},
        color_scheme="dark" if is_dark else "light",
        reduced_motion="reduce",
    )
    page = context.new_page()
    watch(page)
    return page


def watch(page: Page) -> None:
    faults = _faults[page] = []

    def hear(message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            faults.append(f"{page.url}: {message.text} {message.location.get('url', '')}")

    def refuse(dialog: Dialog) -> None:
        faults.append(f"{page.url}: {dialog.type}: {dialog.message}")
        dialog.dismiss()

    page.on("console", hear)
    page.on("pageerror", lambda error: faults.append(f"{page.url}: script: {error.message}"))
    page.on("dialog", refuse)


def look(page: Page) -> None:
    """At a page of ours, whose policy knows no style and no script but from files."""
    inline = page.evaluate(_INLINE)
    assert not inline, f"{page.url}: {inline}"
    look_at_letter(page)


def look_at_letter(page: Page) -> None:
    """No fault that axe knows, nothing to scroll sideways for, nothing that failed or was refused."""
    results = Axe().run(page, options={"resultTypes": ["violations"]})
    assert results.violations_count == 0, f"{page.url}\n{results.generate_report()}"
    assert not is_too_wide(page), f"{page.url} scrolls sideways"
    faults = faults_of(page)
    assert not faults, "\n".join(faults)


def is_too_wide(page: Page) -> bool:
    is_wide: bool = page.evaluate(_IS_WIDE)
    return is_wide


def faults_of(page: Page) -> list[str]:
    """What has gone wrong since it was last asked."""
    faults = _faults[page]
    found = list(faults)
    faults.clear()
    return found


def figures_of(page: Page) -> dict[str, int]:
    """What the sending page counts, by the words beneath; all at one moment."""
    figures: dict[str, int] = page.evaluate(_FIGURES)
    return figures


def saved(page: Page) -> None:
    """Waits until nothing of what was typed on the compose page is still to be saved."""
    expect(page.locator("form[data-changed]")).to_have_count(0)
    expect(page.locator("#state")).to_contain_text("Saved")
