"""What one person was sent and what became of it, the newest edition first."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import and_, func, select
from sqlalchemy.orm import Session

from newsletter.models import (
    Attempt,
    Delivery,
    DeliveryState,
    Edition,
    EditionList,
    Engagement,
    MailingList,
    Reason,
    Revision,
    Subscription,
)

EDITIONS_AT_ONCE = 100
"""Deliveries are kept by edition: a page looks through so many at a time, whoever is in them."""
LOOKS = 3
OPEN = 0
"""The link that stands for the open in `engagement`."""


@dataclass(frozen=True, slots=True)
class Mailed:
    edition_id: int
    subject: str
    list_slug: str
    state: DeliveryState
    reason: Reason | None
    sent_at: datetime | None
    attempts: int
    reply: str
    """What the server said last, if it did not go well; empty when no server spoke."""
    opened_at: datetime | None
    """None: not as far as anybody can tell."""
    links: int
    """How many different links they followed."""


@dataclass(frozen=True, slots=True)
class MailPage:
    deliveries: tuple[Mailed, ...]
    next_before: int | None
    """Ask with it for what is older, where there may be anything; None: this is all."""


def mail_history(
    session: Session,
    subscriber_id: int,
    *,
    list_ids: Collection[int] | None = None,
    before: int | None = None,
    limit: int = 20,
) -> MailPage:
    """Of the lists `list_ids` alone; None: of all that the person is, or was, on."""
    found: list[Mailed] = []
    for _ in range(LOOKS):
        editions = _editions(session, subscriber_id, list_ids, before)
        found += _deliveries(session, subscriber_id, editions, list_ids)
        is_end = len(editions) < EDITIONS_AT_ONCE
        if len(found) > limit:
            return MailPage(tuple(found[:limit]), found[limit - 1].edition_id)
        if is_end:
            return MailPage(tuple(found), None)
        before = editions[-1]
    return MailPage(tuple(found), before)


def _editions(
    session: Session, subscriber_id: int, list_ids: Collection[int] | None, before: int | None
) -> Sequence[int]:
    of_person = select(Subscription.list_id).where(Subscription.subscriber_id == subscriber_id)
    query = (
        select(Edition.id)
        .distinct()
        .join(EditionList, EditionList.edition_id == Edition.id)
        .where(Edition.started_at.is_not(None), EditionList.list_id.in_(of_person))
        .order_by(Edition.id.desc())
        .limit(EDITIONS_AT_ONCE)
    )
    if list_ids is not None:
        query = query.where(EditionList.list_id.in_(list_ids))
    if before is not None:
        query = query.where(Edition.id < before)
    return session.scalars(query).all()


def _deliveries(
    session: Session,
    subscriber_id: int,
    editions: Sequence[int],
    list_ids: Collection[int] | None,
) -> list[Mailed]:
    if not editions:
        return []
    subject = (
        select(Revision.subject)
        .where(
            Revision.edition_id == Delivery.edition_id,
            Revision.number == func.coalesce(Delivery.revision, Edition.approved_revision),
        )
        .scalar_subquery()
    )
    query = (
        select(Delivery, subject.label("subject"), MailingList.slug)
        .join(Edition, Edition.id == Delivery.edition_id)
        .join(MailingList, MailingList.id == Delivery.list_id)
        .where(Delivery.edition_id.in_(editions), Delivery.subscriber_id == subscriber_id)
        .order_by(Delivery.edition_id.desc())
    )
    if list_ids is not None:
        query = query.where(Delivery.list_id.in_(list_ids))
    rows = session.execute(query).all()
    ids = [delivery.edition_id for delivery, _, _ in rows]
    replies = _last_replies(session, subscriber_id, ids)
    opened, links = _done_with(session, subscriber_id, ids)
    return [
        Mailed(
            edition_id=delivery.edition_id,
            subject=title or "",
            list_slug=slug,
            state=delivery.state,
            reason=delivery.reason,
            sent_at=delivery.sent_at,
            attempts=delivery.attempts,
            reply=replies.get(delivery.edition_id, ""),
            opened_at=opened.get(delivery.edition_id),
            links=links.get(delivery.edition_id, 0),
        )
        for delivery, title, slug in rows
    ]


def _last_replies(session: Session, subscriber_id: int, editions: list[int]) -> dict[int, str]:
    rows = session.execute(
        select(Attempt.edition_id, Attempt.reply)
        .where(Attempt.edition_id.in_(editions), Attempt.subscriber_id == subscriber_id)
        .order_by(Attempt.id)
    )
    return dict(rows.all())


def _done_with(
    session: Session, subscriber_id: int, editions: list[int]
) -> tuple[dict[int, datetime], dict[int, int]]:
    """When each edition was opened first, and how many of its links were followed."""
    opened: dict[int, datetime] = {}
    links: dict[int, int] = {}
    rows = session.execute(
        select(Engagement.edition_id, Engagement.link, Engagement.first_at).where(
            and_(Engagement.edition_id.in_(editions), Engagement.subscriber_id == subscriber_id)
        )
    )
    for edition_id, link, first_at in rows:
        if link == OPEN:
            opened[edition_id] = first_at
        else:
            links[edition_id] = links.get(edition_id, 0) + 1
    return opened, links
