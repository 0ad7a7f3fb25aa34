"""Ends a subscription, with evidence; whoever left stays out until they come back themselves."""

from datetime import datetime

from sqlalchemy import update
from sqlalchemy.orm import Session

from newsletter.models import ConsentEvent, ConsentKind, Subscription, SubscriptionStatus
from newsletter.tokens import SubscriptionRef


def unsubscribe(session: Session, ref: SubscriptionRef, *, at: datetime, how: str) -> bool:
    """End the subscription; False when there is none or it ended before.

    `how` goes into the evidence beside the edition whose link was used: "one-click" or "page".
    """
    ended = session.execute(
        update(Subscription)
        .where(
            Subscription.list_id == ref.list_id,
            Subscription.subscriber_id == ref.subscriber_id,
            Subscription.status != SubscriptionStatus.UNSUBSCRIBED,
        )
        .values(status=SubscriptionStatus.UNSUBSCRIBED, left_at=at)
        .returning(Subscription.subscriber_id)
    ).one_or_none()
    if ended is None:
        return False
    session.add(
        ConsentEvent(
            subscriber_id=ref.subscriber_id,
            list_id=ref.list_id,
            kind=ConsentKind.UNSUBSCRIBED,
            at=at,
            evidence={"how": how, "edition_id": ref.edition_id},
        )
    )
    return True
