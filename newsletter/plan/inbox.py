"""Puts stories of the inbox into drafts, and takes them out again."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from newsletter.compose.briefing import Story
from newsletter.compose.candidates import bring_back, settle, story_of
from newsletter.compose.content import DraftContent
from newsletter.compose.editing import Spot, insert_story, remove_story
from newsletter.errors import StateError
from newsletter.models import Candidate, CandidateState, Edition, EditionList, EditionState
from newsletter.plan.drafts import Saved, draft_of, save_draft
from newsletter.plan.stored import get_edition

MOST_DRAFTS = 10


@dataclass(frozen=True, slots=True)
class OpenDraft:
    """A draft that stories may go into; `sections` are its sections' names, None for one without."""

    edition_id: int
    title: str
    sections: tuple[str | None, ...]


def open_drafts(
    session: Session, list_id: int, *, within: Collection[int] | None
) -> Sequence[OpenDraft]:
    """The list's that go to no list but `within`, the newest first."""
    ids = session.scalars(
        select(Edition.id)
        .join(EditionList, EditionList.edition_id == Edition.id)
        .where(EditionList.list_id == list_id, Edition.state == EditionState.DRAFT)
        .where(Edition.goes_only_to(within))
        .order_by(Edition.id.desc())
        .limit(MOST_DRAFTS)
    ).all()
    return [_open_draft(session, each) for each in ids]


def use_candidate(
    session: Session,
    candidate: Candidate,
    edition_id: int,
    *,
    section: int,
    by: str,
    now: datetime,
) -> Story:
    """Make it the last story of that section of the draft; returns the story.

    Raises `StateError` for an edition that is no draft any more, and for a page that nobody has
    read yet.
    """
    story = story_of(candidate)
    edition = get_edition(session, edition_id)
    _require_draft(edition)
    content = draft_of(session, edition_id).content
    sections = content.briefing.sections
    place = len(sections[section].stories) if section < len(sections) else 0
    briefing = insert_story(content.briefing, Spot(section, place), story)
    _save(session, edition_id, replace(content, briefing=briefing), by=by, now=now)
    settle(session, candidate, CandidateState.USED, edition_id=edition_id, by=by, now=now)
    return story


def take_out(session: Session, candidate: Candidate, *, by: str, now: datetime) -> None:
    """Bring it back into the inbox, and set its story aside where the draft still has it."""
    edition = session.get(Edition, candidate.edition_id) if candidate.edition_id else None
    if edition is not None and edition.state is EditionState.DRAFT:
        content = draft_of(session, get_edition(session, edition.id).id).content
        number = _number_of(content, candidate)
        if number is not None:
            _save(session, edition.id, remove_story(content, number), by=by, now=now)
    bring_back(session, candidate, now=now)


def _open_draft(session: Session, edition_id: int) -> OpenDraft:
    content = draft_of(session, edition_id).content
    names = tuple(section.name for section in content.briefing.sections)
    return OpenDraft(edition_id, content.subject_line, names)


def _require_draft(edition: Edition) -> None:
    if edition.state is not EditionState.DRAFT:
        raise StateError(
            "Edition {edition} is {state}; stories go into drafts.",
            edition=edition.id,
            state=edition.state,
        )


def _save(
    session: Session, edition_id: int, content: DraftContent, *, by: str, now: datetime
) -> None:
    # The edition's row is locked, so nobody saves in between.
    version = draft_of(session, edition_id).version
    saved = save_draft(session, edition_id, content, based_on=version, by=by, now=now)
    assert isinstance(saved, Saved)


def _number_of(content: DraftContent, candidate: Candidate) -> int | None:
    for number, story in enumerate(content.briefing.stories, start=1):
        if story.href == candidate.url:
            return number
    return None
