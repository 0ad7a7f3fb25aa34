"""Names the deliveries of which nobody knows whether they arrived."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import and_, select
from sqlalchemy.orm import Session

from newsletter.models import Attempt, Delivery, DeliveryState, Reason, Subscriber

MOST_NAMED = 1000


@dataclass(frozen=True, slots=True)
class Doubt:
    """Content went out to this person at `at`, and no answer is known, for that reason."""

    subscriber_id: int
    address: str
    reason: Reason
    at: datetime


def uncertain_deliveries(session: Session, edition_id: int) -> list[Doubt]:
    """The first thousand; read from the attempts that ended in doubt, never by a scan."""
    rows = session.execute(
        select(Attempt.subscriber_id, Subscriber.address, Attempt.reason, Attempt.at)
        .join(Subscriber, Subscriber.id == Attempt.subscriber_id)
        .join(
            Delivery,
            and_(
                Delivery.edition_id == Attempt.edition_id,
                Delivery.subscriber_id == Attempt.subscriber_id,
            ),
        )
        .where(
            Attempt.edition_id == edition_id,
            Attempt.state == DeliveryState.UNCERTAIN,
            Delivery.state == DeliveryState.UNCERTAIN,
        )
        .order_by(Attempt.id)
        .limit(MOST_NAMED)
    )
    doubts = {row.subscriber_id: Doubt(*row) for row in rows}
    return list(doubts.values())
