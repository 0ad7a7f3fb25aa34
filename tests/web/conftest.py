"""The application in this process, and a morning whose mail is out."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine
from starlette.testclient import TestClient

from newsletter.web.app import create_app
from tests.track.people import Morning, mailed_morning
from tests.web.served import settings_for


@pytest.fixture
def morning(engine: Engine) -> Morning:
    return mailed_morning(engine)


@pytest.fixture
def client(engine: Engine, redis_server: str, tmp_path: Path) -> Iterator[TestClient]:
    app = create_app(settings=settings_for(redis_server, tmp_path), engine=engine)
    with TestClient(app, raise_server_exceptions=False, follow_redirects=False) as client:
        yield client
