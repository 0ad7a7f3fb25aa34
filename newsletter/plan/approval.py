"""Approves the newest revision of an edition: checked, named by its hash, void on any change."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from newsletter.audience.segments.language import QueryError
from newsletter.checks.acknowledging import fingerprint
from newsletter.checks.draft import make_draft
from newsletter.checks.registry import run_checks
from newsletter.compose.difference import Difference, difference_of
from newsletter.compose.findings import Finding, Severity
from newsletter.errors import InputError, StateError
from newsletter.models import (
    AudienceCount,
    CheckOverride,
    Edition,
    EditionSegment,
    EditionState,
    ReviewEnd,
    Revision,
    Subscriber,
    Subscription,
    Transport,
)
from newsletter.plan.audience import (
    approval_hash,
    freeze_audience,
    narrowing_of,
    segments_of,
)
from newsletter.plan.counting import count_audience
from newsletter.plan.drafts import cut_revision, draft_of
from newsletter.plan.editions import (
    back_to_draft,
    briefing_of,
    compiled_of,
    draft_content_of,
    has_correction,
    is_out,
    newest_revision,
)
from newsletter.plan.exclusion import exclusion_reason
from newsletter.plan.four_eyes import require_second_person
from newsletter.plan.hiding import freeze_sections
from newsletter.plan.review import close_review
from newsletter.plan.slots import schedule_for_slot
from newsletter.plan.stored import get_edition, lists_of
from newsletter.plan.transports import freeze_choice
from newsletter.settings import Settings
from newsletter.tokens import Tokens
from newsletter.words import Words

SHORTEST_REASON = 10
MOST_NAMED = 3
MOST_REMEMBERED = 200


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
        lines = Words.lines(
            Words("  {code}: {message}", code=each.code, message=each.message)
            for each in errors_in(findings)
        )
        super().__init__(
            "Edition {edition} cannot be approved:\n{lines}", edition=edition_id, lines=lines
        )
        self.findings = findings


def errors_in(findings: Sequence[Finding]) -> list[Finding]:
    return [each for each in findings if each.severity is Severity.ERROR]


def check_edition(
    session: Session, edition_id: int, *, settings: Settings, now: datetime
) -> tuple[Finding, ...]:
    """What the checks find in the newest revision, as each of the edition's lists would send it."""
    edition = get_edition(session, edition_id)
    return check_revision(session, edition, settings=settings, now=now)


def check_revision(
    session: Session, edition: Edition, *, settings: Settings, now: datetime
) -> tuple[Finding, ...]:
    """The same for whoever only reads: the edition's row is not locked."""
    found: dict[Finding, None] = {}
    for mailing_list in lists_of(session, edition.id):
        findings = _check_dress(session, edition, mailing_list.id, settings=settings, now=now)
        found.update(dict.fromkeys(findings))
    found.update(dict.fromkeys(check_audience(session, edition, now=now)))
    return tuple(sorted(found, key=lambda each: list(Severity).index(each.severity)))


def _check_dress(
    session: Session, edition: Edition, list_id: int, *, settings: Settings, now: datetime
) -> tuple[Finding, ...]:
    """Looked at once in a process: a revision in the dress of a list never changes."""
    key = edition.public_id, edition.revision, list_id
    if key not in _found:
        draft = make_draft(
            briefing_of(newest_revision(session, edition)),
            compiled_of(session, edition, list_id=list_id),
            tokens=Tokens(settings.secret_keys),
            date=now,
        )
        _found[key] = tuple(run_checks(draft))
        while len(_found) > MOST_REMEMBERED:
            _found.pop(next(iter(_found)), None)
    return _found[key]


_found: dict[tuple[str, int, int], tuple[Finding, ...]] = {}


def check_audience(session: Session, edition: Edition, *, now: datetime) -> Iterator[Finding]:
    lists = [each.id for each in lists_of(session, edition.id)]
    try:
        admits = narrowing_of(session, edition, now=now).admits
    except QueryError as error:
        yield Finding(
            "audience-segment",
            Severity.ERROR,
            Words("A segment that it is narrowed by cannot be read any more: {error}", error=error),
        )
        return
    somebody = (
        exists()
        .where(Subscription.list_id.in_(lists), Subscriber.id == Subscription.subscriber_id)
        .where(admits, exclusion_reason().is_(None))
    )
    if not session.scalar(select(somebody)):
        yield Finding(
            "audience-empty",
            Severity.WARNING,
            Words(
                "Nobody would get it: its lists have no confirmed readers, or its segment admits none."
            ),
        )


def hash_to_approve(session: Session, edition: Edition) -> str:
    """What approving now would approve: the newest revision, for the people of now's segments."""
    content_hash = newest_revision(session, edition).content_hash
    return approval_hash(session, content_hash, segments_of(session, edition.id))


def let_errors_pass(
    session: Session,
    edition_id: int,
    *,
    reason: str,
    by: str,
    settings: Settings,
    now: datetime,
) -> list[Finding]:
    """Allow that the newest revision is approved in spite of the errors that the checks find now.

    It is for an admin to do. Raises `InputError` without a reason worth the name, `StateError` when
    there is no error.
    """
    edition = get_edition(session, edition_id)
    errors = errors_in(check_edition(session, edition_id, settings=settings, now=now))
    if not errors:
        raise StateError(
            "The checks find no error in edition {edition}; there is nothing to let pass.",
            edition=edition_id,
        )
    reason = reason.strip()
    if len(reason) < SHORTEST_REASON:
        raise InputError("say in a sentence why it goes out in spite of that", field="reason")
    session.merge(
        CheckOverride(
            edition_id=edition_id,
            revision=edition.revision,
            fingerprints=[fingerprint(each) for each in errors],
            reason=reason,
            at=now,
            by=by,
        )
    )
    session.flush()
    return errors


