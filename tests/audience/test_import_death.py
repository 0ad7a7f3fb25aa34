"""An import whose process is killed outright goes on without a half or a double row."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from sqlalchemy import Engine, func, select

from newsletter.addresses import parse_address
from newsletter.audience.import_report import report_of
from newsletter.audience.import_run import run_import
from newsletter.audience.importing import resume_import
from newsletter.audience.suppression import is_suppressed
from newsletter.db import reading, transaction
from newsletter.models import (
    ConsentEvent,
    Import,
    ImportState,
    Subscriber,
    Subscription,
    SubscriptionStatus,
)
from newsletter.settings import read_settings
from tests.audience.people import a_list

PEOPLE = 45_000
PATIENCE_SECONDS = 120


def write_file(path: Path) -> None:
    with path.open("w") as file:
        file.write("email,name,status\n")
        for number in range(PEOPLE):
            status = "cleaned" if number % 1_000 == 7 else "subscribed"
            file.write(f"reader{number}@readers.example,Reader {number},{status}\n")
        file.write("READER3@readers.example,,unsubscribed\n")


def wait_for_a_slice(engine: Engine, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        with reading(engine) as session:
            if session.scalar(select(Import.line).where(Import.line > 0)):
                return
        time.sleep(0.01)
    pytest.fail("the import ended before it could be killed")


def test_an_import_killed_at_half_is_finished_by_resuming_it(
    engine: Engine, database_url: str, tmp_path: Path
) -> None:
    with transaction(engine) as session:
        list_id = a_list(session).id
    write_file(tmp_path / "people.csv")
    command = ["import", "file", str(tmp_path / "people.csv"), "--list=daily", "--basis=consent"]
    with subprocess.Popen(
        [sys.executable, "-m", "newsletter", *command],
        env=read_settings(database_url=database_url, state_dir=tmp_path).environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        wait_for_a_slice(engine, process)
        os.kill(process.pid, signal.SIGKILL)

    with reading(engine) as session:
        half = session.scalar(select(func.count()).select_from(Subscriber)) or 0
        left = session.scalars(select(Import)).one()
    resume_import(engine, left.id, is_background=False)
    state = run_import(engine, left.id)

    with reading(engine) as session:
        report = report_of(session, left.id)
        counts = [
            session.scalar(select(func.count()).select_from(table))
            for table in (Subscriber, Subscription)
        ]
        proofs = session.scalar(
            select(func.count(func.distinct(ConsentEvent.subscriber_id))).where(
                ConsentEvent.list_id == list_id
            )
        )
        third = session.scalars(
            select(Subscription.status)
            .join(Subscriber, Subscriber.id == Subscription.subscriber_id)
            .where(Subscriber.address_key == "reader3@readers.example")
        ).one()
        assert is_suppressed(session, parse_address("reader7@readers.example"), list_id=list_id)
    assert left.state is ImportState.RUNNING
    assert 0 < half < PEOPLE
    assert half % 10_000 == 0
    assert state is ImportState.DONE
    assert counts == [PEOPLE, PEOPLE]
    assert proofs == PEOPLE
    assert third is SubscriptionStatus.UNSUBSCRIBED
    assert report.outcomes == {
        "created": PEOPLE - 45,
        "now suppressed": 45,
        "address repeated": 1,
    }
