"""A database of the test's own for the commands, which ask the settings for it, and a broker."""

from collections.abc import Iterator

import pytest

from newsletter.db import get_engine
from newsletter.settings import get_settings
from tests.newsroom import ringing_at


@pytest.fixture
def own_database(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("NEWSLETTER_DATABASE_URL", database_url)
    get_settings.cache_clear()
    get_engine.cache_clear()
    yield
    get_engine().dispose()
    get_settings.cache_clear()
    get_engine.cache_clear()


@pytest.fixture
def own_bells(redis_server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with ringing_at(redis_server, monkeypatch):
        yield
