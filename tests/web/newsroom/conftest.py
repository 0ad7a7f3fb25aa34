"""The site, over a database and a broker of the test's own."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from tests.desk import Desk, a_desk
from tests.site import Site, running_site
from tests.web.served import settings_for


@pytest.fixture
def store() -> str:
    """Most of what a page does is the same on both; tests that ask for both say so."""
    return "sqlite"


@pytest.fixture
def site(engine: Engine, redis_server: str, tmp_path: Path) -> Iterator[Site]:
    with running_site(engine, redis_server, tmp_path) as site:
        yield site


@pytest.fixture
def desk(site: Site, redis_server: str, tmp_path: Path) -> Desk:
    return a_desk(site, settings_for(redis_server, tmp_path))
