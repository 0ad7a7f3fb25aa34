"""Work beside a process's other jobs."""

import logging
import threading

import pytest
from sqlalchemy.exc import OperationalError

from workers.beside import Beside


def test_work_that_goes_on_is_not_begun_twice() -> None:
    begun: list[str] = []
    may_end, has_ended = threading.Event(), threading.Semaphore(0)

    def work() -> None:
        begun.append(threading.current_thread().name)
        may_end.wait(5)
        has_ended.release()

    beside = Beside("waiting", work)
    for _ in range(3):
        beside.start()
    may_end.set()
    has_ended.acquire(timeout=5)

    assert begun == ["waiting"]


def test_a_database_that_is_away_is_said_and_the_next_bell_tries_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    turns = threading.Semaphore(0)

    def work() -> None:
        turns.release()
        message = "away"
        raise OperationalError(message, None, Exception())

    beside = Beside("failing", work)
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            beside.start()
            assert turns.acquire(timeout=5)
            for thread in threading.enumerate():
                if thread.name == "failing":
                    thread.join(5)

    assert [record.message for record in caplog.records] == ["database out of reach"] * 2
