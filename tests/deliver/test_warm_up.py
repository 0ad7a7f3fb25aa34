from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine, update

from newsletter.addresses import parse_address
from newsletter.audience.suppression import suppress
from newsletter.db import reading, transaction
from newsletter.deliver import warm_up
from newsletter.deliver.warm_up import Day, Plan, cap_on, days_needed, next_day
from newsletter.errors import InputError, StateError
from newsletter.models import Batch, Delivery, DeliveryState, SuppressionReason, WarmUpDay
from tests.newsroom import add_list, add_readers, add_transport, sending_edition, settings_for

MONDAY = date(2026, 11, 23)
MORNING = datetime(2026, 11, 23, 6, tzinfo=UTC)
A_DAY = timedelta(days=1)
PLAN = Plan()
GOOGLE, YAHOO = 1, 2


def a_day(*, cap: int | None = 1000, tried: int = 1000, ago: int = 1, **went: int) -> Day:
    return Day(MONDAY - timedelta(days=ago), cap, tried, **went)


@pytest.mark.parametrize(
    ("last", "cap"),
    [
        (None, 100),
        (a_day(), 1500),
        (a_day(ago=29), 1500),
        (a_day(cap=40_000), 50_000),
        (a_day(cap=50_000), None),
        (a_day(cap=None), None),
        (a_day(deferred=50), 1500),
        (a_day(deferred=51), 1000),
        (a_day(tried=4000, complaints=2), 1500),
        (a_day(tried=4000, complaints=3), 1000),
        (a_day(blocked=1), 666),
        (a_day(cap=100, blocked=1), 100),
        (a_day(cap=50_000, deferred=900), 50_000),
        (a_day(cap=None, blocked=1), 33_333),
        (a_day(ago=30), 250),
        (a_day(cap=300, ago=30), 100),
        (a_day(cap=None, ago=45), 12_500),
    ],
)
def test_r30_the_days_cap_follows_from_the_last_day_in_use(
    last: Day | None, cap: int | None
) -> None:
    assert cap_on(MONDAY, PLAN, last) == cap


@given(st.integers(1, 200_000), st.integers(1, 500), st.floats(1.1, 3))
def test_r31_the_estimate_is_what_the_plan_comes_to(
    people: int, first_cap: int, growth: float
) -> None:
    plan = Plan(max(first_cap, 10), growth, 20_000)
    cap: int | None = plan.first_cap
    left, days = people, 0
    while cap is not None and left > cap:
        left -= cap
        days += 1
        cap = cap_on(MONDAY, plan, Day(MONDAY - A_DAY, cap, cap))

    assert days_needed(people, plan, cap=plan.first_cap, left_today=plan.first_cap) == days


def test_a_day_ends_at_midnight_in_utc() -> None:
    assert next_day(MORNING) == datetime(2026, 11, 24, tzinfo=UTC)


@pytest.fixture
def transport_id(engine: Engine) -> int:
    transport_id = add_transport(engine, 25)
    with transaction(engine) as session:
        warm_up.start(session, transport_id, PLAN, now=MORNING)
    return transport_id


def reserve(
    engine: Engine, transport_id: int, wanted: int, *, route: int = GOOGLE, now: datetime = MORNING
) -> int:
    with transaction(engine) as session:
        return warm_up.reserve(session, transport_id, route, wanted, now=now)


def observe(
    engine: Engine,
    transport_id: int,
    *,
    tried: int,
    now: datetime,
    deferred: int = 0,
    blocked: int = 0,
) -> None:
    with transaction(engine) as session:
        warm_up.observe(
            session,
            transport_id,
            GOOGLE,
            tried=tried,
            deferred=deferred,
            blocked=blocked,
            now=now,
        )


def test_r30_fourteen_days_go_as_planned_for_each_provider(
    engine: Engine, transport_id: int
) -> None:
    people = {GOOGLE: 60_000, YAHOO: 1_000}
    sent: dict[int, list[int]] = defaultdict(list)

    for number in range(14):
        now = MORNING + number * A_DAY
        for route in people:
            today = 0
            # Batches of 500 until the day has no more.
            while allowed := reserve(
                engine, transport_id, min(500, people[route]), route=route, now=now
            ):
                people[route] -= allowed
                today += allowed
            sent[route].append(today)

    assert sent[GOOGLE] == [
        *(100, 150, 225, 337, 505, 757, 1135),
        *(1702, 2553, 3829, 5743, 8614, 12_921, 19_381),
    ]
    assert sent[YAHOO] == [100, 150, 225, 337, 188, *[0] * 9]


def test_r30_what_was_not_tried_is_given_back(engine: Engine, transport_id: int) -> None:
    assert reserve(engine, transport_id, 500) == 100
    assert reserve(engine, transport_id, 500) == 0
    with reading(engine) as session:
        assert warm_up.exhausted(session, now=MORNING) == {(transport_id, GOOGLE)}

    with transaction(engine) as session:
        warm_up.give_back(session, transport_id, GOOGLE, 30, reserved_at=MORNING)

    with reading(engine) as session:
        assert warm_up.exhausted(session, now=MORNING) == frozenset()
    assert reserve(engine, transport_id, 500) == 30


