"""Where an edition's people live, and the hours that they asked for: how many share which."""

from collections import Counter
from datetime import datetime, time
from typing import TypeAlias

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from newsletter.models import (
    AudienceCount,
    Edition,
    EditionList,
    MailingList,
    Subscriber,
    Subscription,
    SubscriptionStatus,
    Zone,
)
from newsletter.plan.audience import narrowing_of
from newsletter.plan.timing import find_rules, rules_of

Place: TypeAlias = tuple[str, time | None]
"""A zone, and the hour that people in it asked for; None: they did not."""


def people_by_place(session: Session, edition_id: int, now: datetime) -> Counter[Place]:
    """Its audience's confirmed people, each once, in the zone that counts for them."""
    narrowing = narrowing_of(session, session.get_one(Edition, edition_id), now=now)
    once = (
        select(
            Subscription.subscriber_id,
            func.min(EditionList.position).label("position"),
        )
        .join(EditionList, EditionList.list_id == Subscription.list_id)
        .where(
            EditionList.edition_id == edition_id,
            Subscription.status == SubscriptionStatus.CONFIRMED,
        )
        .group_by(Subscription.subscriber_id)
        .subquery()
    )
    rows = session.execute(
        select(Zone.name, MailingList.zone, Subscriber.delivery_time, func.count())
        .select_from(once)
        .join(Subscriber, Subscriber.id == once.c.subscriber_id)
        .join(
            EditionList,
            (EditionList.edition_id == edition_id) & (EditionList.position == once.c.position),
        )
        .join(MailingList, MailingList.id == EditionList.list_id)
        .outerjoin(Zone, Zone.id == Subscriber.zone_id)
        .where(narrowing.admits, narrowing.reason.is_(None))
        .group_by(Zone.name, MailingList.zone, Subscriber.delivery_time)
    )
    people: Counter[Place] = Counter()
    for name, list_zone, own, count in rows:
        zone = find_rules(name or "") or rules_of(list_zone)
        people[zone.key, own] += count
    return people


def count_places(session: Session, count: AudienceCount, *, now: datetime) -> None:
    """Keep with a count where its people live, so that no page has to count them again."""
    people = people_by_place(session, count.edition_id, now)
    count.places = [
        [zone, own.isoformat() if own else None, number]
        for (zone, own), number in sorted(people.items(), key=str)
    ]
    session.flush()


def counted_places(count: AudienceCount) -> Counter[Place]:
    return Counter(
        {
            (zone, time.fromisoformat(own) if own else None): number
            for zone, own, number in count.places
        }
    )
