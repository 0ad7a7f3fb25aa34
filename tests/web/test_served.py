"""The web server as readers and their mail programs meet it: a real process and bare sockets."""

import gzip
import shutil
import signal
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import redis as redis_client
from sqlalchemy import Engine, create_engine, delete, func, select, text
from sqlalchemy.orm import Session

from newsletter.clock import utc_now
from newsletter.db import Model, make_engine, transaction
from newsletter.models import ConsentEvent, Event, SubscriptionStatus
from newsletter.tokens import Purpose
from newsletter.track.writer import write_events
from tests.conftest import STORES
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

    def leaving(self, subscriber_id: int) -> str:
        return f"/u/{tokens().unsubscribe(self.morning.subscription(subscriber_id))}"

    def has_left(self, subscriber_id: int) -> bool:
        status = status_of(self.engine, self.morning.list_id, subscriber_id)
        return status is SubscriptionStatus.UNSUBSCRIBED

    def evidence(self) -> list[str]:
        with Session(self.engine) as session:
            return [event.evidence["how"] for event in session.scalars(select(ConsentEvent))]


@pytest.fixture(scope="module", params=STORES)
def shared(
    request: pytest.FixtureRequest, redis_server: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Server, Engine]]:
    """One server for each store: a process of its own takes its time to start."""
    folder = tmp_path_factory.mktemp("served")
    url = _new_database(request, folder)
    engine = make_engine(url)
    with running_server(url, redis_server, folder / "server.log") as server:
        yield server, engine
    engine.dispose()


def _new_database(request: pytest.FixtureRequest, folder: Path) -> str:
    if request.param == "sqlite":
        path = folder / "newsletter.db"
        shutil.copy(request.getfixturevalue("sqlite_template"), path)
        return f"sqlite:///{path}"
    postgres: str = request.getfixturevalue("postgres_server")
    admin = create_engine(f"{postgres}/postgres", isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text("CREATE DATABASE served TEMPLATE template_newsletter"))
    admin.dispose()
    return f"{postgres}/served"


@pytest.fixture
def site(shared: tuple[Server, Engine]) -> Iterator[Site]:
    server, engine = shared
    yield Site(server, engine, mailed_morning(engine))
    with transaction(engine) as session:
        for table in reversed(Model.metadata.sorted_tables):
            session.execute(delete(table))


def assert_accepted(answer: Answer) -> None:
    assert (answer.status, answer.body) == (200, b"You are unsubscribed.\n")
    assert "set-cookie" not in answer.headers
    assert "location" not in answer.headers


def test_a_script_is_compressed_on_its_way_by_the_real_server(site: Site) -> None:
    path = "/static/vendor/htmx.min.js?v=1"

    plain = site.server.get(path)
    packed = site.server.get(path, "Accept-Encoding: gzip")

    assert gzip.decompress(packed.body) == plain.body
    assert len(packed.body) < len(plain.body) / 2


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


def test_a_server_told_to_stop_hands_over_its_events_and_its_log_holds_no_token(
    engine: Engine,
    database_url: str,
    redis_server: str,
    redis: "redis_client.Redis",
    tmp_path: Path,
) -> None:
    """S-26."""
    morning = mailed_morning(engine)
    ref = morning.delivery(morning.ada)
    opening, clicking = (tokens().delivery(which, ref) for which in (Purpose.OPEN, Purpose.CLICK))
    leaving = tokens().unsubscribe(morning.subscription(morning.ada))
    log = tmp_path / "server.log"

    with running_server(database_url, redis_server, log) as server:
        server.get(f"/u/{leaving}")
        server.post(f"/u/{leaving}", b"something else")
        server.get(f"/u/{leaving}x")
        opened = server.get(f"/o/{opening}")
        clicked = server.get(f"/c/{clicking}/1")
        server.process.send_signal(signal.SIGTERM)
        server.process.wait(20)

    assert server.process.returncode == 0
    assert (opened.status, clicked.status) == (200, 302)
    assert (clicked.headers["location"], clicked.body) == (STORY, b"")
    assert write_events(engine, redis, now=utc_now()) == 2
    assert edition_figures(engine, morning.edition_id) == (1, 1, 0)
    written = log.read_text()
    assert "Listening" in written
    assert not [token for token in (opening, clicking, leaving) if token in written]
