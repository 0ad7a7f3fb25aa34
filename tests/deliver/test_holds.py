from datetime import timedelta

import pytest
from sqlalchemy import Engine, select

from newsletter.db import reading, transaction
from newsletter.deliver.holds import (
    BY_PROBE,
    BY_TIME,
    PROBE_WAITS,
    Trip,
    begin_probe,
    end_probe,
    hold,
    hold_transport,
    lift,
    lift_transport,
    open_holds,
    pause_held_editions,
    probe_soon,
    times_held,
)
from newsletter.errors import NotFoundError, StateError
from newsletter.models import (
    EditionHealth,
    EditionState,
    Hold,
    HoldScope,
    SystemMail,
)
from newsletter.settings import Settings
from tests.newsroom import (
    MORNING,
    add_list,
    add_readers,
    add_transport,
    edition_of,
    sending_edition,
    settings_for,
)

HALF_HOUR = timedelta(minutes=30)
LASTS = timedelta(minutes=2)
ROUTE = Trip(HoldScope.ROUTE, "3", "R-44", "Route qq said no.", transport_id=1, lasts=HALF_HOUR)
TRANSPORT = Trip(HoldScope.TRANSPORT, "1", "R-43", "It refuses us.", transport_id=1)


def holds_of(engine: Engine) -> list[Hold]:
    with reading(engine) as session:
        return list(session.scalars(select(Hold).order_by(Hold.id)))


def test_what_is_held_is_held_once(engine: Engine) -> None:
    with transaction(engine) as session:
        first = hold(session, ROUTE, now=MORNING)
        second = hold(session, ROUTE, now=MORNING + timedelta(minutes=1))

    assert (first, second) == (True, False)
    [held] = holds_of(engine)
    assert held.until == MORNING + HALF_HOUR


def test_a_hold_ends_with_its_time_and_its_row_stays(engine: Engine) -> None:
    later = MORNING + HALF_HOUR
    with transaction(engine) as session:
        hold(session, ROUTE, now=MORNING)
        assert len(open_holds(session, now=later - timedelta(seconds=1))) == 1
        assert not open_holds(session, now=later)

        assert hold(session, ROUTE, now=later)

        assert times_held(session, ROUTE, since=MORNING - timedelta(hours=1)) == 2
    old, new = holds_of(engine)
    assert (old.lifted_by, old.lifted_at) == (BY_TIME, later)
    assert new.lifted_at is None


def test_a_person_lifts_a_hold_once(engine: Engine) -> None:
    with transaction(engine) as session:
        hold(session, ROUTE, now=MORNING)
        [held] = open_holds(session, now=MORNING)

        lift(session, held.id, by="Olga", now=MORNING)

        assert not open_holds(session, now=MORNING)
        with pytest.raises(StateError, match="over already"):
            lift(session, held.id, by="Olga", now=MORNING)
        with pytest.raises(NotFoundError, match="no hold 99"):
            lift(session, 99, by="Olga", now=MORNING)
    assert [each.lifted_by for each in holds_of(engine)] == ["Olga"]


def test_s16_a_servers_words_are_kept_without_addresses_and_controls(engine: Engine) -> None:
    reply = "no\r\n\x1b[31m <ada@readers.example> " + "x" * 1000
    trip = Trip(HoldScope.ROUTE, "3", "R-44", "Route qq said no.", reply=reply)

    with transaction(engine) as session:
        hold(session, trip, now=MORNING)

    [held] = holds_of(engine)
    assert "ada" not in held.reply
    assert held.reply.isprintable()
    assert len(held.reply) <= 300


def test_r43_one_process_probes_and_the_waits_grow_to_ten_minutes(engine: Engine) -> None:
    waits = []
    now = MORNING
    with transaction(engine) as session:
        hold(session, TRANSPORT, now=now)
        for _ in range(len(PROBE_WAITS) + 1):
            [held] = open_holds(session, now=now)
            assert held.probe_at is not None
            waits.append(held.probe_at - now)
            too_early = held.probe_at - timedelta(seconds=1)
            assert not begin_probe(session, 1, now=too_early, lasts=LASTS)
            now = held.probe_at
            assert begin_probe(session, 1, now=now, lasts=LASTS)
            assert not begin_probe(session, 1, now=now, lasts=LASTS)
            end_probe(session, 1, went_well=False, now=now)

    assert [wait.total_seconds() for wait in waits] == [30, 60, 120, 300, 600, 600]


