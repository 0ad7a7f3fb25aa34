"""A reader's way on a phone, with keys alone: from the form to the mail at the hour that they chose."""

import re
import shutil
import time as time_module
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from email import message_from_bytes, policy
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import Page
from sqlalchemy import Engine, select

from newsletter.audience.answers import answer_requests
from newsletter.audience.sections import add_section
from newsletter.clock import utc_now
from newsletter.db import make_engine, reading, transaction
from newsletter.deliver.post_office import PostOffice
from newsletter.deliver.sender import Sender
from newsletter.devmail.peer import DevMail
from newsletter.models import (
    Batch,
    Delivery,
    MailingList,
    Past,
    SubscriptionStatus,
)
from newsletter.plan import schedule
from newsletter.plan.planner import plan_edition
from newsletter.plan.release import release_editions
from newsletter.settings import Settings
from newsletter.stack.ports import free_port
from tests.audience.signing_up import make_list, status
from tests.browser import running_browser
from tests.deliver.test_hidden_sections import briefing
from tests.newsroom import add_transport, settings_for
from tests.plan.test_hiding import approved
from tests.smtpd import checked_devmail
from tests.web.public.test_in_a_browser import check, on_a_phone, tab_to
from tests.web.served import SECRET, running_server

ADA = "ada@readers.example"
TOKYO = ZoneInfo("Asia/Tokyo")
PATIENCE_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Newsroom:
    engine: Engine
    settings: Settings
    peer: DevMail
    list_id: int

    def mail_to_ada(self, subject: str) -> str:
        """Answer what was asked, send it, and read it: the text of her newest mail."""
        self.peer.forget()
        answer_requests(self.engine, settings=self.settings, now=utc_now())
        with PostOffice(self.engine, self.settings) as post_office:
            post_office.nudge()
            [mail] = self.peer.wait_for(1, PATIENCE_SECONDS)
        message = message_from_bytes(mail.content, policy=policy.default)
        assert list(mail.rcpt_to) == [ADA]
        assert subject in message["Subject"]
        return text_of(mail.content)


@pytest.fixture
def newsroom(
    sqlite_template: Path, redis_server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Newsroom]:
    """The web server is a process of its own; what workers do is done here."""
    shutil.copy(sqlite_template, tmp_path / "newsletter.db")
    database_url = f"sqlite:///{tmp_path / 'newsletter.db'}"
    engine = make_engine(database_url)
    list_id = make_list(engine)
    with transaction(engine) as session:
        mailing_list = session.get_one(MailingList, list_id)
        add_section(session, mailing_list, "port", name="Port")
        add_section(session, mailing_list, "sport", name="Sport")
    port = free_port()
    settings = settings_for(
        tmp_path / "state",
        base_url=f"http://127.0.0.1:{port}",
        redis_url=redis_server,
        secret_keys=((0, SECRET),),
        poll_seconds=0.1,
    )
    monkeypatch.setenv("NEWSLETTER_BASE_URL", settings.base_url)
    with (
        checked_devmail() as peer,
        running_server(database_url, redis_server, tmp_path / "web.log", port=port),
    ):
        add_transport(engine, peer.port)
        yield Newsroom(engine, settings, peer, list_id)
    engine.dispose()


def text_of(content: bytes) -> str:
    message = message_from_bytes(content, policy=policy.default)
    body = message.get_body(("plain",))
    assert body is not None
    return str(body.get_content())


def link_in(text: str, path: str) -> str:
    found = re.search(rf"http://\S+/{path}\S*", text)
    assert found is not None, text
    return found[0]


def press(page: Page, selector: str) -> None:
    tab_to(page, selector)
    page.keyboard.press("Enter")


def fill_in(page: Page, url: str) -> None:
    page.goto(url)
    check(page)
    page.wait_for_timeout(2_100)  # a person takes longer than the shortest time that is believed
    tab_to(page, "#address")
    page.keyboard.type(ADA)
    press(page, "button")
    page.wait_for_selector("text=Look into your mailbox")


def sign_up(page: Page, newsroom: Newsroom) -> None:
    fill_in(page, f"{newsroom.settings.base_url}/s/daily")
    confirmation = link_in(newsroom.mail_to_ada("confirm"), "confirm/")

    for _ in range(2):
        page.goto(confirmation)
    check(page)
    assert status(newsroom.engine, ADA) is None
    press(page, "button")
    page.wait_for_selector("text=You are subscribed")
    check(page)
    assert status(newsroom.engine, ADA) is SubscriptionStatus.CONFIRMED


def choose(page: Page, newsroom: Newsroom) -> None:
    """No Sport, and everything at nine."""
    fill_in(page, link_in(newsroom.mail_to_ada("Welcome"), "link"))
    page.goto(link_in(newsroom.mail_to_ada("subscriptions"), "my/"))
    check(page)
    tab_to(page, "[name='section:daily:sport']")
    page.keyboard.press("Space")
    tab_to(page, "#hour")
    page.keyboard.type("0900AM")  # where clocks count to 24, the letters do nothing
    press(page, "button[name=save]")
    page.wait_for_selector("text=Saved.")
    check(page)


def planned_for_tomorrow(newsroom: Newsroom) -> int:
    """At seven, wherever somebody lives."""
    engine, now = newsroom.engine, utc_now()
    day = (now.astimezone(TOKYO) + timedelta(days=1)).date()
    edition_id = approved(engine, newsroom.settings, briefing(), newsroom.list_id)
    with transaction(engine) as session:
        schedule.send_local(session, edition_id, day, time(7), past=Past.SEND, now=now)
    nine = datetime.combine(day, time(9), TOKYO)
    release_editions(engine, now=nine - timedelta(minutes=5))
    plan_edition(engine, edition_id, now=nine - timedelta(minutes=5))
    return edition_id


def test_a_reader_gets_what_they_chose_at_the_hour_they_chose(
    newsroom: Newsroom, clock_shift: Path
) -> None:
    with running_browser() as browser:
        page = on_a_phone(browser, zone="Asia/Tokyo")
        sign_up(page, newsroom)
        choose(page, newsroom)
    edition_id = planned_for_tomorrow(newsroom)

    with reading(newsroom.engine) as session:
        due_at = session.scalars(
            select(Batch.due_at)
            .join(
                Delivery,
                (Delivery.edition_id == Batch.edition_id) & (Delivery.batch == Batch.number),
            )
            .where(Batch.edition_id == edition_id)
        ).one()
    newsroom.peer.forget()
    with Sender(newsroom.engine, newsroom.settings) as sender:
        sender.drain(seconds=3)
        too_early = newsroom.peer.messages()
        clock_shift.write_text(str((due_at - utc_now()).total_seconds() + 1))
        deadline = time_module.monotonic() + PATIENCE_SECONDS
        # After a step of its clock a sender rests for the length of a lease.
        while not newsroom.peer.messages() and time_module.monotonic() < deadline:
            sender.drain(seconds=1)
            time_module.sleep(0.1)
    [mail] = newsroom.peer.messages()

    assert due_at.astimezone(TOKYO).time() == time(9)
    assert too_early == []
    assert "Ships again." in text_of(mail.content)
    assert "Nil to nil." not in text_of(mail.content)
    assert b"Nil to nil." not in mail.content
    assert "Cup lost." not in text_of(mail.content)
