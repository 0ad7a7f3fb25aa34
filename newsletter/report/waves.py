"""The waves of an edition: what they would be, and what became of them."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from newsletter.errors import NotFoundError
from newsletter.models import (
    Batch,
    Edition,
    EditionList,
    MailingList,
    Past,
    Reason,
    Subscriber,
    Subscription,
    SubscriptionStatus,
    Wave,
    WaveZone,
    Zone,
)
from newsletter.plan.stored import lists_of
from newsletter.plan.timing import find_rules, rules_of
from newsletter.plan.waves import divide


@dataclass(frozen=True, slots=True)
class WaveStatus:
    """`zones` is empty when it is everybody's wave; `people` who wait for it, or were planned in it."""

    due_at: datetime
    deadline_at: datetime | None
    zones: tuple[str, ...]
    people: int
    sent: int
    is_planned: bool
    is_sweep: bool
    exclusion: Reason | None
    """Why nobody of it is mailed."""


def preview_waves(
    session: Session,
    edition_id: int,
    day: date,
    at: time,
    *,
    past: Past,
    deadline: timedelta,
    now: datetime,
) -> list[WaveStatus]:
    """What a local schedule would come to, with all who are confirmed. Raises `NotFoundError`."""
    _existing(session, edition_id)
    people = _people_by_zone(session, edition_id)
    zones = {*people, *(rules_of(each.zone).key for each in lists_of(session, edition_id))}
    return [
        WaveStatus(
            due_at=share.due_at,
            deadline_at=share.due_at + deadline,
            zones=share.zones,
            people=sum(people[name] for name in share.zones),
            sent=0,
            is_planned=False,
            is_sweep=False,
            exclusion=share.exclusion,
        )
        for share in divide(zones, day, at, past=past, deadline=deadline, now=now)
    ]


def wave_statuses(session: Session, edition_id: int) -> list[WaveStatus]:
    """Earliest first, the sweep last; empty before it is scheduled. Raises `NotFoundError`."""
    _existing(session, edition_id)
    waves = session.scalars(
        select(Wave)
        .where(Wave.edition_id == edition_id)
        .order_by(Wave.is_sweep, Wave.due_at, Wave.number)
    ).all()
    planned = {
        number: (people, sent)
        for number, people, sent in session.execute(
            select(Batch.wave, func.sum(Batch.people), func.sum(Batch.sent))
            .where(Batch.edition_id == edition_id)
            .group_by(Batch.wave)
        )
    }
    zones = _zones_by_wave(session, edition_id)
    coming = _coming(session, edition_id, waves)
    return [
        WaveStatus(
            due_at=wave.due_at,
            deadline_at=wave.deadline_at,
            zones=zones.get(wave.number, ()),
            people=_expected(wave, zones, coming)
            if wave.planned_at is None
            else planned.get(wave.number, (0, 0))[0],
            sent=planned.get(wave.number, (0, 0))[1],
            is_planned=wave.planned_at is not None,
            is_sweep=wave.is_sweep,
            exclusion=wave.exclusion,
        )
        for wave in waves
    ]


def _existing(session: Session, edition_id: int) -> None:
    if session.get(Edition, edition_id) is None:
        message = f"There is no edition {edition_id}."
        raise NotFoundError(message)


def _coming(session: Session, edition_id: int, waves: Iterable[Wave]) -> Counter[str]:
    """Who waits to be planned, by zone: asked for only when a wave is still to come."""
    if all(wave.planned_at is not None for wave in waves):
        return Counter()
    return _people_by_zone(session, edition_id)


def _expected(wave: Wave, zones: dict[int, tuple[str, ...]], coming: Counter[str]) -> int:
    if wave.is_sweep:
        return 0
    return sum(coming[name] for name in zones[wave.number]) if zones else coming.total()


def _zones_by_wave(session: Session, edition_id: int) -> dict[int, tuple[str, ...]]:
    found: dict[int, tuple[str, ...]] = {}
    for number, name in session.execute(
        select(WaveZone.wave, Zone.name)
        .join(Zone, Zone.id == WaveZone.zone_id)
        .where(WaveZone.edition_id == edition_id)
        .order_by(Zone.name)
    ):
        found[number] = (*found.get(number, ()), name)
    return found


def _people_by_zone(session: Session, edition_id: int) -> Counter[str]:
    """Confirmed people of the edition's lists, each once, in the zone that counts for them."""
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
        select(Zone.name, MailingList.zone, func.count())
        .select_from(once)
        .join(Subscriber, Subscriber.id == once.c.subscriber_id)
        .join(
            EditionList,
            (EditionList.edition_id == edition_id) & (EditionList.position == once.c.position),
        )
        .join(MailingList, MailingList.id == EditionList.list_id)
        .outerjoin(Zone, Zone.id == Subscriber.zone_id)
        .group_by(Zone.name, MailingList.zone)
    )
    people: Counter[str] = Counter()
    for name, list_zone, count in rows:
        zone = find_rules(name or "") or rules_of(list_zone)
        people[zone.key] += count
    return people
