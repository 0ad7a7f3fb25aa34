"""An admin's noon: people from a file, a sending that is paused and corrected, and who got what."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from time import monotonic

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import select

from newsletter.audience.consent import unsubscribe
from newsletter.clock import utc_now
from newsletter.compose.formatting import format_briefing
from newsletter.db import reading, transaction
from newsletter.devmail.received import Received
from newsletter.models import Delivery, DeliveryState, Role, Subscriber
from newsletter.tokens import SubscriptionRef
from tests.browser import running_browser
from tests.flow.house import House, address_of, running_house
from tests.flow.letters import text_of
from tests.flow.pages import DESKTOP, HEIGHTS, PHONE, faults_of, figures_of, look, saved
from tests.newsroom import a_briefing, assert_ledger_is_exact

PEOPLE = 300
GONE, NEVER = "Una", "Sus"
WRONG = "Story number 1 of the port"
RIGHT = "Story number 1 of the quay"
NOTE = "An earlier version called the quay a port."
PATIENCE_SECONDS = 90
PATIENCE_MS = PATIENCE_SECONDS * 1000


@pytest.fixture
def store() -> str:
    return "postgresql"


@pytest.fixture
def house(database_url: str, tmp_path: Path) -> Iterator[House]:
    with running_house(database_url, tmp_path) as house:
        yield house


@pytest.mark.timeout(300)
def test_an_admins_noon(house: House, tmp_path: Path) -> None:
    house.subscribe([GONE])
    leave(house, GONE)
    with running_browser() as browser:
        page = house.desk(browser, "Ada Admin", Role.ADMIN, width=PHONE, is_dark=True)
        suppress(page, house, NEVER)
        import_people(page, house, write_people(tmp_path / "people.csv"))

        page.set_viewport_size({"width": DESKTOP, "height": HEIGHTS[DESKTOP]})
        edition = an_approved_edition(page, house)
        house.slow_down(0.2)
        send(page, edition)
        page.set_viewport_size({"width": PHONE, "height": HEIGHTS[PHONE]})
        mailed_before = pause_amid(page, house)
        correct(page, edition)
        assert len(house.mail.messages()) == mailed_before
        house.speed_up()
        go_on_to_the_end(page, edition)

        everybody_has_the_text_that_the_ledger_says(house, mailed_before)
        the_archive_tells_of_the_correction(page, house)
        why_she_did_not_get_it(page, edition)


def leave(house: House, name: str) -> None:
    with transaction(house.engine) as session:
        subscriber = select(Subscriber.id).where(Subscriber.address == address_of(name))
        ref = SubscriptionRef(house.list_id, 0, session.scalars(subscriber).one())
        assert unsubscribe(session, ref, at=utc_now(), how="the tests")


def suppress(page: Page, house: House, name: str) -> None:
    page.goto(f"{house.url}/office/suppressions")
    look(page)
    page.fill("form[method=post] input[name=address]", address_of(name))
    page.click("button:has-text('Never mail it')")
    expect(page.locator("main .notice")).to_be_visible()


def write_people(path: Path) -> Path:
    """With three lines that are nobody, in columns that nobody else calls so."""
    lines = ["Where to;What they are called;Shoe size"]
    lines += [f"{address_of(name)};{name};41" for name in names()]
    lines += [f"{address_of(name)};{name};41" for name in (GONE, NEVER)]
    lines += [
        "nobody.example;Nobody;41",
        "finn@localhost;Finn;41",
        f"{address_of('P001')};Again;41",
    ]
    path.write_text("\r\n".join(lines) + "\r\n", encoding="utf-8")
    return path


def names() -> list[str]:
    return [f"P{number:03}" for number in range(1, PEOPLE + 1)]


def import_people(page: Page, house: House, file: Path) -> None:
    page.goto(f"{house.url}/office/imports")
    look(page)
    page.set_input_files("#file", file)
    page.click("button:has-text('Upload')")
    page.wait_for_url("**/office/imports/*")
    look(page)
    page.select_option("#column-0", "address")
    page.select_option("#column-1", "name")
    page.select_option("#column-2", "ignore")
    page.check("#basis-1")
    page.fill("[name=note]", "They signed the list at the quay.")
    page.click("button[name=try]")

    expect(page.locator(".import-outcomes")).to_be_visible(timeout=PATIENCE_MS)
    look(page)
    assert outcomes(page) == {
        "New on the list": PEOPLE,
        "Left before, and stays unsubscribed": 1,
        "Skipped: must not be mailed": 1,
        "Left out: no valid address": 2,
        "Left out: on an earlier line already": 1,
        "All lines": PEOPLE + 5,
    }
    tried = outcomes(page)
    page.click("button:has-text('Import these people now')")
    expect(page.locator("h1 ~ *, .page-head")).not_to_contain_text("dry run", timeout=PATIENCE_MS)
    expect(page.locator(".import-outcomes")).to_be_visible(timeout=PATIENCE_MS)
    look(page)
    assert outcomes(page) == tried
    expect(page.locator(".import-lines")).to_contain_text("invalid address")


def outcomes(page: Page) -> dict[str, int]:
    rows = page.locator(".import-outcomes tr").all()
    return {
        row.locator("th").inner_text(): int(row.locator("td").inner_text().replace(",", ""))
        for row in rows
    }


def an_approved_edition(page: Page, house: House) -> str:
    page.goto(f"{house.url}/newsroom/editions/new")
    page.check("text=A text that I paste here")
    page.fill("#text", format_briefing(a_briefing()))
    page.click("main button:has-text('Begin')")
    page.wait_for_url("**/compose")
    edition = page.url.removesuffix("/compose")
    page.goto(f"{edition}/checks")
    page.click("text=Check it now")
    page.goto(f"{edition}/review")
    expect(page.locator("#audience")).to_contain_text(f"{PEOPLE} people")
    page.click("button:has-text('Approve revision 1')")
    expect(page.locator(".edition-said")).to_contain_text("approved")
    return edition


def send(page: Page, edition: str) -> None:
    page.goto(f"{edition}/schedule")
    page.check("#how-now")
    page.click("button:has-text('Send it')")
    page.wait_for_url("**/sending")


def pause_amid(page: Page, house: House) -> int:
    """How many were mailed when nothing went out any more."""
    house.mail.wait_for(20, PATIENCE_SECONDS)
    page.click("button:has-text('Pause')")
    expect(page.locator(".edition-said")).to_contain_text("paused")
    look(page)
    mailed = 0
    deadline = monotonic() + PATIENCE_SECONDS
    while mailed != len(house.mail.messages()) and monotonic() < deadline:
        mailed = len(house.mail.messages())
        page.wait_for_timeout(1_500)
    assert 20 <= mailed < PEOPLE
    figures = figures_of(page)
    assert figures.pop("planned") == sum(figures.values())
    assert figures["waiting"] > 0
    return mailed


def correct(page: Page, edition: str) -> None:
    page.click("a:has-text('Correct it')")
    look(page)
    page.click("a:has-text('Change the text')")
    page.wait_for_url("**/compose*")
    look(page)
    card = page.locator(f".card:has-text('{WRONG}')")
    card.locator("summary >> nth=0").click()
    card.locator("input[name=headline]").fill(RIGHT)
    saved(page)
    page.goto(f"{edition}/correct")
    look(page)
    expect(page.locator("ins").first).to_have_text("quay")
    page.fill("textarea[name=note]", NOTE)
    page.click("button:has-text('Note it and go to the approval')")
    page.wait_for_url("**/review*")
    look(page)
    page.click("button:has-text('Approve revision 2')")


def go_on_to_the_end(page: Page, edition: str) -> None:
    page.goto(f"{edition}/sending")
    page.click("button:has-text('Go on')")
    expect(page.locator("#live")).to_contain_text("Everybody is settled", timeout=PATIENCE_MS)
    look(page)
    figures = figures_of(page)
    assert figures.pop("planned") == sum(figures.values())
    assert figures["sent"] == PEOPLE


def everybody_has_the_text_that_the_ledger_says(house: House, mailed_before: int) -> None:
    mails = house.mail.wait_for(PEOPLE, PATIENCE_SECONDS)
    with reading(house.engine) as session:
        rows = select(Subscriber.address, Delivery.revision).join(
            Delivery, Delivery.subscriber_id == Subscriber.id
        )
        sent = session.execute(rows.where(Delivery.state == DeliveryState.SENT))
        revisions = {row.address: row.revision for row in sent}

    assert Counter(mail.rcpt_to for mail in mails) == Counter(
        (address_of(each),) for each in names()
    )
    assert {mail.rcpt_to[0]: revision_in(mail) for mail in mails} == revisions
    assert Counter(revisions.values()) == {1: mailed_before, 2: PEOPLE - mailed_before}
    assert_ledger_is_exact(house.engine, 1, house.mail)


def revision_in(mail: Received) -> int:
    text = text_of(mail)
    assert (WRONG in text) != (RIGHT in text)
    return 1 if WRONG in text else 2


def the_archive_tells_of_the_correction(page: Page, house: House) -> None:
    page.goto(f"{house.url}/archive/harbour")
    look(page)
    page.click("main a:has-text('Harbour Reopens') >> nth=0")
    expect(page.locator("body")).to_contain_text(RIGHT)
    expect(page.locator("body")).to_contain_text(NOTE)
    expect(page.locator("body")).not_to_contain_text(WRONG)


def why_she_did_not_get_it(page: Page, edition: str) -> None:
    page.goto(f"{edition}/people")
    look(page)
    for name, words in ((GONE, "unsubscribed"), ("P007", "sent")):
        page.fill("#search-q", address_of(name))
        page.keyboard.press("Enter")
        page.wait_for_url("**/people?q=*")
        expect(page.locator("main")).to_contain_text(words)
        look(page)
    assert faults_of(page) == []
