"""An unsubscription that came through a link in an edition: consent, event and figure at once; and back."""

from datetime import datetime, timedelta

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from newsletter.audience import consent
from newsletter.audience.preferences import undo_leaving
from newsletter.deliver.settling import settle_by_evidence
from newsletter.models import Delivery, Edition, Event, EventKind, Evidence
from newsletter.models.partitions import ensure_event_partition
from newsletter.tokens import SubscriptionRef, UndoRef
from newsletter.track.figures import (
    Gain,
    HourGain,
    add_to_edition_figures,
    add_to_hour_figures,
    hour_since,
)
from newsletter.track.tally import Mailed

_SECOND = timedelta(seconds=1)
"""To which a link that takes it back knows when they left."""


def unsubscribe(session: Session, ref: SubscriptionRef, *, at: datetime, how: str) -> bool:
    """End the subscription that `ref` names; False when there was nothing left to end.

    The edition's figures count it only when the person was mailed that edition.
    """
    if not consent.unsubscribe(session, ref, at=at, how=how):
        return False
    mailed = _mailed(session, ref)
    if mailed is not None:
        # Deliveries and batches before figures, as everybody does who changes both.
        settle_by_evidence(session, ref.edition_id, [ref.subscriber_id], Evidence.UNSUBSCRIBE, at)
        _count(session, ref, mailed, at)
    return True


def take_back(session: Session, ref: UndoRef, *, now: datetime) -> bool:
    """Undo this very leaving, and count it no more; False when it is too late for that."""
    if not undo_leaving(session, ref, now=now):
        return False
    undone = session.execute(
        delete(Event)
        .where(
            Event.kind == EventKind.UNSUBSCRIBE,
            Event.subscriber_id == ref.subscriber_id,
            Event.sequence == _sequence(ref.list_id, ref.subscriber_id),
            Event.at >= ref.left_at,
            Event.at < ref.left_at + _SECOND,
        )
        .returning(Event.edition_id, Event.at)
    ).all()
    for edition_id, at in undone:
        mailed = _mailed(session, SubscriptionRef(ref.list_id, edition_id, ref.subscriber_id))
        if mailed is not None:
            _add(session, edition_id, mailed, at, -1)
    return True


def _sequence(list_id: int, subscriber_id: int) -> str:
    return f"unsubscribe-{list_id}-{subscriber_id}"


def _mailed(session: Session, ref: SubscriptionRef) -> Mailed | None:
    delivery = (
        select(Delivery.state, Delivery.list_id, Delivery.sent_at, Edition.started_at)
        .join(Delivery, Delivery.edition_id == Edition.id)
        .where(
            Delivery.edition_id == ref.edition_id,
            Delivery.subscriber_id == ref.subscriber_id,
        )
    )
    row = session.execute(delivery).one_or_none()
    return None if row is None else Mailed(row.state, row.list_id, row.sent_at or row.started_at)


def _count(session: Session, ref: SubscriptionRef, mailed: Mailed, at: datetime) -> None:
    ensure_event_partition(session, at)
    session.add(
        Event(
            at=at,
            sequence=_sequence(ref.list_id, ref.subscriber_id),
            edition_id=ref.edition_id,
            subscriber_id=ref.subscriber_id,
            kind=EventKind.UNSUBSCRIBE,
        )
    )
    session.flush()
    _add(session, ref.edition_id, mailed, at, 1)


def _add(session: Session, edition_id: int, mailed: Mailed, at: datetime, people: int) -> None:
    add_to_edition_figures(session, {edition_id: Gain(unsubscribes=people)})
    hour = hour_since(mailed.sent_at or at, at)
    add_to_hour_figures(
        session, {(edition_id, mailed.list_id, hour): HourGain(unsubscribes=people)}
    )
