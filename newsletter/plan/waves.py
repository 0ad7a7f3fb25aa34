"""Divides an edition's people into waves: those who share an instant, one wave for each."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from sqlalchemy import ColumnElement, delete, exists, func, or_, select
from sqlalchemy.orm import Session

from newsletter.db import insert_or_ignore
from newsletter.models import Edition, LocalSchedule, Past, Reason, Wave, WaveZone, Zone
from newsletter.plan.stored import get_edition, lists_of
from newsletter.plan.timing import TZDATA, by_instant, rules_of

LEAD = timedelta(minutes=10)
"""How long before it is due a wave is planned: late enough for fresh choices, early enough to be done."""
DEADLINE = timedelta(hours=4)
"""How late the news may be when nobody says otherwise."""
ONLY = 1
"""The number of the wave that holds everybody."""


@dataclass(frozen=True, slots=True)
class Share:
    """Zones in which an edition is due at one instant; with an exclusion nobody there is mailed."""

    due_at: datetime
    exclusion: Reason | None
    zones: tuple[str, ...]


def divide(
    zones: Iterable[str], day: date, at: time, *, past: Past, deadline: timedelta, now: datetime
) -> list[Share]:
    """Earliest first; `now` is when the edition is scheduled. Empty when the day exists nowhere."""
    shared, left_out = by_instant(zones, day, at)
    if not shared:
        return []
    shares = [
        Share(due_at, _exclusion(due_at, past=past, deadline=deadline, now=now), tuple(names))
        for due_at, names in shared.items()
    ]
    if left_out:
        shares.append(Share(shares[0].due_at, Reason.NO_SUCH_DATE, tuple(left_out)))
    return shares


def add_only_wave(
    session: Session, edition_id: int, *, due_at: datetime, deadline: timedelta | None
) -> None:
    session.add(
        Wave(
            edition_id=edition_id,
            number=ONLY,
            due_at=due_at,
            deadline_at=due_at + deadline if deadline is not None else None,
        )
    )
    session.flush()


def add_sweep(session: Session, edition_id: int) -> None:
    """Let whoever is in none of the edition's waves be looked for when the last of them is due."""
    last, number = session.execute(
        select(func.max(Wave.due_at), func.max(Wave.number)).where(Wave.edition_id == edition_id)
    ).one()
    session.add(Wave(edition_id=edition_id, number=number + 1, due_at=last, is_sweep=True))
    session.flush()


def zones_in_use(session: Session, edition_id: int) -> list[str]:
    """Every zone that a subscriber has, and those of the edition's lists."""
    for name in sorted({rules_of(each.zone).key for each in lists_of(session, edition_id)}):
        session.execute(insert_or_ignore(session, Zone).values(name=name))
    return list(session.scalars(select(Zone.name).order_by(Zone.id)))


def compute_waves(session: Session, schedule: LocalSchedule) -> None:
    """Make the waves of a local schedule, or make those anew that nobody is planned in yet."""
    edition_id = schedule.edition_id
    waves = session.scalars(select(Wave).where(Wave.edition_id == edition_id)).all()
    begun = {(wave.due_at, wave.exclusion): wave.number for wave in waves if _is_begun(wave)}
    number = max((wave.number for wave in waves), default=0)
    for wave in waves:
        if not wave.is_sweep and not _is_begun(wave):
            session.execute(
                delete(WaveZone).where(
                    WaveZone.edition_id == edition_id, WaveZone.wave == wave.number
                )
            )
            session.delete(wave)
    session.flush()
    ids = _zones_without_wave(session, edition_id)
    deadline = timedelta(minutes=schedule.deadline_minutes)
    for share in divide(
        ids, schedule.day, schedule.at, past=schedule.past, deadline=deadline, now=schedule.made_at
    ):
        here = begun.get((share.due_at, share.exclusion))
        if here is None:
            number += 1
            here = number
            session.add(
                Wave(
                    edition_id=edition_id,
                    number=here,
                    due_at=share.due_at,
                    deadline_at=share.due_at + deadline,
                    exclusion=share.exclusion,
                )
            )
        for name in share.zones:
            session.add(WaveZone(edition_id=edition_id, zone_id=ids[name], wave=here))
    schedule.tzdata = TZDATA
    schedule.last_zone = session.scalar(select(func.max(Zone.id))) or 0
    session.flush()


def refresh_waves(session: Session, edition_id: int) -> None:
    """Compute anew, with the sweep behind the last, whatever rules or zones have changed for."""
    get_edition(session, edition_id)
    schedule = session.get_one(LocalSchedule, edition_id)
    compute_waves(session, schedule)
    of_edition = Wave.edition_id == edition_id
    last = session.scalar(select(func.max(Wave.due_at)).where(of_edition, ~Wave.is_sweep))
    sweep = session.scalar(select(Wave).where(of_edition, Wave.is_sweep))
    if sweep is not None and last is not None and not _is_begun(sweep):
        sweep.due_at = last


def outdated_schedules(session: Session) -> list[int]:
    """Editions that are not wholly planned, with waves from other rules, or for fewer zones."""
    return list(
        session.scalars(
            select(LocalSchedule.edition_id)
            .join(Edition, Edition.id == LocalSchedule.edition_id)
            .where(
                Edition.planned_at.is_(None),
                Edition.finished_at.is_(None),
                or_(
                    LocalSchedule.tzdata != TZDATA,
                    LocalSchedule.last_zone < select(func.max(Zone.id)).scalar_subquery(),
                ),
            )
        )
    )


def has_wave_to_plan(now: datetime) -> ColumnElement[bool]:
    """A SQL value over `Edition`: is it time to plan another wave, or to say that all are planned?"""
    unplanned = exists().where(Wave.edition_id == Edition.id, Wave.planned_at.is_(None))
    coming = ~Wave.is_sweep
    return or_(
        unplanned.where(coming, Wave.due_at <= now + LEAD),
        ~unplanned.where(coming) & ~unplanned.where(Wave.is_sweep, Wave.due_at > now),
    )


def next_wave(session: Session, edition_id: int) -> Wave | None:
    """The first that is not wholly planned, the sweep behind all others; None: all are."""
    return session.scalar(
        select(Wave)
        .where(Wave.edition_id == edition_id, Wave.planned_at.is_(None))
        .order_by(Wave.is_sweep, Wave.due_at, Wave.number)
        .limit(1)
    )


def is_time_to_plan(wave: Wave, now: datetime) -> bool:
    return wave.due_at <= (now if wave.is_sweep else now + LEAD)


def _exclusion(
    due_at: datetime, *, past: Past, deadline: timedelta, now: datetime
) -> Reason | None:
    is_past = due_at < now
    if is_past and (past is Past.SKIP or due_at + deadline <= now):
        return Reason.ZONE_PAST
    return None


def _is_begun(wave: Wave) -> bool:
    return bool(wave.plan_position or wave.plan_cursor or wave.planned_at)


def _zones_without_wave(session: Session, edition_id: int) -> dict[str, int]:
    has_wave = exists().where(WaveZone.edition_id == edition_id, WaveZone.zone_id == Zone.id)
    return {
        name: zone_id
        for zone_id, name in session.execute(
            select(Zone.id, Zone.name).where(~has_wave).order_by(Zone.id)
        )
    }
