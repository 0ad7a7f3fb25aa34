"""Runs migrations on a connection handed in by `newsletter.models.schema`, or on the set database."""

import re
from typing import Any, Literal

from alembic import context
from sqlalchemy import Connection

import newsletter.models  # noqa: F401  registers the tables
from newsletter.db import Model, UtcDateTime, get_engine
from newsletter.models.types import SmallEnum

PARTITION = re.compile(r"(delivery|event)_\d+")


def is_ours(_object: Any, name: str | None, kind: str, reflected: bool, _compare_to: Any) -> bool:
    return not (kind == "table" and reflected and name and PARTITION.fullmatch(name))


def render(kind: str, item: Any, _context: Any) -> str | Literal[False]:
    """Our column types as what they are in the database: a migration must outlive the models."""
    if kind == "type" and isinstance(item, UtcDateTime):
        return "sa.DateTime(timezone=True)"
    if kind == "type" and isinstance(item, SmallEnum):
        return "sa.SmallInteger()"
    return False


def run(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=Model.metadata,
        include_object=is_ours,
        render_item=render,
        render_as_batch=connection.dialect.name == "sqlite",
    )
    if connection.dialect.name == "postgresql":
        # A migration that cannot get its lock gives up instead of stopping a running send.
        connection.exec_driver_sql("SET lock_timeout = '5s'")
    with context.begin_transaction():
        context.run_migrations()


given: Connection | None = context.config.attributes.get("connection")
if given is not None:
    run(given)
else:
    with get_engine().begin() as own:
        run(own)
