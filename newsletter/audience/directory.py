"""The numbers of domains, time zones and tags, asked for in bulk."""

from collections.abc import Collection, Iterable

from sqlalchemy import select
from sqlalchemy.orm import Session

from newsletter.db import insert_or_ignore
from newsletter.models import Domain, Tag, Zone

MOST_REMEMBERED = 50_000


class Numbers:
    """The ids of one table of names, asked for in bulk and remembered.

    Remembers what a rolled back transaction took back: whoever rolls back makes a new one.
    """

    def __init__(self, table: type[Domain] | type[Zone] | type[Tag]) -> None:
        self._table = table
        self._known: dict[str, int] = {}

    def of(self, session: Session, names: Collection[str]) -> dict[str, int]:
        """An id for each of `names`; those the table lacks are added to it."""
        if len(self._known) > MOST_REMEMBERED:
            self._known.clear()
        self._look_up(session, names)
        # Looked up before inserting: a refused insert would use up a number of the sequence.
        missing = sorted(set(names) - self._known.keys())
        if missing:
            insert = insert_or_ignore(session, self._table)
            session.connection().execute(insert, [{"name": name} for name in missing])
            self._look_up(session, missing)
        return {name: self._known[name] for name in names}

    def _look_up(self, session: Session, names: Iterable[str]) -> None:
        unknown = set(names) - self._known.keys()
        if not unknown:
            return
        found = select(self._table.name, self._table.id).where(self._table.name.in_(unknown))
        for name, number in session.execute(found):
            self._known[name] = number
