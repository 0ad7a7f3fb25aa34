"""The gate of a batch, asked and told as a batch under way asks and tells it."""

import ssl
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import count

import pytest
from sqlalchemy import Engine, select, update

from newsletter.db import reading, transaction
from newsletter.deliver import claims, ledger
from newsletter.deliver.batch_gate import LOOK_SECONDS, BatchGate
from newsletter.deliver.claims import Claim, Reader
from newsletter.deliver.gate import OpenGate
from newsletter.deliver.holds import PROBE_WAITS, lift, open_holds, pause_held_editions
from newsletter.deliver.outcome import Outcome, Reply, outcome_of
from newsletter.deliver.providers import route_numbers
from newsletter.deliver.reply_rules import rules_of
from newsletter.deliver.standing import Standing
from newsletter.deliver.wire import ConnectionLost, Phase, SmtpError, TransportRefused
from newsletter.models import (
    Batch,
    DeliveryState,
    Domain,
    DomainTrouble,
    EditionState,
    Hold,
    HoldScope,
    Reason,
    Route,
    Subscriber,
    Traffic,
)
from newsletter.settings import Settings
from tests.newsroom import (
    MORNING,
    add_list,
    add_readers,
    add_transport,
    assert_ledger_is_exact,
    edition_of,
    sending_edition,
    settings_for,
)

LEASE = timedelta(seconds=60)
OK = Reply(250, "2.0.0", "queued")
UNKNOWN_USER = Reply(550, "5.1.1", "User unknown")
LATER = Reply(450, "4.3.0", "Come back later")
GREYLISTED = Reply(450, "4.7.1", "Greylisted, come back in 5 minutes")
BLOCKED = Reply(554, "5.7.1", "Your host is listed on a DNSBL")
UNSIGNED = Reply(550, "5.7.26", "This mail is not authenticated: DMARC")


class Desk:
    """An edition being sent to `people` readers, and the batches of it that are claimed."""

    def __init__(self, engine: Engine, settings: Settings, people: int) -> None:
        self.engine = engine
        self.transport_id = add_transport(engine, 25)
        self.list_id = add_list(engine)
        names = [f"Reader{number}" for number in range(people)]
        self.people = add_readers(engine, self.list_id, names)
        self.edition_id = sending_edition(engine, settings, [self.list_id], self.transport_id)
        self.standing = Standing()

    def claim(self, now: datetime = MORNING) -> Claim | None:
        with transaction(self.engine) as session:
            return claims.claim(session, now=now, lease=LEASE)

    def gate(self, claim: Claim, standing: Standing | None = None) -> BatchGate:
        with reading(self.engine) as session:
            provider = session.get_one(Route, claim.route).name
        return BatchGate(
            claim,
            transport="devmail",
            pace=OpenGate(4),
            standing=standing or self.standing,
            sender_domains={self.list_id: "harbour.example"},
            rules=rules_of(provider),
            clock=count(0.0, LOOK_SECONDS).__next__,  # it is always time to look
        )

    def opened(self, now: datetime = MORNING) -> tuple[Claim, BatchGate]:
        claim = self.claim(now)
        assert claim is not None
        return claim, self.gate(claim)

    def judge(
        self,
        claim: Claim,
        gate: BatchGate,
        replies: Sequence[tuple[Reader, Reply]],
        *,
        now: datetime = MORNING,
    ) -> None:
        """Send to these readers, get these replies, record them."""
        for reader, reply in replies:
            assert gate.admits(reader)
            gate.leaves(reader, reply)
        outcomes = [outcome_of(reader.subscriber_id, reply) for reader, reply in replies]
        self.record(claim, gate, outcomes, now=now)

    def record(
        self, claim: Claim, gate: BatchGate, outcomes: Sequence[Outcome], *, now: datetime = MORNING
    ) -> None:
        with transaction(self.engine) as session:
            ledger.record(session, claim.lease, outcomes, revision=1, at=now)
            gate.observe(session, outcomes, now=now)

    def close(self, claim: Claim, gate: BatchGate, *, now: datetime = MORNING) -> None:
        with transaction(self.engine) as session:
            ledger.give_back(session, claim.lease, due_at=now)
        with transaction(self.engine) as session:
            gate.close(session, now=now)
        pause_held_editions(self.engine, now=now)

    def holds(self, now: datetime = MORNING) -> list[Hold]:
        with reading(self.engine) as session:
            return list(open_holds(session, now=now))

    def route(self, provider: str) -> None:
        """Its batches are all for this provider."""
        with transaction(self.engine) as session:
            number = route_numbers(session)[provider]
            session.execute(update(Batch).values(route=number))


