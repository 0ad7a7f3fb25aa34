"""Makes editions of briefings; every change is a new revision, and a new revision voids approval."""

import hashlib
import json
import secrets
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import func, insert, select
from sqlalchemy.orm import Session

from newsletter.accounts.acting import acting_account
from newsletter.audience.lists import refuse_retired
from newsletter.compose.briefing import Briefing, from_json, to_json
from newsletter.compose.content import LONGEST_SUBJECT, DraftContent
from newsletter.compose.findings import Finding, Severity
from newsletter.compose.parser import read_briefing
from newsletter.compose.preheader import preheader_of
from newsletter.errors import InputError, StateError
from newsletter.models import (
    CompiledEdition,
    Edition,
    EditionList,
    EditionState,
    Link,
    MailingList,
    Revision,
    WorkingDraft,
)
from newsletter.plan.anchors import anchors_for, anchors_to_json
from newsletter.plan.audience import thaw_audience
from newsletter.plan.draft_rows import write_row
from newsletter.plan.hiding import freeze_sections
from newsletter.plan.schedule import forget_schedule
from newsletter.plan.stored import get_edition, lists_of
from newsletter.render.compile import compile_edition
from newsletter.render.compiled import Compiled
from newsletter.render.letter import Link as NumberedLink
from newsletter.render.masthead import Masthead
from newsletter.render.theme import theme_of
from newsletter.settings import Settings
from newsletter.words import Words


@dataclass(frozen=True, slots=True)
class Content:
    """What one revision holds; `source_text` is the text as it was pasted."""

    briefing: Briefing
    source_text: str
    subject: str
    preheader: str


class UnfitBriefing(InputError):  # noqa: N818  read as "an unfit briefing"
    """A text that no edition can be made of; `findings` holds all that was found in it."""

    def __init__(self, findings: tuple[Finding, ...]) -> None:
        errors = [each for each in findings if each.severity is Severity.ERROR]
        lines = Words.lines(
            Words("  line {line}: {message}", line=each.line, message=each.message)
            for each in errors
        )
        super().__init__("It holds no briefing that can be sent:\n{lines}", lines=lines)
        self.findings = findings


def read_content(raw: bytes, *, today: date) -> tuple[Content, tuple[Finding, ...]]:
    """An edition's content from a pasted text. Raises `UnfitBriefing` when an error was found."""
    parsed = read_briefing(raw, today=today)
    has_error = any(finding.severity is Severity.ERROR for finding in parsed.findings)
    if parsed.briefing is None or has_error:
        raise UnfitBriefing(parsed.findings)
    return content_of(parsed.briefing, raw.decode("utf-8", "replace")), parsed.findings


def content_of(briefing: Briefing, source_text: str) -> Content:
    """The subject is the title."""
    subject = briefing.title[:LONGEST_SUBJECT]
    return Content(briefing, source_text, subject, preheader_of(briefing))


def create_edition(
    session: Session,
    content: Content,
    *,
    lists: Sequence[MailingList],
    settings: Settings,
    created_by: str,
    now: datetime,
) -> Edition:
    """A draft with its first revision. Raises `InputError` and `RenderError` as rendering does."""
    edition = add_edition(session, lists, now=now)
    add_revision(session, edition, content, settings=settings, by=created_by, now=now)
    put_draft(session, edition.id, _draft_content(content), by=created_by, now=now)
    return edition


def add_edition(session: Session, lists: Sequence[MailingList], *, now: datetime) -> Edition:
    """An edition of no revision yet. Raises `InputError` without a list, `StateError` for a
    retired one.
    """
    if not lists:
        raise InputError("An edition needs at least one list to go to.")
    for mailing_list in lists:
        refuse_retired(mailing_list)
    edition = Edition(
        public_id=secrets.token_urlsafe(16), state=EditionState.DRAFT, revision=0, created_at=now
    )
    session.add(edition)
    session.flush()
    for position, mailing_list in enumerate(lists):
        session.add(EditionList(edition_id=edition.id, position=position, list_id=mailing_list.id))
    session.flush()
    return edition


