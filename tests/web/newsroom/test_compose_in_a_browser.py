"""Composing as an editor does it: typing, pasting, moving stories by keys, on a phone and in the dark."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect
from sqlalchemy import Engine

from newsletter.accounts.people import Rights, create_account
from newsletter.accounts.sessions import begin_session
from newsletter.clock import utc_now
from newsletter.compose.briefing import Briefing, Span, plain
from newsletter.compose.content import DraftContent
from newsletter.db import make_engine, reading, transaction
from newsletter.models import MailingList, Role
from newsletter.plan.drafts import draft_of, open_edition
from newsletter.stack.ports import free_port
from tests.browser import running_browser
from tests.newsroom import a_briefing, add_list
from tests.web.public.test_in_a_browser import check, on_a_phone
from tests.web.served import running_server

PASTE = """([html, words]) => {
  const field = document.getElementById("text");
  const clipboard = new DataTransfer();
  clipboard.setData("text/html", html);
  clipboard.setData("text/plain", words);
  field.focus();
  field.setSelectionRange(field.value.length, field.value.length);
  const paste = { clipboardData: clipboard, bubbles: true, cancelable: true };
  field.dispatchEvent(new ClipboardEvent("paste", paste));
}"""


@dataclass(frozen=True, slots=True)
class Desk:
    url: str
    engine: Engine
    token: str

    def edition(self, content: DraftContent | None = None) -> int:
        with transaction(self.engine) as session:
            edition = open_edition(
                session,
                content or DraftContent(briefing=a_briefing(stories=3)),
                lists=[session.get_one(MailingList, 1)],
                created_by="Ed",
                now=utc_now(),
            )
            return edition.id

    def open(self, page: Page, edition_id: int, mode: str) -> None:
        page.context.add_cookies([{"name": "newsletter", "value": self.token, "url": self.url}])
        page.goto(f"{self.url}/newsroom/editions/{edition_id}/compose?mode={mode}")

    def briefing(self, edition_id: int) -> Briefing:
        with reading(self.engine) as session:
            return draft_of(session, edition_id).content.briefing

    def headlines(self, edition_id: int) -> list[str]:
        return [story.headline for story in self.briefing(edition_id).stories]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with running_browser() as browser:
        yield browser


@pytest.fixture(scope="module")
def desk(
    sqlite_template: Path, redis_server: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Desk]:
    folder, port = tmp_path_factory.mktemp("compose"), free_port()
    shutil.copy(sqlite_template, folder / "newsletter.db")
    database_url = f"sqlite:///{folder / 'newsletter.db'}"
    engine = make_engine(database_url)
    add_list(engine)
    with transaction(engine) as session:
        account = create_account(
            session, "wim@harbour.example", "Wim", Rights(Role.WRITER), by="us", now=utc_now()
        )
        token = begin_session(session, account.id, user_agent="tests", now=utc_now())
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("NEWSLETTER_BASE_URL", f"http://localhost:{port}")
        with running_server(database_url, redis_server, folder / "web.log", port=port):
            yield Desk(f"http://localhost:{port}", engine, token)
    engine.dispose()


@pytest.mark.parametrize("is_dark", [False, True])
@pytest.mark.parametrize("mode", ["text", "cards"])
def test_composing_holds_on_a_phone(browser: Browser, desk: Desk, mode: str, is_dark: bool) -> None:
    page = on_a_phone(browser, is_dark=is_dark)

    desk.open(page, desk.edition(), mode)

    check(page)


def test_what_is_typed_is_saved_and_shown_without_a_button(browser: Browser, desk: Desk) -> None:
    edition_id = desk.edition(DraftContent())
    page = browser.new_page()
    desk.open(page, edition_id, "text")

    page.locator("#text").press_sequentially(
        "---\ntitle: A title\n---\n\n## Ferries sail\n\nAt noon."
    )

    expect(page.locator("#outline")).to_contain_text("Ferries sail")
    expect(page.frame_locator("#letter").locator("body")).to_contain_text("At noon.")
    expect(page.locator("#state")).to_contain_text("Saved")
    assert desk.headlines(edition_id) == ["Ferries sail"]


def test_a_finding_leads_to_its_line(browser: Browser, desk: Desk) -> None:
    edition_id = desk.edition(DraftContent())
    page = browser.new_page()
    desk.open(page, edition_id, "text")
    page.fill("#text", "---\ntitle: T\n---\n\n# Port\n\n## Ferries sail")

    page.click("[data-jump='7']")

    chosen = (
        "(() => { const f = document.getElementById('text');"
        " return f.value.slice(f.selectionStart, f.selectionEnd) })()"
    )
    assert page.evaluate(chosen) == "## Ferries sail"
    assert page.locator(".sheet-lines [data-found='error']").count() >= 1


def test_a_rich_paste_keeps_bold_and_its_own_paragraphs(browser: Browser, desk: Desk) -> None:
    edition_id = desk.edition()
    page = browser.new_page()
    desk.open(page, edition_id, "text")

    page.evaluate(PASTE, ["<p><b>Bold</b> words</p><p>More</p>", "Bold words\nMore"])

    expect(page.frame_locator("#letter").locator("body")).to_contain_text("Bold words")
    *_, last = desk.briefing(edition_id).stories
    assert last.paragraphs[-2] == (Span("Bold", strong=True), Span(" words"))
    assert plain(last.paragraphs[-1]) == "More"


def test_stories_are_moved_with_keys_deleted_and_brought_back(browser: Browser, desk: Desk) -> None:
    edition_id = desk.edition()
    page = browser.new_page()
    desk.open(page, edition_id, "cards")
    first, second, third = desk.headlines(edition_id)

    page.focus("#story-3 button[value=story-up]")
    page.keyboard.press("Alt+ArrowUp")
    expect(page.locator("#story-2 strong")).to_have_text(third)
    page.keyboard.press("Alt+ArrowUp")
    expect(page.locator("#story-1 strong")).to_have_text(third)
    assert desk.headlines(edition_id) == [third, first, second]

    page.click("#story-2 summary")
    page.click("#story-2 button[value=story-remove]")
    expect(page.locator("#told")).to_contain_text("is deleted")
    assert desk.headlines(edition_id) == [third, second]
    page.click("#told button")
    expect(page.locator("#story-2 strong")).to_have_text(first)
    assert desk.headlines(edition_id) == [third, first, second]


def test_two_tabs_end_with_both_versions(browser: Browser, desk: Desk) -> None:
    edition_id = desk.edition()
    here, there = browser.new_page(), browser.new_page()
    for page in (here, there):
        desk.open(page, edition_id, "cards")
    here.fill("#subject", "From here")
    expect(here.locator("#inbox")).to_contain_text("From here")

    there.fill("#subject", "From there")
    there.click("#conflict a")

    expect(there.locator("main")).to_contain_text("Two versions")
    expect(there.locator("del")).to_have_text("here")
    expect(there.locator("ins")).to_have_text("there")
