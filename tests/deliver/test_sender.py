import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from email import message_from_bytes
from pathlib import Path

import pytest
from sqlalchemy import Engine, event, select, update

from newsletter.clock import utc_now
from newsletter.db import reading, transaction
from newsletter.deliver import claims, pump
from newsletter.deliver.journal import FOLDER, Journal
from newsletter.deliver.ledger import Lease
from newsletter.deliver.outcome import Reply as Answer
from newsletter.deliver.sender import Sender
from newsletter.devmail.peer import DevMail
from newsletter.devmail.script import Action, Close, Delay, Extra, Half, Phase, Reply, Rule, Script
from newsletter.models import (
    Attempt,
    Batch,
    BatchState,
    Deferral,
    Delivery,
    DeliveryState,
    EditionState,
    Reason,
    Subscriber,
    Subscription,
    SubscriptionStatus,
)
from newsletter.plan import planner, schedule
from newsletter.settings import Settings
from tests.newsroom import (
    add_list,
    add_readers,
    add_transport,
    assert_ledger_is_exact,
    count_states,
    edition_of,
    leave,
    people_in,
    sending_edition,
    settings_for,
    states_of,
)
from tests.smtpd import checked_devmail, smtpd

__all__ = ["smtpd"]

SENT, FAILED, DEFERRED = DeliveryState.SENT, DeliveryState.FAILED, DeliveryState.DEFERRED
UNCERTAIN, WAITING = DeliveryState.UNCERTAIN, DeliveryState.WAITING


class Newsroom:
    """One list with readers r0, r1 …, and an edition to them that is due."""

    def __init__(
        self, engine: Engine, settings: Settings, port: int, *, readers: int, connections: int = 4
    ) -> None:
        self.engine, self.settings = engine, settings
        self.transport = add_transport(engine, port, connections=connections)
        self.list_id = add_list(engine)
        self.readers = add_readers(engine, self.list_id, [f"r{n}" for n in range(readers)])
        self.edition = sending_edition(engine, settings, [self.list_id], self.transport)

    def drain(self, seconds: float = 20) -> int:
        with Sender(self.engine, self.settings) as sender:
            return sender.drain(seconds=seconds)

    def pump(self, *, later: timedelta = timedelta()) -> None:
        pump.turn(self.engine, self.settings.state_dir / FOLDER, now=utc_now() + later)

    def states(self) -> dict[DeliveryState, int]:
        return count_states(self.engine, self.edition)

    @contextmanager
    def draining(self) -> Iterator[None]:
        """A sender at work on a thread of its own; leaving the block waits for it."""
        with Sender(self.engine, self.settings) as sender, ThreadPoolExecutor(1) as threads:
            drained = threads.submit(sender.drain, seconds=20)
            yield
            drained.result()


def scripted(phase: Phase, action: Action, **place: object) -> Script:
    return Script(rules=(Rule.model_validate({"phase": phase, "action": action, **place}),))


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planner, "BATCH", 40)


@pytest.mark.usefixtures("small_batches")
def test_everybody_is_mailed_once(engine: Engine, settings: Settings, smtpd: DevMail) -> None:
    room = Newsroom(engine, settings, smtpd.port, readers=170)

    room.drain()
    room.pump()

    assert room.states() == {SENT: 170}
    assert edition_of(engine, room.edition).state is EditionState.SENT
    assert smtpd.connections <= 4
    assert_ledger_is_exact(engine, room.edition, smtpd)


def test_a_connection_lost_before_content_loses_and_doubles_nobody(
    engine: Engine, settings: Settings
) -> None:
    script = scripted(Phase.RCPT, Close(), after=7, times=3)
    with checked_devmail(script=script) as peer:
        room = Newsroom(engine, settings, peer.port, readers=40, connections=2)

        room.drain()

        assert room.states() == {SENT: 40}
        assert_ledger_is_exact(engine, room.edition, peer)


