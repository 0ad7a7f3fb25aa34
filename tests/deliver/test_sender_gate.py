"""What a batch does when its gate lets nobody, or not everybody, through."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Collection
from datetime import timedelta
from pathlib import Path

import pytest
import uvloop
from sqlalchemy import Engine

from newsletter.clock import utc_now
from newsletter.db import reading, transaction
from newsletter.deliver import claims
from newsletter.deliver.batch_run import WINDOW, BatchRun, Wire
from newsletter.deliver.claims import Reader
from newsletter.deliver.connections import Connections
from newsletter.deliver.dkim import Signer
from newsletter.deliver.gate import OpenGate
from newsletter.deliver.journal import FOLDER, Journal
from newsletter.deliver.outcome import Reply
from newsletter.deliver.wire import Endpoint, SmtpError
from newsletter.devmail import script
from newsletter.devmail.peer import DevMail
from newsletter.devmail.script import Close, Delay, Phase, Rule, Script
from newsletter.models import (
    Batch,
    BatchState,
    CompiledEdition,
    Delivery,
    DeliveryState,
    Reason,
    Security,
)
from newsletter.render.compiled import Compiled
from newsletter.render.message import Assembler, Letter
from newsletter.settings import Settings
from newsletter.tokens import Tokens
from tests.newsroom import (
    add_list,
    add_readers,
    add_transport,
    assert_ledger_is_exact,
    count_states,
    sending_edition,
    settings_for,
    states_of,
)
from tests.smtpd import checked_devmail, smtpd

__all__ = ["smtpd"]

SENT, FAILED, WAITING = DeliveryState.SENT, DeliveryState.FAILED, DeliveryState.WAITING
LEASE = timedelta(seconds=20)


class Turnstile(OpenGate):
    """Notes who goes through it; lets those of `held` wait until `opens_at`."""

    def __init__(self, lanes: int = 2) -> None:
        super().__init__(lanes)
        self.held: Collection[int] = ()
        self.opens_at = 0.0
        self.shuts_after = 10_000
        self.asked: set[int] = set()
        self.admitted: Counter[int] = Counter()
        self.left: list[tuple[int, int | None]] = []
        self.troubles: list[SmtpError] = []

    def admits(self, reader: Reader) -> bool:
        self.asked.add(reader.subscriber_id)
        if reader.subscriber_id in self.held and time.monotonic() < self.opens_at:
            return False
        self.admitted[reader.subscriber_id] += 1
        return True

    def leaves(self, reader: Reader, reply: Reply | None) -> None:
        self.left.append((reader.subscriber_id, reply.code if reply else None))
        self.is_shut = len(self.left) >= self.shuts_after

    def failed(self, trouble: SmtpError) -> None:
        self.troubles.append(trouble)

    def wait_seconds(self) -> float:
        return max(0.0, self.opens_at - time.monotonic())


class Room:
    """A batch of readers r0, r1 … that is claimed and sent by nothing but a `BatchRun`."""

    def __init__(self, engine: Engine, state_dir: Path, port: int, *, readers: int) -> None:
        self.engine, self.state_dir, self.port = engine, state_dir, port
        self.settings: Settings = settings_for(state_dir)
        self.list_id = add_list(engine)
        self.readers = add_readers(engine, self.list_id, [f"r{n}" for n in range(readers)])
        transport = add_transport(engine, port)
        self.edition = sending_edition(engine, self.settings, [self.list_id], transport)

    def send(
        self, gate: OpenGate, *, assemble: Callable[[Assembler], Assembler] = lambda a: a
    ) -> None:
        with transaction(self.engine) as session:
            claim = claims.claim(session, now=utc_now(), lease=LEASE)
            assert claim is not None
            form = session.get_one(CompiledEdition, (self.edition, 1, self.list_id)).form
        assembler = Assembler(Compiled.from_bytes(form), Tokens(self.settings.secret_keys))
        journal = Journal.create(self.state_dir / FOLDER)

        async def run() -> None:
            connections = Connections()
            endpoint = Endpoint("127.0.0.1", self.port, Security.NONE, "mail.harbour.example")
            batch = BatchRun(
                claim,
                engine=self.engine,
                journal=journal,
                wire=Wire(endpoint, connections, messages_per_connection=1000),
                gate=gate,
                assemblers={self.list_id: assemble(assembler)},
                signers={self.list_id: Signer(())},
                lease=LEASE,
                should_stop=lambda: False,
            )
            await batch.send()
            await connections.close()

        uvloop.run(run())
        journal.forget()
        journal.close()

    @property
    def batch(self) -> Batch:
        with reading(self.engine) as session:
            return session.get_one(Batch, (self.edition, 1))

    def states(self) -> dict[DeliveryState, int]:
        return count_states(self.engine, self.edition)


def test_who_is_not_admitted_waits_and_the_others_go_first(
    engine: Engine, tmp_path: Path, smtpd: DevMail
) -> None:
    room = Room(engine, tmp_path, smtpd.port, readers=30)
    gate = Turnstile()
    gate.held = room.readers[:5]
    gate.opens_at = time.monotonic() + 1.0

    room.send(gate)

    order = [mail.rcpt_to[0] for mail in smtpd.messages()]
    assert set(order[-5:]) == {f"r{n}@readers.example" for n in range(5)}
    assert room.states() == {SENT: 30}
    assert sorted(gate.left) == [(reader, 250) for reader in room.readers]
    assert_ledger_is_exact(engine, room.edition, smtpd)


def test_a_batch_that_would_have_to_wait_is_given_back_for_later(
    engine: Engine, tmp_path: Path, smtpd: DevMail
) -> None:
    """R-24: no worker sleeps holding a batch."""
    room = Room(engine, tmp_path, smtpd.port, readers=30)
    gate = Turnstile()
    gate.held = room.readers[:5]
    gate.opens_at = time.monotonic() + 60.0

    started = time.monotonic()
    room.send(gate)

    assert time.monotonic() - started < 5
    assert room.states() == {SENT: 25, WAITING: 5}
    assert room.batch.state is BatchState.READY
    assert 40 < (room.batch.due_at - utc_now()).total_seconds() < 61
    assert_ledger_is_exact(engine, room.edition, smtpd)


def test_many_who_are_not_admitted_keep_no_more_than_a_window_declared(
    engine: Engine, tmp_path: Path, smtpd: DevMail
) -> None:
    """A lost host leaves those in doubt who are declared and not recorded."""
    room = Room(engine, tmp_path, smtpd.port, readers=150)
    gate = Turnstile()
    gate.held = room.readers[:120]
    gate.opens_at = time.monotonic() + 60.0

    room.send(gate)

    assert room.states() == {WAITING: 150}
    assert len(gate.asked) <= WINDOW
    assert_ledger_is_exact(engine, room.edition, smtpd)


def test_a_gate_that_shuts_ends_the_batch_after_what_is_on_the_wire(
    engine: Engine, tmp_path: Path, smtpd: DevMail
) -> None:
    room = Room(engine, tmp_path, smtpd.port, readers=60)
    gate = Turnstile(lanes=2)
    gate.shuts_after = 10

    room.send(gate)

    states = room.states()
    assert 10 <= states[SENT] <= 12
    assert states == {SENT: states[SENT], WAITING: 60 - states[SENT]}
    assert room.batch.state is BatchState.READY
    assert gate.admitted.keys() == {reader for reader, _ in gate.left}
    assert_ledger_is_exact(engine, room.edition, smtpd)


def test_whoever_was_admitted_leaves_once_whatever_happens(engine: Engine, tmp_path: Path) -> None:
    rules = (
        Rule(phase=Phase.RCPT, action=Close(), after=4, times=2),
        Rule(phase=Phase.AFTER_DOT, action=Close(), after=8, times=1),
        Rule(phase=Phase.RCPT, action=script.Reply(code=550), recipient="^r7@"),
        Rule(phase=Phase.MAIL, action=script.Reply(code=451), after=20, times=1),
    )
    with checked_devmail(script=Script(rules=rules)) as peer:
        room = Room(engine, tmp_path, peer.port, readers=30)
        gate = Turnstile(lanes=2)

        room.send(gate)

        assert room.states() == {SENT: 28, FAILED: 1, DeliveryState.UNCERTAIN: 1}
        assert gate.admitted == Counter(reader for reader, _ in gate.left)
        settled = Counter(code for _, code in gate.left if code is not None)
        assert settled == {250: 28, 550: 1}
        assert len(gate.troubles) == 1, "that a server ends connections that served is none"
        assert_ledger_is_exact(engine, room.edition, peer)


def test_lanes_follow_the_gate(engine: Engine, tmp_path: Path) -> None:
    slow = Script(rules=(Rule(phase=Phase.DOT, action=Delay(seconds=0.05)),))
    with checked_devmail(script=slow) as peer:
        room = Room(engine, tmp_path, peer.port, readers=120)
        gate = Turnstile(lanes=1)
        seen: list[int] = []

        def widen() -> None:
            peer.wait_for(10)
            seen.append(peer.connections)
            gate.lanes = 4
            peer.wait_for(80)
            seen.append(peer.connections)

        watcher = threading.Thread(target=widen)
        watcher.start()
        room.send(gate)
        watcher.join()

        assert seen == [1, 4]
        assert room.states() == {SENT: 120}
        assert_ledger_is_exact(engine, room.edition, peer)


class Poisoned:
    """An assembler that breaks at one reader in a way that nobody thought of."""

    def __init__(self, assembler: Assembler, victim: int) -> None:
        self.assembler, self.victim = assembler, victim
        self.sender_domain = assembler.sender_domain

    def letter(self, reader: Reader, *, date: object) -> Letter:
        if reader.subscriber_id == self.victim:
            raise ZeroDivisionError
        return self.assembler.letter(reader, date=date)  # type: ignore[arg-type]


def test_a_reader_whose_data_breaks_us_fails_and_the_others_are_mailed(
    engine: Engine, tmp_path: Path, smtpd: DevMail
) -> None:
    """F-28."""
    room = Room(engine, tmp_path, smtpd.port, readers=10)
    gate = Turnstile()
    victim = room.readers[3]

    room.send(gate, assemble=lambda assembler: Poisoned(assembler, victim))  # type: ignore[arg-type,return-value]

    with reading(engine) as session:
        delivery = session.get_one(Delivery, (room.edition, victim))
    assert (delivery.state, delivery.reason) == (FAILED, Reason.UNSENDABLE)
    assert states_of(engine, room.edition)[victim] is FAILED
    assert room.states() == {SENT: 9, FAILED: 1}
    assert (victim, None) in gate.left
    assert_ledger_is_exact(engine, room.edition, smtpd)


def test_a_server_that_takes_no_connection_costs_nobody_an_attempt(
    engine: Engine, tmp_path: Path
) -> None:
    """R-05."""
    refusing = Script(rules=(Rule(phase=Phase.BANNER, action=script.Reply(code=554)),))
    with checked_devmail(script=refusing) as peer:
        room = Room(engine, tmp_path, peer.port, readers=3)
        gate = Turnstile(lanes=1)

        room.send(gate)

        assert room.states() == {WAITING: 3}
        assert not gate.admitted
        assert len(gate.troubles) == 5


@pytest.mark.parametrize("code", [500, 502])
def test_a_server_that_cannot_chunk_costs_nobody_an_attempt(
    engine: Engine, tmp_path: Path, code: int
) -> None:
    unable = Script(rules=(Rule(phase=Phase.DATA, action=script.Reply(code=code), times=1),))
    with checked_devmail(script=unable) as peer:
        room = Room(engine, tmp_path, peer.port, readers=20)

        room.send(Turnstile(lanes=2))

        assert room.states() == {SENT: 20}
        assert peer.connections <= 2
        assert_ledger_is_exact(engine, room.edition, peer)
