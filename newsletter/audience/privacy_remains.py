"""What is left of erased people: rows that figures count, and the places where deleted rows linger.

In each edition the person's number gives way to one made by chance, so that nothing tells what two
editions have of the same reader. An edition under way needs the number until it is over.
"""

import logging
import secrets
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Engine, Select, bindparam, delete, select, text, update
from sqlalchemy.orm import Session

from newsletter.db import changed, reading, transaction
from newsletter.models import (
    Attempt,
    Deferral,
    Delivery,
    Edition,
    Engagement,
    Erasure,
    Event,
    EventKind,
    Settlement,
)

logger = logging.getLogger(__name__)

ERASURES_AT_ONCE = 100
BY_READER = (Delivery, Deferral, Attempt, Settlement, Engagement, Event)
"""Tables with rows of a reader within an edition; they outlive the reader."""

_Pair = tuple[int, int]
"""An edition and a subscriber."""


def anonymise(session: Session, people: Sequence[int]) -> int:
    """In editions that are over; returns how many deliveries became nobody's."""
    pairs = _pairs(session, people, Edition.finished_at.is_not(None))
    if not pairs:
        return 0
    rows = [
        {"the_edition": edition_id, "the_person": person, "stand_in": _stand_in()}
        for edition_id, person in sorted(pairs)
    ]
    # Its sequence names the person too.
    session.connection().execute(
        update(Event)
        .where(
            Event.edition_id == bindparam("the_edition"),
            Event.subscriber_id == bindparam("the_person"),
            Event.kind == EventKind.UNSUBSCRIBE,
        )
        .values(sequence=bindparam("sequence")),
        [row | {"sequence": f"unsubscribe{row['stand_in']}"} for row in rows],
    )
    changed = 0
    for table in BY_READER:
        for row in rows:
            result = session.connection().execute(
                update(table)
                .where(
                    table.edition_id == bindparam("the_edition"),
                    table.subscriber_id == bindparam("the_person"),
                )
                .values(subscriber_id=bindparam("stand_in")),
                row,
            )
            changed += result.rowcount if table is Delivery else 0
    return changed


def blank_replies(session: Session, people: Sequence[int]) -> None:
    """A server's words often repeat the address."""
    session.execute(
        update(Attempt)
        .where(Attempt.edition_id.in_(_edition_ids(session)), Attempt.subscriber_id.in_(people))
        .values(reply="")
        .execution_options(synchronize_session=False)
    )


def editions_under_way(session: Session, people: Sequence[int]) -> set[_Pair]:
    return _pairs(session, people, Edition.finished_at.is_(None))


def finish_erasures(engine: Engine, *, now: datetime) -> int:
    """Make nobody's what editions have needed until now; returns how many erasures are complete.

    And see to it that the files of the database forget what was deleted.
    """
    with reading(engine) as session:
        waiting = session.scalars(
            select(Erasure.subscriber_id)
            .where(Erasure.erased_at <= now)
            .order_by(Erasure.erased_at, Erasure.subscriber_id)
            .limit(ERASURES_AT_ONCE)
        ).all()
    if not waiting:
        return 0
    with transaction(engine) as session:
        blank_replies(session, waiting)
        anonymise(session, waiting)
        needed = {person for _, person in editions_under_way(session, waiting)}
        finished = changed(
            session, delete(Erasure).where(Erasure.subscriber_id.in_(set(waiting) - needed))
        )
    _wipe(engine)
    logger.info("erasures finished", extra={"people": finished, "under_way": len(needed)})
    return finished


def _stand_in() -> int:
    """Negative, as no subscriber's number is."""
    return -secrets.randbelow(2**62) - 1


def _pairs(session: Session, people: Sequence[int], condition: Any) -> set[_Pair]:
    """By the primary keys of the tables: each wants to know the editions."""
    editions = list(session.scalars(select(Edition.id).where(condition)))
    if not editions:
        return set()
    return {
        (row[0], row[1])
        for table in BY_READER
        for row in session.execute(_rows_of(table, editions, people))
    }


def _rows_of(
    table: Any, editions: Sequence[int], people: Sequence[int]
) -> Select[*tuple[Any, ...]]:
    return (
        select(table.edition_id, table.subscriber_id)
        .where(table.edition_id.in_(editions), table.subscriber_id.in_(people))
        .distinct()
    )


def _edition_ids(session: Session) -> list[int]:
    return list(session.scalars(select(Edition.id).where(Edition.started_at.is_not(None))))


def _wipe(engine: Engine) -> None:
    if engine.dialect.name == "sqlite":
        _truncate_log(engine)
        return
    # Dead rows, and the samples of columns that the query planner keeps: names and addresses.
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(
            text(
                "VACUUM (ANALYZE, SKIP_LOCKED) subscriber, subscriber_change, consent_event,"
                " subscription, system_mail, signup_request, attempt, import_line, test_recipient,"
                " refusal_figures"
            )
        )


def _truncate_log(engine: Engine) -> None:
    """The database file zeroes what is deleted; the write-ahead log has it until it begins anew."""
    connection = engine.raw_connection()
    try:
        connection.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)")
    finally:
        connection.close()
