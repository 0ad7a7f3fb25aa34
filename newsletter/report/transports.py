"""How the transports are: what is held and why, and what went through them lately."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import cast, func, select
from sqlalchemy.orm import Session

from newsletter.deliver.breakers import Counted
from newsletter.deliver.holds import BY_PAUSE, open_holds
from newsletter.models import (
    Domain,
    Edition,
    EditionState,
    Hold,
    HoldScope,
    Pace,
    Route,
    Traffic,
    Transport,
)

RECENT = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class HeldThing:
    """An open hold; `what` names it for people."""

    id: int
    scope: HoldScope
    what: str
    action: str
    rule: str
    reason: str
    reply: str
    since: datetime
    until: datetime | None
    probe_at: datetime | None


@dataclass(frozen=True, slots=True)
class Learnt:
    """What a provider takes from the transport at this moment, as its answers have taught."""

    key: str
    connections: int
    per_second: float | None


@dataclass(frozen=True, slots=True)
class TransportStatus:
    id: int
    name: str
    host: str
    port: int
    breaker: str
    """closed, open, or probing."""
    last_error: str
    connections: int
    rate: str | None
    weight: int
    carries: str
    pacing: str
    last_hour: Counted
    learnt: tuple[Learnt, ...]
    holds: tuple[HeldThing, ...]


@dataclass(frozen=True, slots=True)
class SendingStatus:
    transports: tuple[TransportStatus, ...]
    holds: tuple[HeldThing, ...]
    """Those that do not depend on a transport."""


def sending_status(session: Session, *, now: datetime) -> SendingStatus:
    holds = [*open_holds(session, now=now), *paused_editions(session)]
    transports = session.scalars(select(Transport).order_by(Transport.id)).all()
    return SendingStatus(
        tuple(_transport(session, each, holds, now) for each in transports),
        tuple(_thing(session, each) for each in holds if not each.transport_id),
    )


@dataclass(frozen=True, slots=True)
class PastHold:
    """What was held, until when, and who or what let it go."""

    thing: HeldThing
    ended_at: datetime
    ended_by: str


def past_holds(session: Session, *, most: int) -> list[PastHold]:
    """The newest that are over, the last one to end first."""
    rows = session.scalars(
        select(Hold)
        .where(Hold.lifted_at.is_not(None))
        .order_by(Hold.lifted_at.desc(), Hold.id.desc())
        .limit(most)
    )
    return [
        PastHold(_thing(session, row), row.lifted_at, row.lifted_by or "")
        for row in rows
        if row.lifted_at is not None
    ]


def held_things(session: Session, *, now: datetime) -> list[HeldThing]:
    """Whatever is held, and the editions that a breaker has paused."""
    return [
        _thing(session, each) for each in (*open_holds(session, now=now), *paused_editions(session))
    ]


def _transport(
    session: Session, transport: Transport, holds: Sequence[Hold], now: datetime
) -> TransportStatus:
    its = [each for each in holds if each.transport_id == transport.id]
    breaker = next((each for each in its if each.scope is HoldScope.TRANSPORT), None)
    return TransportStatus(
        id=transport.id,
        name=transport.name,
        host=transport.host,
        port=transport.port,
        breaker=_breaker(breaker, now),
        last_error=_last_error(session, transport.id),
        connections=transport.connections,
        rate=transport.rate,
        weight=transport.weight,
        carries=transport.carries.value,
        pacing=transport.pacing.value,
        last_hour=_traffic(session, transport.id, since=now - RECENT),
        learnt=tuple(
            Learnt(pace.key, pace.connections, pace.rate)
            for pace in session.scalars(
                select(Pace).where(Pace.transport_id == transport.id).order_by(Pace.key)
            )
        ),
        holds=tuple(_thing(session, each) for each in its),
    )


def _breaker(hold: Hold | None, now: datetime) -> str:
    if hold is None:
        return "closed"
    is_probed = hold.probing_until is not None and hold.probing_until > now
    return "probing" if is_probed else "open"


def _last_error(session: Session, transport_id: int) -> str:
    last = session.scalars(
        select(Hold)
        .where(Hold.scope == HoldScope.TRANSPORT, Hold.transport_id == transport_id)
        .order_by(Hold.id.desc())
        .limit(1)
    ).one_or_none()
    return "" if last is None else last.reply or last.reason


def _traffic(session: Session, transport_id: int, *, since: datetime) -> Counted:
    columns = (Traffic.tried, Traffic.deferred, Traffic.blocked, Traffic.unauthentic)
    sums = session.execute(
        select(*map(func.sum, columns)).where(
            Traffic.transport_id == transport_id, Traffic.minute > since
        )
    ).one()
    return Counted(*(count or 0 for count in sums))


def paused_editions(session: Session) -> Sequence[Hold]:
    """The newest hold of each edition that a breaker has paused and nobody has resumed."""
    newest = (
        select(func.max(Hold.id))
        .join(Edition, Hold.key == cast(Edition.id, Hold.key.type))
        .where(
            Hold.scope == HoldScope.EDITION,
            Hold.lifted_by == BY_PAUSE,
            Edition.state == EditionState.PAUSED,
        )
        .group_by(Hold.key)
    )
    return session.scalars(select(Hold).where(Hold.id.in_(newest)).order_by(Hold.id)).all()


def _thing(session: Session, hold: Hold) -> HeldThing:
    return HeldThing(
        id=hold.id,
        scope=hold.scope,
        what=_name(session, hold),
        action=f"{hold.action} {hold.value}".strip(),
        rule=hold.rule,
        reason=hold.reason,
        reply=hold.reply,
        since=hold.since,
        until=hold.until,
        probe_at=hold.probe_at,
    )


def _name(session: Session, hold: Hold) -> str:
    match hold.scope:
        case HoldScope.TRANSPORT:
            name = session.scalar(select(Transport.name).where(Transport.id == int(hold.key)))
        case HoldScope.ROUTE:
            name = session.scalar(select(Route.name).where(Route.id == int(hold.key)))
        case HoldScope.RECIPIENT_DOMAIN:
            name = session.scalar(select(Domain.name).where(Domain.id == int(hold.key)))
        case HoldScope.SENDER_DOMAIN | HoldScope.EDITION:
            name = None
    return name or hold.key
