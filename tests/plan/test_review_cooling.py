"""A sending that can be pulled back, and how carefully it is begun (S-31)."""

from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine

from newsletter.db import reading, transaction
from newsletter.errors import InputError, StateError
from newsletter.models import AudienceCount, Edition, EditionState, InstallationSetting, MailingList
from newsletter.plan import schedule
from newsletter.plan.caution import Caution, caution_for, require_number
from newsletter.plan.counting import count_audience, counted_places
from newsletter.plan.planner import plan_edition
from newsletter.plan.release import release_editions
from tests.newsroom import (
    MORNING,
    add_list,
    add_readers,
    add_transport,
    approved_edition,
    edition_of,
    leave,
    live_in,
    settings_for,
    states_of,
    subscribe,
)

MINUTE = timedelta(minutes=1)


@pytest.fixture
def readers(engine: Engine) -> list[int]:
    readers = add_readers(engine, add_list(engine), ["Ada", "Bo", "Cy"])
    live_in(engine, "Asia/Shanghai", readers[:1])
    return readers


@pytest.fixture
def edition_id(engine: Engine, readers: list[int], tmp_path: Path) -> int:
    return approved_edition(engine, settings_for(tmp_path), [1], add_transport(engine, 25))


def send_soon(engine: Engine, edition_id: int) -> None:
    with transaction(engine) as session:
        schedule.send_soon(session, edition_id, now=MORNING, cool_off=MINUTE)


def test_nothing_begins_while_it_can_be_pulled_back(engine: Engine, edition_id: int) -> None:
    send_soon(engine, edition_id)

    release_editions(engine, now=MORNING + timedelta(seconds=59))

    assert edition_of(engine, edition_id).state is EditionState.SCHEDULED
    assert states_of(engine, edition_id) == {}


def test_when_the_time_is_over_it_begins(engine: Engine, edition_id: int) -> None:
    send_soon(engine, edition_id)

    release_editions(engine, now=MORNING + MINUTE)
    plan_edition(engine, edition_id, now=MORNING + MINUTE)

    assert edition_of(engine, edition_id).state is EditionState.SENDING
    assert len(states_of(engine, edition_id)) == 3
    with pytest.raises(StateError, match="It has begun"), transaction(engine) as session:
        schedule.unschedule(session, edition_id)


def test_pulled_back_it_is_approved_and_may_be_sent_again(engine: Engine, edition_id: int) -> None:
    send_soon(engine, edition_id)

    with transaction(engine) as session:
        schedule.unschedule(session, edition_id)
    release_editions(engine, now=MORNING + 2 * MINUTE)

    edition = edition_of(engine, edition_id)
    assert (edition.state, edition.held_until) == (EditionState.APPROVED, None)
    send_soon(engine, edition_id)


def count(engine: Engine, edition_id: int) -> AudienceCount:
    with transaction(engine) as session:
        return count_audience(session, session.get_one(Edition, edition_id), now=MORNING)


def test_people_are_counted_once_with_the_reasons_of_those_left_out(
    engine: Engine, readers: list[int], edition_id: int
) -> None:
    leave(engine, 1, readers[2])

    counted = count(engine, edition_id)

    assert (counted.people, counted.excluded) == (3, {"unsubscribed": 1})
    assert counted_places(counted) == {("Asia/Shanghai", None): 1, ("UTC", None): 1}


def test_who_left_one_of_two_lists_gets_it_through_the_other(
    engine: Engine, readers: list[int], tmp_path: Path
) -> None:
    noon, transport = add_list(engine, "noon"), add_transport(engine, 25)
    subscribe(engine, noon, readers[:2])
    leave(engine, 1, readers[0])
    both = approved_edition(engine, settings_for(tmp_path), [1, noon], transport)

    counted = count(engine, both)

    assert (counted.people, counted.excluded) == (3, {})


@pytest.mark.parametrize(
    ("above", "own", "expected"),
    [
        (10, None, Caution(3, needs_number=False, cool_off=timedelta())),
        (2, None, Caution(3, needs_number=True, cool_off=MINUTE)),
        (2, 5, Caution(3, needs_number=True, cool_off=timedelta(seconds=5))),
        (10, 30, Caution(3, needs_number=False, cool_off=timedelta(seconds=30))),
    ],
)
def test_a_large_sending_needs_its_number_and_can_be_pulled_back(
    engine: Engine, edition_id: int, above: int, own: int | None, expected: Caution
) -> None:
    count(engine, edition_id)
    with transaction(engine) as session:
        session.get_one(MailingList, 1).cool_off_seconds = own
        session.add(
            InstallationSetting(
                name="confirm_above", value=above, changed_at=MORNING, changed_by="Ada"
            )
        )

    with reading(engine) as session:
        assert caution_for(session, edition_id) == expected


@pytest.mark.parametrize("typed", ["12000", "12,000", "12 000"])
def test_the_number_may_be_typed_as_people_write_it(typed: str) -> None:
    require_number(Caution(12_000, needs_number=True, cool_off=MINUTE), typed)


@pytest.mark.parametrize("typed", ["", "1200", "yes", "١٢٠٠٠"])
def test_another_number_is_refused(typed: str) -> None:
    with pytest.raises(InputError, match="people: type 12000"):
        require_number(Caution(12_000, needs_number=True, cool_off=MINUTE), typed)