def test_r30_the_next_day_there_is_room_again(engine: Engine, transport_id: int) -> None:
    reserve(engine, transport_id, 500)

    with reading(engine) as session:
        assert warm_up.exhausted(session, now=next_day(MORNING)) == frozenset()
    assert reserve(engine, transport_id, 500, now=next_day(MORNING)) == 150


def test_r30_a_bad_day_is_repeated_and_a_block_goes_a_step_back(
    engine: Engine, transport_id: int
) -> None:
    caps = []
    for number, went in enumerate(({}, {"deferred": 20}, {}, {"blocked": 1}, {})):
        now = MORNING + number * A_DAY
        caps.append(reserve(engine, transport_id, 10_000, now=now))
        observe(engine, transport_id, tried=caps[-1], now=now, **went)

    assert caps == [100, 150, 150, 225, 150]


def test_r30_a_day_without_mail_changes_nothing(engine: Engine, transport_id: int) -> None:
    reserve(engine, transport_id, 500)
    reserve(engine, transport_id, 0, now=MORNING + A_DAY)

    assert reserve(engine, transport_id, 500, now=MORNING + 2 * A_DAY) == 150


def test_a_transport_without_a_plan_has_no_cap(engine: Engine) -> None:
    assert reserve(engine, add_transport(engine, 25), 500) == 500


def test_a_plan_that_is_stopped_caps_nothing_any_more(engine: Engine, transport_id: int) -> None:
    reserve(engine, transport_id, 500)

    with transaction(engine) as session:
        warm_up.stop(session, transport_id)

    assert reserve(engine, transport_id, 500) == 500
    with transaction(engine) as session, pytest.raises(StateError, match="not being warmed up"):
        warm_up.stop(session, transport_id)


def test_a_new_plan_goes_on_from_where_the_transport_stands(
    engine: Engine, transport_id: int
) -> None:
    reserve(engine, transport_id, 500)

    with transaction(engine) as session:
        warm_up.start(session, transport_id, Plan(growth=2.0), now=MORNING)

    assert reserve(engine, transport_id, 500, now=MORNING + A_DAY) == 200


@pytest.mark.parametrize(
    "plan", [Plan(first_cap=0), Plan(first_cap=60_000), Plan(growth=1.0), Plan(10, 1.05)]
)
def test_a_plan_that_leads_nowhere_is_refused(engine: Engine, plan: Plan) -> None:
    transport_id = add_transport(engine, 25)

    with transaction(engine) as session, pytest.raises(InputError):
        warm_up.start(session, transport_id, plan, now=MORNING)


def complain(engine: Engine, name: str, *, now: datetime) -> None:
    with transaction(engine) as session:
        suppress(
            session,
            parse_address(f"{name}@readers.example"),
            reason=SuppressionReason.COMPLAINED,
            source="feedback loop",
            now=now,
        )


def test_r30_complaints_hold_the_next_days_cap(
    engine: Engine, transport_id: int, tmp_path: Path
) -> None:
    """Whoever was mailed another way, or another day, says nothing about this one."""
    list_id = add_list(engine)
    ada, bo, cy, _ = add_readers(engine, list_id, ["Ada", "Bo", "Cy", "Dee"])
    edition_id = sending_edition(engine, settings_for(tmp_path), [list_id], transport_id)
    reserve(engine, transport_id, 100)
    observe(engine, transport_id, tried=100, now=MORNING)
    with transaction(engine) as session:
        session.execute(
            update(Batch)
            .where(Batch.edition_id == edition_id)
            .values(transport_id=transport_id, route=GOOGLE)
        )
        for reader, sent_at in ((ada, MORNING), (bo, MORNING), (cy, MORNING - 30 * A_DAY)):
            delivery = session.get_one(Delivery, (edition_id, reader))
            delivery.state, delivery.sent_at = DeliveryState.SENT, sent_at

    # Bo complained the day before, about something else; Dee was not mailed.
    complain(engine, "bo", now=MORNING - A_DAY)
    for name in ("ada", "cy", "dee"):
        complain(engine, name, now=MORNING + timedelta(hours=3))

    assert reserve(engine, transport_id, 500, now=MORNING + A_DAY) == 100
    assert reserve(engine, transport_id, 500, now=MORNING + 2 * A_DAY) == 150
    with reading(engine) as session:
        assert session.get_one(WarmUpDay, (transport_id, GOOGLE, MONDAY)).complaints == 1


def test_r30_complaints_about_mail_to_another_provider_change_nothing(
    engine: Engine, transport_id: int
) -> None:
    list_id = add_list(engine)
    add_readers(engine, list_id, ["Ada"])
    reserve(engine, transport_id, 100)

    complain(engine, "ada", now=MORNING)

    assert reserve(engine, transport_id, 500, now=MORNING + A_DAY) == 150
