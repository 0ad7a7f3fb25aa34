"""The insert that leaves what is there alone, on both stores."""

from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from newsletter.db import Model


def insert_unless_there(
    session: Session, model: type[Model]
) -> "postgresql.Insert | sqlite.Insert":
    """`INSERT … ON CONFLICT DO NOTHING`; a RETURNING added to it names only the new rows."""
    if session.get_bind().dialect.name == "postgresql":
        return postgresql.insert(model).on_conflict_do_nothing()
    return sqlite.insert(model).on_conflict_do_nothing()
