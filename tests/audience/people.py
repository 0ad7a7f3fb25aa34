"""What the tests of the audience begin with: a list, and who changes things."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy.orm import Session

from newsletter.audience.history import Origin
from newsletter.audience.lists import NewList, create_list
from newsletter.audience.subscribers import add_subscriber
from newsletter.models import ChangeCause, MailingList, Subscriber

NOW = datetime(2026, 11, 23, 6, tzinfo=UTC)
EDITOR = Origin(ChangeCause.ADMIN, "ed", "command line")
READER = Origin(ChangeCause.PREFERENCES, "reader")


def a_list(session: Session, slug: str = "daily", **fields: Any) -> MailingList:
    new = NewList(
        slug=slug,
        name=f"The {slug.title()}",
        sender_name="The Desk",
        sender_address="desk@courier.example",
        postal_address="4 Ropewalk Lane, Port Ellery",
        **fields,
    )
    return create_list(session, new, now=NOW)


def ada(session: Session) -> Subscriber:
    return add_subscriber(session, "Ada@readers.example", {"name": "Ada"}, origin=EDITOR, now=NOW)
