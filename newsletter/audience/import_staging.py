"""A temporary table with the rows of one slice, so that what follows is a few statements for all.

It lives in the slice's transaction: whatever happens, no name and no address stays behind in it.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    false,
    text,
)
from sqlalchemy.orm import Session
from sqlalchemy.schema import CreateTable, DropTable

from newsletter.audience.turns import take_turn
from newsletter.db import BigId, Json, UtcDateTime

_TEMPORARY = MetaData()

_FROM_THE_FILE: tuple[Column[Any], ...] = (
    Column("line", Integer, primary_key=True, autoincrement=False),
    Column("address", String),
    Column("address_key", String),
    Column("address_hash", LargeBinary),
    Column("domain_id", Integer),
    Column("zone_id", SmallInteger),
    Column("language", String),
    Column("name", String),
    Column("attributes", Json),
    Column("status", SmallInteger),
    Column("suppression", String),
    Column("scope", Integer),
    Column("joined_at", UtcDateTime),
    Column("left_at", UtcDateTime),
    Column("suppressed_at", UtcDateTime),
    Column("evidence", Json),
    Column("is_repeat", Boolean),
)
_FOUND_OUT: tuple[Column[Any], ...] = (
    Column("subscriber_id", BigId),
    Column("is_known", Boolean, server_default=false()),
    Column("is_blocked", Boolean, server_default=false()),
    Column("before", SmallInteger),
    Column("is_moved", Boolean, server_default=false()),
    Column("is_changed", Boolean, server_default=false()),
)
staged = Table(
    "staged",
    _TEMPORARY,
    *_FROM_THE_FILE,
    *_FOUND_OUT,
    prefixes=["TEMPORARY"],
    postgresql_on_commit="DROP",
)
staged_tag = Table(
    "staged_tag",
    _TEMPORARY,
    Column("line", Integer),
    Column("tag_id", Integer),
    prefixes=["TEMPORARY"],
    postgresql_on_commit="DROP",
)


def prepare(session: Session) -> None:
    """Make both tables, empty; imports into one database take turns from here to the commit."""
    take_turn(session)
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text("SET LOCAL TimeZone = 'UTC'"))
        # Some thousand look-ups by key: whatever the planner believes of fresh tables, it must
        # not read everybody there is for each slice.
        session.execute(text("SET LOCAL enable_hashjoin = off"))
        session.execute(text("SET LOCAL enable_mergejoin = off"))
        session.execute(text("SET LOCAL enable_material = off"))
    for table in (staged, staged_tag):
        if session.get_bind().dialect.name == "sqlite":
            session.execute(DropTable(table, if_exists=True))
        session.execute(CreateTable(table))


def load_rows(session: Session, rows: Iterable[Sequence[Any]]) -> None:
    _load(session, "staged", [column.name for column in _FROM_THE_FILE], rows)


def load_tags(session: Session, pairs: Iterable[tuple[int, int]]) -> None:
    _load(session, "staged_tag", ["line", "tag_id"], pairs)


def _load(
    session: Session, table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]
) -> None:
    """Past the toolkit, which takes as long for each value as the database for its row."""
    driver: Any = session.connection().connection.driver_connection
    names = ", ".join(columns)
    if session.get_bind().dialect.name == "postgresql":
        with driver.cursor().copy(f"COPY {table} ({names}) FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)
        return
    places = ", ".join("?" * len(columns))
    driver.executemany(f"INSERT INTO {table} ({names}) VALUES ({places})", rows)  # noqa: S608  ours
