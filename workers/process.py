"""What one worker process owns: its senders or its post office, made after the fork, and a look at the
database of its own for when no doorbell rings.
"""

import gc
import logging
import multiprocessing
import os
import threading
from typing import Any

from celery.signals import (
    after_task_publish,
    beat_init,
    worker_process_init,
    worker_process_shutdown,
    worker_ready,
    worker_shutting_down,
)
from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError

from newsletter import metrics
from newsletter.audience.import_work import run_waiting
from newsletter.clock import utc_now
from newsletter.db import get_engine
from newsletter.deliver.crew import Crew
from newsletter.deliver.post_office import PostOffice
from newsletter.queue import Job, Queue, ring
from newsletter.redis import BEAT_RANG, SERVED, get_redis
from newsletter.settings import get_settings
from workers.app import app

logger = logging.getLogger(__name__)

DRAIN_SECONDS = 30.0
PRESENCE_SECONDS = 10.0
EXIT_BROKEN = 70

# Made before the fork, so that the parent's signal reaches every child in mid-drain.
_stopping = multiprocessing.Event()
_ended = threading.Event()
_crew: Crew | None = None
_post_office: PostOffice | None = None
_importer: threading.Thread | None = None


def import_files() -> None:
    """Import what waits, beside this process's other jobs: a large file takes minutes, and the pump
    must not wait for it. Dying in the middle costs nothing but a slice.
    """
    global _importer
    if _importer is None or not _importer.is_alive():
        _importer = threading.Thread(target=_import_waiting, name="importer", daemon=True)
        _importer.start()


def drain() -> None:
    """Send what is due, in this process, until nothing is, the budget is spent or we must stop."""
    assert _crew is not None
    if _crew.drain(seconds=DRAIN_SECONDS):
        ring(Job.PUMP)  # the last batch of an edition ends it


def send_system_mail() -> None:
    """Say that mail may be due; the post office sends it beside whatever it is sending."""
    assert _post_office is not None
    _post_office.nudge()


@worker_shutting_down.connect
def _stop_draining(**_: Any) -> None:
    _stopping.set()


@beat_init.connect
def _count_beats(**_: Any) -> None:
    # Only in beat: workers ring too, and say nothing by it about whether beat lives.
    after_task_publish.connect(_beat_rang)


def _beat_rang(sender: str, **_: Any) -> None:
    metrics.BEATS.labels(sender).inc()
    try:
        get_redis().set(BEAT_RANG, utc_now().isoformat())
    except RedisError as error:
        logger.warning("beat not noted", extra={"error": type(error).__name__})


@beat_init.connect
@worker_ready.connect
def _answer_scrapes(**_: Any) -> None:
    port = get_settings().metrics_port
    if port is None:
        return
    try:
        metrics.serve(get_settings(), port)
    except OSError as error:
        logger.warning("metrics port taken", extra={"port": port, "error": error.strerror})


@worker_process_init.connect
def _begin(**_: Any) -> None:
    global _crew, _post_office
    # Celery logs an exception in here and goes on with a broken child: better none.
    try:
        get_engine().dispose(close=False)
        if Queue.DELIVER in app.amqp.queues.consume_from:
            _crew = Crew(get_engine(), get_settings(), should_stop=_stopping.is_set)
            threading.Thread(target=_look_for_work, name="self-poll", daemon=True).start()
        if Queue.SYSTEM in app.amqp.queues.consume_from:
            _post_office = PostOffice(get_engine(), get_settings())
        threading.Thread(target=_say_who_serves, name="presence", daemon=True).start()
        # What was imported stays for good: the collector need not go through it over and over.
        gc.freeze()
    except BaseException:
        logger.exception("worker process cannot begin")
        os._exit(EXIT_BROKEN)


@worker_process_shutdown.connect
def _end(**_: Any) -> None:
    _ended.set()
    if _crew is not None:
        _crew.close()
    if _post_office is not None:
        _post_office.close()
    metrics.forget_process(os.getpid())


def _say_who_serves() -> None:
    """A queue that nobody serves is found by `newsletter doctor`, before somebody waits for its mail."""
    while True:
        try:
            now = utc_now().isoformat()
            get_redis().mset({SERVED + queue: now for queue in app.amqp.queues.consume_from})
        except RedisError as error:
            logger.warning("presence not noted", extra={"error": type(error).__name__})
        if _ended.wait(PRESENCE_SECONDS):
            return


def _import_waiting() -> None:
    def should_stop() -> bool:
        return _ended.is_set() or _stopping.is_set()

    try:
        run_waiting(get_engine(), now=utc_now(), should_stop=should_stop)
    except SQLAlchemyError as error:
        logger.warning("database out of reach", extra={"error": type(error).__name__})


def _look_for_work() -> None:
    assert _crew is not None
    while not _ended.wait(get_settings().poll_seconds):
        if _stopping.is_set():
            return
        try:
            if _crew.has_due_work():
                drain()
        except SQLAlchemyError as error:
            logger.warning("database out of reach", extra={"error": type(error).__name__})
        except Exception:
            # Whatever a batch died of, the look-out goes on: without it a silent broker would
            # stop this process for good.
            logger.exception("drain broke off")
