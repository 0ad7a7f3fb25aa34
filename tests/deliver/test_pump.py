import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
import redis as redis_client
from sqlalchemy import Engine

from newsletter.db import reading, transaction
from newsletter.deliver import claims, ledger, pump
from newsletter.deliver.claims import Claim
from newsletter.deliver.outcome import Reply, outcome_of
from newsletter.models import Batch, DeliveryState, EditionState
from newsletter.plan import planner, schedule
from newsletter.queue import Job, Queue
from tests.newsroom import (
    MORNING,
    add_list,
    add_readers,
    add_transport,
    approved_edition,
    assert_ledger_is_exact,
    count_states,
    edition_of,
    rung,
    sending_edition,
    settings_for,
)

LEASE = timedelta(minutes=10)
NOW = MORNING + timedelta(minutes=1)
LATER = NOW + timedelta(minutes=7)
BUSY, NO = Reply(451, None, "Later"), Reply(550, None, "No")
WAITING, DEFERRED, FAILED = DeliveryState.WAITING, DeliveryState.DEFERRED, DeliveryState.FAILED


@pytest.fixture
def edition_id(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    """Twelve readers in three batches."""
    monkeypatch.setattr(planner, "BATCH", 4)
    list_id = add_list(engine)
    add_readers(engine, list_id, [f"r{number}" for number in range(12)])
    return sending_edition(engine, settings_for(tmp_path), [list_id], add_transport(engine, 25))


def claim(engine: Engine) -> Claim:
    with transaction(engine) as session:
        claimed = claims.claim(session, now=NOW, lease=LEASE)
    assert claimed is not None
    return claimed


def defer(engine: Engine, claimed: Claim, people: list[int], *, is_over: bool = True) -> None:
    with transaction(engine) as session:
        outcomes = [outcome_of(person, BUSY) for person in people]
        ledger.record(session, claimed.lease, outcomes, revision=1, at=NOW)
        if is_over:
            ledger.give_back(session, claimed.lease, due_at=NOW)


def ids(claimed: Claim) -> list[int]:
    return [reader.subscriber_id for reader in claimed.readers]


def test_people_whose_next_try_is_due_share_a_new_batch(
    engine: Engine, edition_id: int, folder: Path
) -> None:
    for _ in range(2):
        claimed = claim(engine)
        defer(engine, claimed, ids(claimed)[:2])

    pump.turn(engine, folder, now=NOW + timedelta(minutes=2))
    assert count_states(engine, edition_id) == {WAITING: 8, DEFERRED: 4}

    pump.turn(engine, folder, now=LATER)

    with reading(engine) as session:
        newest = session.get_one(Batch, (edition_id, 4))
    assert (newest.people, newest.due_at) == (4, LATER)
    assert count_states(engine, edition_id) == {WAITING: 12}
    assert edition_of(engine, edition_id).last_batch == 4
    assert_ledger_is_exact(engine, edition_id)


def test_pumps_at_once_release_everybody_once(
    engine: Engine, edition_id: int, folder: Path
) -> None:
    for _ in range(3):
        claimed = claim(engine)
        defer(engine, claimed, ids(claimed))

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda _: pump.turn(engine, folder, now=LATER), range(4)))

    assert count_states(engine, edition_id) == {WAITING: 12}
    assert_ledger_is_exact(engine, edition_id)


@pytest.mark.parametrize("step", ["release", "cancel"])
def test_a_pump_and_a_worker_in_the_same_batch_do_not_lock_each_other_out(
    engine: Engine, edition_id: int, folder: Path, step: str
) -> None:
    """The worker holds the batch and writes rows that point to the edition; the pump holds the
    edition and waits for the batch.
    """
    claimed = claim(engine)
    one, two, *_ = ids(claimed)
    defer(engine, claimed, [one], is_over=False)
    if step == "cancel":
        with transaction(engine) as session:
            schedule.cancel(session, edition_id)

    with ThreadPoolExecutor(1) as threads:
        with transaction(engine) as session:
            ledger.intend(session, claimed.lease, upto=two, now=NOW, extend=LEASE)
            turned = threads.submit(pump.turn, engine, folder, now=LATER)
            time.sleep(0.4)  # until the pump waits for the batch
            ledger.record(session, claimed.lease, [outcome_of(two, NO)], revision=1, at=NOW)
        turned.result(timeout=30)

    assert count_states(engine, edition_id)[FAILED] == 1
    assert DEFERRED not in count_states(engine, edition_id)
    assert_ledger_is_exact(engine, edition_id)


