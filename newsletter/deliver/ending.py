"""What an edition that is over came to, kept in one row: nobody adds up its batches to look at it."""

from collections.abc import Collection

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from newsletter.models import BATCH_COUNTERS, Batch, EditionFigures


def keep_sums(session: Session, edition_ids: Collection[int]) -> None:
    """Part of whatever ends these editions."""
    if not edition_ids:
        return
    sums = {name: func.sum(getattr(Batch, name)) for name in BATCH_COUNTERS}
    rows = session.execute(
        select(Batch.edition_id, *sums.values())
        .where(Batch.edition_id.in_(edition_ids))
        .group_by(Batch.edition_id)
    )
    for edition_id, *counts in rows.all():
        session.execute(
            update(EditionFigures)
            .where(EditionFigures.edition_id == edition_id)
            .values(dict(zip(sums, map(int, counts), strict=True)))
        )


def refresh_sums(session: Session, edition_id: int) -> None:
    """Part of whatever changes counters of an edition that may be over."""
    kept = select(EditionFigures.edition_id).where(
        EditionFigures.edition_id == edition_id, EditionFigures.people.is_not(None)
    )
    if session.scalar(kept) is not None:
        session.flush()
        keep_sums(session, [edition_id])
