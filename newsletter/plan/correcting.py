"""Corrections of an edition that is out: what they put right, and a mail to those who have the mistake."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from newsletter.compose.briefing import Span
from newsletter.compose.content import LONGEST_SUBJECT, DraftContent
from newsletter.errors import InputError, StateError
from newsletter.models import Correction, CorrectionMail, Edition, Revision
from newsletter.plan.audience import address_to_receivers
from newsletter.plan.drafts import open_edition
from newsletter.plan.editions import (
    briefing_of,
    draft_content_of,
    drop_correction,
    has_correction,
    is_out,
    newest_revision,
    put_draft,
)
from newsletter.plan.stored import get_edition, lists_of

LONGEST_NOTE = 1_000
_MARKS = {"zh": "更正："}
_MARK = "Correction: "


def note_correction(
    session: Session, edition_id: int, note: str, *, by: str, now: datetime
) -> Correction:
    """Say for the edition's page what its newest revision puts right.

    Raises `InputError`, and `StateError` when nothing was corrected.
    """
    edition = get_edition(session, edition_id)
    was_corrected = is_out(edition) and edition.revision > _first_sent(session, edition)
    if not has_correction(edition) and not was_corrected:
        raise StateError(
            "Edition {edition} has no correction to say anything about.", edition=edition_id
        )
    note = note.replace("\r\n", "\n").strip()
    if not 1 <= len(note) <= LONGEST_NOTE:
        raise InputError("write 1 to {longest:,} characters", field="note", longest=LONGEST_NOTE)
    kept = session.merge(
        Correction(edition_id=edition_id, revision=edition.revision, note=note, at=now, by=by)
    )
    session.flush()
    return kept


def drop_changes(session: Session, edition_id: int, *, by: str, now: datetime) -> None:
    """Make the draft what is being sent again, whether the correction was frozen already or not.

    Raises `StateError` for an edition that is not out.
    """
    edition = get_edition(session, edition_id)
    if has_correction(edition):
        drop_correction(session, edition_id)
        return
    if not is_out(edition):
        raise StateError(
            "Edition {edition} is {state}; it has no correction to drop.",
            edition=edition_id,
            state=edition.state.words,
        )
    running = newest_revision(session, edition)
    put_draft(session, edition_id, draft_content_of(running), by=by, now=now)


def corrections_of(session: Session, edition_id: int) -> Sequence[Correction]:
    """What was said of them, the first one first."""
    return session.scalars(
        select(Correction).where(Correction.edition_id == edition_id).order_by(Correction.revision)
    ).all()


def correction_mail_of(session: Session, edition: Edition) -> CorrectionMail | None:
    """The mail about its correction as it is approved now; None: nobody made one."""
    if edition.approved_revision is None:
        return None
    return session.scalar(
        select(CorrectionMail)
        .where(
            CorrectionMail.corrects == edition.id,
            CorrectionMail.upto == edition.approved_revision - 1,
        )
        .order_by(CorrectionMail.edition_id.desc())
        .limit(1)
    )


def open_correction_mail(session: Session, edition_id: int, *, by: str, now: datetime) -> Edition:
    """A draft edition with the corrected content, for those alone who were sent it uncorrected.

    Raises `StateError` for an edition without an approved correction.
    """
    edition = get_edition(session, edition_id)
    approved = edition.approved_revision
    if not is_out(edition) or approved is None or approved <= _first_sent(session, edition):
        raise StateError(
            "Edition {edition} has no approved correction to mail anybody about.",
            edition=edition_id,
        )
    corrected = session.get_one(Revision, (edition_id, approved))
    note = session.get(Correction, (edition_id, approved))
    content = _announced(corrected, note.note if note else "")
    lists = lists_of(session, edition_id)
    mail = open_edition(session, content, lists=lists, created_by=by, now=now)
    address_to_receivers(session, mail.id, corrects=edition_id, upto=approved - 1)
    return mail


def _announced(corrected: Revision, note: str) -> DraftContent:
    briefing = briefing_of(corrected)
    if note:
        briefing = replace(briefing, intro=((Span(note),), *briefing.intro))
    mark = _MARKS.get(briefing.language.partition("-")[0], _MARK)
    subject = f"{mark}{corrected.subject}"[:LONGEST_SUBJECT]
    return DraftContent(briefing=briefing, subject=subject, preheader=None)


def _first_sent(session: Session, edition: Edition) -> int:
    """The number of the revision that it began with: the first that was ever approved and not
    replaced before the beginning.
    """
    number = session.scalar(
        select(Revision.number)
        .where(
            Revision.edition_id == edition.id,
            Revision.approved_at.is_not(None),
            Revision.approved_at <= edition.started_at,
        )
        .order_by(Revision.approved_at.desc(), Revision.number)
        .limit(1)
    )
    return number or edition.approved_revision or edition.revision
