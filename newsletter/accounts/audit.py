"""The audit log: who did what, to what, when and from where; entries are only ever added (S-35)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from newsletter.models import AuditEntry
from newsletter.models.staff import LONGEST_ACTION, LONGEST_ACTOR, LONGEST_SUBJECT

PAGE = 50


def record(
    session: Session,
    *,
    actor: str,
    account_id: int | None,
    action: str,
    subject: str = "",
    details: dict[str, object] | None = None,
    network: str | None = None,
    now: datetime,
) -> None:
    """Add an entry, in the transaction of what it tells of.

    `action` reads as a claim: "list retired". `details` may hold before and after, never a secret.
    """
    session.add(
        AuditEntry(
            at=now,
            account_id=account_id,
            actor=actor[:LONGEST_ACTOR],
            action=action[:LONGEST_ACTION],
            subject=subject[:LONGEST_SUBJECT],
            details=dict(details or {}),
            network=network,
        )
    )
    session.flush()


@dataclass(frozen=True, slots=True)
class AuditPage:
    entries: Sequence[AuditEntry]
    """Newest first."""
    next_before: int | None
    """The `before` of the page of older entries; None: this is the last."""


def audit_entries(
    session: Session,
    *,
    account_id: int | None = None,
    action: str | None = None,
    before: int | None = None,
    limit: int = PAGE,
) -> AuditPage:
    """Entries older than the one with the id `before`."""
    chosen = select(AuditEntry).order_by(AuditEntry.id.desc()).limit(limit + 1)
    if account_id is not None:
        chosen = chosen.where(AuditEntry.account_id == account_id)
    if action is not None:
        chosen = chosen.where(AuditEntry.action == action)
    if before is not None:
        chosen = chosen.where(AuditEntry.id < before)
    rows = session.scalars(chosen).all()
    entries = rows[:limit]
    return AuditPage(entries, entries[-1].id if len(rows) > limit else None)


def names_of(session: Session, account_id: int) -> Sequence[str]:
    """All that somebody went by when they did anything."""
    return session.scalars(
        select(AuditEntry.actor).where(AuditEntry.account_id == account_id).distinct()
    ).all()


def audit_actions(session: Session) -> list[str]:
    """Those that there are entries of."""
    return list(session.scalars(select(AuditEntry.action).distinct().order_by(AuditEntry.action)))
