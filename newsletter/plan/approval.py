"""Approves the newest revision of an edition: checked, named by its hash, void on any change."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from newsletter.checks.draft import make_draft
from newsletter.checks.registry import run_checks
from newsletter.compose.findings import Finding, Severity
from newsletter.errors import StateError
from newsletter.models import EditionSegment, EditionState, Subscriber, Subscription, Transport
from newsletter.plan.audience import approval_hash, freeze_audience, narrowing_of, segments_of
from newsletter.plan.editions import (
    briefing_of,
    compiled_of,
    has_correction,
    newest_revision,
)
from newsletter.plan.hiding import freeze_sections
from newsletter.plan.slots import schedule_for_slot
from newsletter.plan.stored import get_edition, lists_of
from newsletter.plan.transports import freeze_choice
from newsletter.settings import Settings
from newsletter.tokens import Tokens


@dataclass(frozen=True, slots=True)
class Approval:
    """`people` is whom it goes to as of now, those who will be excluded included."""

    revision: int
    content_hash: str
    transport: str
    people: int
    segments: tuple[EditionSegment, ...]
    """What narrows it, as it was frozen; the hash is over these too."""
    findings: tuple[Finding, ...]


class RefusedApproval(StateError):  # noqa: N818  read as "a refused approval"
    """The checks found errors; `findings` holds all that they found."""

    def __init__(self, edition_id: int, findings: tuple[Finding, ...]) -> None:
        errors = [each for each in findings if each.severity is Severity.ERROR]
        lines = "\n".join(f"  {each.code}: {each.message}" for each in errors)
        super().__init__(f"Edition {edition_id} cannot be approved:\n{lines}")
        self.findings = findings


def check_edition(
    session: Session, edition_id: int, *, settings: Settings, now: datetime
) -> tuple[Finding, ...]:
    """What the checks find in the newest revision, as each of the edition's lists would send it."""
    edition = get_edition(session, edition_id)
    briefing = briefing_of(newest_revision(session, edition))
    found: dict[Finding, None] = {}
    for mailing_list in lists_of(session, edition_id):
        compiled = compiled_of(session, edition, list_id=mailing_list.id)
        draft = make_draft(briefing, compiled, tokens=Tokens(settings.secret_keys), date=now)
        found.update(dict.fromkeys(run_checks(draft)))
    return tuple(found)


def approve_edition(
    session: Session, edition_id: int, *, approved_by: str, settings: Settings, now: datetime
) -> Approval:
    """Freeze the newest revision, its lists and its transport for sending.

    A correction of what is being sent is carried by whatever is claimed from now on; lists and
    transport stay. Raises `RefusedApproval` when a check finds an error, `StateError` when there
    is neither a draft nor a correction.
    """
    edition = get_edition(session, edition_id)
    if edition.state is not EditionState.DRAFT and not has_correction(edition):
        message = f"Edition {edition_id} is {edition.state}; only a draft can be approved."
        raise StateError(message)
    findings = check_edition(session, edition_id, settings=settings, now=now)
    if any(finding.severity is Severity.ERROR for finding in findings):
        raise RefusedApproval(edition_id, findings)
    lists = lists_of(session, edition_id)
    revision = newest_revision(session, edition)
    freeze_sections(session, edition_id, revision.number, briefing_of(revision))
    revision.approved_at = now
    revision.approved_by = approved_by
    edition.approved_revision = revision.number
    edition.approved_at = now
    if edition.state is EditionState.DRAFT:
        freeze_choice(session, edition, lists)
        freeze_audience(session, edition)
        edition.state = EditionState.APPROVED
        session.flush()
        schedule_for_slot(session, edition_id, now=now)
    session.flush()
    transport = session.get_one(Transport, edition.transport_id)
    people = session.scalar(
        select(func.count(func.distinct(Subscription.subscriber_id)))
        .join(Subscriber, Subscriber.id == Subscription.subscriber_id)
        .where(
            Subscription.list_id.in_([mailing_list.id for mailing_list in lists]),
            narrowing_of(session, edition, now=now).admits,
        )
    )
    segments = tuple(segments_of(session, edition_id))
    approved = approval_hash(revision.content_hash, segments)
    return Approval(revision.number, approved, transport.name, people or 0, segments, findings)
