"""How long what is kept: people who left, what readers did, what became of mail, and reports.

Figures are rows of their own and stay for good.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Engine, and_, delete, exists, func, or_, select
from sqlalchemy.orm import Session

from newsletter.audience.privacy import forget
from newsletter.db import changed, reading, transaction
from newsletter.models import (
    Attempt,
    Deferral,
    Delivery,
    Edition,
    Engagement,
    Event,
    Import,
    ImportLine,
    Settlement,
    Subscriber,
    Subscription,
    SubscriptionStatus,
)
from newsletter.models.partitions import (
    days_with_partition,
    drop_delivery_partition,
    drop_event_partition,
    editions_with_partition,
)
from newsletter.settings import Settings

logger = logging.getLogger(__name__)

BUDGET = timedelta(minutes=10)
PEOPLE_AT_ONCE = 100
ROWS_AT_ONCE = 5_000
_DOUBTS_END = timedelta(days=31)
"""Until then a policy for doubts may read an attempt."""
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Cutoffs:
    """What is older goes; None: it is kept for good."""

    people: datetime | None
    events: datetime | None
    deliveries: datetime | None
    reports: datetime

    @classmethod
    def of(cls, settings: Settings, now: datetime) -> "Cutoffs":
        return cls(
            people=_months_before(now, settings.keep_unsubscribed_months),
            events=_months_before(now, settings.keep_events_months),
            deliveries=_months_before(now, settings.keep_deliveries_months),
            reports=now - max(timedelta(days=settings.keep_reports_days), _DOUBTS_END),
        )


@dataclass(frozen=True, slots=True)
class Due:
    """How much is older than it may become."""

    people: int
    events: int
    deliveries: int
    attempts: int
    import_lines: int


def count_due(session: Session, cutoffs: Cutoffs) -> Due:
    editions = _old_editions(session, cutoffs.deliveries)
    return Due(
        people=_count(session, Subscriber, _has_left(cutoffs.people)),
        events=_count(session, Event, _before(Event.at, cutoffs.events)),
        deliveries=_count(session, Delivery, Delivery.edition_id.in_(editions)),
        attempts=_count(session, Attempt, _old_attempt(cutoffs)),
        import_lines=_count(session, ImportLine, _old_line(cutoffs)),
    )


def apply_retention(
    engine: Engine, *, settings: Settings, now: datetime, budget: timedelta = BUDGET
) -> Due:
    """Delete what is due, in short transactions, until `budget` is spent; returns what went."""
    cutoffs = Cutoffs.of(settings, now)
    watch = _Watch(engine, time.monotonic() + budget.total_seconds())
    gone = Due(
        import_lines=watch.delete(ImportLine, ImportLine.id, _old_line(cutoffs)),
        attempts=watch.delete(Attempt, Attempt.id, _old_attempt(cutoffs)),
        events=_drop_events(watch, cutoffs.events),
        deliveries=_drop_deliveries(watch, cutoffs.deliveries),
        people=_forget_people(watch, cutoffs.people, now),
    )
    logger.info(
        "retention applied",
        extra={
            "people": gone.people,
            "events": gone.events,
            "deliveries": gone.deliveries,
            "attempts": gone.attempts,
            "import_lines": gone.import_lines,
        },
    )
    return gone


@dataclass(frozen=True, slots=True)
class _Watch:
    engine: Engine
    deadline: float

    @property
    def is_over(self) -> bool:
        return time.monotonic() >= self.deadline

    def delete(self, table: Any, key: Any, condition: ColumnElement[bool]) -> int:
        """By thousands, so that nobody waits for SQLite's one writer for long."""
        return self.repeat(
            lambda session: _delete(
                session, table, key.in_(select(key).where(condition).limit(ROWS_AT_ONCE))
            )
        )

    def repeat(self, step: Callable[[Session], int]) -> int:
        total = 0
        while not self.is_over:
            with transaction(self.engine) as session:
                done = step(session)
            total += done
            if not done:
                break
        return total


def _months_before(now: datetime, months: int) -> datetime | None:
    if not months:
        return None
    year, month = divmod(now.year * 12 + now.month - 1 - months, 12)
    return datetime(year, month + 1, 1, tzinfo=UTC)


