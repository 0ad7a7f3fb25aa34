"""What Prometheus is told, and whom else it is told to."""

import http.client
from datetime import timedelta
from pathlib import Path

import pytest
import redis as redis_client
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import Engine
from starlette.testclient import TestClient

from newsletter.clock import utc_now
from newsletter.queue import Queue
from newsletter.redis import PUMP_TURNED
from newsletter.stack.ports import free_port
from newsletter.web.app import create_app
from tests.track.people import PUBLIC_ID, mailed_morning, publish
from tests.web.served import running_server, settings_for

TOKEN = "a-token-for-prometheus-alone"
BEARER = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture
def store() -> str:
    return "sqlite"


def client_of(engine: Engine, redis_url: str, folder: Path, **changes: str) -> TestClient:
    app = create_app(settings=settings_for(redis_url, folder, **changes), engine=engine)
    return TestClient(app, raise_server_exceptions=False, client=("127.0.0.1", 50_000))


def samples(text: str) -> dict[tuple[str, ...], float]:
    """By name and label values, in the order of their labels' names."""
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_requests_are_counted_by_pattern_and_never_by_path(
    engine: Engine, redis_server: str, tmp_path: Path
) -> None:
    with client_of(engine, redis_server, tmp_path) as client:
        before = samples(client.get("/metrics").text)
        client.get("/o/a-secret-token")
        client.get("/static/site.css")
        client.get("/nowhere")
        client.request("BREW", "/nowhere")
        text = client.get("/metrics").text

    def more(*labels: str) -> float:
        key = ("newsletter_http_requests_total", *labels)
        return samples(text)[key] - before.get(key, 0)

    assert "a-secret-token" not in text
    assert more("GET", "/o/{token}", "200") == 1
    assert more("GET", "/static", "200") == 1
    assert more("GET", "none", "404") == 1
    assert more("other", "none", "404") == 1


def test_a_request_that_breaks_is_counted_as_the_error_it_is(
    engine: Engine, redis_server: str, tmp_path: Path
) -> None:
    morning = mailed_morning(engine)
    publish(engine, morning, b"damaged")
    key = ("newsletter_http_requests_total", "GET", "/e/{public_id}", "500")

    with client_of(engine, redis_server, tmp_path) as client:
        before = samples(client.get("/metrics").text).get(key, 0)
        client.get(f"/e/{PUBLIC_ID}")
        after = samples(client.get("/metrics").text)[key]

    assert after == before + 1


def test_the_token_opens_the_metrics_and_nothing_else_does(
    engine: Engine, redis_server: str, tmp_path: Path
) -> None:
    with client_of(engine, redis_server, tmp_path, metrics_token=TOKEN) as client:
        with_token = client.get("/metrics", headers=BEARER)
        without = client.get("/metrics")
        wrong = client.get("/metrics", headers={"Authorization": "Bearer wrong"})

    assert with_token.status_code == 200
    assert with_token.headers["content-type"].startswith("text/plain")
    assert (without.status_code, wrong.status_code) == (404, 404)


def test_in_production_no_address_is_trusted(
    engine: Engine, redis_server: str, tmp_path: Path
) -> None:
    production = {
        "env": "production",
        "address_key": "k" * 32,
        "base_url": "https://news.example.org",
    }

    with client_of(engine, redis_server, tmp_path, **production) as client:
        answer = client.get("/metrics")

    assert answer.status_code == 404


def test_the_pump_and_the_backlog_are_told_of(
    engine: Engine, redis_server: str, redis: "redis_client.Redis", tmp_path: Path
) -> None:
    turned_at = utc_now() - timedelta(seconds=30)
    redis.set(PUMP_TURNED, turned_at.isoformat())

    with client_of(engine, redis_server, tmp_path) as client:
        told = samples(client.get("/metrics").text)

    assert told["newsletter_pump_turned_timestamp_seconds",] == pytest.approx(turned_at.timestamp())
    assert told["newsletter_oldest_due_batch_seconds",] == 0
    assert told["newsletter_editions", "sending"] == 0
    assert told["newsletter_batches_under_way", "ready"] == 0
    assert told["newsletter_deliveries_under_way", "uncertain"] == 0


def test_metrics_are_answered_while_redis_is_away(engine: Engine, tmp_path: Path) -> None:
    with client_of(engine, f"redis://127.0.0.1:{free_port()}/0", tmp_path) as client:
        answer = client.get("/metrics")

    assert answer.status_code == 200
    assert "newsletter_pump_turned" not in answer.text
    assert ("newsletter_editions", "sending") in samples(answer.text)


def test_the_served_processes_count_together(
    database_url: str, redis_server: str, tmp_path: Path
) -> None:
    with running_server(database_url, redis_server, tmp_path / "web.log") as server:
        for _ in range(3):
            server.get("/o/x")
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
        connection.request("GET", "/metrics")
        told = samples(connection.getresponse().read().decode())
        connection.close()

    assert told["newsletter_http_requests_total", "GET", "/o/{token}", "200"] == 3
    assert told["newsletter_events_waiting",] == 0


def test_doorbells_that_nobody_took_are_counted_by_queue(
    engine: Engine, redis_server: str, redis: "redis_client.Redis", tmp_path: Path
) -> None:
    redis.rpush(Queue.DELIVER, "a bell", "another")

    with client_of(engine, redis_server, tmp_path) as client:
        told = samples(client.get("/metrics").text)

    assert told["newsletter_bells_waiting", "deliver"] == 2
    assert told["newsletter_bells_waiting", "upkeep"] == 0