def revise_edition(
    session: Session,
    edition_id: int,
    content: Content,
    *,
    settings: Settings,
    revised_by: str,
    now: datetime,
) -> Edition:
    """Replace the content: the edition is a draft again, whoever had approved it before.

    Raises `StateError` once sending has begun.
    """
    edition = get_edition(session, edition_id)
    if is_out(edition) or edition.state is EditionState.CANCELLED:
        message = Words(
            "Edition {edition} is {state}; only a draft can be changed.",
            edition=edition_id,
            state=edition.state,
        )
        if is_out(edition):
            message = message.then(
                "Correct it: newsletter edition correct {edition} FILE", edition=edition_id
            )
        raise StateError(message)
    back_to_draft(session, edition)
    add_revision(session, edition, content, settings=settings, by=revised_by, now=now)
    put_draft(session, edition_id, _draft_content(content), by=revised_by, now=now)
    return edition


def back_to_draft(session: Session, edition: Edition) -> None:
    """Its content is not what it was: approval, review and schedule were of something else."""
    forget_schedule(session, edition.id)
    thaw_audience(session, edition.id)
    edition.state = EditionState.DRAFT
    edition.approved_revision = None
    edition.approved_at = None
    session.flush()


def correct_edition(
    session: Session,
    edition_id: int,
    content: Content,
    *,
    settings: Settings,
    corrected_by: str,
    now: datetime,
) -> Edition:
    """Put a new revision beside the one that is being sent, which goes on until it is approved.

    Raises `StateError` for an edition that is not being sent and was not.
    """
    edition = get_edition(session, edition_id)
    if not is_out(edition):
        message = Words(
            "Edition {edition} is {state}; only what is being sent is corrected.",
            edition=edition_id,
            state=edition.state,
        )
        if edition.state is not EditionState.CANCELLED:
            message = message.then(
                "Revise it: newsletter edition revise {edition} FILE", edition=edition_id
            )
        raise StateError(message)
    add_revision(session, edition, content, settings=settings, by=corrected_by, now=now)
    put_draft(session, edition_id, _draft_content(content), by=corrected_by, now=now)
    return edition


def drop_correction(session: Session, edition_id: int) -> Edition:
    """Withdraw a correction that nobody approved. Raises `StateError` when there is none."""
    edition = get_edition(session, edition_id)
    if not has_correction(edition):
        raise StateError(
            "Edition {edition} has no correction that waits for approval.", edition=edition_id
        )
    assert edition.approved_revision is not None
    edition.revision = edition.approved_revision
    running = newest_revision(session, edition)
    content = draft_content_of(running)
    row = put_draft(session, edition_id, content, by=running.created_by, now=running.created_at)
    row.changed_by_account = running.created_by_account
    return edition


def is_out(edition: Edition) -> bool:
    """Whether it has begun: its content is not replaced then, but corrected for whoever is next."""
    return edition.started_at is not None and edition.state is not EditionState.CANCELLED


def has_correction(edition: Edition) -> bool:
    """Whether a correction of what is out waits for its approval."""
    return is_out(edition) and edition.revision != edition.approved_revision


def compiled_of(session: Session, edition: Edition, *, list_id: int) -> Compiled:
    row = session.get_one(CompiledEdition, (edition.id, edition.revision, list_id))
    return Compiled.from_bytes(row.form)


def newest_revision(session: Session, edition: Edition) -> Revision:
    """Raises `StateError` for an edition that was only drafted so far."""
    revision = session.get(Revision, (edition.id, edition.revision))
    if revision is None:
        raise StateError(
            "Edition {edition} has no revision yet: nobody previewed or submitted it.",
            edition=edition.id,
        )
    return revision


def briefing_of(revision: Revision) -> Briefing:
    return from_json(revision.briefing)


def draft_content_of(revision: Revision) -> DraftContent:
    """The revision as editors may go on with it; a subject that is the title follows the title."""
    content = Content(
        briefing_of(revision), revision.source_text, revision.subject, revision.preheader
    )
    return _draft_content(content)


def put_draft(
    session: Session, edition_id: int, content: DraftContent, *, by: str, now: datetime
) -> WorkingDraft:
    """Make `content` the working draft, one version on; whoever has an older one will be told."""
    row = session.get(WorkingDraft, edition_id)
    if row is None:
        row = WorkingDraft(edition_id=edition_id, version=0)
        session.add(row)
    row.version += 1
    write_row(row, content)
    row.changed_at = now
    row.changed_by = by
    row.changed_by_account = acting_account(session)
    session.flush()
    return row


