"""PostgreSQL partitions of the tables with a row per recipient; on SQLite there is nothing to do.

A partition is made beside its parent and then attached: `CREATE … PARTITION OF` would lock the
parent against every worker, `ATTACH` lets them go on.
"""

from datetime import UTC, date, datetime, time, timedelta

from sqlalchemy import Engine, text
from sqlalchemy.orm import Session

# Measured for a row that is inserted once and updated once or twice: enough room on the page that
# the new version stays beside the old one and the keys need no new entry.
DELIVERY_FILLFACTOR = 45


def ensure_delivery_partition(session: Session, edition_id: int) -> None:
    name = f"delivery_{edition_id:d}"
    if _is_missing(session, name):
        _create(session, "delivery", name, options=f"WITH (fillfactor={DELIVERY_FILLFACTOR})")
        _attach(session, "delivery", name, f"FOR VALUES IN ({edition_id:d})")


def ensure_event_partition(session: Session, at: datetime) -> None:
    """The partition of the UTC day that `at` lies in."""
    day = datetime.combine(at.astimezone(UTC).date(), time(), UTC)
    name = f"event_{day:%Y%m%d}"
    if _is_missing(session, name):
        _create(session, "event", name)
        following = day + timedelta(days=1)
        _attach(
            session,
            "event",
            name,
            f"FOR VALUES FROM ('{day.isoformat()}') TO ('{following.isoformat()}')",
        )


def editions_with_partition(session: Session) -> set[int]:
    return {int(name.partition("_")[2]) for name in _named(session, "^delivery_[0-9]+$")}


def days_with_partition(session: Session) -> list[date]:
    """The days of events, the oldest first."""
    names = sorted(_named(session, "^event_[0-9]{8}$"))
    return [date.fromisoformat(name.partition("_")[2]) for name in names]


def drop_delivery_partition(engine: Engine, edition_id: int) -> None:
    _drop(engine, "delivery", f"delivery_{edition_id:d}")


def drop_event_partition(engine: Engine, day: date) -> None:
    _drop(engine, "event", f"event_{day:%Y%m%d}")


def _named(session: Session, pattern: str) -> list[str]:
    """Also a partition that was detached, and whose dropper died then."""
    if session.get_bind().dialect.name != "postgresql":
        return []
    tables = text("SELECT relname FROM pg_class WHERE relkind = 'r' AND relname ~ :pattern")
    return list(session.scalars(tables, {"pattern": pattern}))


def _drop(engine: Engine, parent: str, name: str) -> None:
    """Detached first, for the same reason; that can only be done outside of a transaction."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        is_half_detached = connection.scalar(
            text("SELECT inhdetachpending FROM pg_inherits WHERE inhrelid = to_regclass(:name)"),
            {"name": name},
        )
        if is_half_detached is not None:
            how = "FINALIZE" if is_half_detached else "CONCURRENTLY"
            connection.execute(text(f"ALTER TABLE {parent} DETACH PARTITION {name} {how}"))
        connection.execute(text(f"DROP TABLE IF EXISTS {name}"))


def _is_missing(session: Session, name: str) -> bool:
    if session.get_bind().dialect.name != "postgresql" or _exists(session, name):
        return False
    # Two processes may want the same partition: the second waits here and then finds it.
    session.execute(text("SELECT pg_advisory_xact_lock(hashtext('partition'))"))
    return not _exists(session, name)


def _exists(session: Session, name: str) -> bool:
    return session.scalar(text("SELECT to_regclass(:name)"), {"name": name}) is not None


def _create(session: Session, parent: str, name: str, options: str = "") -> None:
    session.execute(
        text(
            f"CREATE TABLE {name} (LIKE {parent} INCLUDING DEFAULTS INCLUDING CONSTRAINTS"
            f" INCLUDING INDEXES) {options}"
        )
    )


def _attach(session: Session, parent: str, name: str, bounds: str) -> None:
    session.execute(text(f"ALTER TABLE {parent} ATTACH PARTITION {name} {bounds}"))
