"""One worker process, and a provider that takes long for each answer."""

import threading
import time
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import redis as redis_client
from sqlalchemy import Engine, update

from newsletter.db import reading, transaction
from newsletter.deliver.crew import Crew
from newsletter.deliver.providers import route_numbers
from newsletter.devmail.peer import DevMail
from newsletter.devmail.script import Delay, Phase, Rule, Script
from newsletter.models import Batch, DeliveryState, Domain, Pacing, Subscriber, Transport
from newsletter.settings import Settings
from tests.newsroom import (
    MORNING,
    add_list,
    add_readers,
    add_transport,
    assert_ledger_is_exact,
    count_states,
    sending_edition,
    settings_for,
)
from tests.smtpd import checked_devmail

SLOW_SECONDS = 4.0
"""For the minute that an answer of the slow provider takes."""
PATIENCE_SECONDS = 0.3
CONNECTIONS = 4
READERS = 60
SLOW_READERS = 6

SLOW = Script(
    rules=(
        Rule(phase=Phase.DOT, domain="yahoo.com", action=Delay(seconds=SLOW_SECONDS)),
        # So that the others take some time, too.
        Rule(phase=Phase.DOT, domain="gmail.com", action=Delay(seconds=0.005)),
    )
)


@pytest.fixture
def settings(tmp_path: Path, redis_server: str, redis: "redis_client.Redis") -> Settings:
    assert redis.dbsize() == 0
    return settings_for(
        tmp_path, redis_url=redis_server, lease_seconds=20.0, dot_timeout_seconds=20.0
    )


@pytest.fixture
def peer() -> Iterator[DevMail]:
    with checked_devmail(script=SLOW) as peer:
        yield peer


def move(engine: Engine, readers: list[int], provider: str, domain: str) -> None:
    with transaction(engine) as session:
        known = Domain(name=domain, route=route_numbers(session)[provider])
        session.add(known)
        session.flush()
        for number in readers:
            person = session.get_one(Subscriber, number)
            person.domain_id = known.id
            person.address = f"r{number}@{domain}"


def begin(engine: Engine, settings: Settings, peer: DevMail) -> int:
    """An edition to many readers at Google and a few at Yahoo."""
    transport = add_transport(engine, peer.port, connections=CONNECTIONS)
    with transaction(engine) as session:
        session.get_one(Transport, transport).pacing = Pacing.PROVIDERS
    list_id = add_list(engine)
    readers = add_readers(engine, list_id, [f"r{n}" for n in range(READERS)])
    move(engine, readers[:SLOW_READERS], "yahoo", "yahoo.com")
    move(engine, readers[SLOW_READERS:], "google", "gmail.com")
    return sending_edition(engine, settings, [list_id], transport)


def mailed(peer: DevMail) -> Counter[str]:
    return Counter(mail.rcpt_to[0].partition("@")[2] for mail in peer.messages())


def test_r24_readers_elsewhere_are_mailed_while_a_provider_keeps_the_only_process_waiting(
    engine: Engine, settings: Settings, peer: DevMail
) -> None:
    edition_id = begin(engine, settings, peer)
    with transaction(engine) as session:
        # Whoever looks first finds the slow provider.
        yahoo = route_numbers(session)["yahoo"]
        session.execute(
            update(Batch).where(Batch.route == yahoo).values(due_at=MORNING - timedelta(hours=1))
        )

    with Crew(engine, settings, patience_seconds=PATIENCE_SECONDS) as crew:
        draining = threading.Thread(target=crew.drain, kwargs={"seconds": 30})
        began = time.monotonic()
        draining.start()
        while mailed(peer)["gmail.com"] < READERS - SLOW_READERS:
            assert time.monotonic() - began < SLOW_SECONDS
            time.sleep(0.01)
        are_waiting = draining.is_alive()
        draining.join()

    assert are_waiting
    assert count_states(engine, edition_id) == {DeliveryState.SENT: READERS}
    assert_ledger_is_exact(engine, edition_id, peer)


def test_a_crew_that_nobody_holds_up_is_one_sender(
    engine: Engine, settings: Settings, tmp_path: Path
) -> None:
    with checked_devmail() as peer:
        edition_id = begin(engine, settings, peer)

        with Crew(engine, settings) as crew:
            assert crew.has_due_work()
            crew.drain(seconds=20)
            assert not crew.has_due_work()

            assert len(list((tmp_path / "journals").glob("*.journal"))) == 1
        assert count_states(engine, edition_id) == {DeliveryState.SENT: READERS}


def test_a_crew_that_is_to_stop_relieves_nobody(
    engine: Engine, settings: Settings, peer: DevMail
) -> None:
    edition_id = begin(engine, settings, peer)
    stop = threading.Event()

    with Crew(engine, settings, patience_seconds=PATIENCE_SECONDS, should_stop=stop.is_set) as crew:
        stop.set()
        assert crew.drain(seconds=30) == 0

    with reading(engine):
        assert count_states(engine, edition_id) == {DeliveryState.WAITING: READERS}
