"""What an edition is called where editions are listed: the subject its readers see, or will see."""

from collections.abc import Collection

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from newsletter.models import Edition, Revision, WorkingDraft
from newsletter.plan.editions import is_out

UNTITLED = "Untitled"


def titles_of(session: Session, edition_ids: Collection[int]) -> dict[int, str]:
    """Of what is out, the subject that was approved; before that, of the draft as it stands."""
    editions = {
        edition.id: edition
        for edition in session.scalars(select(Edition).where(Edition.id.in_(edition_ids)))
    }
    revisions = dict(
        session.execute(
            select(Revision.edition_id, Revision.subject)
            .join(Edition, Edition.id == Revision.edition_id)
            .where(
                Revision.edition_id.in_(edition_ids),
                Revision.number == func.coalesce(Edition.approved_revision, Edition.revision),
            )
        ).all()
    )
    open_ids = [each.id for each in editions.values() if not is_out(each)]
    drafts = dict(
        session.execute(
            select(
                WorkingDraft.edition_id,
                func.coalesce(WorkingDraft.subject, WorkingDraft.briefing["title"].as_string()),
            ).where(WorkingDraft.edition_id.in_(open_ids))
        ).all()
    )
    return {
        edition_id: drafts.get(edition_id) or revisions.get(edition_id) or UNTITLED
        for edition_id in editions
    }