@pytest.mark.parametrize("action", [Close(), Half()])
def test_an_answer_lost_after_the_dot_is_uncertain_and_never_sent_again(
    engine: Engine, settings: Settings, action: Action
) -> None:
    script = scripted(Phase.AFTER_DOT, action, after=5, times=2)
    with checked_devmail(script=script) as peer:
        room = Newsroom(engine, settings, peer.port, readers=20, connections=2)

        room.drain()
        room.pump(later=timedelta(days=3))
        room.drain()

        assert room.states() == {SENT: 18, UNCERTAIN: 2}
        assert len(peer.messages()) == 20
        assert edition_of(engine, room.edition).state is EditionState.SENT
        assert_ledger_is_exact(engine, room.edition, peer)


def test_a_busy_server_gets_the_same_message_again_when_it_is_due(
    engine: Engine, settings: Settings
) -> None:
    script = scripted(Phase.DOT, Reply(code=451, enhanced="4.7.1"), recipient="^r1@", times=1)
    with checked_devmail(script=script) as peer:
        room = Newsroom(engine, settings, peer.port, readers=3)
        room.drain()
        assert room.states() == {SENT: 2, DEFERRED: 1}
        assert_ledger_is_exact(engine, room.edition, peer)
        with reading(engine) as session:
            first_at = session.scalars(select(Deferral.first_at)).one()

        room.pump()
        assert room.states() == {SENT: 2, DEFERRED: 1}, "not due yet"
        time.sleep(1.1)  # so that a Date made anew would be another one
        room.pump(later=timedelta(minutes=7))
        assert_ledger_is_exact(engine, room.edition, peer)
        with transaction(engine) as session:
            session.execute(update(Batch).values(due_at=first_at))
        room.drain()
        room.pump()

        assert room.states() == {SENT: 3}
        [again] = [mail for mail in peer.messages() if mail.rcpt_to == ("r1@readers.example",)]
        message = message_from_bytes(again.content)
        assert message["Date"] == first_at.strftime("%a, %d %b %Y %H:%M:%S +0000")
        assert edition_of(engine, room.edition).state is EditionState.SENT
        assert_ledger_is_exact(engine, room.edition, peer)


def test_the_date_of_a_message_is_that_of_its_first_try(engine: Engine, settings: Settings) -> None:
    """The first try takes a while: the Date is when the message was made, not when it was judged."""
    script = Script(
        rules=(
            Rule(phase=Phase.AFTER_DOT, action=Delay(seconds=1.2), times=1),
            Rule(phase=Phase.AFTER_DOT, action=Reply(code=451), times=1),
        )
    )
    with checked_devmail(script=script) as peer:  # it keeps what it then refuses
        room = Newsroom(engine, settings, peer.port, readers=1)
        room.drain()
        room.pump(later=timedelta(minutes=7))
        with transaction(engine) as session:
            session.execute(update(Batch).values(due_at=utc_now()))
        room.drain()

        first, second = peer.messages()

        assert first.content == second.content
        assert first.mail_from == second.mail_from


def test_a_refused_recipient_fails_with_the_words_of_the_server(
    engine: Engine, settings: Settings
) -> None:
    action = Reply(code=550, enhanced="5.1.1", text="No such \0 person")
    with checked_devmail(script=scripted(Phase.RCPT, action, recipient="^r2@")) as peer:
        room = Newsroom(engine, settings, peer.port, readers=5)

        room.drain()

        with reading(engine) as session:
            attempt = session.scalars(select(Attempt)).one()
        assert room.states() == {SENT: 4, FAILED: 1}
        assert (attempt.subscriber_id, attempt.code, attempt.enhanced, attempt.reply) == (
            room.readers[2],
            550,
            "5.1.1",
            "No such � person",
        )
        assert_ledger_is_exact(engine, room.edition, peer)


def test_one_address_that_cannot_be_mailed_does_not_hold_up_the_others(
    engine: Engine, settings: Settings, smtpd: DevMail
) -> None:
    room = Newsroom(engine, settings, smtpd.port, readers=5)
    with transaction(engine) as session:
        session.get_one(Subscriber, room.readers[1]).address = "a>\r\nRCPT TO:<b@evil.example"

    room.drain()

    assert states_of(engine, room.edition)[room.readers[1]] is FAILED
    assert room.states() == {SENT: 4, FAILED: 1}
    assert_ledger_is_exact(engine, room.edition, smtpd)


