"""The database: one engine a process, one transaction an entrance, the same SQL on both stores."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import (
    ARRAY,
    JSON,
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    CursorResult,
    DateTime,
    Delete,
    Dialect,
    Engine,
    Enum,
    Integer,
    MetaData,
    Update,
    any_,
    cast,
    create_engine,
    event,
    func,
    literal,
    make_url,
    select,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.dialects.postgresql import Insert as PostgresInsert
from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.dialects.sqlite import Insert as SqliteInsert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.orm import DeclarativeBase, InstrumentedAttribute, Session
from sqlalchemy.types import TypeDecorator

from newsletter.settings import get_settings

BUSY_TIMEOUT_MS = 20_000
GREATEST_KEY = 2**31 - 1
"""PostgreSQL refuses the whole question when it is asked for a greater one."""
GREATEST_LONG_KEY = 2**63 - 1
"""Of the tables that grow without end, whose keys are `BigId`."""

_Row = TypeVar("_Row", bound="Model")


class UtcDateTime(TypeDecorator[datetime]):
    """An aware instant. SQLite keeps it as naive UTC text, so it is made aware again on reading."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            message = "an instant must be aware"
            raise ValueError(message)
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


BigId = BigInteger().with_variant(Integer, "sqlite")  # SQLite numbers rows only in INTEGER keys
Json = JSON().with_variant(JSONB, "postgresql")


class Model(DeclarativeBase):
    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {
        datetime: UtcDateTime(),
        dict[str, Any]: Json,
        # Stored by value: the default stores the member's name, which a rename would break.
        StrEnum: Enum(
            StrEnum,
            native_enum=False,
            length=32,
            values_callable=lambda members: [member.value for member in members],
        ),
    }


def make_engine(url: str) -> Engine:
    """An engine for `url`; SQLite gets WAL, synchronous FULL and BEGIN IMMEDIATE.

    Its errors tell no parameters: they end up in logs, and may be a reader's address.
    """
    parsed = make_url(url)
    if parsed.get_backend_name() == "postgresql":
        return create_engine(
            parsed, pool_pre_ping=True, pool_size=5, max_overflow=10, hide_parameters=True
        )
    if parsed.database and parsed.database != ":memory:":
        Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(
        parsed, connect_args={"timeout": BUSY_TIMEOUT_MS / 1000}, hide_parameters=True
    )

    @event.listens_for(engine, "connect")
    def _prepare(dbapi_connection: Any, _record: object) -> None:
        dbapi_connection.isolation_level = None
        cursor = dbapi_connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
        cursor.execute("PRAGMA journal_mode = WAL")
        # FULL: with NORMAL a power cut may lose the last intents, and with them the ledger's word.
        cursor.execute("PRAGMA synchronous = FULL")
        cursor.execute("PRAGMA foreign_keys = ON")
        # Whoever is erased must not stay readable in the file's free space.
        cursor.execute("PRAGMA secure_delete = ON")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        # A deferred transaction that turns to writing fails with "locked" at once, whatever the
        # busy timeout; readers say so with execution_options(sqlite_begin="DEFERRED").
        mode = connection.get_execution_options().get("sqlite_begin", "IMMEDIATE")
        connection.exec_driver_sql(f"BEGIN {mode}")

    return engine


@cache
def get_engine() -> Engine:
    return make_engine(get_settings().database_url)


@contextmanager
def transaction(engine: Engine | None = None) -> Iterator[Session]:
    """A session that commits when the block ends well and rolls back when it does not."""
    with Session(engine or get_engine(), expire_on_commit=False) as session, session.begin():
        yield session


@contextmanager
def reading(engine: Engine | None = None) -> Iterator[Session]:
    """A session that only reads: on SQLite it neither takes the write lock nor waits for it."""
    chosen = (engine or get_engine()).execution_options(sqlite_begin="DEFERRED")
    with Session(chosen, expire_on_commit=False) as session, session.begin():
        yield session


def changed(session: Session, statement: Update | Delete) -> int:
    """Run it and return how many rows it changed; objects that were read before stay as they are."""
    result = session.execute(statement, execution_options={"synchronize_session": False})
    assert isinstance(result, CursorResult)
    return result.rowcount


def locked(session: Session, table: type[_Row], key: object) -> _Row | None:
    """The row of this key, locked, as it stands once the lock is held; None: there is none."""
    # Without `populate_existing` the answer would be what the session had read before it waited.
    return session.get(table, key, with_for_update=True, populate_existing=True)


def among(
    session: Session, column: InstrumentedAttribute[int] | Column[Any], ids: Sequence[int]
) -> ColumnElement[bool]:
    """`column` is one of `ids`, all of them in one parameter: the same statement for any number."""
    dialect = session.get_bind().dialect.name
    return among_given(dialect, column, literal(given(dialect, ids)))


def among_given(
    dialect: str, column: InstrumentedAttribute[int] | Column[Any], ids: ColumnElement[str]
) -> ColumnElement[bool]:
    """The same for a statement that is made once: `ids` is bound to what `given` makes of them."""
    if dialect == "postgresql":
        return column == any_(cast(ids, ARRAY(BigInteger)))
    values = func.json_each(ids).table_valued("value")
    return column.in_(select(values.c.value))


def given(dialect: str, ids: Sequence[int]) -> str:
    # As text: the driver takes as long for each number of an array as all else takes for its row.
    text = ",".join(map(str, ids))
    return f"{{{text}}}" if dialect == "postgresql" else f"[{text}]"


def upsert(session: Session, table: type[Model]) -> PostgresInsert | SqliteInsert:
    """An INSERT that can say `ON CONFLICT` to the database at hand."""
    if session.get_bind().dialect.name == "postgresql":
        return postgres_insert(table)
    return sqlite_insert(table)


def insert_or_ignore(session: Session, table: type[Model]) -> PostgresInsert | SqliteInsert:
    """An INSERT that leaves rows alone whose key is taken; RETURNING names only the new ones."""
    return upsert(session, table).on_conflict_do_nothing()
