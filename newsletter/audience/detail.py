"""All that the audience knows of one person: lists, tags, consents, changes and suppressions."""

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from newsletter.audience.evidence import Evidence, evidence_of
from newsletter.audience.history import changes_of
from newsletter.audience.sections import hidden_among
from newsletter.audience.subscribers import get_subscriber, written_fields
from newsletter.audience.tags import tags_of
from newsletter.models import (
    ListSection,
    MailingList,
    Subscriber,
    SubscriberChange,
    Subscription,
    Suppression,
)


@dataclass(frozen=True, slots=True)
class Membership:
    mailing_list: MailingList
    subscription: Subscription
    hidden: tuple[ListSection, ...]
    """Sections that this reader does not want, in the list's order."""


@dataclass(frozen=True, slots=True)
class SubscriberDetail:
    person: Subscriber
    fields: dict[str, str]
    """As `written_fields` has them."""
    memberships: tuple[Membership, ...]
    tags: tuple[str, ...]
    consents: tuple[Evidence, ...]
    """Oldest first, as are the changes."""
    changes: tuple[SubscriberChange, ...]
    suppressions: tuple[Suppression, ...]


def subscriber_detail(session: Session, subscriber_id: int) -> SubscriberDetail:
    """Raises `NotFoundError`."""
    person = get_subscriber(session, subscriber_id)
    suppressions = session.scalars(
        select(Suppression)
        .where(Suppression.address_hash == person.address_hash)
        .order_by(Suppression.list_id)
    )
    return SubscriberDetail(
        person=person,
        fields=written_fields(session, person),
        memberships=tuple(_memberships(session, subscriber_id)),
        tags=tuple(tags_of(session, subscriber_id)),
        consents=tuple(evidence_of(session, subscriber_id)),
        changes=tuple(changes_of(session, subscriber_id)),
        suppressions=tuple(suppressions),
    )


def _memberships(session: Session, subscriber_id: int) -> list[Membership]:
    rows = session.execute(
        select(MailingList, Subscription)
        .join(Subscription, Subscription.list_id == MailingList.id)
        .where(Subscription.subscriber_id == subscriber_id)
        .order_by(MailingList.slug)
    ).all()
    sections: dict[int, list[ListSection]] = {}
    for section in session.scalars(
        select(ListSection)
        .where(
            ListSection.list_id.in_([mailing_list.id for mailing_list, _ in rows]),
            ListSection.retired_at.is_(None),
        )
        .order_by(ListSection.position, ListSection.bit)
    ):
        sections.setdefault(section.list_id, []).append(section)
    return [
        Membership(
            mailing_list,
            subscription,
            tuple(hidden_among(sections.get(mailing_list.id, ()), subscription.hidden_sections)),
        )
        for mailing_list, subscription in rows
    ]
