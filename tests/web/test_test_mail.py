"""The links of a test mail: they work, and nothing comes of them."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis as redis_client
from sqlalchemy import Engine, update
from starlette.testclient import TestClient

from newsletter.clock import utc_now
from newsletter.db import make_engine, transaction
from newsletter.models import Link, MailingList, SubscriptionStatus
from newsletter.redis import EVENT_STREAM
from newsletter.render.words import words_for
from newsletter.tokens import FIRST_TEST_READER, Purpose
from newsletter.track.writer import write_events
from newsletter.web.app import create_app
from newsletter.web.public.words import page_words
from tests.track.people import STORY, Morning, edition_figures, mailed_morning, status_of
from tests.web.served import settings_for, tokens

NOBODY = FIRST_TEST_READER + 7


@pytest.fixture
def store() -> str:
    return "sqlite"


@contextmanager
def running(engine: Engine, redis_server: str, tmp_path: Path) -> Iterator[TestClient]:
    # An engine of its own: closing the application disposes of it.
    own = make_engine(str(engine.url))
    app = create_app(settings=settings_for(redis_server, tmp_path), engine=own)
    with TestClient(app, follow_redirects=False) as client:
        yield client


@pytest.fixture
def client(engine: Engine, redis_server: str, tmp_path: Path) -> Iterator[TestClient]:
    with running(engine, redis_server, tmp_path) as client:
        yield client


def unsubscribe_link(morning: Morning) -> str:
    return f"/u/{tokens().unsubscribe(morning.subscription(NOBODY))}"


def click_link(morning: Morning) -> str:
    return f"/c/{tokens().delivery(Purpose.CLICK, morning.delivery(NOBODY))}/1"


def pixel_link(morning: Morning) -> str:
    return f"/o/{tokens().delivery(Purpose.OPEN, morning.delivery(NOBODY))}"


@pytest.mark.parametrize("form", [None, {"leave": "1"}, {"List-Unsubscribe": "One-Click"}, {}])
def test_the_unsubscribe_link_says_that_this_was_a_test(
    client: TestClient, engine: Engine, morning: Morning, form: dict[str, str] | None
) -> None:
    link = unsubscribe_link(morning)

    page = client.get(link) if form is None else client.post(link, data=form)

    assert page.status_code == 200
    assert "This was a test mail" in page.text
    assert "nothing was changed" in page.text
    assert "<button" not in page.text
    assert edition_figures(engine, morning.edition_id) == (0, 0, 0)
    for person in (morning.ada, morning.bo):
        assert status_of(engine, morning.list_id, person) is SubscriptionStatus.CONFIRMED


@pytest.mark.parametrize("language", ["en", "zh-Hans", "zh-Hant"])
def test_it_says_so_in_the_lists_language(
    engine: Engine, client: TestClient, language: str
) -> None:
    morning = mailed_morning(engine, language=language)

    page = client.get(unsubscribe_link(morning))

    assert page_words(None, language).test in page.text
    assert f'lang="{words_for(language).tag}"' in page.text


def test_a_test_mail_of_a_list_that_is_gone_leads_nowhere(
    client: TestClient, morning: Morning
) -> None:
    ref = morning.subscription(NOBODY)

    gone = type(ref)(999, ref.edition_id, ref.subscriber_id)

    assert client.get(f"/u/{tokens().unsubscribe(gone)}").status_code == 404


def test_a_click_is_followed_and_an_open_is_answered_and_neither_counts(
    engine: Engine,
    morning: Morning,
    redis: "redis_client.Redis",
    redis_server: str,
    tmp_path: Path,
) -> None:
    # Leaving the block, the application hands in what it still has.
    with running(engine, redis_server, tmp_path) as client:
        followed = client.get(click_link(morning))
        shown = client.get(pixel_link(morning))

    assert (followed.status_code, followed.headers["location"]) == (302, STORY)
    assert (shown.status_code, shown.headers["content-type"]) == (200, "image/gif")
    assert redis.xlen(EVENT_STREAM) == 0
    write_events(engine, redis, now=utc_now())
    assert edition_figures(engine, morning.edition_id) == (0, 0, 0)


def test_a_drafts_link_is_never_remembered_for_the_readers(
    client: TestClient, engine: Engine, morning: Morning
) -> None:
    """A revision may give the number to another story before anybody is mailed."""
    client.get(click_link(morning))
    with transaction(engine) as session:
        session.execute(update(Link).values(url="https://source.example/corrected"))
        session.execute(update(MailingList).values(tagline="Corrected"))

    reader = tokens().delivery(Purpose.CLICK, morning.delivery(morning.ada))

    corrected = "https://source.example/corrected"
    assert client.get(f"/c/{reader}/1").headers["location"] == corrected
    assert client.get(click_link(morning)).headers["location"] == corrected


def test_a_forged_test_token_is_as_unknown_as_any(client: TestClient) -> None:
    assert client.get(f"/u/{'A' * 42}").status_code == 404
