"""Subscribers: adds, finds and changes one person at a time, and lists them page by page."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypedDict

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from newsletter.addresses import Address, address_hash, mask_address, parse_address
from newsletter.audience.attributes import change_attributes, written
from newsletter.audience.directory import Numbers
from newsletter.audience.fields import (
    LONGEST_NAME,
    read_date,
    read_language,
    read_line,
    read_time,
    read_zone,
    refuse,
)
from newsletter.audience.history import Origin, record_changes
from newsletter.audience.suppression import objection_to
from newsletter.db import locked
from newsletter.errors import AddressError, NotFoundError
from newsletter.models import (
    Domain,
    OwnField,
    Subscriber,
    SubscriberTag,
    Subscription,
    SubscriptionStatus,
    Tag,
    Zone,
)

MOST_ON_A_PAGE = 1_000
_LONGEST_NUMBER = 18  # digits; more may not fit the column
_ATTRIBUTE = "attribute "
_OWN_FIELDS = {
    "name": OwnField.NAME,
    "language": OwnField.LANGUAGE,
    "zone": OwnField.ZONE,
    "delivery time": OwnField.DELIVERY_TIME,
    "break until": OwnField.BREAK,
}


class SubscriberFields(TypedDict, total=False):
    """Text as a person writes it; empty text means that it is unknown, or wanted no longer."""

    name: str
    language: str
    zone: str
    delivery_time: str
    """HH:MM in the person's own zone."""
    break_until: str
    """The first day, year-month-day, on which they want mail again."""
    attributes: Mapping[str, object]
    """By key; an empty text or None takes the attribute away, others stay as they are."""


class SubscriberChanges(SubscriberFields, total=False):
    address: str


@dataclass(frozen=True, slots=True)
class SubscriberPage:
    people: tuple[Subscriber, ...]
    next_after: int | None
    """Ask with it for the page behind this one; None: this is the last."""


def add_subscriber(
    session: Session, address: str, fields: SubscriberFields, *, origin: Origin, now: datetime
) -> Subscriber:
    """Raises `InputError`, also when the address is somebody's already."""
    person = Subscriber(name="", attributes={}, own_fields=0, created_at=now)
    parsed, values = _read_address(address), _read_fields(session, fields, person.attributes)
    _set(person, values)
    _place(session, person, parsed)
    _record(session, person, {}, origin=origin, now=now)
    return person


def find_subscriber(session: Session, who: str) -> Subscriber:
    """By address, in any spelling, or by number. Raises `NotFoundError` and `AddressError`."""
    if who.isascii() and who.isdigit() and len(who) <= _LONGEST_NUMBER:
        return get_subscriber(session, int(who))
    address = _read_address(who)
    found = session.scalar(select(Subscriber).where(Subscriber.address_key == address.key))
    if found is None:
        raise NotFoundError("{address} is no subscriber.", address=mask_address(str(address)))
    return found


def get_subscriber(session: Session, subscriber_id: int) -> Subscriber:
    """Raises `NotFoundError`."""
    found = session.get(Subscriber, subscriber_id)
    if found is None:
        raise NotFoundError("There is no subscriber {number}.", number=subscriber_id)
    return found


def edit_subscriber(
    session: Session,
    subscriber_id: int,
    changes: SubscriberChanges,
    *,
    origin: Origin,
    now: datetime,
) -> Subscriber:
    """Change what `changes` names and nothing else; a new address keeps number, lists and history.

    Raises `InputError`, which names the field, and `NotFoundError`; then nothing has changed.
    """
    person = locked(session, Subscriber, subscriber_id)
    if person is None:
        raise NotFoundError("There is no subscriber {number}.", number=subscriber_id)
    before = written_fields(session, person)
    values = _read_fields(session, changes, person.attributes)
    if "address" in changes:
        _move(session, person, _read_address(changes["address"]))
    _set(person, values)
    _record(session, person, before, origin=origin, now=now)
    return person


def written_fields(session: Session, person: Subscriber) -> dict[str, str]:
    """What is known of somebody, as a person would write it; what is unknown has no entry."""
    zone = session.get_one(Zone, person.zone_id).name if person.zone_id is not None else None
    known: dict[str, str | None] = {
        "address": person.address,
        "name": person.name or None,
        "language": person.language,
        "zone": zone,
        "delivery time": f"{person.delivery_time:%H:%M}" if person.delivery_time else None,
        "break until": person.break_until.isoformat() if person.break_until else None,
    }
    known |= {f"{_ATTRIBUTE}{key}": written(value) for key, value in person.attributes.items()}
    return {field: text for field, text in known.items() if text is not None}


