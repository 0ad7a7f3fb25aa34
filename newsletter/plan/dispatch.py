"""Sends an approved edition on its way for somebody: with care, and within their hour's cap (S-31)."""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import TypeAlias

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from newsletter.models import Past, Wave
from newsletter.plan.caution import Caution, caution_for, require_number
from newsletter.plan.hourly_cap import count_dispatch
from newsletter.plan.schedule import hold_back, send_at, send_local, send_now, send_soon
from newsletter.plan.waves import DEADLINE, LEAD


@dataclass(frozen=True, slots=True)
class AtOnce:
    deadline: timedelta | None = None
    """None: never too late."""


@dataclass(frozen=True, slots=True)
class AtInstant:
    at: datetime
    deadline: timedelta = DEADLINE


@dataclass(frozen=True, slots=True)
class AtLocalTime:
    day: date
    at: time
    past: Past = Past.SEND
    deadline: timedelta = DEADLINE


When: TypeAlias = AtOnce | AtInstant | AtLocalTime


def send_edition(
    session: Session, edition_id: int, when: When, *, typed: str, now: datetime
) -> Caution:
    """Send it as whoever acts asks for; what begins within the cool-off can be pulled back so long.

    `typed` is the number of people as they wrote it, empty if they did not. Raises `InputError`
    for a wrong number or time, `StateError` when it is not approved, `CapReached`.
    """
    caution = caution_for(session, edition_id)
    require_number(caution, typed)
    _begin(session, edition_id, when, caution, now=now)
    return caution


def send_approved(session: Session, edition_id: int, when: When, *, now: datetime) -> None:
    """The same for a slot's edition: whoever approved it saw how many people that are."""
    _begin(session, edition_id, when, caution_for(session, edition_id), now=now)


def _begin(
    session: Session, edition_id: int, when: When, caution: Caution, *, now: datetime
) -> None:
    cool_off = caution.cool_off
    match when:
        case AtOnce(deadline) if cool_off:
            send_soon(session, edition_id, now=now, cool_off=cool_off, deadline=deadline)
        case AtOnce(deadline):
            send_now(session, edition_id, now=now, deadline=deadline)
        case AtInstant(at, deadline):
            send_at(session, edition_id, at, now=now, deadline=deadline)
        case AtLocalTime(day, at, past, deadline):
            send_local(session, edition_id, day, at, past=past, now=now, deadline=deadline)
    if cool_off and _begins_before(session, edition_id, now + cool_off):
        hold_back(session, edition_id, until=now + cool_off)
    count_dispatch(session, edition_id, people=caution.people, now=now)


def _begins_before(session: Session, edition_id: int, moment: datetime) -> bool:
    first = session.scalar(
        select(func.min(Wave.due_at)).where(
            Wave.edition_id == edition_id, ~Wave.is_sweep, Wave.exclusion.is_(None)
        )
    )
    # With its first planning it has begun, and cannot be taken back as a whole any more.
    return first is not None and first - LEAD < moment
