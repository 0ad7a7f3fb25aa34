from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, select

from newsletter.addresses import address_hash, parse_address
from newsletter.db import reading, transaction
from newsletter.deliver import claims, ledger
from newsletter.deliver.claims import Claim
from newsletter.deliver.outcome import Outcome, Reply, outcome_of
from newsletter.errors import FencedError
from newsletter.models import (
    EVERYWHERE,
    Attempt,
    Batch,
    BatchState,
    Deferral,
    Delivery,
    DeliveryState,
    Reason,
    Suppression,
    SuppressionReason,
)
from newsletter.plan import planner, schedule
from tests.newsroom import (
    MORNING,
    add_list,
    add_readers,
    add_transport,
    assert_ledger_is_exact,
    count_states,
    leave,
    sending_edition,
    settings_for,
    states_of,
)

LEASE = timedelta(seconds=60)
NOW = MORNING + timedelta(minutes=1)
OK = Reply(250, "2.0.0", "Accepted")
BUSY = Reply(451, "4.7.1", "Try later")
NO = Reply(550, "5.1.1", "Nobody here")


@pytest.fixture
def edition_id(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    """Nine readers in three batches."""
    monkeypatch.setattr(planner, "BATCH", 3)
    list_id = add_list(engine)
    add_readers(engine, list_id, [f"r{number}" for number in range(9)])
    return sending_edition(engine, settings_for(tmp_path), [list_id], add_transport(engine, 25))


def claim(engine: Engine, *, after: timedelta = timedelta()) -> Claim | None:
    with transaction(engine) as session:
        return claims.claim(session, now=NOW + after, lease=LEASE)


def must_claim(engine: Engine, *, after: timedelta = timedelta()) -> Claim:
    claimed = claim(engine, after=after)
    assert claimed is not None
    return claimed


def batch_of(engine: Engine, claimed: Claim) -> Batch:
    with reading(engine) as session:
        return session.get_one(Batch, (claimed.lease.edition_id, claimed.lease.batch))


def test_claimers_at_once_get_different_batches(engine: Engine, edition_id: int) -> None:
    with ThreadPoolExecutor(6) as threads:
        claims = list(threads.map(lambda _: claim(engine), range(6)))

    taken = [each for each in claims if each is not None]
    assert sorted(each.lease.batch for each in taken) == [1, 2, 3]
    people = [reader.subscriber_id for each in taken for reader in each.readers]
    assert len(set(people)) == len(people) == 9
    assert_ledger_is_exact(engine, edition_id)


def test_readers_come_in_the_order_of_their_ids(engine: Engine, edition_id: int) -> None:
    readers = must_claim(engine).readers

    assert [reader.name for reader in readers] == ["r0", "r1", "r2"]
    assert readers[0].address == "r0@readers.example"
    assert readers[0].joined_on == MORNING.date()
    assert readers[0].first_at is None


def test_nothing_is_claimed_before_it_is_due(engine: Engine, edition_id: int) -> None:
    assert claim(engine, after=timedelta(minutes=-2)) is None
    with reading(engine) as session:
        assert claims.has_due_work(session, now=NOW)
        assert not claims.has_due_work(session, now=MORNING - LEASE)


def test_people_who_left_since_planning_are_excluded_with_the_reason(
    engine: Engine, edition_id: int
) -> None:
    everybody = list(states_of(engine, edition_id))
    leave(engine, 1, everybody[0])
    with transaction(engine) as session:
        session.add(
            Suppression(
                address_hash=address_hash(parse_address("r1@readers.example")),
                list_id=EVERYWHERE,
                reason=SuppressionReason.COMPLAINED,
                source="test",
                created_at=MORNING,
            )
        )

    readers = must_claim(engine).readers

    assert [reader.subscriber_id for reader in readers] == [everybody[2]]
    with reading(engine) as session:
        reasons = session.scalars(
            select(Delivery.reason)
            .where(Delivery.state == DeliveryState.EXCLUDED)
            .order_by(Delivery.subscriber_id)
        ).all()
    assert reasons == [Reason.UNSUBSCRIBED, Reason.SUPPRESSED]
    assert_ledger_is_exact(engine, edition_id)


def test_intent_never_goes_back_and_extends_the_lease(engine: Engine, edition_id: int) -> None:
    claimed = must_claim(engine)
    with transaction(engine) as session:
        for upto in (2, 1):
            assert ledger.intend(session, claimed.lease, upto=upto, now=NOW + LEASE, extend=LEASE)

    batch = batch_of(engine, claimed)
    assert batch.intent_upto == 2
    assert batch.lease_until == NOW + 2 * LEASE


def test_a_paused_edition_lets_nothing_more_out_and_keeps_the_lease(
    engine: Engine, edition_id: int
) -> None:
    claimed = must_claim(engine)
    with transaction(engine) as session:
        schedule.pause(session, edition_id)

    with transaction(engine) as session:
        may_go_on = ledger.intend(session, claimed.lease, upto=3, now=NOW + LEASE, extend=LEASE)

    batch = batch_of(engine, claimed)
    assert not may_go_on
    assert batch.intent_upto == 0
    assert batch.lease_until == NOW + 2 * LEASE
    assert claim(engine) is None


def test_whoever_was_replaced_is_fenced(engine: Engine, edition_id: int) -> None:
    stale = must_claim(engine)
    with transaction(engine) as session:
        ledger.give_back(session, stale.lease, due_at=MORNING)
    fresh = must_claim(engine)
    assert fresh.lease.batch == stale.lease.batch
    assert fresh.lease.token == stale.lease.token + 1

    with pytest.raises(FencedError), transaction(engine) as session:
        ledger.intend(session, stale.lease, upto=3, now=NOW, extend=LEASE)
    with pytest.raises(FencedError), transaction(engine) as session:
        ledger.keep(session, stale.lease, now=NOW, extend=LEASE)
    with transaction(engine) as session:
        ledger.give_back(session, stale.lease, due_at=MORNING)

    assert batch_of(engine, fresh).state is BatchState.CLAIMED


def test_every_outcome_is_written_once_with_its_counter(engine: Engine, edition_id: int) -> None:
    claimed = must_claim(engine)
    one, two, three = (reader.subscriber_id for reader in claimed.readers)
    outcomes = [outcome_of(one, OK), outcome_of(two, BUSY), outcome_of(three, NO)]

    for _ in range(2):
        with transaction(engine) as session:
            ledger.record(session, claimed.lease, outcomes, revision=1, at=NOW)
    with transaction(engine) as session:
        ledger.give_back(session, claimed.lease, due_at=NOW)

    batch = batch_of(engine, claimed)
    assert (batch.sent, batch.deferred, batch.failed) == (1, 1, 1)
    assert batch.state is BatchState.DONE
    with reading(engine) as session:
        attempts = session.scalars(select(Attempt).order_by(Attempt.subscriber_id)).all()
    assert [(each.code, each.enhanced, each.reply) for each in attempts] == [
        (451, "4.7.1", "Try later"),
        (550, "5.1.1", "Nobody here"),
    ]
    assert_ledger_is_exact(engine, edition_id)


def test_a_delivery_that_stays_deferred_for_a_day_fails(engine: Engine, edition_id: int) -> None:
    claimed = must_claim(engine)
    reader = claimed.readers[0].subscriber_id
    day = timedelta(hours=24)
    with transaction(engine) as session:
        session.add(Deferral(edition_id=edition_id, subscriber_id=reader, first_at=NOW - day))

    with transaction(engine) as session:
        ledger.record(session, claimed.lease, [outcome_of(reader, BUSY)], revision=1, at=NOW)

    with reading(engine) as session:
        delivery = session.get_one(Delivery, (edition_id, reader))
    assert (delivery.state, delivery.reason) == (DeliveryState.FAILED, Reason.EXPIRED)
    assert_ledger_is_exact(engine, edition_id)


def test_a_batch_with_people_left_is_ready_again_and_declares_nobody(
    engine: Engine, edition_id: int
) -> None:
    claimed = must_claim(engine)
    with transaction(engine) as session:
        ledger.intend(session, claimed.lease, upto=9, now=NOW, extend=LEASE)
        ledger.record(
            session,
            claimed.lease,
            [outcome_of(claimed.readers[0].subscriber_id, OK)],
            revision=1,
            at=NOW,
        )
        ledger.give_back(session, claimed.lease, due_at=NOW + LEASE)

    batch = batch_of(engine, claimed)
    assert (batch.state, batch.intent_upto, batch.lease_until) == (BatchState.READY, 0, None)
    assert batch.due_at == NOW + LEASE
    assert_ledger_is_exact(engine, edition_id)


def test_doubt_falls_on_the_intended_who_have_no_outcome(engine: Engine, edition_id: int) -> None:
    claimed = must_claim(engine)
    one, two, three = (reader.subscriber_id for reader in claimed.readers)
    with transaction(engine) as session:
        ledger.intend(session, claimed.lease, upto=two, now=NOW, extend=LEASE)
        ledger.record(session, claimed.lease, [outcome_of(one, OK)], revision=1, at=NOW)
        doubtful = ledger.doubt(session, claimed.lease, None, reason=Reason.WORKER_DIED, at=NOW)

    states = states_of(engine, edition_id)
    assert doubtful == 1
    assert [states[each] for each in (one, two, three)] == [
        DeliveryState.SENT,
        DeliveryState.UNCERTAIN,
        DeliveryState.WAITING,
    ]


def test_the_date_that_a_first_try_carried_is_kept_for_the_next(
    engine: Engine, edition_id: int
) -> None:
    claimed = must_claim(engine)
    reader = claimed.readers[0].subscriber_id
    outcome = Outcome(reader, DeliveryState.DEFERRED, Reason.BUSY, BUSY, date=MORNING)
    with transaction(engine) as session:
        ledger.record(session, claimed.lease, [outcome], revision=1, at=NOW)

    with reading(engine) as session:
        deferral = session.get_one(Deferral, (edition_id, reader))
    assert deferral.first_at == MORNING
    assert deferral.next_at is not None
    assert deferral.next_at > NOW


def test_recorders_of_two_batches_at_once_lose_no_count(engine: Engine, edition_id: int) -> None:
    """Both write the same rows of figures, with people who left for several reasons."""
    claims = [must_claim(engine), must_claim(engine), must_claim(engine)]

    def record(claimed: Claim) -> None:
        one, two, three = (reader.subscriber_id for reader in claimed.readers)
        with transaction(engine) as session:
            ledger.intend(session, claimed.lease, upto=three, now=NOW, extend=LEASE)
            ledger.record(session, claimed.lease, [outcome_of(three, NO)], revision=1, at=NOW)
            ledger.exclude(
                session, claimed.lease, {one: Reason.UNSUBSCRIBED, two: Reason.SUPPRESSED}
            )
            ledger.give_back(session, claimed.lease, due_at=NOW)

    with ThreadPoolExecutor(3) as threads:
        list(threads.map(record, claims))

    assert count_states(engine, edition_id) == {
        DeliveryState.EXCLUDED: 6,
        DeliveryState.FAILED: 3,
    }
    assert_ledger_is_exact(engine, edition_id)
