"""The history of people: who changed what about somebody, and what it was before."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from newsletter.models import ChangeCause, SubscriberChange


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a change came from; `by` is an account, `reader`, or a program's name."""

    cause: ChangeCause
    by: str
    reference: str | None = None

    @property
    def is_own(self) -> bool:
        """Whether the person said so themselves: no import may take it back."""
        return self.cause in (ChangeCause.FORM, ChangeCause.PREFERENCES)


def record_changes(
    session: Session,
    subscriber_id: int,
    before: Mapping[str, str],
    after: Mapping[str, str],
    *,
    origin: Origin,
    now: datetime,
) -> list[str]:
    """A row for each field that differs; returns their names, in order."""
    changed = sorted(
        field for field in before.keys() | after.keys() if before.get(field) != after.get(field)
    )
    if changed:
        session.execute(
            insert(SubscriberChange),
            [
                {
                    "subscriber_id": subscriber_id,
                    "at": now,
                    "field": field,
                    "before": before.get(field),
                    "after": after.get(field),
                    "cause": origin.cause,
                    "by": origin.by,
                    "reference": origin.reference,
                }
                for field in changed
            ],
        )
    return changed


def changes_of(session: Session, subscriber_id: int) -> list[SubscriberChange]:
    """Oldest first."""
    return list(
        session.scalars(
            select(SubscriberChange)
            .where(SubscriberChange.subscriber_id == subscriber_id)
            .order_by(SubscriberChange.id)
        )
    )
