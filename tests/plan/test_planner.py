from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
import redis as redis_client
from sqlalchemy import Engine, select

from newsletter.addresses import address_hash, parse_address
from newsletter.db import reading, transaction
from newsletter.deliver import pump
from newsletter.models import (
    EVERYWHERE,
    NO_BATCH,
    Batch,
    Delivery,
    DeliveryState,
    Domain,
    EditionState,
    Reason,
    Subscriber,
    SubscriptionStatus,
    Suppression,
    SuppressionReason,
)
from newsletter.plan import planner, schedule
from newsletter.plan.planner import plan_edition, plan_slice
from newsletter.plan.stored import get_edition
from newsletter.queue import Job, Queue
from newsletter.report.editions import edition_status
from newsletter.settings import Settings
from tests.newsroom import (
    MORNING,
    add_list,
    add_readers,
    add_transport,
    approved_edition,
    assert_ledger_is_exact,
    edition_of,
    leave,
    rung,
    sending_edition,
    states_of,
    subscribe,
)

EXCLUDED, WAITING = DeliveryState.EXCLUDED, DeliveryState.WAITING


@pytest.fixture
def transport(engine: Engine) -> int:
    return add_transport(engine, 25)


def suppress(engine: Engine, name: str, list_id: int) -> None:
    with transaction(engine) as session:
        session.add(
            Suppression(
                address_hash=address_hash(parse_address(f"{name}@readers.example")),
                list_id=list_id,
                reason=SuppressionReason.BOUNCED,
                source="test",
                created_at=MORNING,
            )
        )


def started(engine: Engine, settings: Settings, list_ids: list[int], transport: int) -> int:
    """An edition that is being sent and of which nobody is planned yet."""
    edition_id = approved_edition(engine, settings, list_ids, transport)
    with transaction(engine) as session:
        schedule.send_now(session, edition_id, now=MORNING)
    return edition_id


def deliveries(engine: Engine, edition_id: int) -> dict[int, tuple[int, Reason | None]]:
    """List and reason by subscriber."""
    with reading(engine) as session:
        rows = session.scalars(select(Delivery).where(Delivery.edition_id == edition_id))
        return {row.subscriber_id: (row.list_id, row.reason) for row in rows}


def batch_sizes(engine: Engine, edition_id: int) -> list[int]:
    with reading(engine) as session:
        return list(
            session.scalars(
                select(Batch.people)
                .where(Batch.edition_id == edition_id, Batch.number != NO_BATCH)
                .order_by(Batch.number)
            )
        )


def test_everybody_on_the_list_has_one_delivery_in_batches_of_at_most_1000(
    engine: Engine, settings: Settings, transport: int
) -> None:
    list_id = add_list(engine)
    readers = add_readers(engine, list_id, [f"r{number}" for number in range(2001)])

    edition_id = sending_edition(engine, settings, [list_id], transport)

    assert states_of(engine, edition_id) == dict.fromkeys(readers, WAITING)
    assert batch_sizes(engine, edition_id) == [1000, 1000, 1]
    assert_ledger_is_exact(engine, edition_id)


def test_exclusions_are_counted_by_reason(
    engine: Engine, settings: Settings, transport: int
) -> None:
    list_id, other = add_list(engine), add_list(engine, "noon")
    add_readers(engine, list_id, ["ada", "bo", "cy", "dee"])
    add_readers(engine, list_id, ["eve"], status=SubscriptionStatus.UNSUBSCRIBED)
    add_readers(engine, list_id, ["flo", "gus"], status=SubscriptionStatus.PENDING)
    suppress(engine, "ada", EVERYWHERE)
    suppress(engine, "bo", list_id)
    suppress(engine, "cy", other)

    edition_id = sending_edition(engine, settings, [list_id], transport)

    with reading(engine) as session:
        status = edition_status(session, edition_id)
    assert status.excluded == {"suppressed": 2, "unsubscribed": 1, "unconfirmed": 2}
    assert (status.planned, status.waiting) == (7, 2)
    assert_ledger_is_exact(engine, edition_id)


def test_a_person_on_two_lists_is_planned_once_through_the_first(
    engine: Engine, settings: Settings, transport: int
) -> None:
    first, second = add_list(engine), add_list(engine, "noon")
    ada, bo = add_readers(engine, first, ["ada", "bo"])
    [cy] = add_readers(engine, second, ["cy"])
    subscribe(engine, second, [bo])

    edition_id = sending_edition(engine, settings, [first, second], transport)

    assert deliveries(engine, edition_id) == {
        ada: (first, None),
        bo: (first, None),
        cy: (second, None),
    }
    assert_ledger_is_exact(engine, edition_id)


def test_whoever_left_the_first_list_still_gets_it_through_the_second(
    engine: Engine, settings: Settings, transport: int
) -> None:
    first, second = add_list(engine), add_list(engine, "noon")
    [ada] = add_readers(engine, first, ["ada"], status=SubscriptionStatus.UNSUBSCRIBED)
    [bo] = add_readers(engine, first, ["bo"], status=SubscriptionStatus.PENDING)
    [cy] = add_readers(engine, first, ["cy"], status=SubscriptionStatus.PENDING)
    subscribe(engine, second, [ada])
    subscribe(engine, second, [bo], status=SubscriptionStatus.UNSUBSCRIBED)

    edition_id = sending_edition(engine, settings, [first, second], transport)

    assert deliveries(engine, edition_id) == {
        ada: (second, None),
        bo: (second, Reason.UNSUBSCRIBED),
        cy: (first, Reason.UNCONFIRMED),
    }
    assert_ledger_is_exact(engine, edition_id)


