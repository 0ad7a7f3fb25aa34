"""Nobody is mailed after the deadline, and everybody is accounted for."""

from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, select

from newsletter.db import reading, transaction
from newsletter.deliver import claims, ledger, pump
from newsletter.deliver.claims import Claim
from newsletter.deliver.outcome import Reply, outcome_of
from newsletter.models import Batch, Delivery, DeliveryState, EditionState, Reason
from newsletter.plan import planner, schedule
from newsletter.plan.planner import plan_edition
from tests.newsroom import (
    MORNING,
    add_list,
    add_readers,
    add_transport,
    approved_edition,
    assert_ledger_is_exact,
    count_states,
    edition_of,
    settings_for,
)

LEASE = timedelta(minutes=10)
HOUR = timedelta(hours=1)
DEADLINE = MORNING + 4 * HOUR
BUSY, YES = Reply(451, None, "Later"), Reply(250, None, "Ok")
EXCLUDED, FAILED, SENT = DeliveryState.EXCLUDED, DeliveryState.FAILED, DeliveryState.SENT


@pytest.fixture
def edition_id(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    """Nine readers in three batches, to be mailed within four hours."""
    monkeypatch.setattr(planner, "BATCH", 3)
    list_id = add_list(engine)
    add_readers(engine, list_id, [f"r{number}" for number in range(9)])
    edition_id = approved_edition(
        engine, settings_for(tmp_path), [list_id], add_transport(engine, 25)
    )
    with transaction(engine) as session:
        schedule.send_now(session, edition_id, now=MORNING, deadline=4 * HOUR)
    plan_edition(engine, edition_id, now=MORNING)
    return edition_id


def claim(engine: Engine) -> Claim:
    with transaction(engine) as session:
        claimed = claims.claim(session, now=MORNING, lease=LEASE)
    assert claimed is not None
    return claimed


def settle(engine: Engine, claimed: Claim, reply: Reply, people: Iterable[int]) -> None:
    with transaction(engine) as session:
        outcomes = [outcome_of(person, reply) for person in people]
        ledger.record(session, claimed.lease, outcomes, revision=1, at=MORNING)
        ledger.give_back(session, claimed.lease, due_at=MORNING)


def reasons(engine: Engine) -> dict[DeliveryState, set[Reason | None]]:
    with reading(engine) as session:
        found: dict[DeliveryState, set[Reason | None]] = {}
        for state, reason in session.execute(select(Delivery.state, Delivery.reason)):
            found.setdefault(state, set()).add(reason)
        return found


def test_who_waits_is_excluded_and_who_was_tried_has_failed(
    engine: Engine, edition_id: int, folder: Path
) -> None:
    one, two = claim(engine), claim(engine)
    first = [reader.subscriber_id for reader in one.readers]
    settle(engine, one, YES, first)
    settle(engine, two, BUSY, [two.readers[0].subscriber_id])

    pump.turn(engine, folder, now=DEADLINE)

    assert count_states(engine, edition_id) == {SENT: 3, FAILED: 1, EXCLUDED: 5}
    assert reasons(engine)[FAILED] == reasons(engine)[EXCLUDED] == {Reason.TOO_LATE}
    assert edition_of(engine, edition_id).state is EditionState.SENT
    assert_ledger_is_exact(engine, edition_id)


def test_whoever_waits_for_their_second_try_has_failed(
    engine: Engine, edition_id: int, folder: Path
) -> None:
    claimed = claim(engine)
    settle(engine, claimed, BUSY, [reader.subscriber_id for reader in claimed.readers])
    pump.turn(engine, folder, now=MORNING + HOUR)
    with reading(engine) as session:
        again = session.get_one(Batch, (edition_id, 4))
        assert (again.people, again.wave, again.deadline_at) == (3, 1, DEADLINE)

    pump.turn(engine, folder, now=DEADLINE)

    assert count_states(engine, edition_id) == {FAILED: 3, EXCLUDED: 6}
    assert_ledger_is_exact(engine, edition_id)


@pytest.mark.parametrize("store", ["sqlite"])
def test_a_moment_before_the_deadline_nobody_is_left_out(
    engine: Engine, edition_id: int, folder: Path
) -> None:
    pump.turn(engine, folder, now=DEADLINE - timedelta(seconds=1))

    assert count_states(engine, edition_id) == {DeliveryState.WAITING: 9}


@pytest.mark.parametrize("store", ["sqlite"])
def test_a_pause_does_not_stop_the_deadline(engine: Engine, edition_id: int, folder: Path) -> None:
    with transaction(engine) as session:
        schedule.pause(session, edition_id)

    pump.turn(engine, folder, now=DEADLINE)

    assert count_states(engine, edition_id) == {EXCLUDED: 9}
    assert_ledger_is_exact(engine, edition_id)


def test_a_worker_that_holds_a_batch_stops_at_its_next_window(
    engine: Engine, edition_id: int, folder: Path
) -> None:
    claimed = claim(engine)
    last = claimed.readers[-1].subscriber_id

    with transaction(engine) as session:
        may_go_on = ledger.intend(session, claimed.lease, upto=last, now=DEADLINE, extend=LEASE)
    pump.turn(engine, folder, now=DEADLINE)

    assert not may_go_on
    assert count_states(engine, edition_id) == {DeliveryState.WAITING: 3, EXCLUDED: 6}
    settle(engine, claimed, YES, [last])
    pump.turn(engine, folder, now=DEADLINE)
    assert count_states(engine, edition_id) == {SENT: 1, EXCLUDED: 8}
    assert_ledger_is_exact(engine, edition_id)


@pytest.mark.parametrize("store", ["sqlite"])
def test_a_batch_whose_deadline_is_over_is_not_claimed(engine: Engine, edition_id: int) -> None:
    with transaction(engine) as session:
        assert claims.claim(session, now=DEADLINE, lease=LEASE) is None
