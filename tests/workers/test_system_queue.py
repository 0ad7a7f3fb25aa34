"""Single mails beside a running edition: real workers, and a mail server that is slow to answer."""

import time
from pathlib import Path

import pytest
from sqlalchemy import Engine, insert, select

from newsletter.addresses import HASH_BYTES, parse_address
from newsletter.clock import utc_now
from newsletter.db import reading, transaction
from newsletter.deliver.test_recipients import allow_tests
from newsletter.deliver.test_sends import ResultOfTest, request_test, results_of
from newsletter.devmail.peer import DevMail
from newsletter.devmail.script import Delay, Phase, Rule, Script
from newsletter.models import (
    DeliveryState,
    Domain,
    Pacing,
    Subscriber,
    Subscription,
    SubscriptionStatus,
    SystemMailState,
    Transport,
)
from newsletter.plan import schedule
from newsletter.queue import Job, Queue, ring
from newsletter.report.editions import edition_status
from newsletter.stack.ports import free_port
from newsletter.stack.processes import Processes
from tests.newsroom import (
    MORNING,
    add_list,
    add_readers,
    add_transport,
    approved_edition,
    people_in,
    ringing_at,
    sending_edition,
    settings_for,
)
from tests.smtpd import checked_devmail

READERS = 8_000
"""In place of a million: they outlast the test by far, and are still being planned as it begins."""
BELLS = 500
TESTS = 3
BEHIND_SECONDS = 5.0
"""The most that a single mail may be behind an edition."""
PATIENCE_SECONDS = 60.0
ED = parse_address("ed@desk.example")

# So slow that the edition would take minutes, with every connection busy all the time.
SLOW = Script(rules=(Rule(phase=Phase.DOT, domain="readers.example", action=Delay(seconds=0.1)),))
_WORKER = ["celery", "--app", "workers.app", "worker", "--loglevel", "INFO"]


@pytest.mark.parametrize("store", ["sqlite", "postgresql"])
def test_test_sends_are_ahead_of_a_large_edition_that_is_planned_and_sent_meanwhile(
    database_url: str,
    engine: Engine,
    redis_server: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """R-07: with every worker busy, planning under way and thousands of bells in the queue."""
    settings = settings_for(
        tmp_path, database_url=database_url, redis_url=redis_server, poll_seconds=1
    )
    with (
        ringing_at(redis_server, monkeypatch),
        checked_devmail(script=SLOW) as peer,
        Processes(settings.environment(), tmp_path / "logs") as processes,
    ):
        list_id = add_list(engine)
        add_crowd(engine, list_id)
        edition_id = approved_edition(engine, settings, [list_id], paced_by_relay(engine, peer))
        for _ in range(BELLS):
            ring(Job.DRAIN)
        for name, queues, children in (
            ("deliver", Queue.DELIVER.value, "2"),
            ("system", Queue.SYSTEM.value, "1"),
            ("upkeep", f"{Queue.UPKEEP},{Queue.FEEDBACK}", "2"),
        ):
            processes.start(name, [*_WORKER, "-n", f"{name}@%h", "-Q", queues, "-c", children])
        beat = ["celery", "--app", "workers.app", "beat", "-s", str(tmp_path / "beat")]
        processes.start("beat", beat)
        warm_up(engine, edition_id)
        with transaction(engine) as session:
            schedule.send_now(session, edition_id, now=utc_now())
        peer.wait_for(20, PATIENCE_SECONDS)

        took, results = [], []
        for _ in range(TESTS):
            posted_at = time.monotonic()
            results.append(send_test(engine, edition_id).state)
            took.append(time.monotonic() - posted_at)

        assert results == [SystemMailState.SENT] * TESTS
        assert max(took) < BEHIND_SECONDS
        with reading(engine) as session:
            status = edition_status(session, edition_id)
        assert status.sent < READERS // 2
        assert people_in(engine, edition_id, DeliveryState.WAITING) > 0


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


def add_crowd(engine: Engine, list_id: int) -> None:
    """So many readers that planning takes a while."""
    first, *_ = add_readers(engine, list_id, ["Ada"])
    numbers = range(first + 1, first + READERS)
    with transaction(engine) as session:
        domain_id = session.scalars(select(Domain.id)).one()
        people = [
            {
                "id": number,
                "address": f"r{number}@readers.example",
                "address_key": f"r{number}@readers.example",
                "address_hash": number.to_bytes(HASH_BYTES, "big"),
                "domain_id": domain_id,
                "created_at": MORNING,
            }
            for number in numbers
        ]
        session.execute(insert(Subscriber), people)
        confirmed = {
            "list_id": list_id,
            "status": SubscriptionStatus.CONFIRMED,
            "joined_at": MORNING,
        }
        session.execute(
            insert(Subscription), [confirmed | {"subscriber_id": number} for number in numbers]
        )


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