@pytest.fixture
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return settings_for(tmp_path_factory.mktemp("state"))


def lost(cause: BaseException | None = None) -> ConnectionLost:
    error = ConnectionLost("connection lost")
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("trouble", "times"),
    [
        (TransportRefused(Phase.AUTH, Reply(535, "5.7.8", "Bad credentials")), 1),
        (TransportRefused(Phase.STARTTLS, Reply(454, None, "not offered")), 1),
        (TransportRefused(Phase.GREETING, Reply(554, None, "Go away")), 1),
        (lost(ssl.SSLCertVerificationError("certificate has expired")), 1),
        (lost(ConnectionRefusedError()), 2),
        (TransportRefused(Phase.MAIL, Reply(550, "5.1.8", "Bad sender")), 3),
        (TransportRefused(Phase.GREETING, Reply(421, None, "Too busy")), 10),
        (lost(TimeoutError()), 10),
    ],
)
def test_r43_a_transport_is_held_when_it_is_in_trouble_and_no_attempt_is_consumed(
    engine: Engine, settings: Settings, trouble: SmtpError, times: int
) -> None:
    desk = Desk(engine, settings, 3)
    claim, gate = desk.opened()

    for _ in range(times - 1):
        gate.failed(trouble)
    before = gate.is_shut
    gate.failed(trouble)

    assert (before, gate.is_shut) == (False, True)
    desk.close(claim, gate)
    [held] = desk.holds()
    assert (held.scope, held.rule, held.transport_id) == (
        HoldScope.TRANSPORT,
        "R-43",
        desk.transport_id,
    )
    assert desk.claim() is None
    assert {reader.attempts for reader in claim.readers} == {0}
    assert_ledger_is_exact(engine, desk.edition_id)


def test_r43_a_message_that_was_judged_in_between_is_hope(
    engine: Engine, settings: Settings
) -> None:
    desk = Desk(engine, settings, 1)
    claim, gate = desk.opened()

    for _ in range(9):
        gate.failed(lost())
    gate.admits(claim.readers[0])
    gate.leaves(claim.readers[0], UNKNOWN_USER)
    for _ in range(9):
        gate.failed(lost())

    assert not gate.is_shut


def test_r43_one_batch_probes_with_one_reader_and_then_opens_up(
    engine: Engine, settings: Settings
) -> None:
    desk = Desk(engine, settings, 3)
    claim, gate = desk.opened()
    gate.failed(TransportRefused(Phase.AUTH, Reply(535, None, "no")))
    desk.close(claim, gate)
    later = MORNING + PROBE_WAITS[0]

    probe = desk.claim(later)
    assert probe is not None
    assert probe.is_probe
    assert desk.claim(later) is None
    gate = desk.gate(probe)
    first, second, third = probe.readers

    assert gate.lanes == 1
    assert gate.admits(first)
    assert not gate.admits(second)
    gate.leaves(first, OK)
    assert gate.lanes == 4
    assert gate.admits(second)
    assert gate.admits(third)
    desk.close(probe, gate, now=later)
    assert not desk.holds(later)


def test_r43_a_probe_that_fails_waits_longer(engine: Engine, settings: Settings) -> None:
    desk = Desk(engine, settings, 3)
    claim, gate = desk.opened()
    gate.failed(TransportRefused(Phase.AUTH, Reply(535, None, "no")))
    desk.close(claim, gate)
    later = MORNING + PROBE_WAITS[0]
    probe, gate = desk.opened(later)

    gate.failed(lost())

    assert gate.is_shut
    desk.close(probe, gate, now=later)
    [held] = desk.holds(later)
    assert held.probe_at == later + PROBE_WAITS[1]
    assert desk.claim(later) is None


