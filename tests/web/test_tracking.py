from pathlib import Path

import pytest
import redis as redis_client
from sqlalchemy import Engine
from starlette.testclient import TestClient

from newsletter.clock import utc_now
from newsletter.db import transaction
from newsletter.models import Link
from newsletter.redis import EVENT_STREAM
from newsletter.tokens import Purpose
from newsletter.track.writer import write_events
from newsletter.web.app import create_app
from tests.conftest import STORES
from tests.track.people import STORY, Morning, edition_figures
from tests.web.served import settings_for, tokens


@pytest.fixture
def store() -> str:
    """Most of what a page does is the same on both; tests that ask for both say so."""
    return "sqlite"


def pixel(morning: Morning, subscriber_id: int) -> str:
    return f"/o/{tokens().delivery(Purpose.OPEN, morning.delivery(subscriber_id))}"


def click(morning: Morning, subscriber_id: int, number: object = 1) -> str:
    return f"/c/{tokens().delivery(Purpose.CLICK, morning.delivery(subscriber_id))}/{number}"


def test_a_click_is_redirected_and_leaves_nothing_behind(
    client: TestClient, morning: Morning
) -> None:
    """T-10."""
    answer = client.get(click(morning, morning.ada))

    assert (answer.status_code, answer.headers["location"]) == (302, STORY)
    assert answer.content == b""
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize(
    "number", ["0", "3", "01", "-1", "1.0", "٣", "32768", "99999999999", "1/", "x", "%00"]
)
def test_a_number_that_is_no_link_leads_nowhere(
    client: TestClient, morning: Morning, number: str
) -> None:
    answer = client.get(click(morning, morning.ada, number))

    assert answer.status_code == 404
    assert "location" not in answer.headers


def test_a_forged_click_leads_nowhere_whatever_it_names(
    client: TestClient, morning: Morning
) -> None:
    """S-03, S-20."""
    token = tokens().delivery(Purpose.CLICK, morning.delivery(morning.ada))
    opening = tokens().delivery(Purpose.OPEN, morning.delivery(morning.ada))

    for path in (
        f"/c/{token[:-1]}/1",
        f"/c/{token}A/1",
        f"/c/{opening}/1",
        f"/c/{token}",
        "/c/https://evil.example/1",
        f"/c/{token}//evil.example",
    ):
        answer = client.get(path)
        assert answer.status_code == 404
        assert "location" not in answer.headers


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)", "//evil.example", "https://x.example/\r\nSet-Cookie: a=b"]
)
def test_a_target_that_no_browser_should_follow_is_refused_again_at_the_redirect(
    client: TestClient, engine: Engine, morning: Morning, url: str
) -> None:
    """T-10, S-12."""
    with transaction(engine) as session:
        session.add(Link(edition_id=morning.edition_id, number=9, url=url))

    answer = client.get(click(morning, morning.ada, 9))

    assert answer.status_code == 404
    assert "location" not in answer.headers


@pytest.mark.parametrize(
    ("url", "location"),
    [
        ("https://x.example/a b?q=ü#é", "https://x.example/a%20b?q=%C3%BC#%C3%A9"),
        ("https://x.example/%2F?a=%26&b[]=1;2", "https://x.example/%2F?a=%26&b[]=1;2"),
    ],
)
def test_a_target_is_sent_as_ascii_and_otherwise_unchanged(
    client: TestClient, engine: Engine, morning: Morning, url: str, location: str
) -> None:
    with transaction(engine) as session:
        session.add(Link(edition_id=morning.edition_id, number=9, url=url))

    assert client.get(click(morning, morning.ada, 9)).headers["location"] == location


def test_every_pixel_looks_the_same(client: TestClient, morning: Morning) -> None:
    """T-13."""
    known = client.get(pixel(morning, morning.ada))
    unknown = client.get("/o/nobody")
    garbled = client.get(pixel(morning, morning.ada) + "%ff")

    assert known.content == unknown.content == garbled.content
    assert len(known.content) == 43
    assert known.headers == unknown.headers == garbled.headers
    assert known.headers["content-type"] == "image/gif"
    assert known.headers["cache-control"] == "no-store"
    assert "set-cookie" not in known.headers
    assert "etag" not in known.headers


def test_what_only_fetches_ahead_is_answered_and_not_counted(
    engine: Engine, redis_server: str, tmp_path: Path, redis: "redis_client.Redis", morning: Morning
) -> None:
    """H-45."""
    app = create_app(settings=settings_for(redis_server, tmp_path), engine=engine)
    with TestClient(app, follow_redirects=False) as client:
        for link, status in ((pixel(morning, 1), 200), (click(morning, 1), 302)):
            assert client.head(link).status_code == status
            for fields in (
                {"Sec-Purpose": "prefetch"},
                {"Sec-Purpose": "prefetch;prerender"},
                {"Purpose": "prefetch"},
            ):
                assert client.get(link, headers=fields).status_code == status

    assert not redis.exists(EVENT_STREAM)


@pytest.mark.parametrize("store", STORES)
def test_opens_and_clicks_come_to_the_figures(
    engine: Engine, redis_server: str, tmp_path: Path, redis: "redis_client.Redis", morning: Morning
) -> None:
    app = create_app(settings=settings_for(redis_server, tmp_path), engine=engine)
    with TestClient(app, follow_redirects=False) as client:
        for reader in (morning.ada, morning.ada, morning.bo):
            client.get(pixel(morning, reader))
        client.get(click(morning, morning.bo, 2))

    assert write_events(engine, redis, now=utc_now()) == 4
    assert edition_figures(engine, morning.edition_id) == (2, 1, 0)


def test_a_known_link_is_followed_without_the_database(
    engine: Engine, redis_server: str, tmp_path: Path, morning: Morning
) -> None:
    """T-14."""
    app = create_app(settings=settings_for(redis_server, tmp_path), engine=engine)
    with TestClient(app, follow_redirects=False) as client:
        client.get(click(morning, morning.ada))
        with transaction(engine) as session:
            session.delete(session.get_one(Link, (morning.edition_id, 1)))

        assert client.get(click(morning, morning.bo)).status_code == 302
