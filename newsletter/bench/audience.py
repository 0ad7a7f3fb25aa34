"""A list of any size, made inside the database: what is measured is the sending, not the import."""

from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Engine, String, cast, insert, literal, select
from sqlalchemy.orm import Session

from newsletter.addresses import HASH_BYTES, parse_address
from newsletter.audience.lists import NewList, create_list
from newsletter.db import insert_or_ignore, transaction
from newsletter.models import Domain, Subscriber, Subscription, SubscriptionStatus
from newsletter.render.recipient import Recipient

LIST = NewList(
    slug="bench",
    name="The Bench Brief",
    sender_name="The Bench Brief",
    sender_address="brief@bench.example",
    postal_address="1 Workshop Lane, Bench",
)
DOMAIN_ID = 1


def make_audience(engine: Engine, readers: int, *, now: datetime) -> int:
    """Subscribe `readers` people to a new list and return the list's id."""
    with transaction(engine) as session:
        list_id = create_list(session, LIST, now=now).id
        session.execute(
            insert_or_ignore(session, Domain).values(id=DOMAIN_ID, name="readers.example")
        )
        _make_people(session, readers, list_id, now)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("ANALYZE")
    return list_id


def first_readers(session: Session, list_id: int, most: int) -> list[Recipient]:
    rows = session.execute(
        select(Subscriber.id, Subscriber.address, Subscriber.name, Subscription.joined_at)
        .join(Subscription, Subscription.subscriber_id == Subscriber.id)
        .where(Subscription.list_id == list_id)
        .order_by(Subscriber.id)
        .limit(most)
    )
    return [
        Recipient(subscriber_id, list_id, parse_address(address), name, joined_at.date())
        for subscriber_id, address, name, joined_at in rows
    ]


def _make_people(session: Session, readers: int, list_id: int, now: datetime) -> None:
    first = select(literal(1).label("number")).cte("numbers", recursive=True)
    following = select(first.c.number + 1).where(first.c.number < readers)
    number = first.union_all(following).c.number
    address = literal("reader") + cast(number, String) + literal("@readers.example")
    people: dict[str, ColumnElement[Any]] = {
        "address": address,
        "address_key": address,
        # Only suppressions are matched by it, and here there are none.
        "address_hash": literal(bytes(HASH_BYTES)),
        "domain_id": literal(DOMAIN_ID),
        "name": literal("Reader ") + cast(number, String),
        "attributes": literal({}, Subscriber.attributes.type),
        "created_at": literal(now, Subscriber.created_at.type),
    }
    session.execute(insert(Subscriber).from_select(list(people), select(*people.values())))
    ties: dict[str, Any] = {
        "list_id": literal(list_id),
        "subscriber_id": Subscriber.id,
        "status": literal(int(SubscriptionStatus.CONFIRMED)),
        "hidden_sections": literal(0),
        "joined_at": literal(now, Subscription.joined_at.type),
    }
    session.execute(insert(Subscription).from_select(list(ties), select(*ties.values())))
