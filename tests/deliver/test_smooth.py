"""A window in one statement does what the ledger's transaction does: all of it, or nothing."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.orm import Session

from newsletter.db import reading, transaction
from newsletter.deliver import claims
from newsletter.deliver.claims import Claim
from newsletter.deliver.smooth import SmoothWindows
from newsletter.errors import FencedError
from newsletter.models import Batch, BatchState, Delivery, DeliveryState
from newsletter.plan import schedule
from tests.newsroom import (
    MORNING,
    add_list,
    add_readers,
    add_transport,
    assert_ledger_is_exact,
    count_states,
    sending_edition,
    settings_for,
)

LEASE = timedelta(seconds=60)
NOW = MORNING + timedelta(minutes=1)


@pytest.fixture
def store() -> str:
    return "postgresql"


@pytest.fixture
def claim(engine: Engine, tmp_path: Path) -> Claim:
    list_id = add_list(engine)
    add_readers(engine, list_id, ["ada", "bo", "cy"])
    sending_edition(engine, settings_for(tmp_path), [list_id], add_transport(engine, 25))
    with transaction(engine) as session:
        return claim_in(session)


def claim_in(session: Session) -> Claim:
    claimed = claims.claim(session, now=NOW, lease=LEASE)
    assert claimed is not None
    return claimed


@pytest.fixture
def windows(engine: Engine) -> Iterator[SmoothWindows]:
    smooth = SmoothWindows(engine)
    yield smooth
    smooth.close()


def advance(windows: SmoothWindows, claim: Claim, people: list[int]) -> bool:
    return windows.advance(
        claim.lease,
        people,
        code=250,
        revision=claim.revision,
        upto=claim.readers[-1].subscriber_id,
        now=NOW,
        extend=LEASE,
    )


def batch_of(engine: Engine, claim: Claim) -> Batch:
    with reading(engine) as session:
        return session.get_one(Batch, (claim.lease.edition_id, claim.lease.batch))


def test_it_declares_records_and_counts(
    engine: Engine, claim: Claim, windows: SmoothWindows
) -> None:
    ada, bo, cy = (reader.subscriber_id for reader in claim.readers)

    assert advance(windows, claim, [])
    assert advance(windows, claim, [ada, bo])
    assert advance(windows, claim, [ada, bo])  # told twice, counted once

    batch = batch_of(engine, claim)
    assert (batch.sent, batch.intent_upto, batch.lease_until) == (2, cy, NOW + LEASE)
    with reading(engine) as session:
        delivery = session.get_one(Delivery, (claim.lease.edition_id, ada))
    assert (delivery.state, delivery.code, delivery.attempts) == (DeliveryState.SENT, 250, 1)
    assert (delivery.revision, delivery.sent_at) == (claim.revision, NOW)
    assert_ledger_is_exact(engine, claim.lease.edition_id)


def test_of_a_paused_edition_answers_are_recorded_and_nobody_more_is_declared(
    engine: Engine, claim: Claim, windows: SmoothWindows
) -> None:
    with transaction(engine) as session:
        schedule.pause(session, claim.lease.edition_id)

    assert not advance(windows, claim, [claim.readers[0].subscriber_id])

    batch = batch_of(engine, claim)
    assert (batch.sent, batch.intent_upto, batch.lease_until) == (1, 0, NOW + LEASE)
    assert_ledger_is_exact(engine, claim.lease.edition_id)


def take_over(session: Session, claim: Claim) -> Claim:
    batch = session.get_one(Batch, (claim.lease.edition_id, claim.lease.batch))
    batch.state = BatchState.READY
    session.flush()
    return claim_in(session)


def test_whoever_was_fenced_marks_nobody(
    engine: Engine, claim: Claim, windows: SmoothWindows
) -> None:
    with transaction(engine) as session:
        successor = take_over(session, claim)

    with pytest.raises(FencedError):
        advance(windows, claim, [claim.readers[0].subscriber_id])

    assert count_states(engine, claim.lease.edition_id) == {DeliveryState.WAITING: 3}
    assert batch_of(engine, claim).lease_token == successor.lease.token
    assert_ledger_is_exact(engine, claim.lease.edition_id)


def test_whoever_is_fenced_while_the_statement_waits_for_the_batch_marks_nobody(
    engine: Engine, claim: Claim, windows: SmoothWindows
) -> None:
    with ThreadPoolExecutor(1) as thread:
        with transaction(engine) as session:
            take_over(session, claim)
            late = thread.submit(advance, windows, claim, [claim.readers[0].subscriber_id])
            wait_until_somebody_waits_for_a_lock(engine)

        with pytest.raises(FencedError):
            late.result()

    assert count_states(engine, claim.lease.edition_id) == {DeliveryState.WAITING: 3}
    assert_ledger_is_exact(engine, claim.lease.edition_id)


def wait_until_somebody_waits_for_a_lock(engine: Engine) -> None:
    waiting = text(
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE wait_event_type = 'Lock' AND datname = current_database()"
    )
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with reading(engine) as session:
            if session.scalar(waiting):
                return
        time.sleep(0.01)
    raise TimeoutError
