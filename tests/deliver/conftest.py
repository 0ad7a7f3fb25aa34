"""Doorbells of these tests ring at a real broker, where nobody answers them."""

from collections.abc import Iterator

import pytest

from tests.newsroom import ringing_at


@pytest.fixture(autouse=True)
def _doorbell(redis_server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with ringing_at(redis_server, monkeypatch):
        yield
