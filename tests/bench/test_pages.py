"""Every page over a small newsroom that was made up: none fails, and each is timed and weighed."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session
from starlette.routing import Route, compile_path

from newsletter.bench.crawl import Crawl, readers_tokens
from newsletter.bench.pages import LARGEST_BYTES, Pages, PageTime, time_pages
from newsletter.bench.writing import STORIES, WritingTime
from newsletter.db import make_engine
from newsletter.models import Account, Edition
from newsletter.settings import Settings
from newsletter.tokens import DeliveryRef, PersonRef, Purpose, SubscriptionRef, Tokens, UndoRef
from newsletter.web.app import create_app
from newsletter.web.newsroom.site import SCREENS
from tests.web.newsroom.seeded import EDITIONS, make_template
from tests.web.served import settings_for

NOT_SHOWN = {
    "/newsroom/editions/{id}/kept/{kept}": "nobody saved over anybody",
    "/office/letterhead/specimen": "shows what somebody chooses",
    "/office/segments/{name}": "no segment is seeded",
    "/office/segments/{name}/exact": "no segment is seeded",
    "/office/imports/{id}": "no import is seeded",
    "/office/imports/{id}/progress": "no import is seeded",
    "/office/imports/{id}/report": "no import is seeded",
    "/account/app": "while an app is being set up",
    "/account/app/picture": "while an app is being set up",
    "/sign-in/link/{token}": "its link is good once",
    "/invitation/{token}": "its link is good once",
    "/reset/{token}": "its link is good once",
    "/my/{token}": "its link is mailed, and soon grows old",
    "/my-data/{token}": "its link is mailed, and soon grows old",
    "/erase-me/{token}": "its link is mailed, and soon grows old",
    "/move/{token}": "its link is mailed, and soon grows old",
    "/confirm/{token}": "its link is mailed to who asked to join",
    "/not-me/{token}": "its link is mailed to who asked to join",
    "/o/{token}": "a pixel, no page",
    "/c/{token}/{number}": "leads on to somebody else's page",
    "/media/{name}": "a picture, no page",
    "/dress/{name}": "a style sheet, no page",
    "/metrics": "for a program of the house",
}
"""Addresses that the bench does not time, and why."""

TOKENS = Tokens(((1, "a secret for tests that nobody guesses"),))
MORNING = datetime(2026, 11, 20, 6, tzinfo=UTC)


@pytest.fixture(scope="module")
def settings(
    sqlite_template: Path, redis_server: str, tmp_path_factory: pytest.TempPathFactory
) -> Settings:
    folder = tmp_path_factory.mktemp("pages")
    file = make_template(sqlite_template, folder)
    return settings_for(redis_server, folder, database_url=f"sqlite:///{file}")


@pytest.fixture(scope="module")
def engine(settings: Settings) -> Iterator[Engine]:
    engine = make_engine(settings.database_url)
    yield engine
    engine.dispose()


@pytest.fixture(scope="module")
def found(engine: Engine, settings: Settings) -> Pages:
    return time_pages(engine, settings, runs=2)


def test_every_address_that_is_read_is_timed_or_named_with_a_reason(
    found: Pages, engine: Engine, settings: Settings
) -> None:
    readers = [
        route.path
        for route in create_app(settings=settings, engine=engine).routes
        if isinstance(route, Route) and "GET" in (route.methods or ())
    ]
    screens = [each.path for each in SCREENS]
    read = {each.path for each in SCREENS if each.get} | (set(readers) - set(screens))
    asked = [each.path.partition("?")[0] for each in found.times]

    missing = {path for path in read if not any(map(compile_path(path)[0].match, asked))}

    assert missing - NOT_SHOWN.keys() == set()
    assert NOT_SHOWN.keys() - read == set()


def test_no_page_fails_and_all_are_timed(found: Pages) -> None:
    assert [each for each in found.times if each.status >= 500] == []
    assert all(each.p50_ms > 0 for each in found.times)
    slowest_first = sorted((each.p95_ms for each in found.times), reverse=True)
    assert [each.p95_ms for each in found.times] == slowest_first


def test_files_to_keep_are_told_from_pages(found: Pages) -> None:
    kinds = {each.path.partition("?")[0]: each.is_download for each in found.times}

    assert kinds[f"/newsroom/editions/{EDITIONS}/people.csv"]
    assert not kinds[f"/newsroom/editions/{EDITIONS}/people"]


def test_typing_is_timed_at_many_stories(found: Pages) -> None:
    assert found.writing is not None
    assert found.writing.stories == STORIES
    assert 0 < found.writing.p50_ms <= found.writing.p95_ms


def test_the_archive_is_read_to_its_end_and_knows_nobody(found: Pages) -> None:
    assert found.archive is not None
    assert found.archive.pages > EDITIONS
    assert (found.archive.tokens, found.archive.broken) == ((), ())


def test_nothing_is_left_behind(found: Pages, engine: Engine) -> None:
    assert found.times
    with Session(engine) as session:
        assert session.scalar(select(func.count()).select_from(Account)) == 0
        assert session.scalar(select(func.max(Edition.id))) == EDITIONS + 2


@pytest.mark.parametrize(
    "token",
    [
        *(
            TOKENS.delivery(purpose, DeliveryRef(7, 12))
            for purpose in (Purpose.OPEN, Purpose.CLICK, Purpose.VIEW, Purpose.MESSAGE_ID)
        ),
        *(
            TOKENS.of_person(purpose, PersonRef(12, MORNING, b"mark"))
            for purpose in (Purpose.SETTINGS, Purpose.DATA, Purpose.ERASE)
        ),
        TOKENS.unsubscribe(SubscriptionRef(1, 7, 12)),
        TOKENS.preferences(SubscriptionRef(1, 7, 12)),
        TOKENS.undo(UndoRef(1, 12, MORNING)),
        TOKENS.move("ab" * 12, is_new=True),
        f"b-{TOKENS.return_path(DeliveryRef(7, 12))}",
    ],
)
def test_a_readers_token_is_found_wherever_it_stands(token: str) -> None:
    page = f'<a href="https://news.example/x/{token}/4">on</a> <p>{"a" * 36} {token}x</p>'

    assert list(readers_tokens(page, TOKENS)) == [token]


PAGE = PageTime("/", 200, 20.0, 99.9, 15.0, LARGEST_BYTES - 1, is_download=False)


@pytest.mark.parametrize(
    ("page", "is_good"),
    [
        (PAGE, True),
        (replace(PAGE, status=500), False),
        (replace(PAGE, p95_ms=100.0), False),
        (replace(PAGE, path="/newsroom/editions/7/preview?view=text", p95_ms=499.0), True),
        (replace(PAGE, path="/newsroom/editions/7/preview", p95_ms=500.0), False),
        (replace(PAGE, path="/newsroom/editions/7/people?q=/preview", p95_ms=100.0), False),
        (replace(PAGE, bytes=LARGEST_BYTES), False),
        (replace(PAGE, bytes=LARGEST_BYTES, is_download=True), True),
    ],
)
def test_a_page_is_good_when_it_answers_fast_and_weighs_little(
    page: PageTime, is_good: bool
) -> None:
    assert page.is_good is is_good


@pytest.mark.parametrize(
    ("changes", "is_good"),
    [
        ({}, True),
        ({"writing": None, "archive": None}, True),
        ({"times": (replace(PAGE, status=500),)}, False),
        ({"writing": WritingTime(30, 200.0, 500.0, 90.0, 1)}, False),
        ({"archive": Crawl(3, ("/archive/a",), ())}, False),
        ({"archive": Crawl(3, (), ("/archive/a",))}, False),
    ],
)
def test_a_run_is_good_when_all_of_it_is(changes: dict[str, Any], is_good: bool) -> None:
    run = Pages((PAGE,), WritingTime(30, 200.0, 499.0, 90.0, 1), Crawl(3, (), ()), 0.5)

    assert replace(run, **changes).is_good is is_good
