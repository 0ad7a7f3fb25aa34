"""Counts whom an edition would go to, and where they live; the result is kept, for pages to read."""

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
    Reason,
    Subscriber,
    Subscription,
    SubscriptionStatus,
    Zone,
)
from newsletter.plan.audience import narrowing_of
from newsletter.plan.exclusion import break_reason, exclusion_reason
from newsletter.plan.stored import lists_of
from newsletter.plan.timing import find_rules, rules_of

_MAILED = 0
"""In the place of a reason: less than any."""

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


def count_audience(session: Session, edition: Edition, *, now: datetime) -> AudienceCount:
    """Count anew whom it would go to as of now, each person once, and keep the result.

    Of a person whom several of its lists would leave out, one reason counts.
    """
    lists = lists_of(session, edition.id)
    narrowing = narrowing_of(session, edition, now=now)
    day = now.astimezone(rules_of(lists[0].zone)).date()
    reason = func.coalesce(exclusion_reason(), break_reason(day), narrowing.reason, _MAILED)
    people = (
        select(Subscription.subscriber_id, reason.label("reason"))
        .join(Subscriber, Subscriber.id == Subscription.subscriber_id)
        .where(Subscription.list_id.in_([each.id for each in lists]), narrowing.admits)
    ).subquery()
    if len(lists) > 1:
        # Mailed through any of them is mailed.
        people = (
            select(people.c.subscriber_id, func.min(people.c.reason).label("reason"))
            .group_by(people.c.subscriber_id)
            .subquery()
        )
    counted: dict[int, int] = dict(
        session.execute(select(people.c.reason, func.count()).group_by(people.c.reason)).all()
    )
    count = AudienceCount(
        edition_id=edition.id,
        people=sum(counted.values()),
        excluded={
            Reason(reason).name.lower(): count
            for reason, count in sorted(counted.items())
            if reason != _MAILED
        },
        places=_written(people_by_place(session, edition.id, now)),
        at=now,
    )
    kept = session.merge(count)
    session.flush()
    return kept


def counted_places(count: AudienceCount) -> Counter[Place]:
    return Counter(
        {
            (zone, time.fromisoformat(own) if own else None): people
            for zone, own, people in count.places
        }
    )


def mailable(count: AudienceCount) -> int:
    excluded: int = sum(count.excluded.values())
    return count.people - excluded


def _written(people: Counter[Place]) -> list[list[str | int | None]]:
    return [
        [zone, own.isoformat() if own else None, number]
        for (zone, own), number in sorted(people.items(), key=str)
    ]