def test_somebody_who_was_erased_since_planning_is_not_waited_for(
    engine: Engine, settings: Settings, smtpd: DevMail
) -> None:
    room = Newsroom(engine, settings, smtpd.port, readers=3)
    with transaction(engine) as session:
        session.delete(session.get_one(Subscription, (room.list_id, room.readers[0])))
        session.flush()
        session.delete(session.get_one(Subscriber, room.readers[0]))

    assert room.drain(seconds=5) == 1
    room.pump()

    assert room.states() == {SENT: 2, DeliveryState.EXCLUDED: 1}
    assert edition_of(engine, room.edition).state is EditionState.SENT
    assert_ledger_is_exact(engine, room.edition, smtpd)


def test_a_server_that_speaks_out_of_turn_is_not_believed(
    engine: Engine, settings: Settings
) -> None:
    """Its spare answer would be taken for the answer to the next question, and so on."""
    script = scripted(Phase.AFTER_DOT, Extra(count=2), after=2, times=4)
    with checked_devmail(script=script) as peer:
        room = Newsroom(engine, settings, peer.port, readers=12, connections=1)

        room.drain()

        assert room.states() == {SENT: 12}
        assert_ledger_is_exact(engine, room.edition, peer)


def test_whoever_ends_every_connection_is_deferred_and_the_edition_goes_on(
    engine: Engine, settings: Settings
) -> None:
    with checked_devmail(script=scripted(Phase.RCPT, Close(), recipient="^r3@")) as peer:
        room = Newsroom(engine, settings, peer.port, readers=6, connections=1)

        room.drain()

        with reading(engine) as session:
            delivery = session.get_one(Delivery, (room.edition, room.readers[3]))
        assert (delivery.state, delivery.reason) == (DEFERRED, Reason.CONNECTION)
        assert room.states() == {SENT: 5, DEFERRED: 1}
        assert_ledger_is_exact(engine, room.edition, peer)


def test_a_transport_that_refuses_us_costs_nobody_an_attempt(
    engine: Engine, settings: Settings
) -> None:
    with checked_devmail(script=scripted(Phase.BANNER, Reply(code=554))) as peer:
        room = Newsroom(engine, settings, peer.port, readers=4)

        started = time.monotonic()
        room.drain()

        assert time.monotonic() - started < 5
        with reading(engine) as session:
            batch = session.get_one(Batch, (room.edition, 1))
            attempts = session.scalars(select(Delivery.attempts)).all()
            is_due = claims.has_due_work(session, now=utc_now() + timedelta(seconds=20))
        assert batch.state is BatchState.READY
        assert not is_due
        assert set(attempts) == {0}
        assert_ledger_is_exact(engine, room.edition, peer)


def test_a_transport_that_refuses_us_after_some_messages_is_left_to_rest_as_well(
    engine: Engine, settings: Settings
) -> None:
    script = scripted(Phase.MAIL, Reply(code=451, text="Quota used up"), after=3)
    with checked_devmail(script=script) as peer:
        room = Newsroom(engine, settings, peer.port, readers=8, connections=1)

        started = time.monotonic()
        room.drain(seconds=8)

        assert time.monotonic() - started < 5
        with reading(engine) as session:
            batch = session.get_one(Batch, (room.edition, 1))
        assert batch.state is BatchState.READY
        assert batch.due_at > utc_now() + timedelta(seconds=20)
        assert room.states() == {SENT: 3, WAITING: 5}
        assert peer.connections == 1
        assert_ledger_is_exact(engine, room.edition, peer)