def test_a_cancelled_edition_ends_when_its_claimed_batches_have_come_back(
    engine: Engine, edition_id: int, folder: Path
) -> None:
    claimed = claim(engine)
    with transaction(engine) as session:
        schedule.cancel(session, edition_id)

    pump.turn(engine, folder, now=NOW)
    assert count_states(engine, edition_id) == {WAITING: 4, DeliveryState.CANCELLED: 8}
    assert edition_of(engine, edition_id).finished_at is None
    assert_ledger_is_exact(engine, edition_id)

    defer(engine, claimed, ids(claimed)[:1])
    pump.turn(engine, folder, now=NOW)

    assert count_states(engine, edition_id) == {DeliveryState.CANCELLED: 12}
    assert edition_of(engine, edition_id).finished_at == NOW
    assert_ledger_is_exact(engine, edition_id)


def test_an_edition_with_somebody_deferred_is_not_over(
    engine: Engine, edition_id: int, folder: Path
) -> None:
    for number in range(3):
        claimed = claim(engine)
        people = ids(claimed)
        with transaction(engine) as session:
            outcomes = [outcome_of(person, NO) for person in people[1:]]
            outcomes.append(outcome_of(people[0], BUSY if number == 1 else NO))
            ledger.record(session, claimed.lease, outcomes, revision=1, at=NOW)
            ledger.give_back(session, claimed.lease, due_at=NOW)

    pump.turn(engine, folder, now=NOW)

    assert count_states(engine, edition_id) == {FAILED: 11, DEFERRED: 1}
    assert edition_of(engine, edition_id).state is EditionState.SENDING


def test_a_paused_edition_keeps_its_deferred_people(
    engine: Engine, edition_id: int, folder: Path
) -> None:
    claimed = claim(engine)
    defer(engine, claimed, ids(claimed))
    with transaction(engine) as session:
        schedule.pause(session, edition_id)

    pump.turn(engine, folder, now=LATER)

    assert count_states(engine, edition_id) == {WAITING: 8, DEFERRED: 4}
    assert_ledger_is_exact(engine, edition_id)


def test_lost_bells_are_rung_again(
    engine: Engine, edition_id: int, folder: Path, tmp_path: Path, redis: "redis_client.Redis"
) -> None:
    unplanned = approved_edition(engine, settings_for(tmp_path), [1], 1)
    with transaction(engine) as session:
        schedule.send_now(session, unplanned, now=MORNING)
    redis.flushall()

    pump.turn(engine, folder, now=NOW)

    assert rung(redis, Queue.UPKEEP) == [(Job.PLAN_EDITION, {"edition_id": unplanned})]
    assert rung(redis, Queue.DELIVER) == [(Job.DRAIN, {})] * 3


def test_a_scheduled_edition_is_begun_when_its_wave_is_near_and_not_before(
    engine: Engine, folder: Path, tmp_path: Path, redis: "redis_client.Redis"
) -> None:
    scheduled = approved_edition(
        engine, settings_for(tmp_path), [add_list(engine)], add_transport(engine, 25)
    )
    with transaction(engine) as session:
        schedule.send_at(session, scheduled, NOW + timedelta(hours=1), now=NOW)
    redis.flushall()

    pump.turn(engine, folder, now=NOW + timedelta(minutes=49))
    assert edition_of(engine, scheduled).state is EditionState.SCHEDULED
    assert rung(redis, Queue.UPKEEP) == []

    pump.turn(engine, folder, now=NOW + timedelta(minutes=50))
    assert edition_of(engine, scheduled).state is EditionState.SENDING
    assert (Job.PLAN_EDITION, {"edition_id": scheduled}) in rung(redis, Queue.UPKEEP)


def test_a_wave_that_is_far_off_rings_no_bell(
    engine: Engine, folder: Path, tmp_path: Path, redis: "redis_client.Redis"
) -> None:
    scheduled = approved_edition(
        engine, settings_for(tmp_path), [add_list(engine)], add_transport(engine, 25)
    )
    due_at = NOW + timedelta(minutes=5)
    with transaction(engine) as session:
        schedule.send_at(session, scheduled, due_at, now=NOW)
    pump.turn(engine, folder, now=NOW)
    planner.plan_edition(engine, scheduled, now=NOW)
    redis.flushall()

    pump.turn(engine, folder, now=NOW + timedelta(minutes=1))
    assert rung(redis, Queue.UPKEEP) == []

    pump.turn(engine, folder, now=due_at)  # the sweep
    assert rung(redis, Queue.UPKEEP) == [(Job.PLAN_EDITION, {"edition_id": scheduled})]
