"""Reviews of an edition, and what its reviewers say about the stories."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from newsletter.accounts.acting import acting_account
from newsletter.compose.briefing import Briefing
from newsletter.errors import InputError, NotFoundError, StateError
from newsletter.models import Comment, Edition, EditionState, Review, ReviewEnd
from newsletter.plan.drafts import cut_revision
from newsletter.plan.editions import briefing_of, has_correction, newest_revision
from newsletter.plan.review_mail import mail_asked, mail_ended
from newsletter.plan.stored import get_edition
from newsletter.settings import Settings

LONGEST_NOTE = 2_000


def submit_edition(
    session: Session, edition_id: int, *, note: str, by: str, settings: Settings, now: datetime
) -> Review:
    """Ask that the draft, as it stands, be looked at and approved; whoever may do that is mailed.

    Raises `StateError` for what is neither a draft nor a correction, `InputError` and `RenderError`
    as rendering does.
    """
    edition = get_edition(session, edition_id)
    revision = cut_revision(session, edition_id, settings=settings, by=by, now=now)
    if edition.state is not EditionState.DRAFT and not has_correction(edition):
        raise StateError(
            "Edition {edition} is {state}; only a draft is reviewed.",
            edition=edition_id,
            state=edition.state.words,
        )
    if edition.state is EditionState.DRAFT:
        edition.state = EditionState.IN_REVIEW
    review = Review(
        edition_id=edition_id,
        revision=revision.number,
        note=_read_text(note, "note", least=0),
        asked_at=now,
        asked_by=by,
        asked_by_account=acting_account(session),
    )
    session.add(review)
    session.flush()
    mail_asked(session, edition, review, now=now)
    return review


def end_review(
    session: Session, edition_id: int, end: ReviewEnd, *, by: str, now: datetime
) -> Review:
    """The edition is a draft again. Raises `StateError` when nobody asked for a review."""
    edition = get_edition(session, edition_id)
    review = close_review(session, edition, end, by=by, now=now)
    if review is None:
        raise StateError("Edition {edition} is not in review.", edition=edition_id)
    if edition.state is EditionState.IN_REVIEW:
        edition.state = EditionState.DRAFT
    session.flush()
    return review


def close_review(
    session: Session, edition: Edition, end: ReviewEnd, *, by: str, now: datetime
) -> Review | None:
    """Note how the open review ended, and mail whoever had asked; None: there is none.

    The edition's state is the caller's.
    """
    review = open_review(session, edition)
    if review is not None:
        review.end = end
        review.ended_at = now
        review.ended_by = by
        session.flush()
        mail_ended(session, edition, review, now=now)
    return review


def last_review(session: Session, edition_id: int) -> Review | None:
    return session.scalar(
        select(Review).where(Review.edition_id == edition_id).order_by(Review.id.desc()).limit(1)
    )


def open_review(session: Session, edition: Edition) -> Review | None:
    """None: nobody asked, it has ended, or what was to be reviewed has changed since."""
    review = last_review(session, edition.id)
    if review is None or review.end is not None or review.revision != edition.revision:
        return None
    is_asked = edition.state is EditionState.IN_REVIEW or has_correction(edition)
    return review if is_asked else None


def add_comment(
    session: Session,
    edition_id: int,
    text: str,
    *,
    story: int | None,
    by: str,
    now: datetime,
) -> Comment:
    """Say something about a story of the newest revision, by its position from 1; None: about all.

    Raises `InputError`.
    """
    edition = get_edition(session, edition_id)
    headline = None
    if story is not None:
        headlines = [each.headline for each in _briefing(session, edition).stories]
        if not 1 <= story <= len(headlines):
            raise InputError(
                "the edition has stories 1 to {count}", field="story", count=len(headlines)
            )
        headline = headlines[story - 1]
    comment = Comment(
        edition_id=edition_id,
        revision=edition.revision,
        headline=headline,
        position=story,
        text=_read_text(text, "comment", least=1),
        at=now,
        by=by,
    )
    session.add(comment)
    session.flush()
    return comment


def resolve_comment(
    session: Session, edition_id: int, comment_id: int, *, by: str, now: datetime
) -> Comment:
    """Raises `NotFoundError` for a comment on something else."""
    comment = _comment(session, edition_id, comment_id)
    comment.resolved_at = comment.resolved_at or now
    comment.resolved_by = comment.resolved_by or by
    session.flush()
    return comment


def reopen_comment(session: Session, edition_id: int, comment_id: int) -> Comment:
    comment = _comment(session, edition_id, comment_id)
    comment.resolved_at = comment.resolved_by = None
    session.flush()
    return comment


def comments_of(session: Session, edition_id: int) -> Sequence[Comment]:
    """In the order in which they were made."""
    return session.scalars(
        select(Comment).where(Comment.edition_id == edition_id).order_by(Comment.id)
    ).all()


@dataclass(frozen=True, slots=True)
class PlacedComments:
    """`by_story` has the positions that the stories have now; `of_gone` were about stories that
    there are no more.
    """

    of_edition: list[Comment] = field(default_factory=list)
    by_story: dict[int, list[Comment]] = field(default_factory=dict)
    of_gone: list[Comment] = field(default_factory=list)


def place_comments(comments: Iterable[Comment], briefing: Briefing) -> PlacedComments:
    """A story is known again by its headline, else by its position if its headline is a new one."""
    headlines = {story.headline: at for at, story in enumerate(briefing.stories, start=1)}
    comments = list(comments)
    known = {each.headline for each in comments if each.headline in headlines}
    renamed = {at for headline, at in headlines.items() if headline not in known}
    placed = PlacedComments()
    for comment in comments:
        if comment.headline is None:
            placed.of_edition.append(comment)
            continue
        renamed_at = comment.position if comment.position in renamed else None
        at = headlines.get(comment.headline, renamed_at)
        if at is None:
            placed.of_gone.append(comment)
        else:
            placed.by_story.setdefault(at, []).append(comment)
    return placed


def _briefing(session: Session, edition: Edition) -> Briefing:
    return briefing_of(newest_revision(session, edition))


def _comment(session: Session, edition_id: int, comment_id: int) -> Comment:
    comment = session.get(Comment, comment_id)
    if comment is None or comment.edition_id != edition_id:
        raise NotFoundError(
            "Edition {edition} has no comment {number}.", edition=edition_id, number=comment_id
        )
    return comment


def _read_text(text: str, name: str, *, least: int) -> str:
    text = text.replace("\r\n", "\n").strip()
    if not least <= len(text) <= LONGEST_NOTE:
        raise InputError(
            "write {least} to {longest:,} characters", field=name, least=least, longest=LONGEST_NOTE
        )
    return text
