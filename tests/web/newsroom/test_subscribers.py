"""The office's subscribers: found, seen and changed by admins, and by nobody else."""

import io
import json
import zipfile
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine, select

from newsletter.audience.attributes import add_attribute
from newsletter.audience.consent import subscribe
from newsletter.audience.history import Origin
from newsletter.audience.lists import list_by_slug
from newsletter.audience.search import Wanted, search_subscribers
from newsletter.audience.subscribers import add_subscriber
from newsletter.audience.suppression import suppress, suppressions_of
from newsletter.audience.tags import set_tags
from newsletter.addresses import parse_address
from newsletter.db import reading, transaction
from newsletter.errors import InputError
from newsletter.models import (
    EVERYWHERE,
    Attempt,
    AttributeKind,
    AuditEntry,
    ChangeCause,
    ConsentEvent,
    Delivery,
    DeliveryState,
    Engagement,
    Invitation,
    MailingList,
    Reason,
    Role,
    Subscriber,
    StaffSession,
    Subscription,
    SubscriptionStatus,
    SuppressionReason,
)
from tests.newsroom import add_list, add_transport, sending_edition, settings_for
from tests.site import Member, Site, text_of

NOW = datetime(2026, 11, 22, 9, tzinfo=UTC)
BY_ED = Origin(ChangeCause.ADMIN, "ed", "command line")
PEOPLE = {
    "ada@readers.example": "Ada Lovelace",
    "adam@elsewhere.example": "Adam Ant",
    "bo@readers.example": "Ada Bergström",
    "cy@gmail.example": "CY TWOMBLY",
    "émile@readers.example": "Émile Zola",
}


@pytest.fixture
def people(engine: Engine) -> dict[str, int]:
    """Ada, Adam, Bo, Cy and Émile on the list harbour, confirmed; their numbers by the local part."""
    list_id = add_list(engine)
    ids = {}
    with transaction(engine) as session:
        for address, name in PEOPLE.items():
            person = add_subscriber(session, address, {"name": name}, origin=BY_ED, now=NOW)
            put_on(engine, session, person, list_id)
            ids[address.partition("@")[0]] = person.id
    return ids


def put_on(engine: Engine, session: object, person: Subscriber, list_id: int) -> None:
    from sqlalchemy.orm import Session

    assert isinstance(session, Session)
    subscribe(
        session,
        person,
        session.get_one(MailingList, list_id),
        SubscriptionStatus.CONFIRMED,
        origin=BY_ED,
        evidence={"consent": "paper form", "ip": "192.0.2.7"},
        now=NOW,
    )
