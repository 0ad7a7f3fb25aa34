"""Who of a list must not be mailed, decided in SQL, and counted by reason."""

from datetime import date
from typing import Any

from sqlalchemy import Case, ColumnElement, case, exists, null, or_, update
from sqlalchemy.orm import Session

from newsletter.db import insert_or_ignore
from newsletter.models import (
    EVERYWHERE,
    ExclusionFigures,
    Reason,
    Subscriber,
    Subscription,
    SubscriptionStatus,
    Suppression,
)


def exclusion_reason() -> Case[int | None]:
    """A SQL value over `Subscriber` and `Subscription`: a `Reason` not to mail them, or NULL."""
    suppressed = exists().where(
        Suppression.address_hash == Subscriber.address_hash,
        or_(Suppression.list_id == EVERYWHERE, Suppression.list_id == Subscription.list_id),
    )
    return case(
        (suppressed, int(Reason.SUPPRESSED)),
        (Subscription.status == SubscriptionStatus.UNSUBSCRIBED, int(Reason.UNSUBSCRIBED)),
        (Subscription.status == SubscriptionStatus.PENDING, int(Reason.UNCONFIRMED)),
        else_=None,
    )


def break_reason(day: date) -> Case[int | None]:
    """The same of people who want no mail on the day that the edition is of."""
    return case((Subscriber.break_until > day, int(Reason.ON_BREAK)), else_=None)


def nothing_left_reason(everything: int | None) -> ColumnElement[Any]:
    """The same of people who hide `everything`, as `Hiding` has it."""
    if everything is None:
        return null()
    hidden = Subscription.hidden_sections.bitwise_and(everything)
    return case((hidden == everything, int(Reason.NOTHING_LEFT)), else_=None)


def count_excluded(session: Session, edition_id: int, reason: Reason, people: int) -> None:
    session.execute(
        insert_or_ignore(session, ExclusionFigures).values(
            edition_id=edition_id, reason=reason, people=0
        )
    )
    session.execute(
        update(ExclusionFigures)
        .where(ExclusionFigures.edition_id == edition_id, ExclusionFigures.reason == reason)
        .values(people=ExclusionFigures.people + people)
    )
