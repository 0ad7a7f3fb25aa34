"""Puts rows into tables past the toolkit, which takes longer for a row than the database does."""

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy.orm import Session

from newsletter.db import Model


def load(
    session: Session, table: type[Model], columns: Sequence[str], rows: Iterable[Sequence[Any]]
) -> None:
    """Instants in `rows` must be made by `instants_of`."""
    driver: Any = session.connection().connection.driver_connection
    names = ", ".join(f'"{column}"' for column in columns)
    if session.get_bind().dialect.name == "postgresql":
        with driver.cursor().copy(f"COPY {table.__tablename__} ({names}) FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)
        return
    places = ", ".join("?" * len(columns))
    driver.executemany(
        f"INSERT INTO {table.__tablename__} ({names}) VALUES ({places})",  # noqa: S608  ours
        rows,
    )


def instants_of(session: Session) -> Callable[[datetime], Any]:
    """How the database's driver takes an instant."""
    if session.get_bind().dialect.name == "postgresql":
        return lambda at: at
    return lambda at: at.astimezone(UTC).replace(tzinfo=None).isoformat(" ", "microseconds")
