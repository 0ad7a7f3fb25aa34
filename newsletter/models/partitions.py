"""PostgreSQL partitions of the tables with a row per recipient; on SQLite there is nothing to do.

A partition is made beside its parent and then attached: `CREATE … PARTITION OF` would lock the
parent against every worker, `ATTACH` lets them go on.
"""

from datetime import UTC, datetime, time, timedelta

from sqlalchemy import text
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
