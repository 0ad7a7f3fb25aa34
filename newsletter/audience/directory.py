"""Finds or makes many people at once, with the domains and time zones that they need."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, bindparam, case, func, or_, select, update
from sqlalchemy.orm import Session

from newsletter.addresses import Address
from newsletter.db import insert_or_ignore
from newsletter.models import Domain, OwnField, Subscriber, Tag, Zone

MOST_REMEMBERED = 50_000


@dataclass(frozen=True, slots=True)
class Person:
    """What somebody told us about a reader; empty and None mean they told us nothing."""

    address: Address
    address_key: str
    address_hash: bytes
    name: str = ""
    zone: str | None = None
    language: str | None = None


@dataclass(frozen=True, slots=True)
class Saved:
    ids: dict[str, int]
    """Subscriber ids by address key, of everybody who was handed in."""
    completed: frozenset[int]
    """People who were known already and of whom something unknown was filled in."""


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


class Directory:
    """Saves people; kept for as long as one import lasts."""

    def __init__(self) -> None:
        self._domains = Numbers(Domain)
        self._zones = Numbers(Zone)

    def save(self, session: Session, people: Collection[Person], *, now: datetime) -> Saved:
        """Make who is new; of the others fill in what is unknown, and overwrite nothing.

        Each address key occurs once in `people`.
        """
        zones = self._zones.of(session, {person.zone for person in people if person.zone})
        ids = self._insert(session, people, zones, now=now)
        known = [person for person in people if person.address_key not in ids]
        if not known:
            return Saved(ids, frozenset())
        completed = _complete(session, known, zones)
        found = select(Subscriber.address_key, Subscriber.id).where(_is_one_of(known))
        ids.update(session.execute(found).all())
        return Saved(ids, completed)

    def _insert(
        self,
        session: Session,
        people: Collection[Person],
        zones: dict[str, int],
        *,
        now: datetime,
    ) -> dict[str, int]:
        domains = self._domains.of(session, {person.address.domain for person in people})
        rows: list[dict[str, Any]] = [
            {
                "address": str(person.address),
                "address_key": person.address_key,
                "address_hash": person.address_hash,
                "domain_id": domains[person.address.domain],
                "zone_id": zones[person.zone] if person.zone else None,
                "language": person.language,
                "name": person.name,
                "attributes": {},
                "created_at": now,
            }
            # In one order, so that two imports at a time cannot wait for each other in a circle.
            for person in sorted(people, key=lambda person: person.address_key)
        ]
        insert = insert_or_ignore(session, Subscriber).returning(
            Subscriber.address_key, Subscriber.id
        )
        return dict(session.connection().execute(insert, rows).all())


def _is_one_of(people: Collection[Person]) -> ColumnElement[bool]:
    return Subscriber.address_key.in_([person.address_key for person in people])


def _complete(
    session: Session, people: Collection[Person], zones: dict[str, int]
) -> frozenset[int]:
    by_key = {person.address_key: person for person in people}
    incomplete = session.execute(
        select(
            Subscriber.id,
            Subscriber.address_key,
            Subscriber.name,
            Subscriber.zone_id,
            Subscriber.language,
            Subscriber.own_fields,
        )
        .where(
            _is_one_of(people),
            or_(
                Subscriber.name == "",
                Subscriber.zone_id.is_(None),
                Subscriber.language.is_(None),
            ),
        )
        .order_by(Subscriber.id)
    )
    changes: list[dict[str, Any]] = []
    for number, key, name, zone_id, language, own in incomplete:
        person = by_key[key]
        # What somebody emptied themselves is not unknown.
        news = (
            person.name if not name and not own & OwnField.NAME else "",
            person.zone if zone_id is None and not own & OwnField.ZONE else None,
            person.language if language is None and not own & OwnField.LANGUAGE else None,
        )
        if any(news):
            changes.append(
                {
                    "number": number,
                    "new_name": person.name,
                    "new_zone": zones[person.zone] if person.zone else None,
                    "new_language": person.language,
                }
            )
    if changes:
        session.connection().execute(_FILL_IN, changes)
    return frozenset(change["number"] for change in changes)


def _is_free(field: OwnField) -> ColumnElement[bool]:
    """The person did not set it last."""
    return Subscriber.own_fields.bitwise_and(int(field)) == 0


# Decides again what is unknown: the person may have filled it in since it was read.
_FILL_IN = (
    update(Subscriber)
    .where(Subscriber.id == bindparam("number"))
    .values(
        name=case(
            (and_(Subscriber.name == "", _is_free(OwnField.NAME)), bindparam("new_name")),
            else_=Subscriber.name,
        ),
        zone_id=case(
            (_is_free(OwnField.ZONE), func.coalesce(Subscriber.zone_id, bindparam("new_zone"))),
            else_=Subscriber.zone_id,
        ),
        language=case(
            (
                _is_free(OwnField.LANGUAGE),
                func.coalesce(Subscriber.language, bindparam("new_language")),
            ),
            else_=Subscriber.language,
        ),
    )
)
