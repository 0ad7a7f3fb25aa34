"""Breakers under way: real workers, real connections, servers that misbehave as they are told."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
from sqlalchemy import Engine, select, update

from newsletter.clock import utc_now
from newsletter.db import reading, transaction
from newsletter.deliver.batch_run import WINDOW
from newsletter.deliver.holds import open_holds, probe_soon
from newsletter.deliver.sender import Sender
from newsletter.devmail.peer import DevMail
from newsletter.devmail.script import Action, Phase, Reply, Rule, Script
from newsletter.models import (
    Batch,
    Delivery,
    DeliveryState,
    Edition,
    EditionState,
    EditionTransport,
    Hold,
    Pacing,
    Security,
    Transport,
)
from newsletter.plan import planner, schedule
from newsletter.plan.transports import freeze_choice
from newsletter.settings import Settings
from tests.newsroom import (
    add_list,
    add_readers,
    add_transport,
    assert_ledger_is_exact,
    count_states,
    edition_of,
    sending_edition,
)
from tests.smtpd import checked_devmail

SENT, FAILED, WAITING = DeliveryState.SENT, DeliveryState.FAILED, DeliveryState.WAITING
DEFERRED = DeliveryState.DEFERRED
CONNECTIONS = 2
IN_FLIGHT = 2 * CONNECTIONS


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planner, "BATCH", 25)


@contextmanager
def misbehaving(phase: Phase, action: Action, **place: object) -> Iterator[DevMail]:
    rule = Rule.model_validate({"phase": phase, "action": action, **place})
    with checked_devmail(script=Script(rules=(rule,))) as peer:
        yield peer


class Newsroom:
    """An edition to some readers, with the first transport to this port and others after it."""

    def __init__(self, engine: Engine, settings: Settings, *ports: int, readers: int) -> None:
        self.engine, self.settings = engine, settings
        first = add_transport(engine, ports[0], connections=CONNECTIONS)
        others = [self._another(number, port) for number, port in enumerate(ports[1:])]
        self.transports = [first, *others]
        list_id = add_list(engine)
        add_readers(engine, list_id, [f"r{number}" for number in range(readers)])
        self.edition = sending_edition(engine, settings, [list_id], first)
        with transaction(engine) as session:
            freeze_choice(session, session.get_one(Edition, self.edition), [])

    def _another(self, number: int, port: int) -> int:
        with transaction(self.engine) as session:
            transport = Transport(
                name=f"other{number}",
                host="127.0.0.1",
                port=port,
                security=Security.NONE,
                connections=CONNECTIONS,
                pacing=Pacing.RELAY,
            )
            session.add(transport)
            session.flush()
            return transport.id

    def drain(self) -> None:
        with Sender(self.engine, self.settings) as sender:
            sender.drain(seconds=20)

    def states(self) -> dict[DeliveryState, int]:
        return count_states(self.engine, self.edition)

    def holds(self) -> list[Hold]:
        with reading(self.engine) as session:
            return list(open_holds(session, now=utc_now()))


def test_an_edition_is_shared_out_over_its_transports(engine: Engine, settings: Settings) -> None:
    with checked_devmail() as one, checked_devmail() as other:
        room = Newsroom(engine, settings, one.port, other.port, readers=500)

        room.drain()

        counts = Counter({"one": len(one.messages()), "other": len(other.messages())})
        assert room.states() == {SENT: 500}
        assert all(count >= 100 for count in counts.values()), counts


@pytest.mark.parametrize("phase", [Phase.BANNER, Phase.MAIL])
def test_r43_the_other_transport_takes_over_and_nobody_loses_an_attempt(
    engine: Engine, settings: Settings, phase: Phase
) -> None:
    with misbehaving(phase, Reply(code=550)) as bad, checked_devmail() as good:
        room = Newsroom(engine, settings, bad.port, good.port, readers=150)

        room.drain()
        make_all_due(engine, room.edition)
        room.drain()

        [held] = room.holds()
        assert (held.rule, held.transport_id) == ("R-43", room.transports[0])
        assert room.states() == {SENT: 150}
        with reading(engine) as session:
            assert set(session.scalars(select(Delivery.attempts))) == {1}
        assert_ledger_is_exact(engine, room.edition, good)


def test_f34_without_another_transport_the_queue_stays_until_it_was_set_right(
    engine: Engine, settings: Settings
) -> None:
    with (
        misbehaving(Phase.MAIL, Reply(code=550), after=40) as bad,
        checked_devmail() as good,
    ):
        room = Newsroom(engine, settings, bad.port, readers=150)
        room.drain()
        before = room.states()
        room.drain()
        assert room.states() == before
        assert before.keys() == {SENT, WAITING}
        with transaction(engine) as session:
            session.get_one(Transport, room.transports[0]).port = good.port
            probe_soon(session, room.transports[0], now=utc_now())
        make_all_due(engine, room.edition)

        room.drain()

        assert room.holds() == []
        assert room.states() == {SENT: 150}
        assert len(bad.messages()) + len(good.messages()) == 150
        with reading(engine) as session:
            assert set(session.scalars(select(Delivery.attempts))) == {1}
        assert_ledger_is_exact(engine, room.edition)


def test_r40_an_edition_that_is_refused_for_good_pauses_within_a_window(
    engine: Engine, settings: Settings
) -> None:
    refusal = Reply(code=550, enhanced="5.1.1", text="User unknown")
    with misbehaving(Phase.RCPT, refusal, after=60, times=200) as peer:
        room = Newsroom(engine, settings, peer.port, readers=400)

        room.drain()

        assert edition_of(engine, room.edition).state is EditionState.PAUSED
        states = room.states()
        # The 16th refusal of 76 is one in five.
        assert 16 <= states[FAILED] <= 16 + WINDOW + IN_FLIGHT
        assert states[WAITING] > 0
        assert_ledger_is_exact(engine, room.edition, peer)
        with transaction(engine) as session:
            schedule.resume(session, room.edition)
        assert [each for each in room.holds() if each.rule == "R-40"] == []


def test_r44_a_provider_that_defers_everything_is_left_alone_within_a_window(
    engine: Engine, settings: Settings
) -> None:
    with misbehaving(Phase.RCPT, Reply(code=450, enhanced="4.3.0", text="Busy")) as peer:
        room = Newsroom(engine, settings, peer.port, readers=300)

        room.drain()

        [held] = room.holds()
        assert held.rule == "R-44"
        assert held.until is not None
        assert held.until > utc_now() + timedelta(minutes=29)
        assert 50 <= room.states()[DEFERRED] <= 50 + WINDOW + IN_FLIGHT
        assert edition_of(engine, room.edition).state is EditionState.SENDING
        assert_ledger_is_exact(engine, room.edition, peer)


def test_r42_mail_that_is_not_believed_to_be_ours_stops_within_a_window(
    engine: Engine, settings: Settings
) -> None:
    refusal = Reply(code=550, enhanced="5.7.26", text="Unauthenticated mail is not accepted")
    with misbehaving(Phase.DOT, refusal) as peer:
        room = Newsroom(engine, settings, peer.port, readers=200)

        room.drain()

        assert [each.rule for each in room.holds() if each.rule == "R-42"] == ["R-42"]
        assert room.states()[FAILED] <= 3 + IN_FLIGHT


def test_r03_a_deferred_reader_is_tried_again_through_the_same_transport(
    engine: Engine, settings: Settings
) -> None:
    with checked_devmail() as one, checked_devmail() as other:
        room = Newsroom(engine, settings, one.port, other.port, readers=25)
        with transaction(engine) as session:
            session.execute(update(Batch).values(transport_id=room.transports[1]))
            session.execute(update(EditionTransport).values(weight=1))

        room.drain()

        assert len(other.messages()) == 25
        assert not one.messages()


def make_all_due(engine: Engine, edition_id: int) -> None:
    """Without waiting for the rest that a batch in trouble is given."""
    with transaction(engine) as session:
        session.execute(
            update(Batch)
            .where(Batch.edition_id == edition_id)
            .values(due_at=utc_now() - timedelta(seconds=1))
        )