def test_r43_a_probe_that_goes_well_closes_the_breaker(engine: Engine) -> None:
    with transaction(engine) as session:
        hold(session, TRANSPORT, now=MORNING)
        begin_probe(session, 1, now=MORNING + PROBE_WAITS[0], lasts=LASTS)

        end_probe(session, 1, went_well=True, now=MORNING + PROBE_WAITS[0])

        assert not open_holds(session, now=MORNING + PROBE_WAITS[0])
    assert [each.lifted_by for each in holds_of(engine)] == [BY_PROBE]


def test_r43_a_probe_whose_process_died_is_taken_over(engine: Engine) -> None:
    due = MORNING + PROBE_WAITS[0]
    with transaction(engine) as session:
        hold(session, TRANSPORT, now=MORNING)
        begin_probe(session, 1, now=due, lasts=LASTS)

        assert begin_probe(session, 1, now=due + LASTS, lasts=LASTS)


def test_f34_a_changed_transport_is_probed_at_once(engine: Engine) -> None:
    with transaction(engine) as session:
        hold(session, TRANSPORT, now=MORNING)

        probe_soon(session, 1, now=MORNING)

        assert begin_probe(session, 1, now=MORNING, lasts=LASTS)


def test_a_breaker_that_a_person_opened_is_closed_by_a_person_alone(engine: Engine) -> None:
    much_later = MORNING + timedelta(days=1)
    with transaction(engine) as session:
        hold(session, TRANSPORT, now=MORNING)

        hold_transport(session, 1, by="Olga", now=MORNING)

        probe_soon(session, 1, now=much_later)
        assert not begin_probe(session, 1, now=much_later, lasts=LASTS)
        assert lift_transport(session, 1, by="Olga", now=much_later)
        assert not lift_transport(session, 1, by="Olga", now=much_later)
    assert [each.lifted_by for each in holds_of(engine)] == ["Olga", "Olga"]


@pytest.fixture
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return settings_for(tmp_path_factory.mktemp("state"))


def test_r40_a_held_edition_is_paused_and_judged_anew_when_a_person_resumes_it(
    engine: Engine, settings: Settings
) -> None:
    list_id = add_list(engine)
    add_readers(engine, list_id, ["Ada"])
    edition_id = sending_edition(engine, settings, [list_id], add_transport(engine, 25))
    trip = Trip(HoldScope.EDITION, str(edition_id), "R-40", "11 of 50 were refused.")
    with transaction(engine) as session:
        session.add(EditionHealth(edition_id=edition_id, hard=11, unsendable=0, tried_before=0))
        hold(session, trip, now=MORNING)

    pause_held_editions(engine, now=MORNING)
    pause_held_editions(engine, now=MORNING)

    assert edition_of(engine, edition_id).state is EditionState.PAUSED
    with reading(engine) as session:
        assert not open_holds(session, now=MORNING)
        assert session.get_one(EditionHealth, edition_id).hard == 0


def test_the_desk_is_told_of_a_hold_once(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEWSLETTER_DESK_ADDRESSES", "desk@harbour.example")

    with transaction(engine) as session:
        for _ in range(2):
            hold(session, ROUTE, now=MORNING)

    with reading(engine) as session:
        [mail] = session.scalars(select(SystemMail))
    assert mail.to_address == "desk@harbour.example"
    assert "Route qq said no." in mail.data["paragraphs"]


def test_r43_the_desk_hears_of_a_transport_only_when_it_stays_away(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEWSLETTER_DESK_ADDRESSES", "desk@harbour.example")

    def told(minutes: int) -> int:
        with transaction(engine) as session:
            now = MORNING + timedelta(minutes=minutes)
            begin_probe(session, 1, now=now, lasts=LASTS)
            end_probe(session, 1, went_well=False, now=now)
            return len(session.scalars(select(SystemMail)).all())

    with transaction(engine) as session:
        hold(session, TRANSPORT, now=MORNING)

    assert [told(1), told(3), told(6), told(12)] == [0, 0, 1, 1]
