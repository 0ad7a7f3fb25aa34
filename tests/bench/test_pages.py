"""Every page over a small newsroom that was made up: none fails, and each is timed and weighed."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session
from starlette.routing import Route, compile_path

from newsletter.bench.addresses import public_paths, staff_paths
from newsletter.bench.crawl import Crawl, crawl_archive, readers_tokens
from newsletter.bench.pages import LARGEST_BYTES, Pages, PageTime, time_pages
from newsletter.bench.site import Browser, running_web, signed_in
from newsletter.bench.writing import WritingTime, time_writing
from newsletter.db import get_engine
from newsletter.models import Account, Edition, MailingList, WorkingDraft
from newsletter.seed.run import seed
from newsletter.settings import Settings, get_settings
from newsletter.tokens import (
    DeliveryRef,
    PersonRef,
    Purpose,
    SubscriptionRef,
    Tokens,
    UndoRef,
)
from newsletter.web.app import create_app
from newsletter.web.newsroom.site import SCREENS
from tests.newsroom import ringing_at

NOW = datetime.now(UTC)
EDITIONS = 5
NOT_SEEDED = {
    "/newsroom/editions/{id}/kept/{kept}": "nobody saved over anybody",
    "/newsroom/editions/{id}/revisions/{number}/look": "nobody looked at an old one",
    "/office/segments/{name}": "nobody saved a segment",
    "/office/segments/{name}/exact": "nobody saved a segment",
    "/office/imports/{id}": "nothing was imported",
    "/office/imports/{id}/progress": "nothing was imported",
    "/office/imports/{id}/report": "nothing was imported",
}
OF_A_LINK = {
    "/sign-in/link/{token}": "good once",
    "/invitation/{token}": "good once",
    "/reset/{token}": "good once",
    "/my/{token}": "mailed to its reader alone",
    "/my-data/{token}": "mailed to its reader alone",
    "/erase-me/{token}": "mailed to its reader alone",
    "/move/{token}": "mailed to its reader alone",
    "/confirm/{token}": "mailed to whoever asked",
    "/not-me/{token}": "mailed to whoever asked",
    "/o/{token}": "no page: a pixel, which bench send times",
    "/c/{token}/{number}": "no page: it leads on",
}
NO_PAGES = {
    "/media/{name}": "a picture",
    "/dress/{name}": "a style sheet, weighed with its page",
    "/metrics": "for machines in the house",
}


@pytest.fixture
def store() -> str:
    return "sqlite"


@pytest.fixture
def seeded(
    engine: Engine, database_url: str, redis_server: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Engine]:
    with ringing_at(redis_server, monkeypatch):
        monkeypatch.setenv("NEWSLETTER_DATABASE_URL", database_url)
        get_settings.cache_clear()
        get_engine.cache_clear()
        seed(engine, subscribers=300, editions=EDITIONS, settings=get_settings(), now=NOW)
        yield engine
        get_engine().dispose()
        get_engine.cache_clear()


@pytest.mark.timeout(300)
def test_no_page_fails_and_nothing_is_left_behind(seeded: Engine) -> None:
    found = time_pages(get_settings(), runs=2)

    assert [each for each in found.times if each.status >= 500] == []
    assert _not_among(
        [each.path for each in SCREENS if each.get is not None], found
    ) == NOT_SEEDED.keys() & {each.path for each in SCREENS}
    assert all(each.p50_ms > 0 for each in found.times)
    assert [each.p95_ms for each in found.times] == sorted(
        (each.p95_ms for each in found.times), reverse=True
    )
    assert found.writing is not None
    assert found.writing.stories == 30
    assert found.archive is not None
    assert found.archive.pages > EDITIONS
    assert (found.archive.tokens, found.archive.broken) == ((), ())
    with Session(seeded) as session:
        assert session.scalar(select(func.count()).select_from(Account)) == 0
        assert session.scalar(select(func.count()).select_from(Edition)) == EDITIONS + 2
        assert session.scalar(select(func.count()).select_from(WorkingDraft)) == 2


def _not_among(screens: list[str], found: Pages) -> set[str]:
    opened = [each.path.partition("?")[0] for each in found.times]
    return {path for path in screens if not any(map(compile_path(path)[0].match, opened))}
