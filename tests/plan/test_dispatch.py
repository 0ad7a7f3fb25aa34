"""An edition is sent on its way with care, and to no more people an hour than a role may (S-31)."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as StillWaiting
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from newsletter.accounts.acting import act_as
from newsletter.accounts.roles import Identity, Role
from newsletter.db import reading, transaction
from newsletter.errors import InputError, StateError
from newsletter.models import (
    AudienceCount,
    Edition,
    EditionList,
    EditionState,
    InstallationSetting,
    MailingList,
)
from newsletter.plan import schedule
from newsletter.plan.caution import Caution
from newsletter.plan.counting import count_audience
from newsletter.plan.dispatch import AtInstant, AtLocalTime, AtOnce, When, send_edition
from newsletter.plan.hourly_cap import CapReached
from newsletter.plan.planner import plan_edition
from newsletter.plan.release import release_editions
from newsletter.plan.slots import NewSlot, fill_slot, set_slot
from tests.newsroom import (
    MORNING,
    add_list,
    add_readers,
    add_transport,
    approved_edition,
    edition_of,
    live_in,
    settings_for,
)

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
ADMIN_EVERYWHERE = Identity(1, "Ada", "ada@harbour.example", "UTC", Role.ADMIN, None)
EDITOR_EVERYWHERE = Identity(2, "Edda", "edda@harbour.example", "UTC", Role.EDITOR, None)


@pytest.fixture
def editions(engine: Engine, tmp_path: Path) -> list[int]:
    """Two editions, to three people each."""
    add_readers(engine, add_list(engine), ["Ada", "Bo", "Cy"])
    transport = add_transport(engine, 25)
    made = [approved_edition(engine, settings_for(tmp_path), [1], transport) for _ in range(2)]
    for each in made:
        count(engine, each)
    return made


def count(engine: Engine, edition_id: int) -> AudienceCount:
    with transaction(engine) as session:
        return count_audience(session, session.get_one(Edition, edition_id), now=MORNING)


def set_up(engine: Engine, **settings: int) -> None:
    with transaction(engine) as session:
        for name, value in settings.items():
            session.merge(
                InstallationSetting(name=name, value=value, changed_at=MORNING, changed_by="Ada")
            )


def send(
    engine: Engine,
    edition_id: int,
    when: When | None = None,
    *,
    by: Identity | None = EDITOR_EVERYWHERE,
    after: timedelta = timedelta(),
    typed: str = "",
) -> Caution:
    with transaction(engine) as session:
        if by is not None:
            act_as(session, by)
        now = MORNING + after
        return send_edition(session, edition_id, when or AtOnce(), typed=typed, now=now)


def fill_today(engine: Engine, edition_id: int) -> None:
    with transaction(engine) as session:
        act_as(session, EDITOR_EVERYWHERE)
        mailing_list = session.get_one(MailingList, 1)
        fill_slot(session, mailing_list, MORNING.date(), edition_id, now=MORNING)


def states(engine: Engine, editions: Iterable[int]) -> list[EditionState]:
    return [edition_of(engine, each).state for each in editions]


def test_without_a_cap_any_number_is_sent(engine: Engine, editions: list[int]) -> None:
    for each in editions:
        send(engine, each)

    assert states(engine, editions) == [EditionState.SENDING] * 2


def test_two_that_are_too_many_together_are_sent_an_hour_apart(
    engine: Engine, editions: list[int]
) -> None:
    set_up(engine, editors_an_hour=5)
    first, second = editions
    send(engine, first)

    with pytest.raises(
        CapReached,
        match=(
            r"Editors may send to at most 5 people an hour, all together\. 3 were begun with in the "
            r"last hour, and this edition goes to 3: it can be sent from 07:00:00 UTC on\."
        ),
    ):
        send(engine, second, after=HOUR - MINUTE)
    refused = edition_of(engine, second).state
    send(engine, second, after=HOUR)

    assert refused is EditionState.APPROVED
    assert states(engine, editions) == [EditionState.SENDING] * 2


def test_what_alone_is_too_many_never_goes(engine: Engine, editions: list[int]) -> None:
    set_up(engine, editors_an_hour=2)

    with pytest.raises(CapReached, match=r"this edition goes to 3\. An admin can raise"):
        send(engine, editions[0])

    assert states(engine, editions) == [EditionState.APPROVED] * 2


def test_each_role_has_a_cap_of_its_own(engine: Engine, editions: list[int]) -> None:
    set_up(engine, editors_an_hour=3, admins_an_hour=2)
    send(engine, editions[0])

    for somebody in (ADMIN_EVERYWHERE, None):
        with pytest.raises(CapReached, match="Admins may send to at most 2"):
            send(engine, editions[1], by=somebody)

    set_up(engine, admins_an_hour=3)
    send(engine, editions[1], by=ADMIN_EVERYWHERE)


def test_an_admin_of_one_of_its_lists_alone_counts_as_an_editor(
    engine: Engine, editions: list[int]
) -> None:
    set_up(engine, editors_an_hour=2)
    noon = add_list(engine, "noon")
    with transaction(engine) as session:
        session.add(EditionList(edition_id=editions[0], position=1, list_id=noon))
    roles = {1: Role.ADMIN, noon: Role.EDITOR}
    mixed = Identity(3, "Di", "di@harbour.example", "UTC", Role.ADMIN, roles)

    with pytest.raises(CapReached, match="Editors"):
        send(engine, editions[0], by=mixed)


@pytest.mark.parametrize("step", [schedule.unschedule, schedule.cancel])
def test_what_was_taken_back_before_it_began_does_not_count(
    engine: Engine, editions: list[int], step: Callable[[Session, int], None]
) -> None:
    set_up(engine, editors_an_hour=5)
    send(engine, editions[0], AtInstant(MORNING + 3 * HOUR))

    with transaction(engine) as session:
        step(session, editions[0])
    send(engine, editions[1])

    assert states(engine, editions)[1] is EditionState.SENDING


def test_what_is_cancelled_after_it_began_counts(engine: Engine, editions: list[int]) -> None:
    set_up(engine, editors_an_hour=5)
    send(engine, editions[0])
    with transaction(engine) as session:
        schedule.cancel(session, editions[0])

    with pytest.raises(CapReached):
        send(engine, editions[1])


def test_of_two_at_once_the_second_waits_and_counts_the_first(
    engine: Engine, editions: list[int]
) -> None:
    set_up(engine, editors_an_hour=5)
    first, second = editions
    # At once, each would have to wait for the other's partition anyhow.
    when = AtInstant(MORNING + 3 * HOUR)

    with ThreadPoolExecutor(1) as threads:
        with transaction(engine) as session:
            act_as(session, EDITOR_EVERYWHERE)
            send_edition(session, first, when, typed="", now=MORNING)
            later = threads.submit(send, engine, second, when)
            with pytest.raises(StillWaiting):
                later.result(timeout=0.3)
        with pytest.raises(CapReached):
            later.result()

    assert states(engine, editions) == [EditionState.SCHEDULED, EditionState.APPROVED]


def test_an_edition_is_counted_once(engine: Engine, editions: list[int]) -> None:
    send(engine, editions[0])

    with pytest.raises(StateError, match="is sending already"):
        send(engine, editions[0])


def test_an_approved_edition_fills_no_slot_beyond_the_cap(
    engine: Engine, editions: list[int]
) -> None:
    set_up(engine, editors_an_hour=2)
    slot = NewSlot(frozenset(range(7)), (MORNING + 3 * HOUR).time(), zone="UTC")
    with transaction(engine) as session:
        set_slot(session, 1, slot, now=MORNING)

    with pytest.raises(CapReached):
        fill_today(engine, editions[0])

    with reading(engine) as session:
        assert session.get_one(EditionList, (editions[0], 0)).slot_date is None


@pytest.mark.parametrize("typed", ["2", "33", "many"])
def test_a_number_that_is_typed_is_right_also_where_nobody_asked(
    engine: Engine, editions: list[int], typed: str
) -> None:
    with pytest.raises(InputError, match="type 3"):
        send(engine, editions[0], typed=typed)

    assert send(engine, editions[0], typed="3").people == 3


@pytest.mark.parametrize(
    "when",
    [
        AtOnce(),
        AtInstant(MORNING - MINUTE),
        AtInstant(MORNING + 5 * MINUTE),
        AtLocalTime(MORNING.date(), (MORNING + MINUTE).time()),
    ],
)
def test_whatever_would_begin_within_the_cool_off_can_be_pulled_back(
    engine: Engine, editions: list[int], when: When
) -> None:
    set_up(engine, confirm_above=2)
    live_in(engine, "Asia/Shanghai", [1])

    send(engine, editions[0], when, typed="3")
    release_editions(engine, now=MORNING + timedelta(seconds=59))
    with transaction(engine) as session:
        schedule.unschedule(session, editions[0])

    assert edition_of(engine, editions[0]).state is EditionState.APPROVED
    send(engine, editions[0], when, typed="3")
    release_editions(engine, now=MORNING + MINUTE)
    plan_edition(engine, editions[0], now=MORNING + MINUTE)
    assert edition_of(engine, editions[0]).state is EditionState.SENDING


def test_what_begins_later_is_not_held(engine: Engine, editions: list[int]) -> None:
    set_up(engine, confirm_above=2)

    send(engine, editions[0], AtInstant(MORNING + HOUR), typed="3")

    edition = edition_of(engine, editions[0])
    assert (edition.state, edition.held_until) == (EditionState.SCHEDULED, None)
