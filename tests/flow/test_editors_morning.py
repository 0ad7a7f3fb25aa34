"""An editor's morning: from a pasted text, over a void approval, to every reader's mailbox."""

import http.client
import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, expect

from newsletter.accounts.api_keys import create_api_key
from newsletter.accounts.scopes import Scope
from newsletter.clock import utc_now
from newsletter.db import transaction
from newsletter.demo.sample import SAMPLE_BRIEFING
from newsletter.models import Role
from tests.browser import running_browser
from tests.flow.house import House, address_of, running_house
from tests.flow.letters import subject_of, text_of, tokens_in
from tests.flow.pages import faults_of, figures_of, look, saved

READERS = ("Ada", "Bo", "Cy", "Di", "Edda", "Finn", "Gil", "Hana", "Ivo", "Jun", "Kit", "Lea")
FERRIES = "Night Ferries Between Port Ellery and Sandholm Return After Eleven Years"
COUNCIL = "City Council Votes Tonight on the 410 Million Crown Tide Wall"
CLOCK = "Fish Market Hall Will Keep Its Clock After All"
MENDED = "Fish Market Hall Will Keep Its Clocks After All"
PATIENCE_SECONDS = 60
PATIENCE_MS = PATIENCE_SECONDS * 1000


@pytest.fixture
def store() -> str:
    return "sqlite"


@pytest.fixture
def house(database_url: str, tmp_path: Path) -> Iterator[House]:
    with running_house(database_url, tmp_path) as house:
        yield house


@pytest.mark.timeout(240)
def test_an_editors_morning(house: House) -> None:
    house.subscribe(READERS)
    with running_browser() as browser:
        page = house.desk(browser, "Marguerite Sallow", Role.EDITOR)
        look(page)

        edition = paste_the_briefing(page)
        see_how_it_was_understood(page)
        move_the_council_up_by_keyboard(page)
        write_in_two_tabs(page)
        check_and_acknowledge(page, edition)
        send_a_test_to_oneself(page, edition, house)
        ask_for_a_review_and_approve(page, edition)
        change_one_letter(page, edition)
        assert refusal_of_the_api(house, edition) == 409
        approve_again(page, edition)
        send_it_now(page, edition)

        every_reader_has_what_was_approved(house)
        the_archive_knows_nobody(page, house)


def paste_the_briefing(page: Page) -> str:
    """The address of the edition."""
    page.click("text=New edition")
    look(page)
    page.check("text=A text that I paste here")
    page.fill("#text", SAMPLE_BRIEFING.read_text(encoding="utf-8"))
    page.click("main button:has-text('Begin')")
    page.wait_for_url("**/compose")
    look(page)
    return page.url.removesuffix("/compose")


def see_how_it_was_understood(page: Page) -> None:
    assert headlines(page)[:2] == [FERRIES, COUNCIL]
    assert len(headlines(page)) == 15
    expect(page.locator("#findings")).to_contain_text("names no source")
    expect(page.locator(".aside-list")).to_contain_text("Leave a Reply")
    expect(page.frame_locator("iframe#letter").locator("body")).to_contain_text(FERRIES)


def move_the_council_up_by_keyboard(page: Page) -> None:
    page.focus("#story-2 summary")
    page.keyboard.press("Alt+ArrowUp")

    expect(page.locator("#story-1 strong")).to_have_text(COUNCIL)
    saved(page)
    assert headlines(page)[:2] == [COUNCIL, FERRIES]
    assert page.evaluate("document.activeElement.closest('.card').id") == "story-1"


def write_in_two_tabs(page: Page) -> None:
    """What is written second on an older version is kept beside, and neither overwrites the other."""
    other = page.context.new_page()
    other.goto(page.url)
    page.fill("#subject", "From the first tab")
    saved(page)

    other.fill("#subject", "From the second tab")

    expect(other.locator("#conflict")).to_contain_text("Both are kept")
    other.click("text=Compare the two")
    other.wait_for_url("**/kept/*")
    expect(other.locator("ins")).to_have_text("second")
    expect(other.locator("del")).to_have_text("first")
    other.click("text=Take Marguerite Sallow’s version instead")
    other.wait_for_url("**/compose*")
    expect(other.locator("#subject")).to_have_value("From the second tab")
    other.close()

    page.reload()
    expect(page.locator("#subject")).to_have_value("From the second tab")
    look(page)


def check_and_acknowledge(page: Page, edition: str) -> None:
    page.fill("#subject", "")
    page.click("text=Go on to checks")  # at once: what was typed is saved on the way
    page.wait_for_url("**/checks*")
    expect(page.locator("h1")).to_contain_text("Night Ferries Return")
    look(page)
    page.click("text=Check it now")
    expect(page.locator("main")).to_contain_text("Nothing keeps it from being approved")
    look(page)
    warnings = page.locator(".finding-row:has(.finding.warning)").count()
    for _ in range(warnings):
        page.click("button:has-text('I know') >> nth=0")
        page.wait_for_url("**/checks*")
    expect(page.locator("text=Marguerite Sallow knows about it")).to_have_count(warnings)
    assert warnings >= 3
    assert page.url.startswith(edition)


