from datetime import timedelta
from pathlib import Path

from sqlalchemy import Engine, update

from newsletter.addresses import parse_address
from newsletter.db import reading, transaction
from newsletter.models import Batch, BatchState, EditionState, SystemMailKind
from newsletter.outbox import post
from newsletter.plan import schedule
from newsletter.report.backlog import Backlog, read_backlog
from tests.newsroom import (
    MORNING,
    add_list,
    add_readers,
    add_transport,
    sending_edition,
    settings_for,
)

SENDING, PAUSED = EditionState.SENDING, EditionState.PAUSED
READY, CLAIMED = BatchState.READY, BatchState.CLAIMED
LATER = MORNING + timedelta(seconds=90)


def send_to(engine: Engine, folder: Path, readers: int) -> int:
    list_id = add_list(engine)
    add_readers(engine, list_id, [f"r{number}" for number in range(readers)])
    return sending_edition(engine, settings_for(folder), [list_id], add_transport(engine, 2525))


def backlog_of(engine: Engine) -> Backlog:
    with reading(engine) as session:
        return read_backlog(session, now=LATER)


def test_nothing_is_on_its_way_in_an_empty_installation(engine: Engine) -> None:
    assert backlog_of(engine) == Backlog(
        0.0,
        {SENDING: 0, PAUSED: 0},
        {READY: 0, CLAIMED: 0},
        deferred=0,
        uncertain=0,
        oldest_mail_seconds=0.0,
    )


def test_a_batch_that_nobody_claims_grows_old(engine: Engine, tmp_path: Path) -> None:
    send_to(engine, tmp_path, 3)

    backlog = backlog_of(engine)

    assert backlog.oldest_due_seconds == 90
    assert backlog.editions == {SENDING: 1, PAUSED: 0}
    assert backlog.batches == {READY: 1, CLAIMED: 0}


def test_a_claimed_batch_is_not_overdue_and_its_counters_are_summed(
    engine: Engine, tmp_path: Path
) -> None:
    send_to(engine, tmp_path, 3)
    with transaction(engine) as session:
        session.execute(
            update(Batch).where(Batch.state == READY).values(state=CLAIMED, deferred=2, uncertain=1)
        )

    backlog = backlog_of(engine)

    assert (backlog.oldest_due_seconds, backlog.batches[CLAIMED]) == (0, 1)
    assert (backlog.deferred, backlog.uncertain) == (2, 1)


def test_a_paused_edition_is_not_overdue(engine: Engine, tmp_path: Path) -> None:
    edition_id = send_to(engine, tmp_path, 3)
    with transaction(engine) as session:
        schedule.pause(session, edition_id)

    backlog = backlog_of(engine)

    assert backlog.oldest_due_seconds == 0
    assert backlog.editions == {SENDING: 0, PAUSED: 1}


def test_a_single_mail_that_nobody_sends_grows_old(engine: Engine) -> None:
    with transaction(engine) as session:
        to = parse_address("ed@desk.example")
        post(session, SystemMailKind.ALARM, to=to, data={}, now=MORNING)

    assert backlog_of(engine).oldest_mail_seconds == 90
