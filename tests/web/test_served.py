"""The web server as readers and their mail programs meet it: a real process and bare sockets."""

import signal
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import redis as redis_client
from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session

from newsletter.clock import utc_now
from newsletter.models import ConsentEvent, Event, SubscriptionStatus
from newsletter.tokens import DeliveryRef, Purpose
from newsletter.track.writer import write_events
from tests.track.people import STORY, Morning, edition_figures, mailed_morning, status_of
from tests.web.served import Answer, Server, running_server, tokens

ONE_CLICK = b"List-Unsubscribe=One-Click"
MULTIPART = (
    b"--b0undary\r\n"
    b'Content-Disposition: form-data; name="List-Unsubscribe"\r\n'
    b"\r\n"
    b"One-Click\r\n"
    b"--b0undary--\r\n"
)
SCANNERS = (
    "Mozilla/5.0 (compatible; Barracuda Sentinel)",
    "Mozilla/4.0 (compatible; MSIE 8.0; Windows NT 6.0; BingPreview/1.0b)",
    "GoogleImageProxy",
    "Slackbot-LinkExpanding 1.0",
    "curl/8.5.0",
)


@dataclass(frozen=True, slots=True)
class Site:
    server: Server
    engine: Engine
    morning: Morning
    log: Path

    def leaving(self, subscriber_id: int) -> str:
        return f"/u/{tokens().unsubscribe(self.morning.subscription(subscriber_id))}"

    def has_left(self, subscriber_id: int) -> bool:
        status = status_of(self.engine, self.morning.list_id, subscriber_id)
        return status is SubscriptionStatus.UNSUBSCRIBED

    def evidence(self) -> list[str]:
        with Session(self.engine) as session:
            return [event.evidence["how"] for event in session.scalars(select(ConsentEvent))]


@pytest.fixture
def site(engine: Engine, database_url: str, redis_server: str, tmp_path: Path) -> Iterator[Site]:
    morning = mailed_morning(engine)
    log = tmp_path / "server.log"
    with running_server(database_url, redis_server, log) as server:
        yield Site(server, engine, morning, log)


def assert_accepted(answer: Answer) -> None:
    assert (answer.status, answer.body) == (200, b"You are unsubscribed.\n")
    assert "set-cookie" not in answer.headers
    assert "location" not in answer.headers


def test_a_minimal_one_click_post_unsubscribes_and_so_does_every_later_one(site: Site) -> None:
    """H-43, H-46."""
    link = site.leaving(site.morning.ada)

    answers = [
        site.server.post(link, ONE_CLICK),
        site.server.post(link, ONE_CLICK, "Content-Type: application/x-www-form-urlencoded"),
        site.server.post(link, ONE_CLICK + b"\r\n", "Content-Type: text/plain"),
        site.server.post(
            link,
            ONE_CLICK,
            "Cookie: session=garbage; =; a",
            "Authorization: Basic !!!",
            "Origin: null",
            "Sec-Fetch-Site: cross-site",
            "User-Agent: ",
        ),
    ]

    for answer in answers:
        assert_accepted(answer)
    assert site.has_left(site.morning.ada)
    assert site.evidence() == ["one-click"]


def test_a_multipart_or_chunked_one_click_post_unsubscribes(site: Site) -> None:
    """H-43."""
    multipart = site.server.post(
        site.leaving(site.morning.ada),
        MULTIPART,
        'Content-Type: multipart/form-data; boundary="b0undary"',
    )
    chunked = site.server.exchange(
        f"POST {site.leaving(site.morning.bo)} HTTP/1.1\r\nHost: x\r\n".encode(),
        b"Transfer-Encoding: chunked\r\n\r\n10\r\nList-Unsubscribe\r\n",
        b"a\r\n=One-Click\r\n0\r\n\r\n",
    )

    assert_accepted(multipart)
    assert_accepted(chunked)
    assert site.has_left(site.morning.ada)
    assert site.has_left(site.morning.bo)


def test_fifty_posts_at_once_are_one_event(site: Site) -> None:
    """H-46."""
    link = site.leaving(site.morning.ada)
    answers: list[Answer] = []
    threads = [
        threading.Thread(target=lambda: answers.append(site.server.post(link, ONE_CLICK)))
        for _ in range(50)
    ]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert len(answers) == 50
    for answer in answers:
        assert_accepted(answer)
    assert site.evidence() == ["one-click"]
    assert edition_figures(site.engine, site.morning.edition_id) == (0, 0, 1)
    with Session(site.engine) as session:
        assert session.scalar(select(func.count()).select_from(Event)) == 1


def test_scanners_that_only_look_change_nothing(site: Site) -> None:
    """H-45."""
    link = site.leaving(site.morning.ada)

    answers = [site.server.get(link, f"User-Agent: {scanner}") for scanner in SCANNERS]
    answers.append(site.server.get(link, "Sec-Purpose: prefetch"))
    answers.append(site.server.get(link, method="OPTIONS"))
    head = site.server.get(link, method="HEAD")

    for answer in answers:
        assert answer.status == 200
        assert b"<button" in answer.body
    assert (head.status, head.body) == (200, b"")
    assert not site.has_left(site.morning.ada)
    assert site.evidence() == []


def test_a_body_beyond_any_form_is_refused(site: Site) -> None:
    link = site.leaving(site.morning.ada)
    megabyte = b"x" * 1_000_000

    announced = site.server.get(link, "Content-Length: 1000000", method="POST")
    chunked = site.server.exchange(
        f"POST {link} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n".encode(),
        b"11170\r\n" + megabyte[:70_000] + b"\r\n",
    )

    assert (announced.status, chunked.status) == (413, 413)
    assert not site.has_left(site.morning.ada)


def test_an_open_and_a_click_reach_the_figures_even_when_the_server_stops_at_once(
    site: Site, redis: "redis_client.Redis"
) -> None:
    ref = DeliveryRef(site.morning.edition_id, site.morning.ada)
    opened = site.server.get(f"/o/{tokens().delivery(Purpose.OPEN, ref)}")
    clicked = site.server.get(f"/c/{tokens().delivery(Purpose.CLICK, ref)}/1")

    site.server.process.send_signal(signal.SIGTERM)
    site.server.process.wait(20)

    assert (opened.status, clicked.status) == (200, 302)
    assert clicked.headers["location"] == STORY
    assert clicked.body == b""
    assert write_events(site.engine, redis, now=utc_now()) == 2
    assert edition_figures(site.engine, site.morning.edition_id) == (1, 1, 0)
    assert site.server.process.returncode == 0


def test_the_servers_log_holds_no_token(site: Site) -> None:
    """S-26."""
    link = site.leaving(site.morning.ada)
    site.server.get(link)
    site.server.get(f"{link}x")
    site.server.post(link, b"something else")

    site.server.process.send_signal(signal.SIGTERM)
    site.server.process.wait(20)

    written = site.log.read_text()
    assert "Listening" in written
    assert link.removeprefix("/u/") not in written