def test_r40_an_edition_whose_readers_are_refused_for_good_is_paused(
    engine: Engine, settings: Settings
) -> None:
    desk = Desk(engine, settings, 60)
    claim, gate = desk.opened()
    readers = claim.readers

    desk.judge(claim, gate, [(each, OK) for each in readers[:40]])
    desk.judge(claim, gate, [(each, UNKNOWN_USER) for each in readers[40:50]])
    assert not gate.is_shut
    desk.judge(claim, gate, [(each, UNKNOWN_USER) for each in readers[50:55]])

    # Another process, whose batch is under way, notices within a second.
    other = desk.gate(claim, Standing())
    desk.record(claim, other, [])
    assert other.is_shut
    assert desk.claim() is None
    desk.close(claim, gate)
    assert edition_of(engine, desk.edition_id).state is EditionState.PAUSED
    assert_ledger_is_exact(engine, desk.edition_id)


def test_r46_an_edition_of_which_several_messages_cannot_be_made_is_paused(
    engine: Engine, settings: Settings
) -> None:
    desk = Desk(engine, settings, 30)
    claim, gate = desk.opened()
    broken = [
        Outcome(reader.subscriber_id, DeliveryState.FAILED, Reason.UNSENDABLE)
        for reader in claim.readers[:3]
    ]

    # What is odd about two readers is not the edition's fault.
    desk.record(claim, gate, broken[:2])
    was_shut = gate.is_shut
    desk.record(claim, gate, broken[2:])

    assert (was_shut, gate.is_shut) == (False, True)
    desk.close(claim, gate)
    assert edition_of(engine, desk.edition_id).state is EditionState.PAUSED


def test_r44_a_provider_that_defers_too_many_is_held_and_the_others_go_on(
    engine: Engine, settings: Settings
) -> None:
    desk = Desk(engine, settings, 60)
    desk.route("google")
    claim, gate = desk.opened()

    desk.judge(claim, gate, [(each, OK) for each in claim.readers[:30]])
    desk.judge(claim, gate, [(each, LATER) for each in claim.readers[30:50]])

    desk.close(claim, gate)
    [held] = desk.holds()
    assert (held.scope, held.rule) == (HoldScope.ROUTE, "R-44")
    assert held.until == MORNING + timedelta(minutes=30)
    assert held.reply == LATER.text
    assert desk.claim() is None
    desk.route("yahoo")
    assert desk.claim() is not None


def test_r44_each_further_hold_of_a_provider_lasts_twice_as_long(
    engine: Engine, settings: Settings
) -> None:
    desk = Desk(engine, settings, 30)
    desk.route("google")
    now = MORNING
    minutes = []
    for start in range(0, 20, 5):
        claim, gate = desk.opened(now)
        readers = [each for each in claim.readers if each.attempts == 0][:5]
        desk.judge(claim, gate, [(each, BLOCKED) for each in readers], now=now)
        desk.close(claim, gate, now=now)
        [held] = [each for each in desk.holds(now) if each.scope is HoldScope.ROUTE]
        assert held.until is not None
        minutes.append((held.until - now).total_seconds() / 60)
        now = held.until
        with transaction(engine) as session:
            for each in desk.holds(now):
                lift(session, each.id, by="Olga", now=now)
        assert start < 20

    assert minutes == [30, 60, 120, 240]


def test_r03_greylisting_counts_towards_no_breaker(engine: Engine, settings: Settings) -> None:
    desk = Desk(engine, settings, 60)
    claim, gate = desk.opened()

    desk.judge(claim, gate, [(each, GREYLISTED) for each in claim.readers])

    desk.close(claim, gate)
    assert not desk.holds()