def test_connections_that_a_server_ends_after_some_messages_are_no_trouble(
    engine: Engine, settings: Settings
) -> None:
    script = scripted(Phase.MAIL, Reply(code=421), after=3, times=1, per_connection=True)
    with checked_devmail(script=script) as peer:
        room = Newsroom(engine, settings, peer.port, readers=60, connections=8)

        room.drain()

        assert room.states() == {SENT: 60}
        assert_ledger_is_exact(engine, room.edition, peer)


def test_a_pause_stops_a_slow_edition_and_resuming_sends_the_rest(
    engine: Engine, settings: Settings
) -> None:
    with checked_devmail(script=scripted(Phase.DOT, Delay(seconds=0.1))) as peer:
        room = Newsroom(engine, settings, peer.port, readers=110, connections=2)
        with room.draining():
            peer.wait_for(5)
            with transaction(engine) as session:
                schedule.pause(session, room.edition)
            paused = time.monotonic()
        took = time.monotonic() - paused

        assert took < 3
        states = room.states()
        assert 0 < states[SENT] < 80
        assert set(states) == {SENT, WAITING}
        assert_ledger_is_exact(engine, room.edition, peer)
        assert room.drain() == 0, "nobody claims from a paused edition"

        peer.script = Script()
        with transaction(engine) as session:
            schedule.resume(session, room.edition)
        room.drain()
        room.pump()

        assert room.states() == {SENT: 110}
        assert edition_of(engine, room.edition).state is EditionState.SENT
        assert_ledger_is_exact(engine, room.edition, peer)


def test_a_pause_waits_for_an_answer_that_is_longer_in_coming_than_the_lease(
    engine: Engine, tmp_path: Path
) -> None:
    """The lease must be kept all the while, or the worker would be taken for dead and fenced."""
    settings = settings_for(tmp_path, lease_seconds=1.5)
    with checked_devmail(script=scripted(Phase.AFTER_DOT, Delay(seconds=3))) as peer:
        room = Newsroom(engine, settings, peer.port, readers=10, connections=1)
        with room.draining():
            peer.wait_for(1)
            with transaction(engine) as session:
                schedule.pause(session, room.edition)
            time.sleep(2)
            room.pump()

            with reading(engine) as session:
                assert session.get_one(Batch, (room.edition, 1)).state is BatchState.CLAIMED

        assert room.states() == {SENT: 1, WAITING: 9}
        assert_ledger_is_exact(engine, room.edition, peer)


def test_cancelling_in_mid_send_cancels_whoever_was_not_mailed(
    engine: Engine, settings: Settings
) -> None:
    script = Script(
        rules=(
            Rule(phase=Phase.RCPT, action=Reply(code=450), recipient="^r1@"),
            Rule(phase=Phase.DOT, action=Delay(seconds=0.05)),
        )
    )
    with checked_devmail(script=script) as peer:
        room = Newsroom(engine, settings, peer.port, readers=150, connections=2)
        with room.draining():
            peer.wait_for(5)
            with transaction(engine) as session:
                schedule.cancel(session, room.edition)
            room.pump()  # the batch is under way: nothing of it may be cancelled yet
        room.pump()

        states = room.states()
        assert set(states) == {SENT, DeliveryState.CANCELLED}
        assert states[SENT] == len(peer.messages())
        assert states_of(engine, room.edition)[room.readers[1]] is DeliveryState.CANCELLED
        edition = edition_of(engine, room.edition)
        assert edition.state is EditionState.CANCELLED
        assert edition.finished_at is not None
        assert_ledger_is_exact(engine, room.edition, peer)


def test_whoever_leaves_during_the_send_is_not_mailed(engine: Engine, settings: Settings) -> None:
    with checked_devmail(script=scripted(Phase.DOT, Delay(seconds=0.05))) as peer:
        room = Newsroom(engine, settings, peer.port, readers=50, connections=1)
        with room.draining():
            peer.wait_for(3)
            leave(engine, room.list_id, room.readers[-1])

        assert states_of(engine, room.edition)[room.readers[-1]] is DeliveryState.EXCLUDED
        assert room.states() == {SENT: 49, DeliveryState.EXCLUDED: 1}
        assert_ledger_is_exact(engine, room.edition, peer)


