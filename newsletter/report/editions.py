"""What became of an edition, read from its batches' counters and its figures: never by counting.

Of an edition that is over the sums of these counters are kept, so that it does not matter how many
batches it had.
"""

from collections import defaultdict
from collections.abc import Collection
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from newsletter.errors import NotFoundError
from newsletter.models import (
    BATCH_COUNTERS,
    Batch,
    Edition,
    EditionFigures,
    EditionState,
    ExclusionFigures,
)

_NOTHING = EditionFigures(opens=0, clicks=0, clickers=0, unsubscribes=0)


@dataclass(frozen=True, slots=True)
class EditionStatus:
    """planned = waiting + deferred + sent + excluded + failed + uncertain + cancelled, always."""

    edition_id: int
    public_id: str
    state: EditionState
    is_planned: bool
    """False while people are still being planned, so that `planned` grows."""
    planned: int
    waiting: int
    deferred: int
    sent: int
    excluded: dict[str, int]
    failed: int
    uncertain: int
    cancelled: int
    opens: int
    clicks: int
    clickers: int
    unsubscribes: int

    @property
    def settled(self) -> int:
        """People of whom nothing more is to be expected without a person or new evidence."""
        return self.planned - self.waiting - self.deferred

    @property
    def is_over(self) -> bool:
        return self.state in (EditionState.SENT, EditionState.CANCELLED)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def edition_status(session: Session, edition_id: int) -> EditionStatus:
    """Raises `NotFoundError`."""
    found = edition_statuses(session, [edition_id])
    if not found:
        raise NotFoundError("There is no edition {edition}.", edition=edition_id)
    return found[edition_id]


def edition_statuses(session: Session, edition_ids: Collection[int]) -> dict[int, EditionStatus]:
    """Of those of them that there are, by id; four questions at most, however many they are."""
    found = session.scalars(select(Edition).where(Edition.id.in_(edition_ids)))
    return statuses_of(session, found.all())


def statuses_of(session: Session, editions: Collection[Edition]) -> dict[int, EditionStatus]:
    """By id."""
    ids = [edition.id for edition in editions]
    figures = {
        each.edition_id: each
        for each in session.scalars(
            select(EditionFigures).where(EditionFigures.edition_id.in_(ids))
        )
    }
    kept = {
        edition.id: {name: getattr(figures[edition.id], name) for name in BATCH_COUNTERS}
        for edition in editions
        if edition.finished_at is not None
        and edition.id in figures
        and figures[edition.id].people is not None
    }
    begun = {edition.id for edition in editions if edition.started_at is not None}
    counts = kept | _sums_of_batches(session, begun - kept.keys())
    excluded = _exclusions(session, ids)
    return {
        edition.id: _status(
            edition,
            counts.get(edition.id, dict.fromkeys(BATCH_COUNTERS, 0)),
            excluded[edition.id],
            figures.get(edition.id) or _NOTHING,
        )
        for edition in editions
    }


def _status(
    edition: Edition,
    counts: dict[str, int],
    excluded: dict[str, int],
    figures: EditionFigures,
) -> EditionStatus:
    settled = sum(counts.values()) - counts["people"]
    return EditionStatus(
        edition_id=edition.id,
        public_id=edition.public_id,
        state=edition.state,
        is_planned=edition.planned_at is not None,
        planned=counts["people"],
        waiting=counts["people"] - settled,
        deferred=counts["deferred"],
        sent=counts["sent"],
        excluded=excluded,
        failed=counts["failed"],
        uncertain=counts["uncertain"],
        cancelled=counts["cancelled"],
        opens=figures.opens,
        clicks=figures.clicks,
        clickers=figures.clickers,
        unsubscribes=figures.unsubscribes,
    )


def _sums_of_batches(session: Session, edition_ids: Collection[int]) -> dict[int, dict[str, int]]:
    if not edition_ids:
        return {}
    sums = [func.sum(getattr(Batch, name)) for name in BATCH_COUNTERS]
    rows = session.execute(
        select(Batch.edition_id, *sums)
        .where(Batch.edition_id.in_(edition_ids))
        .group_by(Batch.edition_id)
    )
    return {
        edition_id: dict(zip(BATCH_COUNTERS, map(int, counts), strict=True))
        for edition_id, *counts in rows
    }


def _exclusions(session: Session, edition_ids: Collection[int]) -> defaultdict[int, dict[str, int]]:
    """By edition, how many people were left out for each reason."""
    found = defaultdict[int, dict[str, int]](dict)
    for edition_id, reason, people in session.execute(
        select(ExclusionFigures.edition_id, ExclusionFigures.reason, ExclusionFigures.people)
        .where(ExclusionFigures.edition_id.in_(edition_ids))
        .order_by(ExclusionFigures.reason)
    ):
        found[edition_id][reason.name.lower()] = people
    return found