def test_r42_three_replies_in_a_row_that_disbelieve_the_from_domain_hold_it(
    engine: Engine, settings: Settings
) -> None:
    desk = Desk(engine, settings, 10)
    claim, gate = desk.opened()
    readers = claim.readers

    for reader in readers[:2]:
        assert gate.admits(reader)
        gate.leaves(reader, UNSIGNED)
    before = gate.is_shut
    gate.admits(readers[2])
    gate.leaves(readers[2], UNSIGNED)

    assert (before, gate.is_shut) == (False, True)
    desk.close(claim, gate)
    [held] = desk.holds()
    assert (held.scope, held.key) == (HoldScope.SENDER_DOMAIN, "harbour.example")
    assert desk.claim() is None


def test_r45_a_domain_that_refuses_ten_people_is_set_aside(
    engine: Engine, settings: Settings
) -> None:
    desk = Desk(engine, settings, 60)
    with transaction(engine) as session:
        domain = Domain(name="dead.example")
        session.add(domain)
        session.flush()
        session.execute(
            update(Subscriber)
            .where(Subscriber.id.in_(desk.people[:12]))
            .values(domain_id=domain.id)
        )
    claim, gate = desk.opened()
    dead, alive = claim.readers[:12], claim.readers[12:]

    desk.judge(claim, gate, [(each, OK) for each in alive])
    desk.judge(claim, gate, [(each, UNKNOWN_USER) for each in dead[:9]])
    assert gate.admits(dead[10])
    gate.leaves(dead[10], None)
    desk.judge(claim, gate, [(dead[9], UNKNOWN_USER)])

    gate = desk.gate(claim)
    desk.record(claim, gate, [])
    assert not gate.admits(dead[10])
    assert gate.admits(alive[0])
    assert gate.wait_seconds() > 60
    assert [each.key for each in desk.holds() if each.rule == "R-45"] == [str(dead[0].domain_id)]


def test_r45_a_domain_that_accepts_somebody_is_counted_anew(
    engine: Engine, settings: Settings
) -> None:
    desk = Desk(engine, settings, 60)
    claim, gate = desk.opened()
    readers = claim.readers

    desk.judge(claim, gate, [(each, UNKNOWN_USER) for each in readers[:3]])
    desk.judge(claim, gate, [(each, OK) for each in readers[3:20]])
    desk.close(claim, gate)

    with reading(engine) as session:
        assert not session.scalars(select(DomainTrouble)).all()


def test_r23_a_reply_rule_suspends_its_provider_at_once(engine: Engine, settings: Settings) -> None:
    desk = Desk(engine, settings, 3)
    desk.route("yahoo")
    claim, gate = desk.opened()
    words = Reply(421, "4.7.0", "[TSS04] Messages from 192.0.2.7 temporarily deferred")

    gate.admits(claim.readers[0])
    gate.leaves(claim.readers[0], words)

    assert gate.is_shut
    desk.close(claim, gate)
    [held] = desk.holds()
    assert (held.rule, held.until) == ("yahoo-tss04", MORNING + timedelta(hours=2))
    assert desk.claim() is None


def test_r23_a_reply_rule_slows_its_provider_down(engine: Engine, settings: Settings) -> None:
    desk = Desk(engine, settings, 3)
    desk.route("yahoo")
    claim, gate = desk.opened()

    gate.admits(claim.readers[0])
    gate.leaves(claim.readers[0], Reply(421, "4.7.1", "[TS03] All messages will be deferred"))
    desk.close(claim, gate)

    slowed = desk.claim()
    assert slowed is not None
    limit = slowed.obstacles.limit(slowed.transport_id, slowed.route)
    assert str(limit.rate) == "1/min"


def test_what_went_well_costs_one_row_for_the_batch(engine: Engine, settings: Settings) -> None:
    desk = Desk(engine, settings, 20)
    claim, gate = desk.opened()
    for reader in claim.readers:
        desk.judge(claim, gate, [(reader, OK)])
    with reading(engine) as session:
        assert not session.scalars(select(Traffic)).all()

    desk.close(claim, gate)

    with reading(engine) as session:
        [row] = session.scalars(select(Traffic))
    assert (row.tried, row.deferred, row.blocked, row.unauthentic) == (20, 0, 0, 0)