def list_subscribers(
    session: Session,
    *,
    list_id: int | None = None,
    status: SubscriptionStatus | None = None,
    tag: str | None = None,
    after: int = 0,
    limit: int = 100,
) -> SubscriberPage:
    """The people with a greater number than `after`, in order; `status` is theirs on the list."""
    limit = max(1, min(limit, MOST_ON_A_PAGE))
    query = select(Subscriber).where(Subscriber.id > after).order_by(Subscriber.id)
    if list_id is not None:
        # Ordered by the subscription's own key, so that the page is read off its index.
        query = (
            select(Subscriber)
            .join(Subscription, Subscription.subscriber_id == Subscriber.id)
            .where(Subscription.list_id == list_id, Subscription.subscriber_id > after)
            .order_by(Subscription.subscriber_id)
        )
        if status is not None:
            query = query.where(Subscription.status == status)
    if tag is not None:
        tagged = (
            select(SubscriberTag.subscriber_id)
            .join(Tag, Tag.id == SubscriberTag.tag_id)
            .where(Tag.name == tag.casefold())
        )
        query = query.where(Subscriber.id.in_(tagged))
    found = session.scalars(query.limit(limit + 1)).all()
    people = tuple(found[:limit])
    return SubscriberPage(people, people[-1].id if len(found) > limit else None)


def _read_address(text: str) -> Address:
    try:
        return parse_address(text)
    except AddressError as error:
        raise AddressError("{error}", field="address", error=error) from error


def _move(session: Session, person: Subscriber, address: Address) -> None:
    objection = objection_to(session, person.address_hash)
    if objection is not None and address.key != person.address_key:
        refuse(
            "address",
            "this person must not be mailed ({objection}), at no other address too",
            objection=objection,
        )
    _place(session, person, address)


def _place(session: Session, person: Subscriber, address: Address) -> None:
    domain_id = Numbers(Domain).of(session, {address.domain})[address.domain]
    # The constraint decides, since somebody may take the address between a look and a write.
    try:
        with session.begin_nested():
            person.address = str(address)
            person.address_key = address.key
            person.address_hash = address_hash(address)
            person.domain_id = domain_id
            session.add(person)
            session.flush()
    except IntegrityError:
        refuse(
            "address",
            "{address} is another subscriber's already",
            address=mask_address(str(address)),
        )


def _set(person: Subscriber, values: Mapping[str, object]) -> None:
    for column, value in values.items():
        setattr(person, column, value)


def _read_fields(
    session: Session, fields: SubscriberFields, attributes: Mapping[str, Any]
) -> dict[str, object]:
    """By column. All is read before anything is set, so that a mistake changes nothing."""
    values: dict[str, object] = {}
    if "name" in fields:
        name = read_line("name", fields["name"], longest=LONGEST_NAME, may_be_empty=True)
        values["name"] = name
    if "language" in fields:
        text = fields["language"]
        values["language"] = read_language("language", text) if text else None
    if "zone" in fields:
        values["zone_id"] = _zone_id(session, fields["zone"])
    if "delivery_time" in fields:
        text = fields["delivery_time"]
        values["delivery_time"] = read_time("delivery time", text) if text else None
    if "break_until" in fields:
        text = fields["break_until"]
        values["break_until"] = read_date("break until", text) if text else None
    if "attributes" in fields:
        values["attributes"] = change_attributes(session, attributes, fields["attributes"])
    return values


def _zone_id(session: Session, text: str) -> int | None:
    if not text:
        return None
    name = read_zone("zone", text)
    return Numbers(Zone).of(session, {name})[name]


def _record(
    session: Session,
    person: Subscriber,
    before: Mapping[str, str],
    *,
    origin: Origin,
    now: datetime,
) -> None:
    session.flush()
    after = written_fields(session, person)
    changed = record_changes(session, person.id, before, after, origin=origin, now=now)
    own = OwnField(0)
    for field in changed:
        own |= OwnField.ATTRIBUTES if field.startswith(_ATTRIBUTE) else _OWN_FIELDS.get(field, 0)
    person.own_fields = person.own_fields | own if origin.is_own else person.own_fields & ~own
    session.flush()
