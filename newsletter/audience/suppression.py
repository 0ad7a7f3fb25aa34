"""Who is never mailed: entries are keyed by hash, so they outlive the person's erasure."""

from collections.abc import Collection, Mapping
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from newsletter.addresses import Address, address_hash
from newsletter.db import insert_or_ignore
from newsletter.models import EVERYWHERE, Suppression, SuppressionReason

LONGEST_SOURCE = 200


def suppress(
    session: Session,
    address_or_hash: Address | bytes,
    *,
    reason: SuppressionReason,
    source: str,
    list_id: int = EVERYWHERE,
    now: datetime,
) -> bool:
    """Never mail this address again; False when that was so already, and the older entry stays."""
    new = suppress_many(
        session, {_hash(address_or_hash): reason}, source=source, list_id=list_id, now=now
    )
    return new > 0


def suppress_many(
    session: Session,
    reasons: Mapping[bytes, SuppressionReason],
    *,
    source: str,
    list_id: int = EVERYWHERE,
    now: datetime,
) -> int:
    """One entry for each address hash; returns how many are new."""
    if not reasons:
        return 0
    rows = [
        {
            "address_hash": hashed,
            "list_id": list_id,
            "reason": reason,
            "source": source[:LONGEST_SOURCE],
            "created_at": now,
        }
        for hashed, reason in sorted(reasons.items())
    ]
    insert = insert_or_ignore(session, Suppression).returning(Suppression.address_hash)
    return len(session.connection().execute(insert, rows).all())


def is_suppressed(session: Session, address_or_hash: Address | bytes, *, list_id: int) -> bool:
    return bool(suppressed_among(session, [_hash(address_or_hash)], list_id=list_id))


def objection_to(session: Session, hashed: bytes) -> SuppressionReason | None:
    """The person's own word against all mail; another address of theirs does not take it back."""
    found: SuppressionReason | None = session.scalar(
        select(Suppression.reason).where(
            Suppression.address_hash == hashed,
            Suppression.list_id == EVERYWHERE,
            Suppression.reason.in_((SuppressionReason.COMPLAINED, SuppressionReason.ON_REQUEST)),
        )
    )
    return found


def suppressed_among(session: Session, hashes: Collection[bytes], *, list_id: int) -> set[bytes]:
    """Those of `hashes` that this list must not mail."""
    return set(
        session.scalars(
            select(Suppression.address_hash).where(
                Suppression.address_hash.in_(hashes),
                Suppression.list_id.in_((EVERYWHERE, list_id)),
            )
        )
    )


def _hash(address_or_hash: Address | bytes) -> bytes:
    if isinstance(address_or_hash, Address):
        return address_hash(address_or_hash)
    return address_or_hash