def test_planning_that_was_killed_goes_on_where_the_last_slice_ended(
    engine: Engine, settings: Settings, transport: int
) -> None:
    list_id = add_list(engine)
    readers = add_readers(engine, list_id, [f"r{number}" for number in range(10)])
    edition_id = started(engine, settings, [list_id], transport)

    for size in (4, 3):
        with transaction(engine) as session:
            assert plan_slice(session, edition_id, now=MORNING, slice_size=size)

    def die_in_mid_slice() -> None:
        with transaction(engine) as session:
            plan_slice(session, edition_id, now=MORNING, slice_size=2)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        die_in_mid_slice()
    assert len(states_of(engine, edition_id)) == 7
    assert_ledger_is_exact(engine, edition_id)

    plan_edition(engine, edition_id, now=MORNING)

    assert sorted(states_of(engine, edition_id)) == readers
    assert batch_sizes(engine, edition_id) == [4, 3, 3]
    assert_ledger_is_exact(engine, edition_id)


def test_planning_again_changes_nothing(engine: Engine, settings: Settings, transport: int) -> None:
    list_id = add_list(engine)
    add_readers(engine, list_id, ["ada", "bo"])
    edition_id = sending_edition(engine, settings, [list_id], transport)
    before = deliveries(engine, edition_id)
    add_readers(engine, list_id, ["late"])

    plan_edition(engine, edition_id, now=MORNING + timedelta(hours=1))

    assert deliveries(engine, edition_id) == before
    assert edition_of(engine, edition_id).planned_at == MORNING
    assert_ledger_is_exact(engine, edition_id)


def test_planners_at_once_take_turns(
    engine: Engine, settings: Settings, transport: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    list_id = add_list(engine)
    add_readers(engine, list_id, [f"r{number}" for number in range(60)])
    edition_id = started(engine, settings, [list_id], transport)
    monkeypatch.setattr(planner.plan_slice, "__kwdefaults__", {"slice_size": 7})

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda _: plan_edition(engine, edition_id, now=MORNING), range(4)))

    assert len(states_of(engine, edition_id)) == 60
    assert max(batch_sizes(engine, edition_id)) == 7
    assert_ledger_is_exact(engine, edition_id)


def test_sending_may_begin_after_the_first_slice(
    engine: Engine, settings: Settings, transport: int, redis: "redis_client.Redis"
) -> None:
    list_id = add_list(engine)
    add_readers(engine, list_id, ["ada", "bo"])
    edition_id = started(engine, settings, [list_id], transport)

    with transaction(engine) as session:
        plan_slice(session, edition_id, now=MORNING, slice_size=1)

    assert rung(redis, Queue.DELIVER) == [(Job.DRAIN, {})]
    with reading(engine) as session:
        status = edition_status(session, edition_id)
    assert (status.is_planned, status.planned, status.waiting) == (False, 1, 1)


@pytest.mark.parametrize("state", [EditionState.CANCELLED, EditionState.SENT, EditionState.DRAFT])
def test_an_edition_that_is_not_being_sent_is_not_planned(
    engine: Engine, settings: Settings, transport: int, state: EditionState
) -> None:
    list_id = add_list(engine)
    add_readers(engine, list_id, ["ada"])
    edition_id = started(engine, settings, [list_id], transport)
    with transaction(engine) as session:
        get_edition(session, edition_id).state = state

    plan_edition(engine, edition_id, now=MORNING)

    assert states_of(engine, edition_id) == {}


def test_an_edition_to_nobody_ends_as_sent(
    engine: Engine, settings: Settings, transport: int, tmp_path: Path
) -> None:
    edition_id = sending_edition(engine, settings, [add_list(engine)], transport)

    pump.turn(engine, tmp_path / "journals", now=MORNING)

    edition = edition_of(engine, edition_id)
    assert (edition.state, edition.finished_at) == (EditionState.SENT, MORNING)
    assert_ledger_is_exact(engine, edition_id)


def test_a_batch_holds_people_of_one_route(
    engine: Engine, settings: Settings, transport: int
) -> None:
    list_id = add_list(engine)
    ada, bo, cy, dee = add_readers(engine, list_id, ["ada", "bo", "cy", "dee"])
    leave(engine, list_id, dee)
    with transaction(engine) as session:
        other = Domain(name="others.example", route=3)
        session.add(other)
        session.flush()
        for reader in (ada, cy, dee):
            session.get_one(Subscriber, reader).domain_id = other.id

    edition_id = sending_edition(engine, settings, [list_id], transport)

    with reading(engine) as session:
        placed = session.execute(
            select(Batch.number, Batch.route, Delivery.subscriber_id)
            .join(Delivery, Delivery.batch == Batch.number)
            .where(Batch.number != NO_BATCH)
            .order_by(Batch.number, Delivery.subscriber_id)
        ).all()
    assert [tuple(row) for row in placed] == [(1, 0, bo), (2, 3, ada), (2, 3, cy)]
    assert_ledger_is_exact(engine, edition_id)