def _before(column: Any, cutoff: datetime | None) -> ColumnElement[bool]:
    """Never, where it is kept for good."""
    before: ColumnElement[bool] = column < (cutoff or datetime(1970, 1, 1, tzinfo=UTC))
    return before


def _has_left(cutoff: datetime | None) -> ColumnElement[bool]:
    """On no list any more for so long, or, never having been on one, known for so long."""
    here = Subscription.subscriber_id == Subscriber.id
    return and_(
        _before(Subscriber.created_at, cutoff),
        ~exists().where(
            here,
            or_(
                Subscription.status != SubscriptionStatus.UNSUBSCRIBED,
                Subscription.left_at.is_(None),
                ~_before(Subscription.left_at, cutoff),
            ),
        ),
    )


def _old_attempt(cutoffs: Cutoffs) -> ColumnElement[bool]:
    over = select(Edition.id).where(Edition.finished_at.is_not(None))
    return and_(Attempt.at < cutoffs.reports, Attempt.edition_id.in_(over))


def _old_line(cutoffs: Cutoffs) -> ColumnElement[bool]:
    over = select(Import.id).where(Import.ended_at < cutoffs.reports)
    return ImportLine.import_id.in_(over)


def _old_editions(session: Session, cutoff: datetime | None) -> list[int]:
    """Those with deliveries, by when they were over: what is under way is never old."""
    return list(
        session.scalars(
            select(Edition.id)
            .where(
                _before(Edition.finished_at, cutoff),
                exists().where(Delivery.edition_id == Edition.id),
            )
            .order_by(Edition.id)
        )
    )


def _drop_events(watch: _Watch, cutoff: datetime | None) -> int:
    """Day by day; on PostgreSQL a day is a partition."""
    if cutoff is None:
        return 0
    with reading(watch.engine) as session:
        days = [day for day in days_with_partition(session) if day < cutoff.date()]
    dropped = 0
    for day in days:
        start = datetime(day.year, day.month, day.day, tzinfo=UTC)
        with reading(watch.engine) as session:
            of_day = and_(Event.at >= start, Event.at < start + _DAY)
            dropped += _count(session, Event, of_day)
        drop_event_partition(watch.engine, day)
    return dropped + watch.repeat(lambda session: _delete_oldest_events(session, cutoff))


def _delete_oldest_events(session: Session, cutoff: datetime) -> int:
    oldest = session.scalar(select(func.min(Event.at)).where(Event.at < cutoff))
    return 0 if oldest is None else _delete(session, Event, Event.at < min(oldest + _DAY, cutoff))


def _drop_deliveries(watch: _Watch, cutoff: datetime | None) -> int:
    with reading(watch.engine) as session:
        editions = _old_editions(session, cutoff)
        partitioned = editions_with_partition(session)
    dropped = 0
    for edition_id in editions:
        if watch.is_over:
            break
        for table in (Engagement, Attempt, Settlement, Deferral):
            with transaction(watch.engine) as session:
                _delete(session, table, table.edition_id == edition_id)
        with transaction(watch.engine) as session:
            deliveries = Delivery.edition_id == edition_id
            is_partition = edition_id in partitioned
            dropped += (_count if is_partition else _delete)(session, Delivery, deliveries)
        if is_partition:
            drop_delivery_partition(watch.engine, edition_id)
    return dropped


def _forget_people(watch: _Watch, cutoff: datetime | None, now: datetime) -> int:
    """One transaction each, so that nobody waits for long."""
    forgotten = 0
    while not watch.is_over:
        with reading(watch.engine) as session:
            people = session.scalars(
                select(Subscriber.id)
                .where(_has_left(cutoff))
                .order_by(Subscriber.id)
                .limit(PEOPLE_AT_ONCE)
            ).all()
        if not people:
            break
        for subscriber_id in people:
            with transaction(watch.engine) as session:
                done = forget(session, subscriber_id, if_still=_has_left(cutoff), now=now)
            forgotten += done is not None
    return forgotten


def _count(session: Session, table: Any, condition: ColumnElement[bool]) -> int:
    return session.scalar(select(func.count()).select_from(table).where(condition)) or 0


def _delete(session: Session, table: Any, condition: ColumnElement[bool]) -> int:
    return changed(session, delete(table).where(condition))
