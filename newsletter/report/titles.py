"""What an edition is called where editions are listed: the subject its readers see, or will see."""

from collections.abc import Collection

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from newsletter.models import Edition, Revision, WorkingDraft
from newsletter.plan.editions import is_out

UNTITLED = "Untitled"


def titles_of(session: Session, edition_ids: Collection[int]) -> dict[int, str]:
    """By id, of those that there are."""
    found = session.scalars(select(Edition).where(Edition.id.in_(edition_ids)))
    return titles_of_editions(session, found.all())


def titles_of_editions(session: Session, editions: Collection[Edition]) -> dict[int, str]:
    """Of what is out, the subject that was approved; before that, of the draft as it stands."""
    ids = [edition.id for edition in editions]
    revisions = dict(
        session.execute(
            select(Revision.edition_id, Revision.subject)
            .join(Edition, Edition.id == Revision.edition_id)
            .where(
                Revision.edition_id.in_(ids),
                Revision.number == func.coalesce(Edition.approved_revision, Edition.revision),
            )
        ).all()
    )
    open_ids = [each.id for each in editions if not is_out(each)]
    drafts: dict[int, str] = {}
    if open_ids:
        drafts = _draft_titles(session, open_ids)
    return {each: drafts.get(each) or revisions.get(each) or UNTITLED for each in ids}


def _draft_titles(session: Session, edition_ids: Collection[int]) -> dict[int, str]:
    return dict(
        session.execute(
            select(
                WorkingDraft.edition_id,
                func.coalesce(WorkingDraft.subject, WorkingDraft.briefing["title"].as_string()),
            ).where(WorkingDraft.edition_id.in_(edition_ids))
        ).all()
    )
