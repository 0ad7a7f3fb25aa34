"""What became of an edition, read from its batches' counters and its figures: never by counting."""

from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from newsletter.errors import NotFoundError
from newsletter.models import Batch, Edition, EditionFigures, EditionState, ExclusionFigures

_COUNTERS = (
    Batch.people,
    Batch.deferred,
    Batch.sent,
    Batch.excluded,
    Batch.failed,
    Batch.uncertain,
    Batch.cancelled,
)


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
    edition = session.get(Edition, edition_id)
    if edition is None:
        message = f"There is no edition {edition_id}."
        raise NotFoundError(message)
    sums = session.execute(
        select(*(func.coalesce(func.sum(counter), 0) for counter in _COUNTERS)).where(
            Batch.edition_id == edition_id
        )
    ).one()
    people, deferred, sent, excluded, failed, uncertain, cancelled = map(int, sums)
    reasons = session.execute(
        select(ExclusionFigures.reason, ExclusionFigures.people)
        .where(ExclusionFigures.edition_id == edition_id)
        .order_by(ExclusionFigures.reason)
    )
    figures = session.get(EditionFigures, edition_id) or EditionFigures(
        opens=0, clicks=0, unsubscribes=0
    )
    return EditionStatus(
        edition_id=edition.id,
        public_id=edition.public_id,
        state=edition.state,
        is_planned=edition.planned_at is not None,
        planned=people,
        waiting=people - deferred - sent - excluded - failed - uncertain - cancelled,
        deferred=deferred,
        sent=sent,
        excluded={reason.name.lower(): count for reason, count in reasons},
        failed=failed,
        uncertain=uncertain,
        cancelled=cancelled,
        opens=figures.opens,
        clicks=figures.clicks,
        unsubscribes=figures.unsubscribes,
    )
