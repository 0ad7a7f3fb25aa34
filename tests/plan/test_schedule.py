from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import date, time, timedelta
from pathlib import Path

import pytest
import redis as redis_client
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from newsletter.db import transaction
from newsletter.errors import InputError, NotFoundError, StateError
from newsletter.models import EditionState, Past
from newsletter.plan import schedule
from newsletter.plan.planner import plan_edition
from newsletter.plan.stored import get_edition
from newsletter.queue import Job, Queue
from tests.newsroom import (
    MORNING,
    add_list,
    add_readers,
    add_transport,
    approved_edition,
    assert_ledger_is_exact,
    edition_of,
    rung,
    settings_for,
    states_of,
)

DRAFT, APPROVED, SENDING = EditionState.DRAFT, EditionState.APPROVED, EditionState.SENDING
PAUSED, SENT, CANCELLED = EditionState.PAUSED, EditionState.SENT, EditionState.CANCELLED
SCHEDULED = EditionState.SCHEDULED
TOMORROW, SEVEN = date(2026, 11, 21), time(7)


@pytest.fixture
def edition_id(engine: Engine, tmp_path: Path) -> int:
    list_id = add_list(engine)
    add_readers(engine, list_id, ["Ada", "Bo"])
    return approved_edition(engine, settings_for(tmp_path), [list_id], add_transport(engine, 25))


def send_now(session: Session, edition_id: int) -> None:
    schedule.send_now(session, edition_id, now=MORNING)


def send_at(session: Session, edition_id: int) -> None:
    schedule.send_at(session, edition_id, MORNING + timedelta(hours=1), now=MORNING)


def send_local(session: Session, edition_id: int) -> None:
    schedule.send_local(session, edition_id, TOMORROW, SEVEN, past=Past.SEND, now=MORNING)


Step = Callable[[Session, int], None]
# Of an edition that has not begun: one that is paused goes back to its schedule.
ALLOWED: dict[Step, tuple[set[EditionState], EditionState]] = {
    send_now: ({APPROVED}, SENDING),
    send_at: ({APPROVED}, SCHEDULED),
    send_local: ({APPROVED}, SCHEDULED),
    schedule.unschedule: ({SCHEDULED, PAUSED}, APPROVED),
    schedule.pause: ({SENDING, SCHEDULED}, PAUSED),
    schedule.resume: ({PAUSED}, SCHEDULED),
    schedule.cancel: (
        {DRAFT, EditionState.IN_REVIEW, APPROVED, SCHEDULED, SENDING, PAUSED},
        CANCELLED,
    ),
}


@pytest.mark.parametrize("step", ALLOWED)
def test_each_step_starts_from_its_own_states_and_from_no_other(
    engine: Engine, edition_id: int, step: Step
) -> None:
    since, to = ALLOWED[step]
    for state in EditionState:
        with transaction(engine) as session:
            savepoint = session.begin_nested()
            edition = get_edition(session, edition_id)
            edition.state = state
            session.flush()

            if state in since:
                step(session, edition_id)
                session.refresh(edition)
                assert edition.state is to
            else:
                with pytest.raises(StateError, match=f"Edition {edition_id} is {state.words}"):
                    step(session, edition_id)
            savepoint.rollback()


def test_a_draft_is_told_to_be_approved_first(engine: Engine, edition_id: int) -> None:
    with transaction(engine) as session:
        get_edition(session, edition_id).state = DRAFT

    with pytest.raises(StateError, match="Approve it first"), transaction(engine) as session:
        send_now(session, edition_id)


def test_an_edition_that_does_not_exist_cannot_be_sent(engine: Engine) -> None:
    with pytest.raises(NotFoundError, match="no edition 99"), transaction(engine) as session:
        send_now(session, 99)


def test_what_was_paused_while_it_was_sent_is_sent_on(engine: Engine, edition_id: int) -> None:
    with transaction(engine) as session:
        send_now(session, edition_id)
        schedule.pause(session, edition_id)
        with pytest.raises(StateError, match="is paused"):
            schedule.unschedule(session, edition_id)

        schedule.resume(session, edition_id)

    assert edition_of(engine, edition_id).state is SENDING


def test_what_is_scheduled_cannot_be_sent_before_its_schedule_is_taken_back(
    engine: Engine, edition_id: int
) -> None:
    with transaction(engine) as session:
        send_at(session, edition_id)

    with pytest.raises(StateError, match="edition unschedule"), transaction(engine) as session:
        send_now(session, edition_id)

    with transaction(engine) as session:
        schedule.unschedule(session, edition_id)
        send_now(session, edition_id)
    plan_edition(engine, edition_id, now=MORNING)
    assert len(states_of(engine, edition_id)) == 2


def test_an_instant_longer_ago_than_the_deadline_is_refused(
    engine: Engine, edition_id: int
) -> None:
    yesterday = MORNING - timedelta(days=1)

    with (
        pytest.raises(InputError, match="nobody would be mailed"),
        transaction(engine) as session,
    ):
        schedule.send_at(session, edition_id, yesterday, now=MORNING)

    assert edition_of(engine, edition_id).state is APPROVED


def test_a_local_time_that_is_over_everywhere_is_refused(engine: Engine, edition_id: int) -> None:
    day = date(2026, 11, 18)

    with (
        pytest.raises(InputError, match="too late for 07:00"),
        transaction(engine) as session,
    ):
        schedule.send_local(session, edition_id, day, SEVEN, past=Past.SEND, now=MORNING)

    assert edition_of(engine, edition_id).state is APPROVED


def test_fifty_clicks_on_send_are_one_run(
    engine: Engine, edition_id: int, redis: "redis_client.Redis"
) -> None:
    """F-25."""

    def click(_: int) -> bool:
        try:
            with transaction(engine) as session:
                send_now(session, edition_id)
        except StateError:
            return False
        return True

    with ThreadPoolExecutor(10) as threads:
        started = list(threads.map(click, range(50)))

    assert started.count(True) == 1
    assert rung(redis, Queue.UPKEEP) == [(Job.PLAN_EDITION, {"edition_id": edition_id})]
    plan_edition(engine, edition_id, now=MORNING)
    assert len(states_of(engine, edition_id)) == 2
    assert edition_of(engine, edition_id).started_at == MORNING
    assert_ledger_is_exact(engine, edition_id)


def test_of_a_send_and_a_cancellation_at_once_either_order_makes_sense(
    engine: Engine, edition_id: int
) -> None:
    def step(which: Step) -> None:
        try:
            with transaction(engine) as session:
                which(session, edition_id)
        except StateError:
            pass

    with ThreadPoolExecutor(2) as threads:
        list(threads.map(step, (send_now, schedule.cancel)))

    assert edition_of(engine, edition_id).state is CANCELLED
