"""Which batch is claimed next, and which cannot be."""

from datetime import timedelta

import pytest
from sqlalchemy import Engine, insert, select, update

from newsletter.db import reading, transaction
from newsletter.deliver import claims
from newsletter.deliver.claims import Claim, Crowded
from newsletter.deliver.providers import route_numbers
from newsletter.models import (
    Batch,
    Delivery,
    DeliveryState,
    Domain,
    DomainVerdict,
    WarmUp,
)
from newsletter.plan import planner
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

LEASE = timedelta(seconds=60)


@pytest.fixture
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return settings_for(tmp_path_factory.mktemp("state"))


class Queue:
    """Six batches of two readers, three for google and then three for yahoo."""

    def __init__(self, engine: Engine, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(planner, "BATCH", 2)
        self.engine = engine
        self.transport_id = add_transport(engine, 25)
        list_id = add_list(engine)
        add_readers(engine, list_id, [f"r{number}" for number in range(12)])
        self.edition = sending_edition(engine, settings, [list_id], self.transport_id)
        with transaction(engine) as session:
            numbers = route_numbers(session)
            self.google, self.yahoo = numbers["google"], numbers["yahoo"]
            for route, batches in (
                (self.google, Batch.number <= 3),
                (self.yahoo, Batch.number > 3),
            ):
                session.execute(update(Batch).where(batches).values(route=route))

    def claim(self, crowded: Crowded = lambda _transport_id: ()) -> Claim | None:
        with transaction(self.engine) as session:
            return claims.claim(session, now=MORNING, lease=LEASE, crowded=crowded)

    def claimed_routes(self, times: int) -> list[int]:
        return [each.route for _ in range(times) if (each := self.claim()) is not None]


def test_r24_a_slow_provider_never_has_all_the_workers(
    engine: Engine, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = Queue(engine, settings, monkeypatch)

    routes = queue.claimed_routes(7)

    assert sorted(routes[:2]) == sorted(routes[2:4]) == sorted([queue.google, queue.yahoo])
    assert len(routes) == 6


def test_r24_a_provider_without_a_free_connection_is_left_for_later(
    engine: Engine, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = Queue(engine, settings, monkeypatch)
    full = {queue.transport_id: [queue.google]}

    claimed = [queue.claim(lambda transport_id: full[transport_id]) for _ in range(4)]

    assert [each and each.route for each in claimed] == [queue.yahoo] * 3 + [None]
    with reading(engine) as session:
        assert claims.has_due_work(session, now=MORNING)


def test_of_batches_that_are_due_together_the_lowest_tier_goes_first(
    engine: Engine, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = Queue(engine, settings, monkeypatch)
    with transaction(engine) as session:
        session.execute(update(Batch).values(route=0, tier=2))
        session.execute(update(Batch).where(Batch.number == 5).values(tier=1))

    claimed = [queue.claim() for _ in range(2)]

    assert [each.lease.batch for each in claimed if each is not None] == [5, 1]


def test_a_batch_past_its_deadline_is_not_claimed(
    engine: Engine, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = Queue(engine, settings, monkeypatch)
    with transaction(engine) as session:
        session.execute(update(Batch).values(deadline_at=MORNING))

    assert queue.claim() is None


def test_r30_a_claim_takes_no_more_people_than_the_day_has_room_for(
    engine: Engine, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = Queue(engine, settings, monkeypatch)
    with transaction(engine) as session:
        session.execute(update(Batch).values(route=queue.google))
        session.execute(
            insert(WarmUp).values(
                transport_id=queue.transport_id,
                first_cap=3,
                growth=1.5,
                full_cap=100,
                started_at=MORNING,
            )
        )

    claimed = [queue.claim() for _ in range(3)]

    assert [len(each.readers) for each in claimed if each is not None] == [2, 1]


def test_r25_nobody_is_mailed_at_a_domain_that_takes_no_mail(
    engine: Engine, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = Queue(engine, settings, monkeypatch)
    with transaction(engine) as session:
        session.execute(update(Domain).values(verdict=DomainVerdict.NO_MAIL))

    claimed = queue.claim()

    assert claimed is not None
    assert claimed.readers == ()
    assert count_states(engine, queue.edition)[DeliveryState.FAILED] == 2
    with reading(engine) as session:
        codes = session.scalars(select(Delivery.code).where(Delivery.code.is_not(None)))
        assert set(codes) == {556}
    assert_ledger_is_exact(engine, queue.edition)
