"""Begins and ends subscriptions, with evidence; whoever left comes back only by themselves."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from newsletter.addresses import mask_address
from newsletter.audience.figures import moves_between, note_moves
from newsletter.audience.history import Origin
from newsletter.audience.lists import refuse_retired
from newsletter.audience.suppression import is_suppressed
from newsletter.audience.suppression_lifting import lift_by_person
from newsletter.db import insert_or_ignore
from newsletter.errors import StateError
from newsletter.models import (
    ConsentEvent,
    ConsentKind,
    MailingList,
    Subscriber,
    Subscription,
    SubscriptionStatus,
    SuppressionReason,
)
from newsletter.tokens import SubscriptionRef


def subscribe(
    session: Session,
    person: Subscriber,
    mailing_list: MailingList,
    status: SubscriptionStatus,
    *,
    origin: Origin,
    evidence: Mapping[str, Any],
    now: datetime,
) -> Subscription:
    """Put somebody on a list, pending or confirmed; who is confirmed already stays so.

    `evidence` is what proves the consent and is kept with the origin. Raises `StateError` when the
    list is retired, the address suppressed, or when they left and it is not themselves who ask.
    """
    refuse_retired(mailing_list)
    masked = mask_address(person.address)
    if origin.is_own:
        lift_by_person(
            session,
            person.address_hash,
            [mailing_list.id],
            reasons=(SuppressionReason.LEFT,),
            why="subscribed again",
            now=now,
        )
    if is_suppressed(session, person.address_hash, list_id=mailing_list.id):
        raise StateError("{masked} is suppressed: no mail may go there.", masked=masked)
    made = session.scalar(
        insert_or_ignore(session, Subscription)
        .values(
            list_id=mailing_list.id,
            subscriber_id=person.id,
            status=status,
            hidden_sections=0,
            joined_at=now,
        )
        .returning(Subscription.subscriber_id)
    )
    subscription = session.get_one(
        Subscription, (mailing_list.id, person.id), with_for_update=True, populate_existing=True
    )
    before = None if made is not None else subscription.status
    after = status_after_subscribing(before, status, is_own_wish=origin.is_own)
    if after is None:
        raise StateError(
            "{masked} left the list {slug}; only they themselves can come back, with its "
            "sign-up form.",
            masked=masked,
            slug=mailing_list.slug,
        )
    if after is before:
        return subscription
    if before is SubscriptionStatus.UNSUBSCRIBED:
        subscription.joined_at, subscription.left_at = now, None
    subscription.status = after
    note_moves(session, mailing_list.id, moves_between(before, after), at=now)
    _keep_evidence(session, subscription, origin=origin, evidence=evidence, now=now)
    session.flush()
    return subscription


def status_after_subscribing(
    before: SubscriptionStatus | None, wanted: SubscriptionStatus, *, is_own_wish: bool
) -> SubscriptionStatus | None:
    """`before` is None for somebody new; the result is None where it must not be done."""
    if before is None:
        return wanted
    if before is SubscriptionStatus.UNSUBSCRIBED:
        return wanted if is_own_wish else None
    return max(before, wanted)


def unsubscribe(session: Session, ref: SubscriptionRef, *, at: datetime, how: str) -> bool:
    """End the subscription; False when there is none or it ended before.

    `how` goes into the evidence beside the edition whose link was used: "one-click" or "page".
    """
    evidence = {"how": how, "edition_id": ref.edition_id}
    return _end(session, ref.list_id, ref.subscriber_id, at=at, evidence=evidence)


def remove_from_list(
    session: Session,
    person: Subscriber,
    mailing_list: MailingList,
    *,
    origin: Origin,
    now: datetime,
) -> bool:
    """End a subscription without a link; False when there is none or it ended before."""
    return _end(session, mailing_list.id, person.id, at=now, evidence=_words(origin))


def _end(
    session: Session,
    list_id: int,
    subscriber_id: int,
    *,
    at: datetime,
    evidence: Mapping[str, Any],
) -> bool:
    here = (
        Subscription.list_id == list_id,
        Subscription.subscriber_id == subscriber_id,
        Subscription.status != SubscriptionStatus.UNSUBSCRIBED,
    )
    before = session.scalar(select(Subscription.status).where(*here).with_for_update())
    if before is None:
        return False
    session.execute(
        update(Subscription).where(*here).values(status=SubscriptionStatus.UNSUBSCRIBED, left_at=at)
    )
    note_moves(session, list_id, moves_between(before, SubscriptionStatus.UNSUBSCRIBED), at=at)
    session.add(
        ConsentEvent(
            subscriber_id=subscriber_id,
            list_id=list_id,
            kind=ConsentKind.UNSUBSCRIBED,
            at=at,
            evidence=dict(evidence),
        )
    )
    return True


def _keep_evidence(
    session: Session,
    subscription: Subscription,
    *,
    origin: Origin,
    evidence: Mapping[str, Any],
    now: datetime,
) -> None:
    is_confirmed = subscription.status is SubscriptionStatus.CONFIRMED
    session.add(
        ConsentEvent(
            subscriber_id=subscription.subscriber_id,
            list_id=subscription.list_id,
            kind=ConsentKind.CONFIRMED if is_confirmed else ConsentKind.REQUESTED,
            at=now,
            evidence={**_words(origin), **evidence},
        )
    )


def _words(origin: Origin) -> dict[str, str]:
    words = {"how": origin.cause.value, "by": origin.by}
    return words if origin.reference is None else {**words, "reference": origin.reference}
