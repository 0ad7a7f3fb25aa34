"""Counts, in the transaction that records them, deliveries that ended in failure: by provider and answer."""

from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from newsletter.addresses import mask_addresses
from newsletter.db import insert_or_ignore
from newsletter.deliver.outcome import Reply
from newsletter.models import Batch, Reason, RefusalFigures

LONGEST_REPLY_KEPT = 500


class _Kind(NamedTuple):
    reason: Reason
    code: int
    enhanced: str


def count_refusals(
    session: Session,
    edition_id: int,
    batch: int,
    failures: Iterable[tuple[Reason, Reply | None]],
    *,
    at: datetime,
) -> None:
    """`failures` of one batch, all of whose people have one provider."""
    counts: Counter[_Kind] = Counter()
    words: dict[_Kind, str] = {}
    for reason, reply in failures:
        kind = _Kind(reason, reply.code if reply else 0, (reply.enhanced or "") if reply else "")
        counts[kind] += 1
        words[kind] = mask_addresses(reply.text)[:LONGEST_REPLY_KEPT] if reply else ""
    if not counts:
        return
    route = session.scalar(
        select(Batch.route).where(Batch.edition_id == edition_id, Batch.number == batch)
    )
    # In one order everywhere: two batches of an edition write to the same figures.
    for kind, people in sorted(counts.items()):
        key = {"edition_id": edition_id, "route": route, **kind._asdict()}
        session.execute(
            insert_or_ignore(session, RefusalFigures).values(**key, people=0, reply="", last_at=at)
        )
        session.execute(
            update(RefusalFigures)
            .filter_by(**key)
            .values(people=RefusalFigures.people + people, reply=words[kind], last_at=at),
            execution_options={"synchronize_session": False},
        )