def masthead_of(mailing_list: MailingList, settings: Settings) -> Masthead:
    return Masthead(
        list_id=mailing_list.id,
        slug=mailing_list.slug,
        name=mailing_list.name,
        tagline=mailing_list.tagline or None,
        language=mailing_list.language,
        accent=mailing_list.accent,
        sender_name=mailing_list.sender_name,
        sender_address=mailing_list.sender_address,
        reply_to=mailing_list.reply_to,
        postal_address=mailing_list.postal_address,
        mail_domain=settings.mail_domain,
        base_url=settings.base_url,
        tracking=mailing_list.tracking,
        theme=theme_of(mailing_list),
    )


def add_revision(
    session: Session,
    edition: Edition,
    content: Content,
    *,
    settings: Settings,
    by: str,
    now: datetime,
) -> Revision:
    """Freeze `content` as the edition's newest revision, compiled for each of its lists."""
    edition.revision = _next_number(session, edition.id)
    anchors = anchors_for(session, edition.id, content.briefing)
    taken = _links_of(session, edition.id)
    mastheads = [masthead_of(each, settings) for each in lists_of(session, edition.id)]
    revision = Revision(
        edition_id=edition.id,
        number=edition.revision,
        briefing=to_json(content.briefing),
        anchors=anchors_to_json(anchors),
        source_text=content.source_text,
        subject=content.subject,
        preheader=content.preheader,
        content_hash=_content_hash(content, mastheads),
        created_at=now,
        created_by=by,
        created_by_account=acting_account(session),
    )
    session.add(revision)
    session.flush()
    for masthead in mastheads:
        compiled = compile_edition(
            content.briefing,
            masthead,
            edition_id=edition.id,
            public_id=edition.public_id,
            subject=content.subject,
            preheader=content.preheader,
            anchors=anchors,
            taken=taken,
        )
        session.add(
            CompiledEdition(
                edition_id=edition.id,
                revision=edition.revision,
                list_id=masthead.list_id,
                form=compiled.to_bytes(),
            )
        )
    session.flush()
    freeze_sections(session, edition.id, edition.revision, content.briefing)
    # The links are the same whatever the masthead. None is ever deleted: it may be in a mail.
    if fresh := set(compiled.links) - set(taken):
        session.execute(
            insert(Link), [{"edition_id": edition.id, **asdict(link)} for link in fresh]
        )
    session.flush()
    return revision


def content_hash(session: Session, edition_id: int, content: Content, *, settings: Settings) -> str:
    """What the hash of a revision would be that is cut of `content` now."""
    mastheads = [masthead_of(each, settings) for each in lists_of(session, edition_id)]
    return _content_hash(content, mastheads)


def _draft_content(content: Content) -> DraftContent:
    own = content_of(content.briefing, content.source_text)
    return DraftContent(
        briefing=content.briefing,
        subject=None if content.subject == own.subject else content.subject,
        preheader=None if content.preheader == own.preheader else content.preheader,
        source_text=content.source_text,
    )


def _next_number(session: Session, edition_id: int) -> int:
    """A number that no revision ever had, one that was dropped included."""
    newest = session.scalar(
        select(func.max(Revision.number)).where(Revision.edition_id == edition_id)
    )
    return (newest or 0) + 1


def _links_of(session: Session, edition_id: int) -> list[NumberedLink]:
    rows = session.execute(
        select(Link.number, Link.url, Link.story)
        .where(Link.edition_id == edition_id)
        .order_by(Link.number)
    )
    return [NumberedLink(number, url, story) for number, url, story in rows]


def _content_hash(content: Content, mastheads: Sequence[Masthead]) -> str:
    """SHA-256 over all that a reader can see: what an approval is an approval of."""
    seen: dict[str, Any] = {
        "briefing": to_json(content.briefing),
        "subject": content.subject,
        "preheader": content.preheader,
        "mastheads": [asdict(masthead) for masthead in mastheads],
    }
    canonical = json.dumps(seen, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()
