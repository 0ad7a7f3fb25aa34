"""Doorbells of these tests ring at a real broker, where nobody answers them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from newsletter.settings import Settings
from tests.newsroom import ringing_at, settings_for


@pytest.fixture(autouse=True)
def _doorbell(redis_server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with ringing_at(redis_server, monkeypatch):
        yield


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return settings_for(tmp_path)