def blocking(session: Session, edition: Edition, findings: Sequence[Finding]) -> list[Finding]:
    """The errors that no admin has let pass."""
    override = session.get(CheckOverride, (edition.id, edition.revision))
    passed = set(override.fingerprints) if override else set()
    return [each for each in errors_in(findings) if fingerprint(each) not in passed]


def approve_edition(
    session: Session,
    edition_id: int,
    *,
    approved_by: str,
    settings: Settings,
    now: datetime,
    expected_hash: str | None = None,
    also_known_as: Collection[str] = (),
) -> Approval:
    """Freeze the newest revision, its lists and its transport for sending.

    `expected_hash` is what the approver has looked at, as `hash_to_approve` has it; None: whatever
    the draft says now. A correction of what is being sent is carried by whatever is claimed from
    now on; lists and transport stay. `also_known_as` are other names of the approver. Raises
    `RefusedApproval` when a check finds an error, `ForbiddenError` when a second person is needed,
    `StateError` when there is neither a draft nor a correction, or it is not what was expected, and
    `CapReached` when it would be scheduled for its slot by that.
    """
    edition = get_edition(session, edition_id)
    cut_revision(session, edition_id, settings=settings, by=approved_by, now=now)
    if expected_hash is not None and expected_hash != hash_to_approve(session, edition):
        raise StateError(_what_changed(session, edition, expected_hash))
    if not is_approvable(edition):
        raise StateError(
            "Edition {edition} is {state}; only a draft can be approved.",
            edition=edition_id,
            state=edition.state.words,
        )
    require_second_person(session, edition, {approved_by, *also_known_as})
    findings = check_edition(session, edition_id, settings=settings, now=now)
    if blocking(session, edition, findings):
        raise RefusedApproval(edition_id, findings)
    _freeze(session, edition, approved_by, now)
    transport = session.get_one(Transport, edition.transport_id)
    count = approved_count(session, edition_id)
    if count is None or not is_out(edition):
        count = count_audience(session, edition, now=now)
    if edition.state is EditionState.APPROVED:
        schedule_for_slot(session, edition_id, now=now)
    segments = tuple(segments_of(session, edition_id))
    return Approval(
        edition.revision,
        hash_to_approve(session, edition),
        transport.name,
        count.people,
        segments,
        findings,
    )


def is_approvable(edition: Edition) -> bool:
    is_before = edition.state in (EditionState.DRAFT, EditionState.IN_REVIEW)
    return is_before or has_correction(edition)


def withdraw_approval(session: Session, edition_id: int) -> None:
    """The edition is a draft again, though nobody changed it.

    Raises `StateError` for one that is not approved, or is scheduled.
    """
    edition = get_edition(session, edition_id)
    if edition.state is not EditionState.APPROVED:
        raise StateError(
            "Edition {edition} is {state}; there is no approval to withdraw.",
            edition=edition_id,
            state=edition.state.words,
        )
    newest_revision(session, edition).approved_at = None
    back_to_draft(session, edition)


def approved_count(session: Session, edition_id: int) -> AudienceCount | None:
    """Whom it would go to when that was counted last; None: it never was."""
    return session.get(AudienceCount, edition_id)


def _freeze(session: Session, edition: Edition, approved_by: str, now: datetime) -> None:
    revision = newest_revision(session, edition)
    freeze_sections(session, edition.id, revision.number, briefing_of(revision))
    close_review(session, edition, ReviewEnd.APPROVED, by=approved_by, now=now)
    revision.approved_at = now
    revision.approved_by = approved_by
    edition.approved_revision = revision.number
    edition.approved_at = now
    if edition.state in (EditionState.DRAFT, EditionState.IN_REVIEW):
        freeze_choice(session, edition, lists_of(session, edition.id))
        freeze_audience(session, edition)
        edition.state = EditionState.APPROVED
    session.flush()


def _what_changed(session: Session, edition: Edition, seen: str) -> Words:
    draft = draft_of(session, edition.id)
    before = session.scalar(
        select(Revision)
        .where(Revision.edition_id == edition.id, Revision.content_hash == seen)
        .order_by(Revision.number.desc())
        .limit(1)
    )
    difference = difference_of(draft_content_of(before), draft.content) if before else None
    if difference is not None and difference.is_empty:
        return Words(
            "Edition {edition} is not what you looked at any more: what its list puts around "
            "the text has changed. Look at it again and approve that.",
            edition=edition.id,
        )
    return Words(
        "Edition {edition} is not what you looked at any more: {person} changed it at "
        "{at:%H:%M} UTC{where}. Look at it again and approve that.",
        edition=edition.id,
        person=draft.changed_by,
        at=draft.changed_at,
        where=_said(difference) if difference else "",
    )


def _said(difference: Difference) -> str:
    """Where it differs, for the end of a sentence; empty if that cannot be told in a few words."""
    places = [f"“{each.headline}”" for each in difference.stories]
    places += [each.name for each in difference.head]
    if not places:
        return ""
    rest = len(places) - MOST_NAMED
    named = ", ".join(places[:MOST_NAMED])
    if rest > 0:
        return Words(" ({places} and {count} more)", places=named, count=rest)
    return f" ({named})"
