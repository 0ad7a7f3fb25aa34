"""Finds people by what somebody remembers of them: how an address or a name begins, or a domain.

Every way to search reads an index from one place on, so that it costs the same however many there are.
"""

import unicodedata
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, exists, literal, not_, or_, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from newsletter.addresses import LONGEST_ADDRESS, parse_address
from newsletter.audience.fields import refuse
from newsletter.errors import AddressError
from newsletter.models import Domain, Subscriber, Subscription, SubscriptionStatus

MOST_ON_A_PAGE = 1_000
_LAST = "\U0010ffff"
_BY_ADDRESS, _BY_NUMBER = "a", "n"
_LONGEST_NUMBER = 18  # digits; more may not fit the column


@dataclass(frozen=True, slots=True)
class Wanted:
    """`text` is the beginning of an address or a name, `@` and a domain, or `#` and a number."""

    text: str = ""
    list_id: int | None = None
    status: SubscriptionStatus | None = None
    """Theirs on the list; it means nothing without one."""
    of_lists: frozenset[int] | None = None
    """Only people who are, or were, on one of these; None: everybody."""


@dataclass(frozen=True, slots=True)
class FoundPage:
    people: tuple[Subscriber, ...]
    next_after: str | None
    """Ask with it for the page behind this one; None: this is the last."""


def search_subscribers(
    session: Session, wanted: Wanted, *, after: str = "", limit: int = 50
) -> FoundPage:
    """Addresses that begin so, in order; behind them names that do, whoever came last first.

    Raises `InputError` for an `after` that is no page's `next_after`.
    """
    limit = max(1, min(limit, MOST_ON_A_PAGE))
    text = " ".join(wanted.text.split())[:LONGEST_ADDRESS]
    kind, place = _read_place(after)
    if not text:
        return _page(_newest(session, wanted, place, limit + 1), limit)
    if text.startswith("#"):
        return _page(_numbered(session, wanted, text.removeprefix("#")), limit)
    domain_id = _domain_id(session, text)
    if domain_id is not None or text.startswith("@"):
        return _page(_of_domain(session, wanted, domain_id, place, limit + 1), limit)
    begins = _address_beginning(text)
    is_past_addresses = kind == _BY_NUMBER
    found = [] if is_past_addresses else _by_address(session, wanted, begins, place, limit + 1)
    by = _BY_ADDRESS if len(found) >= limit else _BY_NUMBER
    if "@" not in text and len(found) <= limit:
        behind = place if is_past_addresses else ""
        found += _by_name(session, wanted, text, begins, behind, limit + 1 - len(found))
    return _page(found, limit, by=by)


def _newest(session: Session, wanted: Wanted, place: str, limit: int) -> list[Subscriber]:
    if wanted.list_id is None and wanted.of_lists is None:
        query = select(Subscriber).where(*_before(Subscriber.id, place))
        return list(session.scalars(query.order_by(Subscriber.id.desc()).limit(limit)))
    lists = wanted.of_lists if wanted.list_id is None else (wanted.list_id,)
    ids: set[int] = set()
    for list_id in lists or ():
        # Read off the end of each list's own index, instead of looking everybody up in it.
        query_of_list = (
            select(Subscription.subscriber_id)
            .where(*_of_list(list_id, wanted.status), *_before(Subscription.subscriber_id, place))
            .order_by(Subscription.subscriber_id.desc())
            .limit(limit)
        )
        ids.update(session.scalars(query_of_list))
    return _people(session, sorted(ids, reverse=True)[:limit])


def _numbered(session: Session, wanted: Wanted, digits: str) -> list[Subscriber]:
    if not (digits.isascii() and digits.isdecimal() and len(digits) <= _LONGEST_NUMBER):
        refuse("search", "write # and a subscriber's number, like #4711")
    return list(session.scalars(_narrowed(wanted).where(Subscriber.id == int(digits))))


def _of_domain(
    session: Session, wanted: Wanted, domain_id: int | None, place: str, limit: int
) -> list[Subscriber]:
    if domain_id is None:
        return []
    query = _narrowed(wanted).where(
        Subscriber.domain_id == domain_id, *_before(Subscriber.id, place)
    )
    return list(session.scalars(query.order_by(Subscriber.id.desc()).limit(limit)))


