"""Divides an edition's people into waves: those who share an instant, one wave for each."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from sqlalchemy import ColumnElement, delete, exists, func, or_, select
from sqlalchemy.orm import Session

from newsletter.db import insert_or_ignore
from newsletter.models import (
    Edition,
    LocalSchedule,
    MailingList,
    Past,
    Reason,
    Subscriber,
    Wave,
    WaveHour,
    WaveZone,
    Zone,
)
from newsletter.plan.stored import get_edition, lists_of
from newsletter.plan.timing import TZDATA, by_instant, find_rules, instant_of, rules_of

LEAD = timedelta(minutes=10)
"""How long before it is due a wave is planned: late enough for fresh choices, early enough to be done."""
DEADLINE = timedelta(hours=4)
"""How late the news may be when nobody says otherwise."""
HOURS_LOOK = timedelta(minutes=1)
"""How soon a schedule notices that somebody asked for an hour that nobody had."""
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


@dataclass(frozen=True, slots=True)
class Instant:
    """What makes two people be of one wave."""

    due_at: datetime
    deadline_at: datetime
    exclusion: Reason | None


def own_instant(
    zone: str,
    own: time,
    day: date,
    at: time,
    *,
    past: Past,
    deadline: timedelta,
    now: datetime,
) -> Instant | None:
    """When whoever asked for `own` gets what others there get `at`; None: that day is not there.

    Before the edition's own time the news may not be ready: it may then come as late as for others.
    """
    rules = rules_of(zone)
    due_at, usual = instant_of(day, own, rules), instant_of(day, at, rules)
    if due_at is None or usual is None:
        return None
    latest = max(due_at, usual)
    exclusion = _exclusion(latest, past=past, deadline=deadline, now=now)
    return Instant(due_at, latest + deadline, exclusion)


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


def compute_waves(session: Session, schedule: LocalSchedule, *, now: datetime) -> None:
    """Make the waves of a local schedule, or make those anew that nobody is planned in yet."""
    edition_id = schedule.edition_id
    waves = session.scalars(select(Wave).where(Wave.edition_id == edition_id)).all()
    numbering = _Numbering(session, waves, edition_id)
    for wave in waves:
        if not wave.is_sweep and not _is_begun(wave):
            for table in (WaveZone, WaveHour):
                session.execute(
                    delete(table).where(table.edition_id == edition_id, table.wave == wave.number)
                )
            session.delete(wave)
    session.flush()
    ids = _zones_without_wave(session, edition_id)
    deadline = timedelta(minutes=schedule.deadline_minutes)
    for share in divide(
        ids, schedule.day, schedule.at, past=schedule.past, deadline=deadline, now=schedule.made_at
    ):
        instant = Instant(share.due_at, share.due_at + deadline, share.exclusion)
        number = numbering.of(instant, may_have_begun=True)
        for name in share.zones:
            session.add(WaveZone(edition_id=edition_id, zone_id=ids[name], wave=number))
    session.flush()
    for zone_id, own, instant in _hours_without_wave(session, schedule):
        # A wave that has begun may be past them already.
        number = numbering.of(instant, may_have_begun=False)
        session.add(WaveHour(edition_id=edition_id, zone_id=zone_id, at=own, wave=number))
    schedule.tzdata = TZDATA
    schedule.last_zone = session.scalar(select(func.max(Zone.id))) or 0
    schedule.hours_at = now
    session.flush()


def refresh_waves(session: Session, edition_id: int, *, now: datetime) -> bool:
    """Compute anew, with the sweep behind the last, whatever rules, zones or hours have changed for.

    False: nothing has changed.
    """
    get_edition(session, edition_id)
    schedule = session.get_one(LocalSchedule, edition_id)
    last_zone = session.scalar(select(func.max(Zone.id)))
    is_current = schedule.tzdata == TZDATA and schedule.last_zone == last_zone
    if is_current and not _hours_without_wave(session, schedule):
        schedule.hours_at = now
        return False
    compute_waves(session, schedule, now=now)
    of_edition = Wave.edition_id == edition_id
    last = session.scalar(select(func.max(Wave.due_at)).where(of_edition, ~Wave.is_sweep))
    sweep = session.scalar(select(Wave).where(of_edition, Wave.is_sweep))
    if sweep is not None and last is not None and not _is_begun(sweep):
        sweep.due_at = last
    return True


def outdated_schedules(session: Session, *, now: datetime) -> list[int]:
    """Editions that are not wholly planned, with waves from other rules, for fewer zones, or that
    have not looked for new hours of people for a while.
    """
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
                    LocalSchedule.hours_at.is_(None),
                    LocalSchedule.hours_at <= now - HOURS_LOOK,
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


def day_of(session: Session, wave: Wave, mailing_list: MailingList) -> date:
    """The day that the edition is of: every reader's own, or the list's where all share an instant."""
    local = session.get(LocalSchedule, wave.edition_id)
    return local.day if local else wave.due_at.astimezone(rules_of(mailing_list.zone)).date()


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


def _hours_without_wave(
    session: Session, schedule: LocalSchedule
) -> list[tuple[int, time, Instant]]:
    """Zone and hour, for each that somebody asked for; people without a zone are in their list's."""
    edition_id = schedule.edition_id
    rules = {
        zone_id: name
        for zone_id, name in session.execute(select(Zone.id, Zone.name))
        if find_rules(name) is not None
    }
    ids = {name: zone_id for zone_id, name in rules.items()}
    of_lists = {ids[rules_of(each.zone).key] for each in lists_of(session, edition_id)}
    asked = session.execute(
        select(Subscriber.zone_id, Subscriber.delivery_time)
        .where(Subscriber.delivery_time.is_not(None))
        .distinct()
    )
    wanted: set[tuple[int, time]] = set()
    for zone_id, own in asked:
        here = of_lists if zone_id is None or zone_id not in rules else {zone_id}
        wanted |= {(each, own) for each in here if own is not None}
    known = {
        (zone_id, own)
        for zone_id, own in session.execute(
            select(WaveHour.zone_id, WaveHour.at).where(WaveHour.edition_id == edition_id)
        )
    }
    found = []
    for zone_id, own in sorted(wanted - known):
        instant = own_instant(
            rules[zone_id],
            own,
            schedule.day,
            schedule.at,
            past=schedule.past,
            deadline=timedelta(minutes=schedule.deadline_minutes),
            now=schedule.made_at,
        )
        if instant is not None:
            found.append((zone_id, own, instant))
    return found


class _Numbering:
    """Gives each instant the number of its wave, and makes a new one where there is none."""

    def __init__(self, session: Session, waves: Iterable[Wave], edition_id: int) -> None:
        self._session = session
        self._edition_id = edition_id
        self._last = max((wave.number for wave in waves), default=0)
        self._begun = {
            (wave.due_at, wave.exclusion): wave.number for wave in waves if _is_begun(wave)
        }
        self._new: dict[Instant, int] = {}

    def of(self, instant: Instant, *, may_have_begun: bool) -> int:
        begun = self._begun.get((instant.due_at, instant.exclusion))
        if begun is not None and may_have_begun:
            return begun
        if instant not in self._new:
            self._last += 1
            self._new[instant] = self._last
            self._session.add(
                Wave(
                    edition_id=self._edition_id,
                    number=self._last,
                    due_at=instant.due_at,
                    deadline_at=instant.deadline_at,
                    exclusion=instant.exclusion,
                )
            )
        return self._new[instant]
