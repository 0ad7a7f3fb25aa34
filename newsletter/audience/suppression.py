"""Who is never mailed: entries are keyed by hash, so they outlive the person's erasure."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

from sqlalchemy import Select, or_, select, tuple_, update
from sqlalchemy.orm import Session

from newsletter.addresses import Address, address_hash
from newsletter.audience.fields import refuse
from newsletter.db import GREATEST_KEY, insert_or_ignore
from newsletter.models import EVERYWHERE, ReplyClass, Suppression, SuppressionReason

LONGEST_SOURCE = 200
MOST_ON_A_PAGE = 1_000
OBJECTIONS = (SuppressionReason.COMPLAINED, SuppressionReason.ON_REQUEST)
"""The person's own word; nobody else takes it back."""
_PLACE = (Suppression.created_at, Suppression.address_hash, Suppression.list_id)


class NewSuppression(NamedTuple):
    """A tuple because a file may have millions."""

    address_hash: bytes
    list_id: int
    reason: SuppressionReason
    source: str
    created_at: datetime
    reply_class: ReplyClass | None = None


@dataclass(frozen=True, slots=True)
class SoughtSuppressions:
    """None: any. `list_id` may be `EVERYWHERE`, `source` is a part of the source's text."""

    list_id: int | None = None
    reason: SuppressionReason | None = None
    source: str | None = None


ALL_SUPPRESSIONS = SoughtSuppressions()


@dataclass(frozen=True, slots=True)
class SuppressionPage:
    entries: tuple[Suppression, ...]
    next_after: str | None
    """Ask with it for the page behind this one; None: this is the last."""


def suppress(
    session: Session,
    address_or_hash: Address | bytes,
    *,
    reason: SuppressionReason,
    source: str,
    list_id: int = EVERYWHERE,
    reply_class: ReplyClass | None = None,
    now: datetime,
) -> bool:
    """Never mail this address again; False when that was so already.

    Then the older entry stays, unless this one is the person's own word and that one was not.
    """
    new = suppress_many(
        session,
        {_hash(address_or_hash): reason},
        source=source,
        list_id=list_id,
        reply_class=reply_class,
        now=now,
    )
    return new > 0


def suppress_many(
    session: Session,
    reasons: Mapping[bytes, SuppressionReason],
    *,
    source: str,
    list_id: int = EVERYWHERE,
    reply_class: ReplyClass | None = None,
    now: datetime,
) -> int:
    """As `suppress`, for many address hashes; returns how many are new."""
    entries = [
        NewSuppression(hashed, list_id, reason, source, now, reply_class)
        for hashed, reason in reasons.items()
    ]
    return keep_suppressions(session, entries)


def keep_suppressions(session: Session, entries: Collection[NewSuppression]) -> int:
    """As `suppress`, for entries of any kind; returns how many are new."""
    if not entries:
        return 0
    insert = insert_or_ignore(session, Suppression).returning(
        Suppression.address_hash, Suppression.list_id
    )
    # In one order, so that whoever writes the same keys waits, and not in a circle.
    rows = [
        entry._asdict() | {"source": entry.source[:LONGEST_SOURCE]}
        for entry in sorted(entries, key=_key)
    ]
    new = {(row[0], row[1]) for row in session.connection().execute(insert, rows)}
    known = [entry for entry in entries if (entry.address_hash, entry.list_id) not in new]
    _strengthen(session, known)
    _uphold(session, known)
    return len(new)


def is_suppressed(session: Session, address_or_hash: Address | bytes, *, list_id: int) -> bool:
    return bool(suppressed_among(session, [_hash(address_or_hash)], list_id=list_id))


