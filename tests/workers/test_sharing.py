"""Several real Celery workers on one PostgreSQL and one Valkey, and one of them killed."""

import os
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path

import pytest
from sqlalchemy import Engine

from newsletter.db import reading, transaction
from newsletter.devmail.script import Script
from newsletter.plan import schedule
from newsletter.queue import Queue
from newsletter.report.editions import EditionStatus, edition_status
from newsletter.stack.processes import Processes
from tests.newsroom import (
    MORNING,
    add_list,
    add_readers,
    add_transport,
    approved_edition,
    settings_for,
)
from tests.smtpd import checked_devmail

READERS = 2500
WORKERS = ("one", "two", "three")
CONNECTIONS = 2
PATIENCE_SECONDS = 120.0

# Every answer a little late, so that the sending lasts long enough to be disturbed.
SLOW = Script.model_validate(
    {"rules": [{"phase": "dot", "action": {"do": "delay", "seconds": 0.004}}]}
)


@pytest.fixture
def store() -> str:
    return "postgresql"


def test_three_workers_share_an_edition_exactly_though_one_is_killed(
    database_url: str, engine: Engine, redis_server: str, tmp_path: Path
) -> None:
    settings = settings_for(
        tmp_path, database_url=database_url, redis_url=redis_server, poll_seconds=0.5
    )
    with (
        checked_devmail(script=SLOW) as peer,
        Processes(settings.environment(), tmp_path / "logs") as processes,
    ):
        list_id = add_list(engine)
        add_readers(engine, list_id, [f"reader{number}" for number in range(READERS)])
        transport_id = add_transport(engine, peer.port, connections=CONNECTIONS)
        edition_id = approved_edition(engine, settings, [list_id], transport_id)
        for name in WORKERS:
            processes.start(name, _worker(name, Queue.DELIVER))
        processes.start("upkeep", _worker("upkeep", f"{Queue.UPKEEP},{Queue.FEEDBACK}"))
        processes.start("beat", [*_CELERY, "beat", "-s", str(tmp_path / "beat")])
        with transaction(engine) as session:
            # No doorbell reaches Valkey from here: workers and pump must find the edition.
            schedule.send_now(session, edition_id, now=MORNING)

        peer.wait_for(READERS // 3, PATIENCE_SECONDS)
        _kill_with_children(processes.children["two"])
        status = _wait_until_over(engine, edition_id)

        mailed = Counter(received.rcpt_to[0] for received in peer.messages())
        assert status.planned == READERS
        assert status.sent + status.uncertain == READERS
        assert set(mailed.values()) == {1}
        assert status.sent <= len(mailed) <= status.sent + status.uncertain
        assert status.uncertain <= CONNECTIONS
        logs = {name: processes.log(name).read_text() for name in WORKERS}
        assert all("batch delivered" in logs[name] for name in ("one", "three"))


_CELERY = ["celery", "--app", "workers.app"]


def _worker(name: str, queues: str) -> list[str]:
    return [*_CELERY, "worker", "-n", f"{name}@%h", "-Q", queues, "-c", "1", "--loglevel", "INFO"]


def _kill_with_children(worker: "subprocess.Popen[bytes]") -> None:
    # Each child of the stack leads a process group of its own.
    os.killpg(worker.pid, signal.SIGKILL)


def _wait_until_over(engine: Engine, edition_id: int) -> EditionStatus:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        with reading(engine) as session:
            status = edition_status(session, edition_id)
        if status.is_over:
            return status
        time.sleep(0.1)
    message = f"still {status}"
    raise TimeoutError(message)
