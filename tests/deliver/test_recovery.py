from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine

from newsletter.db import reading, transaction
from newsletter.deliver import claims, ledger
from newsletter.deliver.claims import Claim
from newsletter.deliver.journal import Journal
from newsletter.deliver.outcome import Reply
from newsletter.deliver.recovery import recover
from newsletter.models import Batch, BatchState, DeliveryState
from tests.newsroom import (
    MORNING,
    add_list,
    add_readers,
    add_transport,
    assert_ledger_is_exact,
    sending_edition,
    settings_for,
    states_of,
)

LEASE = timedelta(seconds=60)
NOW = MORNING + timedelta(minutes=1)
LATER = NOW + LEASE + timedelta(seconds=1)

SENT, FAILED, DEFERRED = DeliveryState.SENT, DeliveryState.FAILED, DeliveryState.DEFERRED
UNCERTAIN, WAITING = DeliveryState.UNCERTAIN, DeliveryState.WAITING


@pytest.fixture
def edition_id(engine: Engine, tmp_path: Path) -> int:
    list_id = add_list(engine)
    add_readers(engine, list_id, [f"r{number}" for number in range(6)])
    return sending_edition(engine, settings_for(tmp_path), [list_id], add_transport(engine, 25))


def dead_worker(engine: Engine, folder: Path) -> Claim:
    """It declared four of six: the first was accepted, the second refused, the third told to come
    again, and the fourth's content had gone out when it died.
    """
    with transaction(engine) as session:
        claim = claims.claim(session, now=NOW, lease=LEASE)
        assert claim is not None
        upto = claim.readers[3].subscriber_id
        assert ledger.intend(session, claim.lease, upto=upto, now=NOW, extend=LEASE)
    journal = Journal.create(folder)
    codes = (250, 550, 451)
    for reader in claim.readers[:4]:
        journal.going(claim.lease, reader.subscriber_id)
    for reader, code in zip(claim.readers, codes, strict=False):
        journal.answered(claim.lease, reader.subscriber_id, Reply(code, None, ""))
    journal.abandon()
    return claim


def in_order(engine: Engine, edition_id: int) -> list[DeliveryState]:
    return [state for _, state in sorted(states_of(engine, edition_id).items())]


def state_of_batch(engine: Engine, claim: Claim) -> BatchState:
    with reading(engine) as session:
        return session.get_one(Batch, (claim.lease.edition_id, claim.lease.batch)).state


def test_answers_are_replayed_and_only_the_unanswered_is_uncertain(
    engine: Engine, edition_id: int, folder: Path
) -> None:
    claim = dead_worker(engine, folder)

    assert recover(engine, folder, now=NOW) == 1

    assert in_order(engine, edition_id) == [SENT, FAILED, DEFERRED, UNCERTAIN, WAITING, WAITING]
    assert state_of_batch(engine, claim) is BatchState.READY
    assert_ledger_is_exact(engine, edition_id)


def test_recovering_again_changes_nothing(engine: Engine, edition_id: int, folder: Path) -> None:
    dead_worker(engine, folder)
    recover(engine, folder, now=NOW)
    before = in_order(engine, edition_id)

    assert recover(engine, folder, now=LATER) == 0

    assert in_order(engine, edition_id) == before
    assert_ledger_is_exact(engine, edition_id)


def test_a_journal_that_could_not_be_settled_is_settled_the_next_time(
    engine: Engine, edition_id: int, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead_worker(engine, folder)
    with monkeypatch.context() as patch:
        patch.setattr(ledger, "give_back", _fail)
        with pytest.raises(ConnectionAbortedError):
            recover(engine, folder, now=NOW)
    assert in_order(engine, edition_id) == [WAITING] * 6

    recover(engine, folder, now=NOW)

    assert in_order(engine, edition_id) == [SENT, FAILED, DEFERRED, UNCERTAIN, WAITING, WAITING]
    assert_ledger_is_exact(engine, edition_id)


def _fail(*_: object, **__: object) -> None:
    raise ConnectionAbortedError


def test_a_lease_that_runs_out_leaves_the_declared_in_doubt_and_the_others_waiting(
    engine: Engine, edition_id: int, folder: Path
) -> None:
    """The journal is on a host that is lost."""
    claim = dead_worker(engine, folder)

    assert recover(engine, folder / "another host", now=LATER) == 1

    assert in_order(engine, edition_id) == [UNCERTAIN] * 4 + [WAITING] * 2
    assert state_of_batch(engine, claim) is BatchState.READY
    assert_ledger_is_exact(engine, edition_id)


def test_a_lease_that_has_not_run_out_is_left_alone(
    engine: Engine, edition_id: int, folder: Path
) -> None:
    claim = dead_worker(engine, folder)

    assert recover(engine, folder / "another host", now=NOW + LEASE) == 0

    assert state_of_batch(engine, claim) is BatchState.CLAIMED
    assert in_order(engine, edition_id) == [WAITING] * 6


def test_a_journal_that_turns_up_late_settles_the_doubt(
    engine: Engine, edition_id: int, folder: Path
) -> None:
    dead_worker(engine, folder)
    recover(engine, folder / "another host", now=LATER)
    with transaction(engine) as session:
        successor = claims.claim(session, now=LATER, lease=LEASE)
    assert successor is not None
    assert len(successor.readers) == 2

    recover(engine, folder, now=LATER)

    assert in_order(engine, edition_id) == [SENT, FAILED, DEFERRED, UNCERTAIN, WAITING, WAITING]
    assert state_of_batch(engine, successor) is BatchState.CLAIMED, "the successor keeps its claim"
    assert_ledger_is_exact(engine, edition_id)


def test_a_worker_that_died_after_its_last_commit_left_nothing_to_settle(
    engine: Engine, edition_id: int, folder: Path
) -> None:
    claim = dead_worker(engine, folder)
    recover(engine, folder, now=NOW)
    before = in_order(engine, edition_id)
    journal = Journal.create(folder)
    for reader in claim.readers[:4]:
        journal.going(claim.lease, reader.subscriber_id)
    journal.answered(claim.lease, claim.readers[0].subscriber_id, Reply(250, None, ""))
    journal.abandon()

    recover(engine, folder, now=NOW)

    assert in_order(engine, edition_id) == before
    assert_ledger_is_exact(engine, edition_id)


def test_a_journal_of_an_edition_that_is_gone_is_cleared_away(
    engine: Engine, edition_id: int, folder: Path
) -> None:
    journal = Journal.create(folder)
    journal.going(ledger.Lease(edition_id + 999, 1, 1), 1)
    journal.abandon()

    recover(engine, folder, now=NOW)

    assert list(folder.glob("*.journal")) == []
