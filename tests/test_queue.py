import time
from collections.abc import Iterator

import pytest
import redis as redis_client
from sqlalchemy import Engine, text
from sqlalchemy.orm import Session

from newsletter.db import transaction
from newsletter.queue import QUEUE_OF, Job, Queue, enqueue_after_commit, ring
from newsletter.stack.ports import free_port
from tests.newsroom import ringing_at, rung


@pytest.fixture
def _doorbell(redis_server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with ringing_at(redis_server, monkeypatch):
        yield


pytestmark = pytest.mark.usefixtures("_doorbell")


def test_a_bell_is_rung_when_the_transaction_commits_and_not_before(
    engine: Engine, redis: "redis_client.Redis"
) -> None:
    with transaction(engine) as session:
        enqueue_after_commit(session, Job.PLAN_EDITION, edition_id=7)
        enqueue_after_commit(session, Job.PUMP)
        session.execute(text("SELECT 1"))
        assert rung(redis, Queue.UPKEEP) == []

    assert rung(redis, Queue.UPKEEP) == [(Job.PLAN_EDITION, {"edition_id": 7}), (Job.PUMP, {})]


def test_a_rollback_forgets_the_bell(engine: Engine, redis: "redis_client.Redis") -> None:
    def fail() -> None:
        with transaction(engine) as session:
            session.execute(text("SELECT 1"))
            enqueue_after_commit(session, Job.DRAIN)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()

    assert rung(redis, Queue.DELIVER) == []


def test_a_released_savepoint_sends_nothing(engine: Engine, redis: "redis_client.Redis") -> None:
    with transaction(engine) as session:
        with session.begin_nested():
            enqueue_after_commit(session, Job.DRAIN)
        assert rung(redis, Queue.DELIVER) == []

    assert rung(redis, Queue.DELIVER) == [(Job.DRAIN, {})]


def test_a_rolled_back_savepoint_keeps_the_bells_that_were_set_before(
    engine: Engine, redis: "redis_client.Redis"
) -> None:
    with transaction(engine) as session:
        enqueue_after_commit(session, Job.DRAIN)
        savepoint = session.begin_nested()
        savepoint.rollback()

    assert rung(redis, Queue.DELIVER) == [(Job.DRAIN, {})]


def test_a_session_that_goes_on_does_not_ring_again_for_what_it_rang(
    engine: Engine, redis: "redis_client.Redis"
) -> None:
    with Session(engine) as session:
        enqueue_after_commit(session, Job.DRAIN)
        session.commit()
        session.execute(text("SELECT 1"))
        session.commit()
        enqueue_after_commit(session, Job.DRAIN)
        session.rollback()

    assert rung(redis, Queue.DELIVER) == [(Job.DRAIN, {})]


@pytest.mark.parametrize("job", Job)
def test_each_job_rings_at_its_own_queue(job: Job, redis: "redis_client.Redis") -> None:
    ring(job)

    assert {queue: rung(redis, queue) for queue in Queue} == {
        queue: [(job, {})] if queue is QUEUE_OF[job] else [] for queue in Queue
    }


def test_a_broker_that_is_away_costs_little_and_raises_nothing(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with ringing_at(f"redis://127.0.0.1:{free_port()}/0", monkeypatch):
        started = time.monotonic()
        with transaction(engine) as session:
            enqueue_after_commit(session, Job.PUMP)

        assert time.monotonic() - started < 4
    assert "doorbell not rung" in caplog.text


def test_a_broker_that_takes_nothing_more_raises_nothing(
    redis: "redis_client.Redis", caplog: pytest.LogCaptureFixture
) -> None:
    """F-13: full, and told not to evict."""
    redis.config_set("maxmemory", 1)
    try:
        ring(Job.PUMP)
    finally:
        redis.config_set("maxmemory", 0)

    assert "doorbell not rung" in caplog.text
