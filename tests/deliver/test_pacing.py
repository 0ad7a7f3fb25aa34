"""Limits and warm-up as a worker meets them: real batches, a real Redis, a real mail server."""

from collections import Counter
from datetime import timedelta
from pathlib import Path

import pytest
import redis as redis_client
from sqlalchemy import Engine, select

from newsletter.clock import utc_now
from newsletter.db import reading, transaction
from newsletter.deliver import warm_up
from newsletter.deliver.providers import route_numbers, set_limits
from newsletter.deliver.sender import Sender
from newsletter.deliver.warm_up import Plan
from newsletter.devmail.peer import DevMail
from newsletter.models import (
    Batch,
    BatchState,
    DeliveryState,
    Domain,
    EditionTransport,
    Pacing,
    Subscriber,
    Transport,
    WarmUpDay,
)
from newsletter.plan.rates import Rate
from newsletter.settings import Settings
from tests.newsroom import (
    add_list,
    add_readers,
    add_transport,
    assert_ledger_is_exact,
    count_states,
    sending_edition,
    settings_for,
    states_of,
)
from tests.smtpd import smtpd

__all__ = ["smtpd"]

SENT, WAITING = DeliveryState.SENT, DeliveryState.WAITING


@pytest.fixture
def settings(tmp_path: Path, redis_server: str, redis: "redis_client.Redis") -> Settings:
    assert redis.dbsize() == 0
    return settings_for(tmp_path, redis_url=redis_server)


class Newsroom:
    """A list with readers at two providers, and an edition to them that is due."""

    def __init__(self, engine: Engine, settings: Settings, port: int, *, readers: int) -> None:
        self.engine, self.settings = engine, settings
        self.transport = add_transport(engine, port)
        self.list_id = add_list(engine)
        self.readers = add_readers(engine, self.list_id, [f"r{n}" for n in range(readers)])
        self.googlers = self.readers[::2]
        with transaction(engine) as session:
            domain = Domain(name="gmail.com", route=route_numbers(session)["google"])
            session.add(domain)
            session.flush()
            for number in self.googlers:
                session.get_one(Subscriber, number).domain_id = domain.id

    def begin(self) -> int:
        edition_id = sending_edition(self.engine, self.settings, [self.list_id], self.transport)
        with transaction(self.engine) as session:
            session.merge(
                EditionTransport(edition_id=edition_id, transport_id=self.transport, weight=1)
            )
        return edition_id

    def drain(self) -> None:
        with Sender(self.engine, self.settings) as sender:
            sender.drain(seconds=20)


def test_r20_each_provider_has_batches_of_its_own(
    engine: Engine, settings: Settings, smtpd: DevMail
) -> None:
    newsroom = Newsroom(engine, settings, smtpd.port, readers=6)

    edition_id = newsroom.begin()

    with reading(engine) as session:
        batches = session.execute(
            select(Batch.route, Batch.people).where(
                Batch.edition_id == edition_id, Batch.number > 0
            )
        ).all()
        google = route_numbers(session)["google"]
    assert sorted(tuple(row) for row in batches) == [(0, 3), (google, 3)]


def test_r24_a_slow_provider_holds_up_nobody_else(
    engine: Engine, settings: Settings, smtpd: DevMail
) -> None:
    newsroom = Newsroom(engine, settings, smtpd.port, readers=10)
    with transaction(engine) as session:
        session.get_one(Transport, newsroom.transport).pacing = Pacing.PROVIDERS
        set_limits(session, "google", connections=1, rate=Rate.parse("1/min"))
    edition_id = newsroom.begin()

    newsroom.drain()

    states = states_of(engine, edition_id)
    assert Counter(states[number] for number in newsroom.googlers) == {SENT: 1, WAITING: 4}
    assert {states[number] for number in newsroom.readers[1::2]} == {SENT}
    with reading(engine) as session:
        rest = session.scalars(
            select(Batch.due_at).where(
                Batch.edition_id == edition_id, Batch.state == BatchState.READY
            )
        ).one()
    assert timedelta(seconds=40) < rest - utc_now() <= timedelta(seconds=60)
    assert_ledger_is_exact(engine, edition_id, smtpd)


def test_r30_what_a_day_may_not_carry_waits_for_the_next(
    engine: Engine, settings: Settings, smtpd: DevMail
) -> None:
    newsroom = Newsroom(engine, settings, smtpd.port, readers=10)
    with transaction(engine) as session:
        warm_up.start(session, newsroom.transport, Plan(first_cap=2, growth=2), now=utc_now())
    edition_id = newsroom.begin()

    newsroom.drain()

    assert count_states(engine, edition_id) == {SENT: 4, WAITING: 6}
    with reading(engine) as session:
        days = session.scalars(select(WarmUpDay)).all()
        assert {(day.cap, day.reserved, day.tried) for day in days} == {(2, 2, 2)}
        assert len(warm_up.exhausted(session, now=utc_now())) == 2
        assert not warm_up.exhausted(session, now=warm_up.next_day(utc_now()))
    assert_ledger_is_exact(engine, edition_id, smtpd)
