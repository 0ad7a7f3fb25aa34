"""The working draft of an edition: autosave writes it, no saving loses another's, and revisions are
cut from it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from newsletter.compose.briefing import to_json
from newsletter.compose.content import LONGEST_SUBJECT, DraftContent
from newsletter.compose.formatting import format_briefing
from newsletter.compose.reading import clean_text, storable
from newsletter.compose.tidy import tidy
from newsletter.errors import InputError, NotFoundError, StateError
from newsletter.models import (
    Edition,
    EditionState,
    KeptDraft,
    MailingList,
    Revision,
    WorkingDraft,
)
from newsletter.plan.draft_rows import read_row, write_row
from newsletter.plan.editions import (
    Content,
    add_edition,
    add_revision,
    back_to_draft,
    content_hash,
    draft_content_of,
    is_out,
    newest_revision,
    put_draft,
)
from newsletter.plan.stored import get_edition
from newsletter.settings import Settings
from newsletter.words import Words


@dataclass(frozen=True, slots=True)
class Draft:
    """`version` is what a saving must be based on."""

    edition_id: int
    version: int
    content: DraftContent
    changed_at: datetime
    changed_by: str
    changed_by_account: int | None


@dataclass(frozen=True, slots=True)
class Saved:
    """`voids` says that an approval, a review or a schedule ended with it."""

    draft: Draft
    voids: bool


@dataclass(frozen=True, slots=True)
class Kept:
    """What somebody wanted to save on top of version `based_on`, which was no longer the newest."""

    id: int
    based_on: int
    content: DraftContent
    kept_at: datetime
    kept_by: str


@dataclass(frozen=True, slots=True)
class Conflict:
    """Somebody else saved first: `draft` is theirs and stays, `kept` is what was to be saved."""

    draft: Draft
    kept: Kept


def open_edition(
    session: Session,
    content: DraftContent,
    *,
    lists: Sequence[MailingList],
    created_by: str,
    now: datetime,
) -> Edition:
    """An edition with a working draft, however incomplete, and no revision yet."""
    edition = add_edition(session, lists, now=now)
    put_draft(session, edition.id, _tidied(content), by=created_by, now=now)
    return edition


def draft_of(session: Session, edition_id: int) -> Draft:
    """Raises `NotFoundError`."""
    if row := session.get(WorkingDraft, edition_id):
        return _draft(row)
    edition = session.get(Edition, edition_id)
    if edition is None:
        raise NotFoundError("There is no edition {edition}.", edition=edition_id)
    revision = newest_revision(session, edition)
    content = draft_content_of(revision)
    return Draft(
        edition_id,
        0,
        content,
        revision.created_at,
        revision.created_by,
        revision.created_by_account,
    )


def save_draft(
    session: Session,
    edition_id: int,
    change: DraftContent,
    *,
    based_on: int,
    by: str,
    now: datetime,
) -> Saved | Conflict:
    """Make `change` the draft if nobody saved since version `based_on`, else keep it beside.

    A change of what readers would see voids approval, review and schedule at once; of an edition
    that has begun it is a correction, and what is being sent stays as it is. Raises `StateError`
    for a cancelled edition.
    """
    edition = get_edition(session, edition_id)
    if edition.state is EditionState.CANCELLED:
        raise StateError(
            "Edition {edition} is cancelled and is not changed any more.", edition=edition_id
        )
    draft = draft_of(session, edition_id)
    change = _tidied(change)
    if change == draft.content:
        return Saved(draft, voids=False)
    if draft.version != based_on:
        return Conflict(
            draft, _keep(session, edition_id, change, based_on=based_on, by=by, now=now)
        )
    is_void = (
        not change.says_the_same_as(draft.content)
        and edition.state is not EditionState.DRAFT
        and not is_out(edition)
    )
    if is_void:
        back_to_draft(session, edition)
    row = put_draft(session, edition_id, change, by=by, now=now)
    return Saved(_draft(row), voids=is_void)


def cut_revision(
    session: Session, edition_id: int, *, settings: Settings, by: str, now: datetime
) -> Revision:
    """Freeze the draft as a revision, or answer with the newest one when it says the same.

    Raises `StateError` while the draft has a text beside it that holds no briefing, or the edition
    is cancelled.
    """
    edition = get_edition(session, edition_id)
    draft = draft_of(session, edition_id)
    if draft.content.unread_text is not None:
        raise StateError(
            "The text of edition {edition} holds no briefing yet, and was not taken "
            "over. Mend it or throw it away first.",
            edition=edition_id,
        )
    content = _content(draft)
    if edition.revision and _is_cut(session, edition, content, settings):
        return newest_revision(session, edition)
    if edition.state is EditionState.CANCELLED:
        raise StateError(
            "Edition {edition} is cancelled and is not changed any more.", edition=edition_id
        )
    if edition.state is not EditionState.DRAFT and not is_out(edition):
        back_to_draft(session, edition)
    return add_revision(session, edition, content, settings=settings, by=by, now=now)


def has_uncut_changes(session: Session, edition_id: int) -> bool:
    """Whether the draft says something that no revision says yet."""
    edition = session.get_one(Edition, edition_id)
    if not edition.revision:
        return True
    cut = draft_content_of(newest_revision(session, edition))
    return not draft_of(session, edition_id).content.says_the_same_as(cut)


def kept_drafts(session: Session, edition_id: int) -> list[Kept]:
    """The newest first."""
    rows = session.scalars(
        select(KeptDraft).where(KeptDraft.edition_id == edition_id).order_by(KeptDraft.id.desc())
    )
    return [_kept(row) for row in rows]


def get_kept(session: Session, edition_id: int, kept_id: int) -> Kept:
    """Raises `NotFoundError`."""
    return _kept(_kept_row(session, edition_id, kept_id))


def take_kept(session: Session, edition_id: int, kept_id: int, *, by: str, now: datetime) -> Saved:
    """Make a kept version the draft; what was the draft is kept, as a revision or in its place.

    Raises `NotFoundError`.
    """
    wanted = get_kept(session, edition_id, kept_id)
    saved = _replace_draft(session, edition_id, wanted.content, by=by, now=now)
    forget_kept(session, edition_id, kept_id)
    return saved


def forget_kept(session: Session, edition_id: int, kept_id: int) -> None:
    """Raises `NotFoundError`."""
    session.delete(_kept_row(session, edition_id, kept_id))


def restore_revision(
    session: Session, edition_id: int, number: int, *, by: str, now: datetime
) -> Saved:
    """Make the draft what revision `number` says, and keep what no revision has of it.

    Raises `NotFoundError`.
    """
    revision = session.get(Revision, (edition_id, number))
    if revision is None:
        raise NotFoundError(
            "Edition {edition} has no revision {number}.", edition=edition_id, number=number
        )
    return _replace_draft(session, edition_id, draft_content_of(revision), by=by, now=now)


def _replace_draft(
    session: Session, edition_id: int, content: DraftContent, *, by: str, now: datetime
) -> Saved:
    get_edition(session, edition_id)
    draft = draft_of(session, edition_id)
    if has_uncut_changes(session, edition_id):
        _keep(
            session,
            edition_id,
            draft.content,
            based_on=draft.version,
            by=draft.changed_by,
            now=draft.changed_at,
        )
    saved = save_draft(session, edition_id, content, based_on=draft.version, by=by, now=now)
    assert isinstance(saved, Saved)  # the edition is locked: nobody saved in between
    return saved


def _draft(row: WorkingDraft) -> Draft:
    return Draft(
        row.edition_id,
        row.version,
        read_row(row),
        row.changed_at,
        row.changed_by,
        row.changed_by_account,
    )


def _kept(row: KeptDraft) -> Kept:
    return Kept(row.id, row.based_on, read_row(row), row.kept_at, row.kept_by)


def _keep(
    session: Session,
    edition_id: int,
    content: DraftContent,
    *,
    based_on: int,
    by: str,
    now: datetime,
) -> Kept:
    row = session.scalars(
        select(KeptDraft).where(
            KeptDraft.edition_id == edition_id,
            KeptDraft.based_on == based_on,
            KeptDraft.kept_by == by,
        )
    ).one_or_none()
    if row is None:
        row = KeptDraft(edition_id=edition_id, based_on=based_on, kept_by=by)
        session.add(row)
    write_row(row, content)
    row.kept_at = now
    session.flush()
    return _kept(row)


def _kept_row(session: Session, edition_id: int, kept_id: int) -> KeptDraft:
    row = session.get(KeptDraft, kept_id)
    if row is None or row.edition_id != edition_id:
        raise NotFoundError(
            "Edition {edition} has no kept version {number}.", edition=edition_id, number=kept_id
        )
    return row


def _tidied(content: DraftContent) -> DraftContent:
    """As it can be stored. Raises `InputError` for a subject or a preheader that is too long."""
    for name, line in (
        (Words("subject"), content.subject),
        (Words("preheader"), content.preheader),
    ):
        if line and len(clean_text(line)) > LONGEST_SUBJECT:
            raise InputError(
                "The {name} has more than {longest} characters. Shorten it.",
                name=name,
                longest=LONGEST_SUBJECT,
            )
    return replace(
        content,
        briefing=tidy(content.briefing),
        subject=None if content.subject is None else clean_text(content.subject),
        preheader=None if content.preheader is None else clean_text(content.preheader),
        set_aside=tuple(replace(each, text=storable(each.text)) for each in content.set_aside),
        unread_text=None if content.unread_text is None else storable(content.unread_text),
        source_text=storable(content.source_text),
    )


def _content(draft: Draft) -> Content:
    content = draft.content
    text = content.source_text or format_briefing(content.briefing)
    return Content(content.briefing, text, content.subject_line, content.preheader_line)


def _is_cut(session: Session, edition: Edition, content: Content, settings: Settings) -> bool:
    """Whether the newest revision says it: of a draft that nobody approved, in today's masthead."""
    newest = newest_revision(session, edition)
    if edition.state is EditionState.DRAFT:
        now = content_hash(session, edition.id, content, settings=settings)
        return newest.content_hash == now
    kept = (newest.briefing, newest.subject, newest.preheader)
    return kept == (to_json(content.briefing), content.subject, content.preheader)
