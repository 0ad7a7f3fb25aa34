"""Finds people by what somebody remembers of them: how an address or a name begins, or a domain.

Every way to search reads an index from one place on, so that it costs the same however many there are.
"""

import unicodedata
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Select, and_, exists, false, literal, not_, or_, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from newsletter.addresses import LONGEST_ADDRESS, parse_address
from newsletter.audience.fields import refuse
from newsletter.db import among
from newsletter.errors import AddressError
from newsletter.models import Domain, Subscriber, Subscription, SubscriptionStatus

MOST_ON_A_PAGE = 1_000
FEW = 2_000
"""So many are looked up one by one; where there are more, every hundredth or so of all is one."""
_LAST = "\U0010ffff"
_BY_ADDRESS, _BY_NUMBER = "a", "n"
_LONGEST_NUMBER = 18  # digits; more may not fit the column

_CONFIRMED = literal(SubscriptionStatus.CONFIRMED, literal_execute=True)
_Truth = ColumnElement[bool]


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
    if domain_id is None and text.startswith("@"):
        return FoundPage((), None)
    if domain_id is not None:
        of_domain = and_(Subscriber.domain_id == domain_id, *_before(Subscriber.id, place))
        return _page(_newest_of(session, wanted, of_domain, limit + 1), limit)
    address_begins = _address_begins(_address_beginning(text))
    is_past_addresses = kind == _BY_NUMBER
    found: list[Subscriber] = []
    if not is_past_addresses:
        found = _by_address(session, wanted, address_begins, place, limit + 1)
    by = _BY_ADDRESS if len(found) >= limit else _BY_NUMBER
    if "@" not in text and len(found) <= limit:
        behind = _before(Subscriber.id, place if is_past_addresses else "")
        # Those whose address begins so as well have been found before.
        named = and_(_name_begins(session, text), not_(address_begins), *behind)
        found += _newest_of(session, wanted, named, limit + 1 - len(found))
    return _page(found, limit, by=by)


def _newest(session: Session, wanted: Wanted, place: str, limit: int) -> list[Subscriber]:
    lists = _lists(wanted)
    if lists is None:
        query = select(Subscriber).where(*_before(Subscriber.id, place))
        return list(session.scalars(query.order_by(Subscriber.id.desc()).limit(limit)))
    ids: set[int] = set()
    for list_id in lists:
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


def _by_address(
    session: Session, wanted: Wanted, begins: _Truth, place: str, limit: int
) -> list[Subscriber]:
    if place:
        begins = and_(begins, Subscriber.address_key > place)
    query = _matching(session, wanted, begins).order_by(Subscriber.address_key)
    return list(session.scalars(query.limit(limit)))


def _newest_of(session: Session, wanted: Wanted, condition: _Truth, limit: int) -> list[Subscriber]:
    query = _matching(session, wanted, condition).order_by(Subscriber.id.desc())
    return list(session.scalars(query.limit(limit)))


def _matching(session: Session, wanted: Wanted, condition: _Truth) -> Select[Subscriber]:
    """The people who match, by whichever path has few of them.

    Where each path has many, whoever reads them in order soon has a page full. The database could
    not know: what is asked for comes as a parameter.
    """
    query = _narrowed(wanted)
    lists = _lists(wanted)
    if lists is not None:
        of_lists = or_(false(), *(and_(*_of_list(each, wanted.status)) for each in lists))
        members = _few(session, select(Subscription.subscriber_id).where(of_lists))
        if members is not None:
            return query.where(condition, among(session, Subscriber.id, members))
    matching = _few(session, select(Subscriber.id).where(condition))
    if matching is not None:
        return query.where(among(session, Subscriber.id, matching))
    return query.where(condition)


def _few(session: Session, ids: Select[int]) -> list[int] | None:
    """Their numbers; None: there are many."""
    found = session.scalars(ids.limit(FEW + 1)).all()
    return list(found) if len(found) <= FEW else None


def _people(session: Session, ids: Sequence[int]) -> list[Subscriber]:
    found = select(Subscriber).where(Subscriber.id.in_(ids)).order_by(Subscriber.id.desc())
    return list(session.scalars(found)) if ids else []


def _lists(wanted: Wanted) -> Collection[int] | None:
    """Whose people are meant; None: everybody."""
    return wanted.of_lists if wanted.list_id is None else (wanted.list_id,)


def _narrowed(wanted: Wanted) -> Select[Subscriber]:
    lists = _lists(wanted)
    if lists is None:
        return select(Subscriber)
    of_person = Subscription.subscriber_id == Subscriber.id
    if wanted.list_id is not None:
        of_list = _of_list(wanted.list_id, wanted.status)
        return select(Subscriber).where(exists().where(of_person, *of_list))
    return select(Subscriber).where(exists().where(of_person, Subscription.list_id.in_(lists)))


def _of_list(list_id: int, status: SubscriptionStatus | None) -> list[_Truth]:
    conditions: list[_Truth] = [Subscription.list_id == list_id]
    if status is None:
        return conditions
    # Written out, and in the words of the partial index of those who are apart: else SQLite, or a
    # prepared statement, does not see that it serves them.
    if status is not SubscriptionStatus.CONFIRMED:
        conditions.append(Subscription.status != _CONFIRMED)
    return [*conditions, Subscription.status == literal(status, literal_execute=True)]


def _before(column: InstrumentedAttribute[int], place: str) -> list[_Truth]:
    return [column < int(place)] if place else []


def _address_begins(begins: str) -> _Truth:
    return and_(Subscriber.address_key >= begins, Subscriber.address_key < begins + _LAST)


def _name_begins(session: Session, text: str) -> _Truth:
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