def _by_address(
    session: Session, wanted: Wanted, begins: str, place: str, limit: int
) -> list[Subscriber]:
    query = _narrowed(wanted).where(_address_begins(begins))
    if place:
        query = query.where(Subscriber.address_key > place)
    return list(session.scalars(query.order_by(Subscriber.address_key).limit(limit)))


def _by_name(
    session: Session, wanted: Wanted, text: str, begins: str, place: str, limit: int
) -> list[Subscriber]:
    """Those whose address begins so as well have been found before."""
    ids = (
        _narrowed(wanted)
        .with_only_columns(Subscriber.id)
        .where(
            _name_begins(session, text),
            not_(_address_begins(begins)),
            *_before(Subscriber.id, place),
        )
        .order_by(Subscriber.id.desc())
        .limit(limit)
    )
    return _people(session, session.scalars(ids).all())


def _people(session: Session, ids: Any) -> list[Subscriber]:
    found = select(Subscriber).where(Subscriber.id.in_(ids)).order_by(Subscriber.id.desc())
    return list(session.scalars(found)) if ids else []


def _narrowed(wanted: Wanted) -> Select[Subscriber]:
    query = select(Subscriber)
    of_person = Subscription.subscriber_id == Subscriber.id
    if wanted.list_id is not None:
        return query.join(Subscription, and_(of_person, *_of_list(wanted.list_id, wanted.status)))
    if wanted.of_lists is not None:
        return query.where(exists().where(of_person, Subscription.list_id.in_(wanted.of_lists)))
    return query


def _of_list(list_id: int, status: SubscriptionStatus | None) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = [Subscription.list_id == list_id]
    if status is not None:
        # Written out: only so does the partial index of those who are apart serve it.
        conditions.append(Subscription.status == literal(status, literal_execute=True))
    return conditions


def _before(column: InstrumentedAttribute[int], place: str) -> list[ColumnElement[bool]]:
    return [column < int(place)] if place else []


def _address_begins(begins: str) -> ColumnElement[bool]:
    return and_(Subscriber.address_key >= begins, Subscriber.address_key < begins + _LAST)


def _name_begins(session: Session, text: str) -> ColumnElement[bool]:
    """In any of the ways in which people capitalise names: the index knows no other likeness."""
    text = unicodedata.normalize("NFC", text)
    spellings = sorted({text, text.lower(), text.upper(), text.title(), text.capitalize()})
    is_postgres = session.get_bind().dialect.name == "postgresql"
    at_least, below = ("~>=~", "~<~") if is_postgres else (">=", "<")
    return or_(
        *(
            and_(
                Subscriber.name.bool_op(at_least)(each),
                Subscriber.name.bool_op(below)(each + _LAST),
            )
            for each in spellings
        )
    )


def _address_beginning(text: str) -> str:
    """As addresses are kept, which for one that is whole may be in A-labels."""
    try:
        return parse_address(text).key
    except AddressError:
        return unicodedata.normalize("NFC", text.casefold())


def _domain_id(session: Session, text: str) -> int | None:
    if "@" in text[1:]:
        return None
    name = text.removeprefix("@")
    try:
        name = parse_address(f"x@{name}").domain
    except AddressError:
        name = name.lower()
    found: int | None = session.scalar(select(Domain.id).where(Domain.name == name))
    return found


def _page(found: list[Subscriber], limit: int, *, by: str = _BY_NUMBER) -> FoundPage:
    people = tuple(found[:limit])
    if len(found) <= limit:
        return FoundPage(people, None)
    last = people[-1]
    is_by_address = by == _BY_ADDRESS
    return FoundPage(people, f"{by}{last.address_key if is_by_address else last.id}")


def _read_place(after: str) -> tuple[str, str]:
    kind, place = after[:1], after[1:]
    is_number = place.isascii() and place.isdecimal() and len(place) <= _LONGEST_NUMBER
    if after and kind != _BY_ADDRESS and not (kind == _BY_NUMBER and is_number):
        refuse("after", "write what the page before gave as its next one")
    return kind, place
