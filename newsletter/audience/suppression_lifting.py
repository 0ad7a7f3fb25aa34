"""Lets addresses be mailed again: what the rules allow, and never without saying who and why.

Whoever complained, or wanted no more mail, comes back only by themselves. What a server or another
system's list said may be taken back by an admin, for one address or for an accident of a provider.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Engine, and_, delete, exists, func, insert, select
from sqlalchemy.orm import Session

from newsletter.addresses import Address, address_hash, mask_address
from newsletter.audience.fields import read_line
from newsletter.audience.suppression import OBJECTIONS
from newsletter.db import locked, transaction
from newsletter.errors import NotFoundError, StateError
from newsletter.models import (
    EVERYWHERE,
    Domain,
    LiftedSuppression,
    ReplyClass,
    Route,
    Subscriber,
    Suppression,
    SuppressionReason,
)

LIFTED_AT_ONCE = 1_000
LONGEST_WHY = 500
READER = "reader"
ONLY_BY_THEMSELVES = (*OBJECTIONS, SuppressionReason.LEFT)


@dataclass(frozen=True, slots=True)
class Accident:
    """Suppressions that a provider or a machine brought about; what is None does not matter."""

    since: datetime
    until: datetime
    reason: SuppressionReason | None = None
    reply_class: ReplyClass | None = None
    route: int | None = None
    """The provider's number; an address that is no subscriber's any more has none."""
    source: str | None = None
    """A part of the source's text."""


@dataclass(frozen=True, slots=True)
class Extent:
    """How many entries an accident made, by their reason, and how many of them would be lifted."""

    found: Mapping[SuppressionReason, int]
    liftable: int


def lift(
    session: Session,
    address: Address,
    *,
    list_id: int = EVERYWHERE,
    by: str,
    why: str,
    now: datetime,
) -> Suppression:
    """Take one entry back and return it. Raises `InputError`, and `StateError` when it is a complaint
    or the person's wish: `newsletter.audience.invitations` may ask them, once.
    """
    why = read_line("reason", why, longest=LONGEST_WHY)
    entry = locked(session, Suppression, (address_hash(address), list_id))
    masked = mask_address(str(address))
    if entry is None:
        raise NotFoundError("{masked} is not suppressed there.", masked=masked)
    if entry.reason in ONLY_BY_THEMSELVES:
        raise StateError(
            "{masked}: {reason}. Only the person can take that back; newsletter "
            "subscriber invite asks them, once.",
            masked=masked,
            reason=entry.reason,
        )
    _lift(session, [entry], by=by, why=why, now=now)
    return entry


def lift_by_person(
    session: Session,
    hashed: bytes,
    list_ids: Collection[int],
    *,
    reasons: Collection[SuppressionReason] = tuple(SuppressionReason),
    why: str,
    now: datetime,
) -> list[SuppressionReason]:
    """Whoever has the address agreed anew; returns the reasons of what fell."""
    entries = session.scalars(
        select(Suppression)
        .where(
            Suppression.address_hash == hashed,
            Suppression.list_id.in_(list_ids),
            Suppression.reason.in_(reasons),
        )
        .order_by(Suppression.list_id)
        .with_for_update()
    ).all()
    _lift(session, entries, by=READER, why=why, now=now)
    return [entry.reason for entry in entries]


def extent_of(session: Session, accident: Accident) -> Extent:
    rows = session.execute(
        select(Suppression.reason, func.count().label("entries"))
        .where(*_conditions(accident))
        .group_by(Suppression.reason)
    )
    found = {row.reason: row.entries for row in rows}
    return Extent(found, sum(found[each] for each in found if each not in ONLY_BY_THEMSELVES))


def undo(session: Session, accident: Accident, *, by: str, why: str, now: datetime) -> int:
    """Lift what the accident made, but no objection; the next thousand, so ask until it is 0."""
    why = read_line("reason", why, longest=LONGEST_WHY)
    entries = session.scalars(
        select(Suppression)
        .where(*_conditions(accident), Suppression.reason.not_in(ONLY_BY_THEMSELVES))
        .order_by(Suppression.created_at, Suppression.address_hash, Suppression.list_id)
        .limit(LIFTED_AT_ONCE)
        .with_for_update()
    ).all()
    _lift(session, entries, by=by, why=why, now=now)
    return len(entries)


def undo_all(engine: Engine, accident: Accident, *, by: str, why: str, now: datetime) -> int:
    """Until nothing is left to lift, a transaction for each thousand; returns how many were."""
    total = 0
    while True:
        with transaction(engine) as session:
            lifted = undo(session, accident, by=by, why=why, now=now)
        if not lifted:
            return total
        total += lifted


def route_called(session: Session, name: str) -> Route:
    """Raises `NotFoundError`."""
    found = session.query(Route).filter_by(name=name).one_or_none()
    if found is None:
        raise NotFoundError(
            "route: there is none called {name!r}; newsletter route list names them", name=name
        )
    return found


def lifted_of(session: Session, address: Address) -> list[LiftedSuppression]:
    return list(
        session.scalars(
            select(LiftedSuppression)
            .where(LiftedSuppression.address_hash == address_hash(address))
            .order_by(LiftedSuppression.id)
        )
    )


def _conditions(accident: Accident) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = [
        Suppression.created_at >= accident.since,
        Suppression.created_at < accident.until,
    ]
    if accident.reason is not None:
        conditions.append(Suppression.reason == accident.reason)
    if accident.reply_class is not None:
        conditions.append(Suppression.reply_class == accident.reply_class)
    if accident.source is not None:
        conditions.append(Suppression.source.contains(accident.source, autoescape=True))
    if accident.route is not None:
        conditions.append(
            exists()
            .where(
                Subscriber.address_hash == Suppression.address_hash,
                and_(Domain.id == Subscriber.domain_id, Domain.route == accident.route),
            )
            .correlate(Suppression)
        )
    return conditions


def _lift(
    session: Session, entries: Sequence[Suppression], *, by: str, why: str, now: datetime
) -> None:
    if not entries:
        return
    session.execute(
        insert(LiftedSuppression),
        [
            {
                "address_hash": entry.address_hash,
                "list_id": entry.list_id,
                "reason": entry.reason,
                "source": entry.source,
                "created_at": entry.created_at,
                "reply_class": entry.reply_class,
                "lifted_at": now,
                "lifted_by": by,
                "why": why,
            }
            for entry in entries
        ],
    )
    for list_id in sorted({entry.list_id for entry in entries}):
        session.execute(
            delete(Suppression)
            .where(
                Suppression.list_id == list_id,
                Suppression.address_hash.in_(
                    [entry.address_hash for entry in entries if entry.list_id == list_id]
                ),
            )
            .execution_options(synchronize_session=False)
        )
    for entry in entries:
        session.expunge(entry)
