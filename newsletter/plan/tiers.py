"""Who goes first while a transport warms up: those who will be glad of the mail (R-31).

A provider judges a sender that it does not know by what the first readers do.
"""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, case, exists, literal, select
from sqlalchemy.orm import Session

from newsletter.models import EditionTransport, Subscriber, Subscription, WarmUp

RECENT = timedelta(days=90)
CLICKED, JOINED, THE_REST = range(3)


def tier_for(session: Session, edition_id: int, *, now: datetime) -> ColumnElement[Any]:
    """A person's tier, from their `subscriber` and `subscription`.

    All are alike unless the edition may go through a transport that is being warmed up.
    """
    is_warming_up = select(
        exists().where(
            EditionTransport.edition_id == edition_id,
            EditionTransport.transport_id == WarmUp.transport_id,
        )
    )
    if not session.scalar(is_warming_up):
        return literal(CLICKED)
    since = now - RECENT
    return case(
        (Subscriber.clicked_at >= since, CLICKED),
        (Subscription.joined_at >= since, JOINED),
        else_=THE_REST,
    )
