"""Which editions show a list's masthead as it was, and not as it is now."""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from newsletter.models import Edition, EditionList, EditionState

_AS_APPROVED = (
    EditionState.APPROVED,
    EditionState.SCHEDULED,
    EditionState.SENDING,
    EditionState.PAUSED,
)


def approved_before_change(session: Session, list_id: int) -> Sequence[int]:
    """Editions that go out in the dress they were approved in, whatever becomes of the list."""
    return session.scalars(
        select(Edition.id)
        .join(EditionList, EditionList.edition_id == Edition.id)
        .where(EditionList.list_id == list_id, Edition.state.in_(_AS_APPROVED))
        .order_by(Edition.id)
    ).all()
