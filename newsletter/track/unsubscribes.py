"""An unsubscription that came through a link in an edition: consent, event and figure at once."""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from newsletter.audience import consent
from newsletter.deliver.settling import settle_by_evidence
from newsletter.models import Delivery, Edition, Event, EventKind, Evidence
from newsletter.models.partitions import ensure_event_partition
from newsletter.tokens import SubscriptionRef
from newsletter.track.figures import Gain, add_to_edition_figures


def unsubscribe(session: Session, ref: SubscriptionRef, *, at: datetime, how: str) -> bool:
    """End the subscription that `ref` names; False when there was nothing left to end.

    The edition's figures count it only when the person was mailed that edition.
    """
    if not consent.unsubscribe(session, ref, at=at, how=how):
        return False
    if _was_mailed(session, ref):
        _count(session, ref, at)
        settle_by_evidence(session, ref.edition_id, [ref.subscriber_id], Evidence.UNSUBSCRIBE, at)
    return True


def _was_mailed(session: Session, ref: SubscriptionRef) -> bool:
    delivery = (
        select(Edition.id)
        .join(Delivery, Delivery.edition_id == Edition.id)
        .where(
            Delivery.edition_id == ref.edition_id,
            Delivery.subscriber_id == ref.subscriber_id,
        )
    )
    return session.scalar(delivery) is not None


def _count(session: Session, ref: SubscriptionRef, at: datetime) -> None:
    ensure_event_partition(session, at)
    session.add(
        Event(
            at=at,
            sequence=f"unsubscribe-{ref.list_id}-{ref.subscriber_id}",
            edition_id=ref.edition_id,
            subscriber_id=ref.subscriber_id,
            kind=EventKind.UNSUBSCRIBE,
        )
    )
    add_to_edition_figures(session, {ref.edition_id: Gain(unsubscribes=1)})
