"""The waves of an edition: what they would be, and what became of them."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from newsletter.errors import NotFoundError
from newsletter.models import (
    Batch,
    Edition,
    Past,
    Reason,
    Wave,
    WaveHour,
    WaveZone,
    Zone,
)
from newsletter.plan.counting import Place, people_by_place
from newsletter.plan.stored import lists_of
from newsletter.plan.timing import rules_of
from newsletter.plan.waves import Instant, divide, own_instant


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
    people: Counter[Place] | None = None,
) -> list[WaveStatus]:
    """What a local schedule would come to, with all who are confirmed, or with `people` who were
    counted before. Raises `NotFoundError`.
    """
    _existing(session, edition_id)
    if people is None:
        people = people_by_place(session, edition_id, now)
    zones = {
        *(zone for zone, _ in people),
        *(rules_of(each.zone).key for each in lists_of(session, edition_id)),
    }
    waves: dict[Instant, list[Place]] = {}
    for share in divide(zones, day, at, past=past, deadline=deadline, now=now):
        instant = Instant(share.due_at, share.due_at + deadline, share.exclusion)
        waves[instant] = [(zone, None) for zone in share.zones]
    for zone, own in people:
        if own is None:
            continue
        known = own_instant(zone, own, day, at, past=past, deadline=deadline, now=now)
        if known is not None:
            waves.setdefault(known, []).append((zone, own))
    return [
        WaveStatus(
            due_at=instant.due_at,
            deadline_at=instant.deadline_at,
            zones=_zones_of(places),
            people=sum(people[place] for place in places),
            sent=0,
            is_planned=False,
            is_sweep=False,
            exclusion=instant.exclusion,
        )
        for instant, places in sorted(waves.items(), key=lambda item: item[0].due_at)
    ]


def wave_statuses(
    session: Session, edition_id: int, *, people: Counter[Place] | None = None
) -> list[WaveStatus]:
    """Earliest first, the sweep last; empty before it is scheduled. `people` are those who were
    counted before, for waves to come; None: they are counted now. Raises `NotFoundError`.
    """
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
    places = _places_by_wave(session, edition_id)
    coming = _coming(session, edition_id, waves) if people is None else people
    return [
        WaveStatus(
            due_at=wave.due_at,
            deadline_at=wave.deadline_at,
            zones=_zones_of(places.get(wave.number, ())),
            people=_expected(wave, places, coming)
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
        raise NotFoundError("There is no edition {edition}.", edition=edition_id)


def _coming(session: Session, edition_id: int, waves: Sequence[Wave]) -> Counter[Place]:
    """Who waits to be planned, by place: asked for only when a wave is still to come."""
    if all(wave.planned_at is not None for wave in waves):
        return Counter()
    return people_by_place(session, edition_id, min(wave.due_at for wave in waves))


def _expected(wave: Wave, places: dict[int, list[Place]], coming: Counter[Place]) -> int:
    if wave.is_sweep:
        return 0
    if not places:
        return coming.total()
    return sum(coming[place] for place in places.get(wave.number, ()))


def _zones_of(places: Iterable[Place]) -> tuple[str, ...]:
    return tuple(sorted({zone for zone, _ in places}))


def _places_by_wave(session: Session, edition_id: int) -> dict[int, list[Place]]:
    found: dict[int, list[Place]] = {}
    for number, name in session.execute(
        select(WaveZone.wave, Zone.name)
        .join(Zone, Zone.id == WaveZone.zone_id)
        .where(WaveZone.edition_id == edition_id)
    ):
        found.setdefault(number, []).append((name, None))
    for number, name, own in session.execute(
        select(WaveHour.wave, Zone.name, WaveHour.at)
        .join(Zone, Zone.id == WaveHour.zone_id)
        .where(WaveHour.edition_id == edition_id)
    ):
        found.setdefault(number, []).append((name, own))
    return found
