"""The API as it is mounted, on a database with two lists and their people, and keys of any kind."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine
from starlette.applications import Starlette
from starlette.testclient import TestClient

from newsletter.accounts.api_keys import create_api_key
from newsletter.accounts.scopes import Scope
from newsletter.audience.consent import subscribe
from newsletter.audience.lists import all_lists
from newsletter.audience.subscribers import add_subscriber
from newsletter.clock import utc_now
from newsletter.db import reading, transaction
from newsletter.models import SubscriptionStatus
from newsletter.web.app import create_app
from tests.audience.people import EDITOR, a_list
from tests.web.served import settings_for

ROOT = "/api/v1"


@dataclass(frozen=True, slots=True)
class Audience:
    """Ada reads both lists, Bo the daily, Cy the weekly."""

    ada: int
    bo: int
    cy: int


class Keys:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def make(self, *scopes: Scope, lists: tuple[str, ...] | None = None) -> dict[str, str]:
        """The header of a new key; no scopes: all that such a key may have."""
        now = utc_now()
        with transaction(self._engine) as session:
            ids = {each.slug: each.id for each in all_lists(session)}
            made = create_api_key(
                session,
                "shop",
                scopes or tuple(Scope),
                list_ids=None if lists is None else [ids[slug] for slug in lists],
                by="ed",
                expires_at=now + timedelta(days=1),
                now=now,
            )
        return {"Authorization": f"Bearer {made.token}"}


@pytest.fixture
def store() -> str:
    """Most of what the API does is the same on both; tests that ask for both say so."""
    return "sqlite"


@pytest.fixture
def audience(engine: Engine) -> Audience:
    now = utc_now()
    with transaction(engine) as session:
        lists = {slug: a_list(session, slug) for slug in ("daily", "weekly")}
        ids = []
        for name, slugs in (("Ada", ("daily", "weekly")), ("Bo", ("daily",)), ("Cy", ("weekly",))):
            address = f"{name.lower()}@readers.example"
            person = add_subscriber(session, address, {"name": name}, origin=EDITOR, now=now)
            for slug in slugs:
                subscribe(
                    session,
                    person,
                    lists[slug],
                    SubscriptionStatus.CONFIRMED,
                    origin=EDITOR,
                    evidence={"consent": "a form"},
                    now=now,
                )
            ids.append(person.id)
    return Audience(*ids)


@pytest.fixture
def keys(engine: Engine) -> Keys:
    return Keys(engine)


@pytest.fixture
def app(engine: Engine, audience: Audience, redis_server: str, tmp_path: Path) -> Starlette:
    settings = settings_for(redis_server, tmp_path).model_copy(
        update={"api_requests_per_minute": 1_000_000}
    )
    return create_app(settings=settings, engine=engine)


@pytest.fixture
def client(app: Starlette) -> Iterator[TestClient]:
    with TestClient(
        app, base_url=f"http://testserver{ROOT}/", raise_server_exceptions=False
    ) as client:
        yield client


@pytest.fixture
def admin(keys: Keys, audience: Audience) -> dict[str, str]:
    return keys.make()


def facts(engine: Engine, *columns: Any) -> list[Any]:
    from sqlalchemy import select

    with reading(engine) as session:
        return list(session.execute(select(*columns)).all())
