"""Worker processes that are killed, or frozen until somebody else has their work."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Engine, select

from newsletter.clock import utc_now
from newsletter.db import reading
from newsletter.deliver import pump
from newsletter.deliver.batch_run import EXIT_FENCED, WINDOW
from newsletter.deliver.journal import FOLDER
from newsletter.deliver.sender import Sender
from newsletter.devmail.script import Delay, Phase, Rule, Script
from newsletter.models import Batch, BatchState, DeliveryState, EditionState
from newsletter.settings import PROJECT_ROOT
from tests.deliver.sending import LEASE_SECONDS
from tests.newsroom import (
    add_list,
    add_readers,
    add_transport,
    assert_ledger_is_exact,
    count_states,
    edition_of,
    sending_edition,
    settings_for,
)
from tests.smtpd import checked_devmail

READERS = 200
CONNECTIONS = 3
SLOW = Script(
    rules=(
        Rule(phase=Phase.AFTER_DOT, action=Delay(seconds=0.02)),
        Rule(phase=Phase.RCPT, action=Delay(seconds=0.005)),
    )
)


@contextmanager
def child(database_url: str, state_dir: Path) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(
        [sys.executable, "-m", "tests.deliver.sending", database_url, str(state_dir)],
        cwd=PROJECT_ROOT,
        stderr=subprocess.PIPE,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def edition_with_readers(engine: Engine, state_dir: Path, port: int) -> int:
    transport, list_id = add_transport(engine, port, connections=CONNECTIONS), add_list(engine)
    add_readers(engine, list_id, [f"r{number}" for number in range(READERS)])
    return sending_edition(engine, settings_for(state_dir), [list_id], transport)


def finish(engine: Engine, state_dir: Path) -> None:
    with Sender(engine, settings_for(state_dir)) as sender:
        sender.drain(seconds=20)
    pump.turn(engine, state_dir / FOLDER, now=utc_now())


def test_a_worker_killed_in_mid_send_loses_nobody_and_doubles_nobody(
    engine: Engine, database_url: str, tmp_path: Path
) -> None:
    """F-10; I4: no more people in doubt than there were connections."""
    with checked_devmail(script=SLOW) as peer:
        edition_id = edition_with_readers(engine, tmp_path, peer.port)
        for count in (20, 80):
            with child(database_url, tmp_path) as process:
                peer.wait_for(count, timeout_seconds=40)
                process.kill()

        finish(engine, tmp_path)

        states = count_states(engine, edition_id)
        uncertain = states.pop(DeliveryState.UNCERTAIN, 0)
        assert states == {DeliveryState.SENT: READERS - uncertain}
        assert uncertain <= 2 * CONNECTIONS
        assert len(peer.messages()) == READERS
        assert edition_of(engine, edition_id).state is EditionState.SENT
        assert_ledger_is_exact(engine, edition_id, peer)


def test_a_frozen_worker_that_was_replaced_stops_when_it_wakes(
    engine: Engine, database_url: str, tmp_path: Path
) -> None:
    """F-12; the journal is out of reach while its owner is only frozen, so a window is in doubt."""
    with checked_devmail(script=SLOW) as peer:
        edition_id = edition_with_readers(engine, tmp_path, peer.port)
        with child(database_url, tmp_path) as process:
            peer.wait_for(20, timeout_seconds=40)
            process.send_signal(signal.SIGSTOP)
            time.sleep(LEASE_SECONDS + 0.2)
            finish(engine, tmp_path)
            states = count_states(engine, edition_id)
            assert DeliveryState.WAITING not in states
            assert 0 < states[DeliveryState.UNCERTAIN] <= 2 * WINDOW

            process.send_signal(signal.SIGCONT)
            assert process.wait(20) == EXIT_FENCED

        finish(engine, tmp_path)

        states = count_states(engine, edition_id)
        settled = states[DeliveryState.SENT] + states.get(DeliveryState.UNCERTAIN, 0)
        assert settled == READERS
        assert_ledger_is_exact(engine, edition_id, peer)


def test_a_killed_workers_batch_is_taken_up_without_waiting_for_its_lease(
    engine: Engine, database_url: str, tmp_path: Path
) -> None:
    with checked_devmail(script=SLOW) as peer:
        edition_id = edition_with_readers(engine, tmp_path, peer.port)
        with child(database_url, tmp_path) as process:
            peer.wait_for(5, timeout_seconds=40)
            process.kill()

        pump.turn(engine, tmp_path / FOLDER, now=utc_now())

        with reading(engine) as session:
            states = session.scalars(
                select(Batch.state).where(Batch.edition_id == edition_id, Batch.number > 0)
            ).all()
        assert states == [BatchState.READY]
        assert_ledger_is_exact(engine, edition_id, peer)
