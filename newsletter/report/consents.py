"""By what right a list writes to its people: their newest consent, counted, and who has none."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Integer, and_, cast, exists, func, select
from sqlalchemy.orm import Session

from newsletter.audience.subscribers import SubscriberPage
from newsletter.models import (
    ConsentEvent,
    ConsentKind,
    Import,
    LegalBasis,
    Subscriber,
    Subscription,
    SubscriptionStatus,
)

MOST_ON_A_PAGE = 1_000
_PROOFS = (ConsentKind.IMPORTED, ConsentKind.CONFIRMED)


@dataclass(frozen=True, slots=True)
class ConsentCount:
    month: str
    """Of the consent, as 2026-11, in UTC."""
    kind: ConsentKind
    how: str
    """A form, an import …; empty where the evidence does not say."""
    basis: LegalBasis | None
    """What was declared for the import; None for everybody else."""
    people: int


def count_consents(session: Session, list_id: int) -> list[ConsentCount]:
    """Of the confirmed people, each by the newest consent to this list."""
    newest = (
        select(func.max(ConsentEvent.id).label("id"))
        .join(Subscription, _is_of(ConsentEvent))
        .where(
            Subscription.list_id == list_id,
            Subscription.status == SubscriptionStatus.CONFIRMED,
            ConsentEvent.kind.in_(_PROOFS),
        )
        .group_by(ConsentEvent.subscriber_id)
        .subquery()
    )
    month = _month(session)
    how = func.coalesce(ConsentEvent.evidence["how"].as_string(), "")
    import_id = cast(ConsentEvent.evidence["import"].as_string(), Integer)
    rows = session.execute(
        select(
            month,
            ConsentEvent.kind,
            how,
            Import.basis,
            func.count(),
        )
        .join(newest, newest.c.id == ConsentEvent.id)
        .outerjoin(Import, Import.id == import_id)
        .group_by(month, ConsentEvent.kind, how, Import.basis)
        .order_by(month, ConsentEvent.kind, how, Import.basis)
    )
    return [ConsentCount(*row) for row in rows]


def count_without_evidence(session: Session, list_id: int) -> int:
    return (
        session.scalar(select(func.count()).select_from(Subscription).where(*_unproven(list_id)))
        or 0
    )


def people_without_evidence(
    session: Session, list_id: int, *, after: int = 0, limit: int = 100
) -> SubscriberPage:
    """The confirmed people with a greater number than `after` whose consent nothing proves."""
    limit = max(1, min(limit, MOST_ON_A_PAGE))
    found = session.scalars(
        select(Subscriber)
        .join(Subscription, Subscription.subscriber_id == Subscriber.id)
        .where(*_unproven(list_id), Subscription.subscriber_id > after)
        .order_by(Subscription.subscriber_id)
        .limit(limit + 1)
    ).all()
    people = tuple(found[:limit])
    return SubscriberPage(people, people[-1].id if len(found) > limit else None)


def _unproven(list_id: int) -> tuple[ColumnElement[bool], ...]:
    proof = exists().where(_is_of(ConsentEvent), ConsentEvent.kind.in_(_PROOFS))
    return (
        Subscription.list_id == list_id,
        Subscription.status == SubscriptionStatus.CONFIRMED,
        ~proof,
    )


def _is_of(event: type[ConsentEvent]) -> ColumnElement[bool]:
    return and_(
        event.subscriber_id == Subscription.subscriber_id, event.list_id == Subscription.list_id
    )


def _month(session: Session) -> ColumnElement[Any]:
    if session.get_bind().dialect.name == "postgresql":
        return func.to_char(func.timezone("UTC", ConsentEvent.at), "YYYY-MM")
    return func.strftime("%Y-%m", ConsentEvent.at)
