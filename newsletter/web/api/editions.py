"""`/editions`: from a draft over checks and tests to the approval.

The same functions as behind the newsroom's pages, and the same rights: a key that may write may not
approve, and one that may approve may not send.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Security
from sqlalchemy import select
from sqlalchemy.orm import Session
from starlette.requests import Request
from starlette.responses import Response

from newsletter.accounts import audit
from newsletter.accounts.scopes import Scope
from newsletter.addresses import parse_address
from newsletter.checks.acknowledging import acknowledged_in, fingerprint
from newsletter.compose.content import DraftContent
from newsletter.compose.findings import Finding, Severity
from newsletter.compose.parser import read_briefing
from newsletter.deliver.test_sends import request_test
from newsletter.errors import NotFoundError
from newsletter.models import Edition, EditionList, EditionState, MailingList
from newsletter.plan.approval import (
    approve_edition,
    blocking,
    check_edition,
    hash_to_approve,
    withdraw_approval,
)
from newsletter.plan.drafts import (
    Conflict,
    Draft,
    cut_revision,
    draft_of,
    open_edition,
    save_draft,
)
from newsletter.plan.editions import drop_correction
from newsletter.plan.marks import note_test
from newsletter.plan.review import submit_edition
from newsletter.plan.stored import lists_of
from newsletter.report.titles import titles_of
from newsletter.web.api.body import JsonRoute
from newsletter.web.api.calls import Call, Outcome, may_read, may_write, one
from newsletter.web.api.edition_shapes import (
    ApprovalShown,
    ApprovalToGive,
    Checked,
    DraftShown,
    DraftToSave,
    EditionShown,
    EditionToMake,
    FindingShown,
    ReviewToAsk,
    TestSent,
    TestToSend,
    Written,
    draft_shown,
)
from newsletter.web.api.fields import NumberInPath
from newsletter.web.api.pages import Cursor, Limit, Page, number_in, paged
from newsletter.web.api.problems import NOT_HERE, RefusedError

router = APIRouter(prefix="/editions", tags=["editions"], route_class=JsonRoute)

Reader = Annotated[Call, Security(may_read, scopes=[Scope.EDITIONS_READ])]
Writer = Annotated[Call, Security(may_write, scopes=[Scope.EDITIONS_WRITE])]
Approver = Annotated[Call, Security(may_write, scopes=[Scope.EDITIONS_APPROVE])]


@router.get("", response_model=Page[EditionShown])
def list_editions(
    request: Request,
    call: Reader,
    state: EditionState | None = None,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> Response:
    """The newest first. A key for certain lists sees what goes to these alone."""
    before = number_in(cursor)
    is_visible = Edition.goes_only_to(call.caller.list_ids)
    chosen = select(Edition).where(is_visible).order_by(Edition.id.desc()).limit(limit + 1)
    if state is not None:
        chosen = chosen.where(Edition.state == state)
    if before is not None:
        chosen = chosen.where(Edition.id < before)
    with call.reading() as session:
        found = list(session.scalars(chosen))
        items = editions_shown(session, found[:limit])
    return paged(request, items, items[-1].id if len(found) > limit else None)


@router.post("", status_code=201, response_model=EditionShown)
def make_edition(call: Writer, body: EditionToMake) -> Response:
    """Begin a draft, with content or without."""

    def work(session: Session) -> Outcome:
        lists = [call.list_called(session, slug) for slug in dict.fromkeys(body.lists)]
        content = _content(body, DraftContent(), call.now)
        edition = open_edition(session, content, lists=lists, created_by=call.by, now=call.now)
        shown = editions_shown(session, [edition])[0]
        return Outcome(shown, 201, f"{call.root}/editions/{edition.id}")

    return call.write(work)


@router.get("/{edition_id}", response_model=EditionShown)
def show_edition(call: Reader, edition_id: NumberInPath) -> Response:
    with call.reading() as session:
        return one(editions_shown(session, [edition_of(call, session, edition_id)])[0])


@router.get("/{edition_id}/draft", response_model=DraftShown)
def show_draft(call: Reader, edition_id: NumberInPath) -> Response:
    with call.reading() as session:
        edition_of(call, session, edition_id)
        return one(draft_shown(draft_of(session, edition_id)))


@router.put("/{edition_id}/draft", response_model=DraftShown)
def save_edition_draft(call: Writer, edition_id: NumberInPath, body: DraftToSave) -> Response:
    """Replace the content. An approval is void at once; of what is being sent it is a correction.

    409 if somebody saved since: theirs stays.
    """

    def work(session: Session) -> Outcome:
        edition_of(call, session, edition_id)
        draft = draft_of(session, edition_id)
        saved = save_draft(
            session,
            edition_id,
            _content(body, draft.content, call.now),
            based_on=body.based_on,
            by=call.by,
            now=call.now,
        )
        if isinstance(saved, Conflict):
            raise _late(saved.draft)
        return Outcome(draft_shown(saved.draft, voids=saved.voids))

    return call.write(work)


@router.post("/{edition_id}/checks", response_model=Checked)
def check(call: Writer, edition_id: NumberInPath) -> Response:
    """Freeze the draft as a revision, and say what the checks find in it."""

    def work(session: Session) -> Outcome:
        edition_of(call, session, edition_id)
        cut_revision(session, edition_id, settings=call.settings, by=call.by, now=call.now)
        return Outcome(_checked(call, session, edition_id))

    return call.write(work)


@router.post("/{edition_id}/tests", status_code=202, response_model=TestSent)
def send_test(call: Writer, edition_id: NumberInPath, body: TestToSend) -> Response:
    """Send it, marked as a test, to addresses that an admin has allowed."""

    def work(session: Session) -> Outcome:
        edition = edition_of(call, session, edition_id)
        cut_revision(session, edition_id, settings=call.settings, by=call.by, now=call.now)
        mails = request_test(
            session,
            edition_id,
            to=[parse_address(each) for each in body.to],
            by=call.by,
            most_per_minute=call.settings.test_sends_per_minute,
            list_slug=body.list,
            now=call.now,
        )
        note_test(session, edition, mails, by=call.by, now=call.now)
        return Outcome(TestSent(mails=mails), 202)

    return call.write(work)


@router.post("/{edition_id}/review", status_code=201, response_model=EditionShown)
def submit(call: Writer, edition_id: NumberInPath, body: ReviewToAsk) -> Response:
    """Ask that somebody look at it and approve it."""

    def work(session: Session) -> Outcome:
        edition = edition_of(call, session, edition_id)
        submit_edition(
            session, edition_id, note=body.note, by=call.by, settings=call.settings, now=call.now
        )
        return Outcome(editions_shown(session, [edition])[0], 201)

    return call.write(work)


@router.post("/{edition_id}/approval", status_code=201, response_model=ApprovalShown)
def approve(call: Approver, edition_id: NumberInPath, body: ApprovalToGive) -> Response:
    """Approve exactly what was looked at. 409 if it has changed since, or a check finds an error."""

    def work(session: Session) -> Outcome:
        edition_of(call, session, edition_id)
        approval = approve_edition(
            session,
            edition_id,
            approved_by=call.by,
            settings=call.settings,
            now=call.now,
            expected_hash=body.hash,
            also_known_as=(call.caller.made_by,),
        )
        audit_edition(call, session, "edition approved", edition_id, revision=approval.revision)
        return Outcome(
            ApprovalShown(
                revision=approval.revision,
                hash=approval.content_hash,
                transport=approval.transport,
                people=approval.people,
            ),
            201,
        )

    return call.write(work)


@router.delete("/{edition_id}/approval", status_code=204, response_class=Response)
def take_back_approval(call: Approver, edition_id: NumberInPath) -> Response:
    def work(session: Session) -> Outcome:
        edition_of(call, session, edition_id)
        withdraw_approval(session, edition_id)
        audit_edition(call, session, "approval withdrawn", edition_id)
        return Outcome(status=204)

    return call.write(work)


@router.delete("/{edition_id}/correction", status_code=204, response_class=Response)
def withdraw_correction(call: Writer, edition_id: NumberInPath) -> Response:
    """Throw a correction away that nobody approved."""

    def work(session: Session) -> Outcome:
        edition_of(call, session, edition_id)
        drop_correction(session, edition_id)
        return Outcome(status=204)

    return call.write(work)


def audit_edition(
    call: Call, session: Session, action: str, edition_id: int, **details: object
) -> None:
    audit.record(
        session,
        actor=call.by,
        account_id=call.caller.account_id,
        action=action,
        subject=str(edition_id),
        details=details,
        now=call.now,
    )


def _content(body: Written, before: DraftContent, now: datetime) -> DraftContent:
    """What neither of both says stays as it was. Raises `RefusedError` for a text that is no briefing."""
    if body.text is not None and body.briefing is not None:
        raise RefusedError(422, "Send either text or briefing: they would say two things.")
    briefing, source, aside = before.briefing, before.source_text, before.set_aside
    if body.briefing is not None:
        briefing = body.briefing.briefing()
    if body.text is not None:
        parsed = read_briefing(body.text.encode("utf-8", "replace"), today=now.date())
        if parsed.briefing is None:
            raise RefusedError(422, "text: {lines}", lines=_lines(parsed.findings))
        briefing, source, aside = parsed.briefing, body.text, parsed.set_aside
    return DraftContent(
        briefing=briefing,
        subject=body.subject,
        preheader=body.preheader,
        set_aside=aside,
        source_text=source,
    )


def _lines(findings: tuple[Finding, ...]) -> str:
    errors = [each for each in findings if each.severity is Severity.ERROR]
    return "; ".join(f"line {each.line or 1}: {each.message}" for each in errors)


def _late(draft: Draft) -> RefusedError:
    return RefusedError(
        409,
        "{person} saved version {version} since, and nothing of yours was saved. "
        "Read the draft again and save on top of that.",
        person=draft.changed_by,
        version=draft.version,
    )


def edition_of(call: Call, session: Session, edition_id: int) -> Edition:
    """Raises `NotFoundError`, alike for one that is not there and one that must not be seen."""
    found = session.get(Edition, edition_id)
    if found is None or not _may_see(call, session, found):
        raise NotFoundError(NOT_HERE)
    return found


def _may_see(call: Call, session: Session, edition: Edition) -> bool:
    """A key that is for certain lists has nothing to do with what goes to others too."""
    if call.caller.list_ids is None:
        return True
    return all(call.may_see(each.id) for each in lists_of(session, edition.id))


def editions_shown(session: Session, editions: list[Edition]) -> list[EditionShown]:
    ids = [each.id for each in editions]
    titles, slugs = titles_of(session, ids), _slugs(session, ids)
    return [
        EditionShown(
            id=each.id,
            public_id=each.public_id,
            state=each.state,
            title=titles[each.id],
            lists=slugs[each.id],
            revision=each.revision,
            approved_revision=each.approved_revision,
            created_at=each.created_at,
            approved_at=each.approved_at,
            started_at=each.started_at,
            finished_at=each.finished_at,
        )
        for each in editions
    ]


def _slugs(session: Session, edition_ids: Sequence[int]) -> Mapping[int, list[str]]:
    """Of each edition's lists, in its order."""
    rows = session.execute(
        select(EditionList.edition_id, MailingList.slug)
        .join(MailingList, MailingList.id == EditionList.list_id)
        .where(EditionList.edition_id.in_(edition_ids))
        .order_by(EditionList.edition_id, EditionList.position)
    )
    slugs = defaultdict[int, list[str]](list)
    for edition_id, slug in rows:
        slugs[edition_id].append(slug)
    return slugs


def _checked(call: Call, session: Session, edition_id: int) -> Checked:
    edition = session.get_one(Edition, edition_id)
    findings = check_edition(session, edition_id, settings=call.settings, now=call.now)
    known = acknowledged_in(session, edition_id)
    return Checked(
        revision=edition.revision,
        hash=hash_to_approve(session, edition),
        may_be_approved=not blocking(session, edition, findings),
        findings=[
            FindingShown(
                code=each.code,
                severity=each.severity,
                message=each.message,
                line=each.line,
                column=each.column,
                is_acknowledged=fingerprint(each) in known,
            )
            for each in findings
        ],
    )
