"""Pages of the site over a small newsroom that was made up: none fails, and each is weighed."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session

from newsletter.bench.pages import LARGEST_BYTES, PageTime, time_pages
from newsletter.db import get_engine
from newsletter.models import Account
from newsletter.seed.run import seed
from newsletter.settings import get_settings
from tests.newsroom import ringing_at


@pytest.fixture
def store() -> str:
    return "sqlite"


@pytest.fixture
def _own_database(
    database_url: str, redis_server: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    with ringing_at(redis_server, monkeypatch):
        monkeypatch.setenv("NEWSLETTER_DATABASE_URL", database_url)
        get_settings.cache_clear()
        get_engine.cache_clear()
        yield
        get_engine().dispose()
        get_engine.cache_clear()


@pytest.mark.usefixtures("_own_database")
def test_no_page_fails_and_nothing_is_left_behind(engine: Engine) -> None:
    now = datetime.now(UTC)
    seed(engine, subscribers=300, editions=5, settings=get_settings(), now=now)

    times = time_pages(get_settings(), runs=2, match="report")

    assert [each for each in times if each.status >= 500] == []
    paths = {each.path for each in times}
    assert {"/newsroom/reports/morning", "/newsroom/editions/5/report"} < paths
    assert all("report" in path for path in paths)
    assert all(each.p50_ms > 0 for each in times)
    assert [each.p95_ms for each in times] == sorted((e.p95_ms for e in times), reverse=True)
    with Session(engine) as session:
        assert session.scalar(select(func.count()).select_from(Account)) == 0


@pytest.mark.parametrize(
    ("page", "is_good"),
    [
        (PageTime("/", 200, 20.0, 99.9, LARGEST_BYTES - 1), True),
        (PageTime("/", 500, 20.0, 30.0, 1), False),
        (PageTime("/", 200, 20.0, 100.0, 1), False),
        (PageTime("/", 200, 20.0, 30.0, LARGEST_BYTES), False),
    ],
)
def test_a_page_is_good_when_it_answers_fast_and_weighs_little(
    page: PageTime, is_good: bool
) -> None:
    assert page.is_good is is_good