def objection_to(session: Session, hashed: bytes) -> SuppressionReason | None:
    """The person's own word against all mail; another address of theirs does not take it back."""
    found: SuppressionReason | None = session.scalar(
        select(Suppression.reason).where(
            Suppression.address_hash == hashed,
            Suppression.list_id == EVERYWHERE,
            Suppression.reason.in_(OBJECTIONS),
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


def suppressions_of(session: Session, address_or_hash: Address | bytes) -> list[Suppression]:
    return list(
        session.scalars(
            select(Suppression)
            .where(Suppression.address_hash == _hash(address_or_hash))
            .order_by(Suppression.list_id)
        )
    )


def list_suppressions(
    session: Session,
    sought: SoughtSuppressions = ALL_SUPPRESSIONS,
    *,
    after: str | None = None,
    limit: int = 100,
) -> SuppressionPage:
    """Oldest first. Raises `InputError` for an `after` that is no page's `next_after`."""
    query = _entries(sought).order_by(*_PLACE)
    if after is not None:
        query = query.where(tuple_(*_PLACE) > tuple_(*_read_place(after)))
    return _page(session, query, limit)


def recent_suppressions(
    session: Session,
    sought: SoughtSuppressions = ALL_SUPPRESSIONS,
    *,
    after: str | None = None,
    limit: int = 100,
) -> SuppressionPage:
    """As `list_suppressions`, newest first."""
    query = _entries(sought).order_by(*(column.desc() for column in _PLACE))
    if after is not None:
        query = query.where(tuple_(*_PLACE) < tuple_(*_read_place(after)))
    return _page(session, query, limit)


def _entries(sought: SoughtSuppressions) -> Select[Suppression]:
    query = select(Suppression)
    if sought.list_id is not None:
        query = query.where(Suppression.list_id == sought.list_id)
    if sought.reason is not None:
        query = query.where(Suppression.reason == sought.reason)
    if sought.source is not None:
        query = query.where(Suppression.source.contains(sought.source, autoescape=True))
    return query


def _page(session: Session, query: Select[Suppression], limit: int) -> SuppressionPage:
    limit = max(1, min(limit, MOST_ON_A_PAGE))
    found = session.scalars(query.limit(limit + 1)).all()
    entries = tuple(found[:limit])
    return SuppressionPage(entries, _place(entries[-1]) if len(found) > limit else None)


def _key(entry: NewSuppression) -> tuple[bytes, int]:
    return entry.address_hash, entry.list_id


def _place(entry: Suppression) -> str:
    at = entry.created_at.astimezone(UTC).replace(tzinfo=None)
    return f"{at.isoformat()}.{entry.address_hash.hex()}.{entry.list_id}"


def _read_place(text: str) -> tuple[datetime, bytes, int]:
    try:
        at, hashed, list_id = text.rsplit(".", 2)
        place = datetime.fromisoformat(at).replace(tzinfo=UTC), bytes.fromhex(hashed), int(list_id)
    except ValueError:
        place = None
    if place is None or not EVERYWHERE <= place[2] <= GREATEST_KEY:
        refuse("after", "write what the page before gave as its next one")
    return place


def _strengthen(session: Session, entries: Collection[NewSuppression]) -> None:
    """Where a machine, an admin or a file made an entry, the person's own word takes its place."""
    for entry in entries:
        if entry.reason in OBJECTIONS:
            session.execute(
                update(Suppression)
                .where(
                    Suppression.address_hash == entry.address_hash,
                    Suppression.list_id == entry.list_id,
                    or_(Suppression.reason.not_in(OBJECTIONS), Suppression.import_id.is_not(None)),
                )
                .values(reason=entry.reason, source=entry.source[:LONGEST_SOURCE])
                .execution_options(synchronize_session="fetch")
            )


def _uphold(session: Session, entries: Collection[NewSuppression]) -> None:
    """What an import's file said is said by others too now: undoing the import leaves it."""
    for list_id in sorted({entry.list_id for entry in entries}):
        session.execute(
            update(Suppression)
            .where(
                Suppression.list_id == list_id,
                Suppression.address_hash.in_(
                    [entry.address_hash for entry in entries if entry.list_id == list_id]
                ),
                Suppression.import_id.is_not(None),
            )
            .values(import_id=None)
            .execution_options(synchronize_session="fetch")
        )


def _hash(address_or_hash: Address | bytes) -> bytes:
    if isinstance(address_or_hash, Address):
        return address_hash(address_or_hash)
    return address_or_hash