def test_a_drain_ends_with_its_budget_and_the_next_one_goes_on(
    engine: Engine, settings: Settings
) -> None:
    with checked_devmail(script=scripted(Phase.DOT, Delay(seconds=0.1))) as peer:
        room = Newsroom(engine, settings, peer.port, readers=60, connections=1)

        started = time.monotonic()
        room.drain(seconds=0.5)

        assert time.monotonic() - started < 3
        assert room.states()[WAITING] > 20
        assert_ledger_is_exact(engine, room.edition, peer)
        peer.script = Script()
        room.drain()
        assert room.states() == {SENT: 60}
        assert_ledger_is_exact(engine, room.edition, peer)


@pytest.mark.usefixtures("small_batches")
def test_two_senders_share_the_batches_and_mail_nobody_twice(
    engine: Engine, settings: Settings, smtpd: DevMail
) -> None:
    room = Newsroom(engine, settings, smtpd.port, readers=200)

    with room.draining(), room.draining():
        pass
    room.pump()

    assert room.states() == {SENT: 200}
    assert_ledger_is_exact(engine, room.edition, smtpd)


class BrokenJournal(Journal):
    """A disk that is full when the answer to r4 is to be noted."""

    doomed = 0

    def answered(self, lease: Lease, subscriber_id: int, reply: Answer) -> None:
        if subscriber_id == self.doomed:
            message = "no space left on device"
            raise OSError(message)
        super().answered(lease, subscriber_id, reply)


def test_a_journal_that_breaks_after_content_went_out_leads_to_no_second_message(
    engine: Engine, settings: Settings, smtpd: DevMail, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = Newsroom(engine, settings, smtpd.port, readers=10, connections=1)
    monkeypatch.setattr(BrokenJournal, "doomed", room.readers[4])
    with Sender(engine, settings) as sender:
        monkeypatch.setattr(sender._journal, "__class__", BrokenJournal)

        with pytest.raises(OSError, match="no space"):
            sender.drain(seconds=5)
    with transaction(engine) as session:
        session.execute(update(Batch).values(due_at=utc_now()))
    room.drain()

    assert room.states() == {SENT: 10}
    assert_ledger_is_exact(engine, room.edition, smtpd)


def test_a_database_that_goes_away_in_mid_batch_costs_nobody_a_message(
    engine: Engine, settings: Settings
) -> None:
    with checked_devmail(script=scripted(Phase.DOT, Delay(seconds=0.02))) as peer:
        room = Newsroom(engine, settings, peer.port, readers=150, connections=2)
        gone = threading.Event()
        _break_when(engine, gone)
        with Sender(engine, settings) as sender, ThreadPoolExecutor(1) as threads:
            drained = threads.submit(sender.drain, seconds=10)
            peer.wait_for(20)
            gone.set()
            assert isinstance(drained.exception(timeout=10), ConnectionAbortedError)
            gone.clear()
            assert people_in(engine, room.edition, SENT) <= len(peer.messages())

            sender.drain(seconds=10)
        room.pump()

        assert room.states() == {SENT: 150}
        assert_ledger_is_exact(engine, room.edition, peer)


def _break_when(engine: Engine, gone: threading.Event) -> None:
    @event.listens_for(engine, "begin")
    def _refuse(_connection: object) -> None:
        if gone.is_set():
            raise ConnectionAbortedError


def test_an_unconfirmed_reader_is_never_mailed(
    engine: Engine, settings: Settings, smtpd: DevMail
) -> None:
    transport, list_id = add_transport(engine, smtpd.port), add_list(engine)
    add_readers(engine, list_id, ["Ada"])
    add_readers(engine, list_id, ["Bo"], status=SubscriptionStatus.PENDING)
    edition_id = sending_edition(engine, settings, [list_id], transport)

    with Sender(engine, settings) as sender:
        sender.drain(seconds=5)

    assert [mail.rcpt_to for mail in smtpd.messages()] == [("ada@readers.example",)]
    assert_ledger_is_exact(engine, edition_id, smtpd)
