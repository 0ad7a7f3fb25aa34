"""The doorbell: names every job and rings for it once the transaction that needs it is committed.

A bell carries ids of work, never the work: it may be lost, doubled or late, and nothing changes.
"""

import logging
from enum import StrEnum
from functools import cache
from typing import Any

from celery import Celery
from kombu.exceptions import OperationalError
from sqlalchemy import event
from sqlalchemy.orm import Session, SessionTransaction

from newsletter.settings import get_settings

logger = logging.getLogger(__name__)


class Queue(StrEnum):
    SYSTEM = "system"
    DELIVER = "deliver"
    UPKEEP = "upkeep"
    FEEDBACK = "feedback"


class Job(StrEnum):
    PLAN_EDITION = "newsletter.plan_edition"
    DRAIN = "newsletter.drain"
    PUMP = "newsletter.pump"
    RECORD_EVENTS = "newsletter.record_events"
    SETTLE_DOUBTS = "newsletter.settle_doubts"
    RESOLVE_DOMAINS = "newsletter.resolve_domains"
    SEND_SYSTEM_MAIL = "newsletter.send_system_mail"
    FORGET_SYSTEM_MAIL = "newsletter.forget_system_mail"
    INSPECT = "newsletter.inspect"
    IMPORT_FILES = "newsletter.import_files"
    ANSWER_SIGNUPS = "newsletter.answer_signups"
    FORGET_SIGNUPS = "newsletter.forget_signups"
    COUNT_SEGMENTS = "newsletter.count_segments"
    FORGET_API_ANSWERS = "newsletter.forget_api_answers"
    FORGET_SIGN_INS = "newsletter.forget_sign_ins"
    FINISH_ERASURES = "newsletter.finish_erasures"
    APPLY_RETENTION = "newsletter.apply_retention"
    FETCH_FEEDS = "newsletter.fetch_feeds"
    FORGET_CANDIDATES = "newsletter.forget_candidates"
    CALL_ALARM_TARGETS = "newsletter.call_alarm_targets"


QUEUE_OF = {
    Job.PLAN_EDITION: Queue.UPKEEP,
    Job.DRAIN: Queue.DELIVER,
    Job.PUMP: Queue.UPKEEP,
    Job.RECORD_EVENTS: Queue.FEEDBACK,
    Job.SETTLE_DOUBTS: Queue.UPKEEP,
    Job.RESOLVE_DOMAINS: Queue.UPKEEP,
    Job.SEND_SYSTEM_MAIL: Queue.SYSTEM,
    Job.FORGET_SYSTEM_MAIL: Queue.UPKEEP,
    Job.INSPECT: Queue.UPKEEP,
    Job.IMPORT_FILES: Queue.UPKEEP,
    Job.ANSWER_SIGNUPS: Queue.SYSTEM,
    Job.FORGET_SIGNUPS: Queue.UPKEEP,
    Job.COUNT_SEGMENTS: Queue.UPKEEP,
    Job.FORGET_API_ANSWERS: Queue.UPKEEP,
    Job.FORGET_SIGN_INS: Queue.UPKEEP,
    Job.FINISH_ERASURES: Queue.UPKEEP,
    Job.APPLY_RETENTION: Queue.UPKEEP,
    Job.FETCH_FEEDS: Queue.UPKEEP,
    Job.FORGET_CANDIDATES: Queue.UPKEEP,
    Job.CALL_ALARM_TARGETS: Queue.UPKEEP,
}


@cache
def _producer() -> Celery:
    app = Celery("newsletter-producer", broker=get_settings().redis_url, set_as_current=False)
    app.conf.update(
        task_serializer="json",
        task_ignore_result=True,
        # A bell that cannot be rung at once is not worth waiting for.
        broker_transport_options={
            "socket_timeout": 5,
            "socket_connect_timeout": 2,
            "max_retries": 1,
            "interval_start": 0,
            "interval_step": 0,
        },
    )
    return app


def ring(job: Job, arguments: dict[str, Any] | None = None) -> None:
    """Ring now. A broker that is away is logged and forgotten: the pump finds due work by itself."""
    try:
        _producer().send_task(job, kwargs=arguments or {}, queue=QUEUE_OF[job], retry=False)
    except OperationalError as error:
        logger.warning("doorbell not rung", extra={"job": job.value, "error": type(error).__name__})


def enqueue_after_commit(session: Session, job: Job, **arguments: Any) -> None:
    """Ring for `job` when the session's outermost transaction commits; forget it on rollback."""
    pending: list[tuple[Job, dict[str, Any]]] = session.info.setdefault("doorbells", [])
    if not event.contains(session, "after_commit", _ring_pending):
        event.listen(session, "after_commit", _ring_pending)
        event.listen(session, "after_soft_rollback", _forget_pending)
    pending.append((job, arguments))


def _ring_pending(session: Session) -> None:
    # after_commit also fires when a savepoint is released; that commits nothing.
    if session.in_nested_transaction():
        return
    for job, arguments in session.info.pop("doorbells", []):
        ring(job, arguments)


def _forget_pending(session: Session, previous: SessionTransaction) -> None:
    if not previous.nested:
        session.info.pop("doorbells", None)
