"""Single mails beside a running edition: real workers, and a mail server that is slow to answer."""

import time
from pathlib import Path

import pytest
from sqlalchemy import Engine

from newsletter.addresses import parse_address
from newsletter.clock import utc_now
from newsletter.db import reading, transaction
from newsletter.deliver.test_recipients import allow_tests
from newsletter.deliver.test_sends import ResultOfTest, request_test, results_of
from newsletter.devmail.peer import DevMail
from newsletter.devmail.script import Delay, Phase, Rule, Script
from newsletter.models import Pacing, SystemMailState, Transport
from newsletter.queue import Job, Queue, ring
from newsletter.stack.ports import free_port
from newsletter.stack.processes import Processes
from tests.newsroom import (
    MORNING,
    add_list,
    add_readers,
    add_transport,
    ringing_at,
    sending_edition,
    settings_for,
)
from tests.smtpd import checked_devmail

READERS = 1200
BELLS = 200
BEHIND_SECONDS = 5.0
"""The most that a single mail may be behind an edition."""
PATIENCE_SECONDS = 60.0
ED = parse_address("ed@desk.example")

# So slow that the edition would take half a minute and more.
SLOW = Script(rules=(Rule(phase=Phase.DOT, action=Delay(seconds=0.2)),))
_WORKER = ["celery", "--app", "workers.app", "worker", "--loglevel", "INFO"]


def test_a_test_send_is_ahead_of_everything_that_an_edition_has_queued(
    database_url: str,
    engine: Engine,
    redis_server: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """R-07."""
    settings = settings_for(
        tmp_path, database_url=database_url, redis_url=redis_server, poll_seconds=1
    )
    with (
        ringing_at(redis_server, monkeypatch),
        checked_devmail(script=SLOW) as peer,
        Processes(settings.environment(), tmp_path / "logs") as processes,
    ):
        list_id = add_list(engine)
        add_readers(engine, list_id, [f"reader{number}" for number in range(READERS)])
        edition_id = sending_edition(engine, settings, [list_id], paced_by_relay(engine, peer))
        for _ in range(BELLS):
            ring(Job.DRAIN)
        processes.start("deliver", [*_WORKER, "-n", "d@%h", "-Q", Queue.DELIVER, "-c", "2"])
        processes.start("system", [*_WORKER, "-n", "s@%h", "-Q", Queue.SYSTEM, "-c", "1"])
        peer.wait_for(20, PATIENCE_SECONDS)
        warm_up(engine, edition_id)

        posted_at = time.monotonic()
        result = send_test(engine, edition_id)
        took = time.monotonic() - posted_at

        assert result.state is SystemMailState.SENT
        assert took < BEHIND_SECONDS
        assert len(peer.messages()) < READERS


@pytest.mark.parametrize("store", ["sqlite"])
def test_a_silent_broker_delays_a_test_by_one_look_at_the_most(
    database_url: str, engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nowhere = f"redis://127.0.0.1:{free_port()}/0"
    settings = settings_for(tmp_path, database_url=database_url, redis_url=nowhere, poll_seconds=1)
    with (
        ringing_at(nowhere, monkeypatch),
        checked_devmail() as peer,
        Processes(settings.environment(), tmp_path / "logs") as processes,
    ):
        list_id = add_list(engine)
        add_readers(engine, list_id, ["Ada"])
        edition_id = sending_edition(engine, settings, [list_id], paced_by_relay(engine, peer))
        processes.start("system", [*_WORKER, "-n", "s@%h", "-Q", Queue.SYSTEM, "-c", "1"])
        warm_up(engine, edition_id)

        result = send_test(engine, edition_id)

        assert result.state is SystemMailState.SENT


@pytest.fixture
def store() -> str:
    return "postgresql"


def paced_by_relay(engine: Engine, peer: DevMail) -> int:
    transport_id = add_transport(engine, peer.port)
    with transaction(engine) as session:
        session.get_one(Transport, transport_id).pacing = Pacing.RELAY
        allow_tests(session, "@desk.example", by="Cy", now=MORNING)
    return transport_id


def warm_up(engine: Engine, edition_id: int) -> None:
    """The worker has begun once it has sent something."""
    assert send_test(engine, edition_id).state is SystemMailState.SENT


def send_test(engine: Engine, edition_id: int) -> ResultOfTest:
    with transaction(engine) as session:
        mail_ids = request_test(
            session, edition_id, to=[ED], by="Ed", most_per_minute=30, now=utc_now()
        )
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        with reading(engine) as session:
            result = results_of(session, mail_ids)[0]
        if result.is_known or time.monotonic() > deadline:
            return result
        time.sleep(0.05)
