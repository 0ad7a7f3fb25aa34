"""What settles a delivery in doubt, and that the books stay exact whichever way it goes."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, select

from newsletter.db import reading, transaction
from newsletter.deliver import claims, ledger, pump
from newsletter.deliver.claims import Claim
from newsletter.deliver.journal import Journal
from newsletter.deliver.outcome import Reply, outcome_of
from newsletter.deliver.recovery import recover
from newsletter.deliver.settling import (
    BELIEVED_AFTER,
    RESENT_AFTER,
    send_again,
    settle_by_evidence,
    settle_by_policy,
)
from newsletter.errors import StateError
from newsletter.models import (
    Batch,
    Delivery,
    DeliveryState,
    EditionState,
    Evidence,
    MailingList,
    OnUncertain,
    Settlement,
)
from newsletter.plan import schedule
from tests.newsroom import (
    MORNING,
    add_list,
    add_readers,
    add_transport,
    assert_ledger_is_exact,
    edition_of,
    sending_edition,
    settings_for,
    states_of,
)

LEASE = timedelta(seconds=60)
NOW = MORNING + timedelta(minutes=1)
LATER = NOW + LEASE + timedelta(seconds=1)
OK = Reply(250, "2.0.0", "Accepted")

SENT, CANCELLED = DeliveryState.SENT, DeliveryState.CANCELLED
UNCERTAIN, WAITING = DeliveryState.UNCERTAIN, DeliveryState.WAITING


@pytest.fixture
def edition_id(engine: Engine, tmp_path: Path) -> int:
    list_id = add_list(engine)
    add_readers(engine, list_id, [f"r{number}" for number in range(4)])
    return sending_edition(engine, settings_for(tmp_path), [list_id], add_transport(engine, 25))


def claim(engine: Engine, *, at: timedelta = timedelta()) -> Claim:
    with transaction(engine) as session:
        claimed = claims.claim(session, now=NOW + at, lease=LEASE)
    assert claimed is not None
    return claimed


@pytest.fixture
def doubted(engine: Engine, edition_id: int, folder: Path) -> list[int]:
    """Four readers: two are sent, then the host was lost and the others are in doubt."""
    claimed = claim(engine)
    readers = [reader.subscriber_id for reader in claimed.readers]
    with transaction(engine) as session:
        ledger.intend(session, claimed.lease, upto=readers[-1], now=NOW, extend=LEASE)
        outcomes = [outcome_of(each, OK) for each in readers[:2]]
        ledger.record(session, claimed.lease, outcomes, revision=1, at=NOW)
    recover(engine, folder, now=LATER)
    pump.turn(engine, folder, now=LATER)
    assert in_order(engine, edition_id) == [SENT, SENT, UNCERTAIN, UNCERTAIN]
    assert edition_of(engine, edition_id).state is EditionState.SENT
    return readers[2:]


def in_order(engine: Engine, edition_id: int) -> list[DeliveryState]:
    return [state for _, state in sorted(states_of(engine, edition_id).items())]


def settlements(engine: Engine) -> list[tuple[int, DeliveryState, Evidence, str | None]]:
    with reading(engine) as session:
        rows = session.scalars(select(Settlement).order_by(Settlement.id))
        return [(row.subscriber_id, row.state, row.evidence, row.by) for row in rows]


def want(engine: Engine, policy: OnUncertain) -> None:
    with transaction(engine) as session:
        for mailing_list in session.scalars(select(MailingList)):
            mailing_list.on_uncertain = policy


def send_rest(engine: Engine, folder: Path, *, at: timedelta) -> None:
    claimed = claim(engine, at=at)
    with transaction(engine) as session:
        upto = claimed.readers[-1].subscriber_id
        ledger.intend(session, claimed.lease, upto=upto, now=NOW + at, extend=LEASE)
        outcomes = [outcome_of(reader.subscriber_id, OK) for reader in claimed.readers]
        ledger.record(session, claimed.lease, outcomes, revision=claimed.revision, at=NOW + at)
        ledger.give_back(session, claimed.lease, due_at=NOW + at)
    pump.turn(engine, folder, now=NOW + at)


def test_evidence_makes_it_sent_at_the_time_it_went_out(
    engine: Engine, edition_id: int, doubted: list[int]
) -> None:
    everybody = list(states_of(engine, edition_id))
    day_after = NOW + timedelta(days=1)

    with transaction(engine) as session:
        settled = settle_by_evidence(session, edition_id, everybody, Evidence.BOUNCE, day_after)

    assert settled == 2
    assert in_order(engine, edition_id) == [SENT] * 4
    assert settlements(engine) == [(each, SENT, Evidence.BOUNCE, None) for each in doubted]
    with reading(engine) as session:
        delivery = session.get_one(Delivery, (edition_id, doubted[0]))
    assert (delivery.sent_at, delivery.revision) == (LATER, 1)
    assert_ledger_is_exact(engine, edition_id)


def test_evidence_that_comes_twice_settles_once(
    engine: Engine, edition_id: int, doubted: list[int]
) -> None:
    settled = []
    for kind in (Evidence.OPEN, Evidence.RELAY):
        with transaction(engine) as session:
            settled.append(settle_by_evidence(session, edition_id, doubted, kind, LATER))

    assert settled == [2, 0]
    assert len(settlements(engine)) == 2


def test_who_is_sent_again_waits_in_a_new_batch_and_the_edition_is_under_way_again(
    engine: Engine, edition_id: int, doubted: list[int], folder: Path
) -> None:
    with transaction(engine) as session:
        again = send_again(session, edition_id, doubted[:1], Evidence.PERSON, LATER, by="Ann")

    assert again == 1
    assert in_order(engine, edition_id) == [SENT, SENT, WAITING, UNCERTAIN]
    assert settlements(engine) == [(doubted[0], WAITING, Evidence.PERSON, "Ann")]
    edition = edition_of(engine, edition_id)
    assert (edition.state, edition.finished_at) == (EditionState.SENDING, None)
    assert_ledger_is_exact(engine, edition_id)

    send_rest(engine, folder, at=timedelta(minutes=5))

    assert in_order(engine, edition_id) == [SENT, SENT, SENT, UNCERTAIN]
    assert edition_of(engine, edition_id).state is EditionState.SENT
    assert_ledger_is_exact(engine, edition_id)


def test_a_message_sent_again_keeps_the_date_it_had(
    engine: Engine, edition_id: int, doubted: list[int]
) -> None:
    with transaction(engine) as session:
        send_again(session, edition_id, doubted, Evidence.PERSON, NOW + timedelta(hours=5))

    readers = claim(engine, at=timedelta(hours=6)).readers

    assert [reader.first_at for reader in readers] == [LATER, LATER]


def test_nobody_is_sent_a_cancelled_edition_again(
    engine: Engine, edition_id: int, folder: Path
) -> None:
    claimed = claim(engine)
    one = claimed.readers[0].subscriber_id
    with transaction(engine) as session:
        ledger.intend(session, claimed.lease, upto=one, now=NOW, extend=LEASE)
        schedule.cancel(session, edition_id)
    pump.turn(engine, folder, now=LATER)

    with pytest.raises(StateError, match="is cancelled"), transaction(engine) as session:
        send_again(session, edition_id, [one], Evidence.PERSON, LATER)

    assert in_order(engine, edition_id) == [UNCERTAIN, CANCELLED, CANCELLED, CANCELLED]


@pytest.mark.parametrize("settle", [settle_by_evidence, send_again])
def test_where_nobody_is_in_doubt_nothing_is_written(
    engine: Engine, edition_id: int, settle: Callable[..., int]
) -> None:
    everybody = list(states_of(engine, edition_id))

    with transaction(engine) as session:
        settled = settle(session, edition_id, everybody, Evidence.OPEN, NOW)

    assert settled == 0
    assert settlements(engine) == []
    assert in_order(engine, edition_id) == [WAITING] * 4


def test_a_list_that_holds_waits_72_hours_and_then_believes(
    engine: Engine, edition_id: int, doubted: list[int]
) -> None:
    assert settle_by_policy(engine, now=LATER + BELIEVED_AFTER - timedelta(seconds=1)) == 0
    assert in_order(engine, edition_id) == [SENT, SENT, UNCERTAIN, UNCERTAIN]

    assert settle_by_policy(engine, now=LATER + BELIEVED_AFTER) == 2

    assert in_order(engine, edition_id) == [SENT] * 4
    assert {row[1:] for row in settlements(engine)} == {(SENT, Evidence.POLICY, None)}
    assert_ledger_is_exact(engine, edition_id)


def test_a_list_that_wants_it_sends_again_once(
    engine: Engine, edition_id: int, doubted: list[int], folder: Path
) -> None:
    want(engine, OnUncertain.RESEND)
    assert settle_by_policy(engine, now=LATER) == 0, "a journal may turn up"

    assert settle_by_policy(engine, now=LATER + RESENT_AFTER) == 2
    assert in_order(engine, edition_id) == [SENT, SENT, WAITING, WAITING]

    again = claim(engine, at=timedelta(minutes=10))
    with transaction(engine) as session:
        upto = again.readers[0].subscriber_id
        ledger.intend(session, again.lease, upto=upto, now=NOW, extend=timedelta(0))
    recover(engine, folder, now=NOW + timedelta(minutes=20))

    assert in_order(engine, edition_id) == [SENT, SENT, UNCERTAIN, WAITING]
    assert settle_by_policy(engine, now=NOW + timedelta(hours=1)) == 0, "in doubt a second time"
    assert_ledger_is_exact(engine, edition_id)


def test_a_journal_that_turns_up_sends_to_those_whose_content_never_went_out(
    engine: Engine, edition_id: int, folder: Path
) -> None:
    """A worker stood still for longer than its lease, so that its whole window was in doubt."""
    claimed = claim(engine)
    one, two, three, four = (reader.subscriber_id for reader in claimed.readers)
    with transaction(engine) as session:
        ledger.intend(session, claimed.lease, upto=four, now=NOW, extend=LEASE)
    journal = Journal.create(folder)
    for each in (one, two):
        journal.going(claimed.lease, each)
    journal.answered(claimed.lease, one, OK)
    recover(engine, folder, now=LATER)
    assert in_order(engine, edition_id) == [UNCERTAIN] * 4

    journal.abandon()
    recover(engine, folder, now=LATER)

    assert in_order(engine, edition_id) == [SENT, UNCERTAIN, WAITING, WAITING]
    assert settlements(engine) == [
        (each, WAITING, Evidence.JOURNAL, None) for each in (three, four)
    ]
    assert_ledger_is_exact(engine, edition_id)


def test_a_journal_says_nothing_about_whom_another_claim_left_in_doubt(
    engine: Engine, edition_id: int, folder: Path
) -> None:
    first = claim(engine)
    one, two, *_ = (reader.subscriber_id for reader in first.readers)
    with transaction(engine) as session:
        ledger.intend(session, first.lease, upto=one, now=NOW, extend=LEASE)
    recover(engine, folder, now=LATER)  # its journal is on another host
    second = claim(engine, at=timedelta(minutes=2))
    assert second.lease.batch == first.lease.batch
    journal = Journal.create(folder)
    journal.going(second.lease, two)
    journal.answered(second.lease, two, OK)
    journal.abandon()

    recover(engine, folder, now=LATER)

    assert in_order(engine, edition_id) == [UNCERTAIN, SENT, WAITING, WAITING]
    assert settlements(engine) == []


def test_people_of_a_cancelled_edition_whose_content_never_went_out_are_cancelled(
    engine: Engine, edition_id: int, folder: Path
) -> None:
    claimed = claim(engine)
    readers = [reader.subscriber_id for reader in claimed.readers]
    with transaction(engine) as session:
        ledger.intend(session, claimed.lease, upto=readers[1], now=NOW, extend=LEASE)
    journal = Journal.create(folder)
    journal.going(claimed.lease, readers[0])
    pump.turn(engine, folder, now=LATER)
    with transaction(engine) as session:
        schedule.cancel(session, edition_id)
    pump.turn(engine, folder, now=LATER)
    assert in_order(engine, edition_id) == [UNCERTAIN, UNCERTAIN, CANCELLED, CANCELLED]

    journal.abandon()
    for _ in range(2):
        pump.turn(engine, folder, now=LATER)

    assert in_order(engine, edition_id) == [UNCERTAIN, CANCELLED, CANCELLED, CANCELLED]
    assert edition_of(engine, edition_id).finished_at is not None
    assert_ledger_is_exact(engine, edition_id)


def test_doubt_and_answers_name_the_revision_that_was_claimed_and_not_a_newer_one(
    engine: Engine, edition_id: int, folder: Path
) -> None:
    claimed = claim(engine)
    one, two, *_ = (reader.subscriber_id for reader in claimed.readers)
    with transaction(engine) as session:
        ledger.intend(session, claimed.lease, upto=two, now=NOW, extend=LEASE)
    journal = Journal.create(folder)
    for each in (one, two):
        journal.going(claimed.lease, each)
    journal.answered(claimed.lease, one, OK)
    recover(engine, folder, now=LATER)
    with transaction(engine) as session:
        edition = edition_of(engine, edition_id)
        session.merge(edition).approved_revision = 2
    successor = claim(engine, at=timedelta(minutes=2))
    assert successor.revision == 2

    journal.abandon()
    recover(engine, folder, now=LATER)

    with reading(engine) as session:
        revisions = [session.get_one(Delivery, (edition_id, each)).revision for each in (one, two)]
        batch = session.get_one(Batch, (edition_id, claimed.lease.batch))
    assert revisions == [1, 1]
    assert batch.revision == 2
    assert in_order(engine, edition_id)[:2] == [SENT, UNCERTAIN]
