"""Lets those who look people up and then write about many of them take turns."""

from sqlalchemy import text
from sqlalchemy.orm import Session


def take_turn(session: Session) -> None:
    """Until the transaction ends no other slice of an import, nor an erasure, is under way.

    SQLite has one writer as it is.
    """
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text("SELECT pg_advisory_xact_lock(hashtext('import'))"))
