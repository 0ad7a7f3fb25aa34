"""What has been done to an edition's content: tested, reviewed, approved; and what a change made void."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from newsletter.models import (
    Edition,
    EditionState,
    EditionTest,
    Review,
    Revision,
    SystemMail,
    SystemMailState,
)
from newsletter.plan.drafts import draft_of, has_uncut_changes
from newsletter.plan.editions import is_out
from newsletter.plan.review import last_review, open_review

_BEFORE_APPROVAL = (EditionState.DRAFT, EditionState.IN_REVIEW)


class Approved(NamedTuple):
    revision: int
    at: datetime
    by: str


@dataclass(frozen=True, slots=True)
class Marks:
    """Each pair is of what holds and of what held before the content changed; at most one is there."""

    approval: Approved | None
    void_approval: Approved | None
    review: Review | None
    void_review: Review | None
    test: EditionTest | None
    void_test: EditionTest | None
    is_ahead: bool
    """The draft says something that no revision says yet."""
    changed_at: datetime
    changed_by: str


def note_test(
    session: Session, edition: Edition, mail_ids: Sequence[int], *, by: str, now: datetime
) -> EditionTest:
    """The newest revision went to a few colleagues: it is tested, until the content changes."""
    test = EditionTest(
        edition_id=edition.id, revision=edition.revision, mail_ids=list(mail_ids), at=now, by=by
    )
    session.add(test)
    session.flush()
    return test


def edition_tests(session: Session, edition_id: int) -> Sequence[EditionTest]:
    """The newest first, twenty at most."""
    return session.scalars(
        select(EditionTest)
        .where(EditionTest.edition_id == edition_id)
        .order_by(EditionTest.id.desc())
        .limit(20)
    ).all()


def has_arrived(session: Session, test: EditionTest) -> bool:
    """Whether a server took one of its mails, or all were forgotten since."""
    states = session.scalars(select(SystemMail.state).where(SystemMail.id.in_(test.mail_ids))).all()
    return not states or SystemMailState.SENT in states


def marks_of(session: Session, edition: Edition) -> Marks:
    is_ahead = has_uncut_changes(session, edition.id)
    draft = draft_of(session, edition.id)
    approved = _last_approval(session, edition.id)
    holds = edition.approved_revision is not None
    is_open = edition.state in _BEFORE_APPROVAL or is_out(edition)
    review = None if is_ahead else open_review(session, edition)
    asked = last_review(session, edition.id)
    tested = next(iter(edition_tests(session, edition.id)), None)
    is_tested = tested is not None and tested.revision == edition.revision and not is_ahead
    return Marks(
        approval=approved if holds else None,
        void_approval=approved if not holds and edition.state in _BEFORE_APPROVAL else None,
        review=review,
        void_review=asked if is_open and asked and not asked.end and not review else None,
        test=tested if is_tested else None,
        void_test=tested if not is_tested and edition.state in _BEFORE_APPROVAL else None,
        is_ahead=is_ahead,
        changed_at=draft.changed_at,
        changed_by=draft.changed_by,
    )


def _last_approval(session: Session, edition_id: int) -> Approved | None:
    row = session.execute(
        select(Revision.number, Revision.approved_at, Revision.approved_by)
        .where(Revision.edition_id == edition_id, Revision.approved_at.is_not(None))
        .order_by(Revision.approved_at.desc(), Revision.number.desc())
        .limit(1)
    ).one_or_none()
    return None if row is None else Approved(row.number, row.approved_at, row.approved_by or "")