def send_a_test_to_oneself(page: Page, edition: str, house: House) -> None:
    page.goto(f"{edition}/test")
    look(page)
    page.click("button:has-text('Send the test')")

    expect(page.locator("#results")).to_contain_text("taken by the server", timeout=PATIENCE_MS)
    expect(page.locator("#results .mono")).to_contain_text("250")
    look(page)
    [mail] = house.mail.wait_for(1, PATIENCE_SECONDS)
    assert mail.rcpt_to == ("marguerite@courier.example",)
    assert subject_of(mail).startswith("[Test]")
    house.mail.forget()


def ask_for_a_review_and_approve(page: Page, edition: str) -> None:
    page.goto(f"{edition}/review")
    look(page)
    page.fill("aside textarea[name=note]", "Is the clock right?")
    page.click("button:has-text('Ask for a review')")
    expect(page.locator(".edition-said")).to_contain_text("in review")
    look(page)
    page.click("button:has-text('Approve revision')")
    expect(page.locator(".edition-said")).to_contain_text("approved")


def change_one_letter(page: Page, edition: str) -> None:
    page.goto(f"{edition}/compose")
    card = page.locator(f".card:has-text('{CLOCK}')")
    card.locator("summary >> nth=0").click()
    card.locator("input[name=headline]").fill(MENDED)

    expect(page.locator("#told")).to_contain_text("is void")
    page.goto(edition)
    expect(page.locator(".edition-said")).to_contain_text("draft")
    expect(page.locator(".notice.warn")).to_contain_text("by Marguerite Sallow is void")
    look(page)


def refusal_of_the_api(house: House, edition: str) -> int:
    """What a key that may send is answered."""
    with transaction(house.engine) as session:
        now = utc_now()
        key = create_api_key(
            session,
            "the story",
            [Scope.EDITIONS_SEND],
            list_ids=None,
            by="the tests",
            expires_at=now + timedelta(days=1),
            now=now,
        )
    headers = {"Authorization": f"Bearer {key.token}", "Content-Type": "application/json"}
    path = f"/api/v1/editions/{edition.rpartition('/')[2]}/schedule"
    status, _ = ask(house, "POST", path, json.dumps({"when": "now"}), headers)
    return status


def approve_again(page: Page, edition: str) -> None:
    page.click(".next-step a")
    page.click("text=Check it now")
    page.goto(f"{edition}/review")
    page.click("button:has-text('Approve revision')")
    expect(page.locator(".edition-said")).to_contain_text("approved")


def send_it_now(page: Page, edition: str) -> None:
    page.goto(f"{edition}/schedule")
    look(page)
    expect(page.locator("main")).to_contain_text(f"It goes to {len(READERS)} people")
    page.check("#how-now")
    page.click("button:has-text('Send it')")
    page.wait_for_url("**/sending")

    expect(page.locator("#live")).to_contain_text("Everybody is settled", timeout=PATIENCE_MS)
    look(page)
    figures = figures_of(page)
    assert figures.pop("planned") == sum(figures.values()) == figures["sent"] == len(READERS)


def every_reader_has_what_was_approved(house: House) -> None:
    mails = house.mail.wait_for(len(READERS), PATIENCE_SECONDS)

    assert sorted(mail.rcpt_to for mail in mails) == sorted((address_of(name),) for name in READERS)
    for mail in mails:
        assert MENDED in text_of(mail)
        assert CLOCK not in text_of(mail)
        assert text_of(mail).index(COUNCIL) < text_of(mail).index(FERRIES)


def the_archive_knows_nobody(page: Page, house: House) -> None:
    page.goto(f"{house.url}/archive/harbour")
    look(page)
    page.click("main a:has-text('Night Ferries Return') >> nth=0")
    expect(page.locator("body")).to_contain_text(MENDED)
    tokens = {token for mail in house.mail.messages() for token in tokens_in(mail)}
    assert len(tokens) >= len(READERS)
    for path in (
        urlsplit(page.url).path,
        *(f"/archive/harbour{end}" for end in ("", "/feed.atom", "/feed.json")),
    ):
        status, body = ask(house, "GET", path)
        assert status == 200
        assert [token for token in tokens if token in body] == [], path
        assert "@readers.example" not in body
    assert faults_of(page) == []


def headlines(page: Page) -> list[str]:
    return page.locator(".card-said strong").all_inner_texts()


def ask(
    house: House,
    method: str,
    path: str,
    body: str | None = None,
    headers: dict[str, str] | None = None,
) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", house.system.ports.web, timeout=20)
    try:
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()
