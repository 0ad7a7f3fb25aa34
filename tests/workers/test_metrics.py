"""A real Celery worker whose children count and whose main process tells."""

import http.client
import time
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import redis as redis_client
from sqlalchemy import Engine

from newsletter.clock import utc_now
from newsletter.devmail.peer import DevMail
from newsletter.queue import Queue
from newsletter.redis import BEAT_RANG
from newsletter.stack.ports import free_port
from newsletter.stack.processes import Processes
from tests.newsroom import add_list, add_readers, add_transport, sending_edition, settings_for
from tests.smtpd import smtpd

__all__ = ["smtpd"]

PATIENCE_SECONDS = 60.0


@pytest.fixture
def store() -> str:
    return "sqlite"


def test_the_main_process_tells_what_its_children_sent(
    database_url: str, engine: Engine, redis_server: str, smtpd: DevMail, tmp_path: Path
) -> None:
    port = free_port()
    settings = settings_for(
        tmp_path,
        database_url=database_url,
        redis_url=redis_server,
        poll_seconds=0.2,
        metrics_port=port,
    )
    list_id = add_list(engine)
    add_readers(engine, list_id, ["Ada", "Bo", "Cy"])
    sending_edition(engine, settings, [list_id], add_transport(engine, smtpd.port))
    command = ["celery", "--app", "workers.app", "worker", "-n", "told@%h", "-c", "2"]

    with Processes(settings.environment(), tmp_path / "logs") as processes:
        processes.start("worker", [*command, "-Q", Queue.DELIVER, "--loglevel", "INFO"])
        told = wait_for(port, 'newsletter_messages_total{outcome="sent"} 3.0')

    assert 'newsletter_batches_total{end="given back"} 1.0' in told
    assert 'newsletter_phases_total{phase="wire"} 3.0' in told
    assert 'newsletter_phases_total{phase="make"} 3.0' in told
    assert 'newsletter_phases_total{phase="record"}' in told
    assert 'newsletter_phases_total{phase="claim"}' in told
    assert "newsletter_smtp_connections" in told


def test_beat_tells_what_it_rings_for(
    database_url: str, redis_server: str, redis: "redis_client.Redis", tmp_path: Path
) -> None:
    port = free_port()
    settings = settings_for(
        tmp_path, database_url=database_url, redis_url=redis_server, metrics_port=port
    )

    with Processes(settings.environment(), tmp_path / "logs") as processes:
        processes.start(
            "beat", ["celery", "--app", "workers.app", "beat", "-s", str(tmp_path / "beat")]
        )
        told = wait_for(port, 'newsletter_beats_total{job="newsletter.pump"}')

    assert 'newsletter_beats_total{job="newsletter.record_events"}' in told
    rang_at = redis.get(BEAT_RANG)
    assert isinstance(rang_at, bytes)
    assert utc_now() - datetime.fromisoformat(rang_at.decode()) < timedelta(minutes=1)


def wait_for(port: int, line: str) -> str:
    """The text of the first scrape with this line, and with the batch that it belongs to done."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    told = ""
    while time.monotonic() < deadline:
        told = scrape(port)
        if line in told and ("newsletter_batches_total{" in told or "newsletter_beats" in told):
            return told
        time.sleep(0.1)
    raise TimeoutError(told)


def scrape(port: int) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", "/metrics")
        return connection.getresponse().read().decode()
    except OSError:
        return ""
    finally:
        connection.close()
