"""What holds for every page, the edition's own page, and health."""

from datetime import timedelta
from pathlib import Path

import pytest
import redis as redis_client
from sqlalchemy import Engine
from starlette.testclient import TestClient

from newsletter.clock import utc_now
from newsletter.db import make_engine, transaction
from newsletter.models import Edition, EditionState
from newsletter.redis import PUMP_TURNED
from newsletter.stack.ports import free_port
from newsletter.tokens import SubscriptionRef
from newsletter.web.app import create_app
from tests.conftest import STORES
from tests.render.factory import make_compiled
from tests.track.people import PUBLIC_ID, Morning, publish
from tests.web.served import settings_for, tokens

FORM = make_compiled().to_bytes()


@pytest.fixture
def store() -> str:
    """Most of what a page does is the same on both; tests that ask for both say so."""
    return "sqlite"


def in_state(engine: Engine, morning: Morning, state: EditionState) -> None:
    with transaction(engine) as session:
        session.get_one(Edition, morning.edition_id).state = state


@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize("state", ["sending", "paused", "sent"])
def test_an_edition_that_is_being_mailed_or_was_has_a_page(
    client: TestClient, engine: Engine, morning: Morning, state: str
) -> None:
    publish(engine, morning, FORM)
    in_state(engine, morning, EditionState(state))

    page = client.get(f"/e/{PUBLIC_ID}")

    assert page.status_code == 200
    assert "ByteDance" in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "script-src" not in page.headers["content-security-policy"]
    assert page.headers["x-robots-tag"] == "noindex"


@pytest.mark.parametrize("state", ["draft", "approved", "cancelled"])
def test_an_edition_that_nobody_was_mailed_has_none(
    client: TestClient, engine: Engine, morning: Morning, state: str
) -> None:
    publish(engine, morning, FORM)
    in_state(engine, morning, EditionState(state))

    assert client.get(f"/e/{PUBLIC_ID}").status_code == 404


def test_a_revision_that_nobody_approved_is_not_shown(
    client: TestClient, engine: Engine, morning: Morning
) -> None:
    publish(engine, morning, FORM)
    with transaction(engine) as session:
        session.get_one(Edition, morning.edition_id).approved_revision = None

    assert client.get(f"/e/{PUBLIC_ID}").status_code == 404


def test_a_damaged_edition_is_an_error_page(
    client: TestClient, engine: Engine, morning: Morning
) -> None:
    publish(engine, morning, b"damaged")

    page = client.get(f"/e/{PUBLIC_ID}")

    assert page.status_code == 500
    assert "Something went wrong here" in page.text
    assert "Traceback" not in page.text


@pytest.mark.parametrize("public_id", ["unknown", "%00", "%ff", "a" * 5000, "../etc/passwd", "é"])
def test_no_other_name_has_a_page(client: TestClient, public_id: str) -> None:
    assert client.get(f"/e/{public_id}").status_code == 404


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/o/x",
        "/c/x/1",
        "/u/x",
        "/e/x",
        "/health/live",
        "/health/ready",
        "/static/site.css",
        "/nowhere",
    ],
)
def test_every_answer_is_guarded_and_sets_no_cookie(client: TestClient, path: str) -> None:
    """S-32."""
    answer = client.get(path)

    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert "set-cookie" not in answer.headers
    assert "strict-transport-security" not in answer.headers


def test_a_site_under_https_says_that_it_stays_there(
    engine: Engine, redis_server: str, tmp_path: Path
) -> None:
    """S-32."""
    app = create_app(
        settings=settings_for(redis_server, tmp_path, base_url="https://news.example.org"),
        engine=engine,
    )

    with TestClient(app) as client:
        answer = client.get("/")

    assert answer.headers["strict-transport-security"] == "max-age=31536000"


@pytest.mark.parametrize(
    "path", ["/.env", "/.git/config", "/docs", "/metrics", "/static/", "/static/../app.py", "/u/"]
)
def test_what_is_not_public_is_not_found_and_nothing_is_redirected(
    client: TestClient, path: str
) -> None:
    """S-32."""
    assert client.get(path).status_code == 404


@pytest.mark.parametrize("method", ["TRACE", "PUT", "DELETE", "PATCH"])
def test_other_methods_are_refused(client: TestClient, method: str) -> None:
    for path in ("/", "/u/x", "/o/x"):
        assert client.request(method, path).status_code == 405


@pytest.mark.parametrize("store", STORES)
def test_the_web_is_ready_when_both_stores_are(
    client: TestClient, redis: "redis_client.Redis"
) -> None:
    answer = client.get("/health/ready")

    assert answer.status_code == 200
    assert answer.json() == {
        "status": "ok",
        "database": "ok",
        "redis": "ok",
        "pump": "has not turned yet",
    }


@pytest.mark.parametrize(("seconds", "told"), [(5, "ok"), (300, "last turned 300 s ago")])
def test_a_pump_that_stands_still_is_told_of_and_keeps_no_reader_away(
    client: TestClient, redis: "redis_client.Redis", seconds: int, told: str
) -> None:
    redis.set(PUMP_TURNED, (utc_now() - timedelta(seconds=seconds)).isoformat())

    answer = client.get("/health/ready")

    assert answer.status_code == 200
    assert answer.json()["pump"] == told


def test_the_web_lives_but_is_not_ready_without_its_stores(tmp_path: Path) -> None:
    nowhere = f"redis://127.0.0.1:{free_port()}/0"
    unmigrated = make_engine(f"sqlite:///{tmp_path / 'empty.db'}")

    with TestClient(
        create_app(settings=settings_for(nowhere, tmp_path), engine=unmigrated)
    ) as client:
        live, ready = client.get("/health/live"), client.get("/health/ready")

    assert live.status_code == 200
    assert ready.status_code == 503
    assert ready.json() == {
        "status": "unavailable",
        "database": "not migrated",
        "redis": "unreachable",
        "pump": "has not turned yet",
    }


def test_while_the_database_is_away_a_reader_is_asked_to_come_back(
    redis_server: str, tmp_path: Path
) -> None:
    engine = make_engine(f"postgresql://postgres@127.0.0.1:{free_port()}/nowhere")
    app = create_app(settings=settings_for(redis_server, tmp_path), engine=engine)

    with TestClient(app) as client:
        page = client.get(f"/u/{tokens().unsubscribe(SubscriptionRef(1, 1, 1))}")
        ready = client.get("/health/ready")

    assert (page.status_code, ready.status_code) == (503, 503)
    assert page.headers["retry-after"] == "30"
    assert ready.json()["database"] == "unreachable"
