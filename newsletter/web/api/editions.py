"""`/editions`: from a draft over checks, test and approval to the sending and its figures.

The same functions as behind the newsroom's pages, and the same rights: a key that may write may not
approve, and one that may approve may not send.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Security
from pydantic import AwareDatetime, BaseModel, Field, StringConstraints
from sqlalchemy import select
from sqlalchemy.orm import Session
from starlette.requests import Request
from starlette.responses import Response

from newsletter.accounts import audit
from newsletter.accounts.scopes import Scope
from newsletter.addresses import parse_address
from newsletter.audience.fields import read_date, read_time
from newsletter.checks.acknowledging import acknowledged_in, fingerprint
from newsletter.compose.content import LONGEST_SUBJECT, DraftContent
from newsletter.compose.findings import Finding, Severity
from newsletter.compose.formatting import format_briefing
from newsletter.compose.parser import read_briefing
from newsletter.db import GREATEST_LONG_KEY, transaction
from newsletter.deliver.test_sends import request_test
from newsletter.errors import NotFoundError
from newsletter.models import DeliveryState, Edition, EditionState, Past, Reason
from newsletter.plan import dispatch, schedule
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
from newsletter.plan.hourly_cap import CapReached
from newsletter.plan.marks import note_test
from newsletter.plan.review import submit_edition
from newsletter.plan.stored import lists_of
from newsletter.plan.waves import DEADLINE
from newsletter.report.editions import EditionStatus, edition_status
from newsletter.report.people import Place, people_in_state
from newsletter.report.titles import titles_of
from newsletter.report.waves import wave_statuses
from newsletter.web.api.body import JsonRoute
from newsletter.web.api.briefings import BriefingBody, BriefingShown
from newsletter.web.api.calls import Call, Outcome, may_read, may_write, one
from newsletter.web.api.fields import Address, Body, Day, Key, Line, NumberInPath, Time
from newsletter.web.api.pages import (
    Cursor,
    Limit,
    Page,
    number_in,
    paged,
    text_in,
    unknown_cursor,
)
from newsletter.web.api.problems import RefusedError
from newsletter.web.numbers import whole_number

router = APIRouter(prefix="/editions", tags=["editions"], route_class=JsonRoute)

Reader = Annotated[Call, Security(may_read, scopes=[Scope.EDITIONS_READ])]
Writer = Annotated[Call, Security(may_write, scopes=[Scope.EDITIONS_WRITE])]
Approver = Annotated[Call, Security(may_write, scopes=[Scope.EDITIONS_APPROVE])]
Sender = Annotated[Call, Security(may_write, scopes=[Scope.EDITIONS_SEND])]
PeopleReader = Annotated[
    Call, Security(may_read, scopes=[Scope.EDITIONS_READ, Scope.SUBSCRIBERS_READ])
]

_Subject = Annotated[Line, Field(max_length=LONGEST_SUBJECT)]
_Text = Annotated[
    str,
    StringConstraints(max_length=200_000),
    Field(description="A briefing as newsrooms write it; instead of `briefing`."),
]
_Hash = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class Written(Body):
    """The content: as a text, or as the structure itself."""

    text: _Text | None = None
    briefing: BriefingBody | None = None
    subject: _Subject | None = Field(default=None, description="null: the title.")
    preheader: _Subject | None = Field(default=None, description="null: the key points.")


class EditionToMake(Written):
    lists: Annotated[list[Key], Field(min_length=1, max_length=20)]


class DraftToSave(Written):
    based_on: Annotated[int, Field(ge=0, le=2**31 - 1)] = Field(
        description="The version that was read. Who is late overwrites nobody."
    )


class TestToSend(Body):
    to: Annotated[list[Address], Field(min_length=1, max_length=20)]
    list: Key | None = Field(default=None, description="In the dress of this list.")


class ReviewToAsk(Body):
    note: Annotated[Line, Field(max_length=1000)] = ""


class ApprovalToGive(Body):
    hash: _Hash = Field(description="Of what was looked at, as `POST …/checks` answers it.")


class Now(Body):
    when: Literal["now"]
    people: int | None = Field(
        default=None, description="Where it goes to very many: how many, to confirm it."
    )


class AtInstant(Body):
    when: Literal["at"]
    at: AwareDatetime
    deadline_hours: Annotated[int, Field(ge=1, le=24)] = DEADLINE // timedelta(hours=1)
    people: int | None = None


class AtLocalTime(Body):
    when: Literal["local"]
    day: Day
    time: Time
    past: Past = Field(default=Past.SEND, description="What happens where it is later already.")
    deadline_hours: Annotated[int, Field(ge=1, le=24)] = DEADLINE // timedelta(hours=1)
    people: int | None = None


_Schedule = Annotated[Now | AtInstant | AtLocalTime, Field(discriminator="when")]


class EditionShown(BaseModel):
    id: int
    public_id: str
    state: EditionState
    title: str
    lists: list[str]
    revision: int = Field(description="The newest; 0: none was cut from the draft yet.")
    approved_revision: int | None
    created_at: datetime
    approved_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None


class DraftShown(BaseModel):
    version: int = Field(description="What the next saving is based on.")
    briefing: BriefingShown
    text: str = Field(description="The same as a text.")
    subject: str | None
    preheader: str | None
    changed_at: datetime
    changed_by: str
    voids: bool = Field(
        default=False, description="Whether an approval, a review or a schedule ended with it."
    )


class FindingShown(BaseModel):
    code: str
    severity: Severity
    message: str
    line: int | None
    column: int | None
    is_acknowledged: bool


class Checked(BaseModel):
    revision: int
    hash: str = Field(description="What an approval names.")
    may_be_approved: bool
    findings: list[FindingShown]


class TestSent(BaseModel):
    mails: list[int]


class ApprovalShown(BaseModel):
    revision: int
    hash: str
    transport: str
    people: int = Field(description="Those who will be left out included.")


class WaveShown(BaseModel):
    due_at: datetime
    zones: list[str]
    people: int
    sent: int
    left_out: str | None = Field(description="Why nobody of it is mailed.")


class StatusShown(BaseModel):
    """planned = waiting + deferred + sent + excluded + failed + uncertain + cancelled, always."""

    state: EditionState
    is_planned: bool
    planned: int
    waiting: int
    deferred: int
    sent: int
    excluded: dict[str, int]
    failed: int
    uncertain: int
    cancelled: int
    opens: int = Field(description="Readers who opened it, about: programs open mail too.")
    clicks: int
    clickers: int
    unsubscribes: int
    waves: list[WaveShown]


class DeliveryShown(BaseModel):
    subscriber_id: int
    address: str
    state: str
    reason: str | None
    code: int | None
    attempts: int
    revision: int | None
    sent_at: datetime | None


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
        items = _shown(session, found[:limit])
    return paged(request, items, items[-1].id if len(found) > limit else None)


@router.post("", status_code=201, response_model=EditionShown)
def make_edition(call: Writer, body: EditionToMake) -> Response:
    """Begin a draft, with content or without."""

    def work(session: Session) -> Outcome:
        lists = [call.list_called(session, slug) for slug in dict.fromkeys(body.lists)]
        content = _content(body, DraftContent(), call.now)
        edition = open_edition(session, content, lists=lists, created_by=call.by, now=call.now)
        shown = _shown(session, [edition])[0]
        return Outcome(shown, 201, f"{call.root}/editions/{edition.id}")

    return call.write(work)


@router.get("/{edition_id}", response_model=EditionShown)
def show_edition(call: Reader, edition_id: NumberInPath) -> Response:
    with call.reading() as session:
        return one(_shown(session, [_edition(call, session, edition_id)])[0])


@router.get("/{edition_id}/draft", response_model=DraftShown)
def show_draft(call: Reader, edition_id: NumberInPath) -> Response:
    with call.reading() as session:
        _edition(call, session, edition_id)
        return one(_draft(draft_of(session, edition_id)))


@router.put("/{edition_id}/draft", response_model=DraftShown)
def save_edition_draft(call: Writer, edition_id: NumberInPath, body: DraftToSave) -> Response:
    """Replace the content. An approval is void at once; of what is being sent it is a correction.

    409 if somebody saved since: theirs stays.
    """

    def work(session: Session) -> Outcome:
        _edition(call, session, edition_id)
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
        return Outcome(_draft(saved.draft, voids=saved.voids))

    return call.write(work)


@router.post("/{edition_id}/checks", response_model=Checked)
def check(call: Writer, edition_id: NumberInPath) -> Response:
    """Freeze the draft as a revision, and say what the checks find in it."""

    def work(session: Session) -> Outcome:
        _edition(call, session, edition_id)
        cut_revision(session, edition_id, settings=call.settings, by=call.by, now=call.now)
        return Outcome(_checked(call, session, edition_id))

    return call.write(work)


@router.post("/{edition_id}/tests", status_code=202, response_model=TestSent)
def send_test(call: Writer, edition_id: NumberInPath, body: TestToSend) -> Response:
    """Send it, marked as a test, to addresses that an admin has allowed."""

    def work(session: Session) -> Outcome:
        edition = _edition(call, session, edition_id)
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
        edition = _edition(call, session, edition_id)
        submit_edition(
            session, edition_id, note=body.note, by=call.by, settings=call.settings, now=call.now
        )
        return Outcome(_shown(session, [edition])[0], 201)

    return call.write(work)


@router.post("/{edition_id}/approval", status_code=201, response_model=ApprovalShown)
def approve(call: Approver, edition_id: NumberInPath, body: ApprovalToGive) -> Response:
    """Approve exactly what was looked at. 409 if it has changed since, or a check finds an error."""

    def work(session: Session) -> Outcome:
        _edition(call, session, edition_id)
        approval = approve_edition(
            session,
            edition_id,
            approved_by=call.by,
            settings=call.settings,
            now=call.now,
            expected_hash=body.hash,
            also_known_as=(call.caller.made_by,),
        )
        _audit(call, session, "edition approved", edition_id, revision=approval.revision)
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
        _edition(call, session, edition_id)
        withdraw_approval(session, edition_id)
        _audit(call, session, "approval withdrawn", edition_id)
        return Outcome(status=204)

    return call.write(work)


@router.post("/{edition_id}/schedule", status_code=201, response_model=EditionShown)
def set_schedule(call: Sender, edition_id: NumberInPath, body: _Schedule) -> Response:
    """Send an approved edition: now, at an instant, or at a local time in every reader's zone.

    A large sending begins a moment later, and can be taken back until then. 409 if the hour's cap of
    the key's owner has no room for it, with the time from which on it has.
    """

    def work(session: Session) -> Outcome:
        edition = _edition(call, session, edition_id)
        typed = "" if body.people is None else str(body.people)
        caution = dispatch.send_edition(session, edition_id, _when(body), typed=typed, now=call.now)
        _audit(call, session, "edition sent", edition_id, how=body.when, people=caution.people)
        session.refresh(edition)
        return Outcome(_shown(session, [edition])[0], 201)

    try:
        return call.write(work)
    except CapReached as error:
        with transaction(call.engine) as session:
            _audit(call, session, "sending refused", edition_id, why=str(error))
        raise


@router.delete("/{edition_id}/schedule", status_code=204, response_class=Response)
def pull_back(call: Sender, edition_id: NumberInPath) -> Response:
    """Take the schedule back before anything was sent; it stays approved."""

    def work(session: Session) -> Outcome:
        _edition(call, session, edition_id)
        schedule.unschedule(session, edition_id)
        _audit(call, session, "edition pulled back", edition_id)
        return Outcome(status=204)

    return call.write(work)


@router.post("/{edition_id}/pause", response_model=EditionShown)
def pause(call: Sender, edition_id: NumberInPath) -> Response:
    """Within seconds nothing more goes out."""
    return _moved(call, edition_id, schedule.pause, "edition paused")


@router.post("/{edition_id}/resume", response_model=EditionShown)
def resume(call: Sender, edition_id: NumberInPath) -> Response:
    return _moved(call, edition_id, schedule.resume, "edition resumed")


@router.post("/{edition_id}/cancel", response_model=EditionShown)
def cancel(call: Sender, edition_id: NumberInPath) -> Response:
    """Whoever was not mailed yet will not be. That cannot be taken back."""
    return _moved(call, edition_id, schedule.cancel, "edition cancelled")


@router.delete("/{edition_id}/correction", status_code=204, response_class=Response)
def withdraw_correction(call: Writer, edition_id: NumberInPath) -> Response:
    """Throw a correction away that nobody approved."""

    def work(session: Session) -> Outcome:
        _edition(call, session, edition_id)
        drop_correction(session, edition_id)
        return Outcome(status=204)

    return call.write(work)


@router.get("/{edition_id}/status", response_model=StatusShown)
def show_status(call: Reader, edition_id: NumberInPath) -> Response:
    """How far it is, and what readers did."""
    with call.reading() as session:
        _edition(call, session, edition_id)
        return one(_status(session, edition_status(session, edition_id)))


@router.get("/{edition_id}/deliveries", response_model=Page[DeliveryShown])
def list_deliveries(
    request: Request,
    call: PeopleReader,
    edition_id: NumberInPath,
    state: Annotated[
        Literal["waiting", "sent", "deferred", "failed", "excluded", "uncertain", "cancelled"],
        Query(description="The people of one state."),
    ],
    reason: Annotated[str | None, Query(pattern=r"^[a-z_]{1,30}$")] = None,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> Response:
    """Who got it, who did not, and why. A page may be short, or empty, before the last one."""
    with call.reading() as session:
        _edition(call, session, edition_id)
        page = people_in_state(
            session,
            edition_id,
            DeliveryState[state.upper()],
            reason=_reason(reason),
            after=_place(text_in(cursor)),
            limit=limit,
        )
    items = [
        DeliveryShown(
            subscriber_id=each.subscriber_id,
            address=each.address,
            state=each.state.name.lower(),
            reason=each.reason.name.lower() if each.reason else None,
            code=each.code,
            attempts=each.attempts,
            revision=each.revision,
            sent_at=each.sent_at,
        )
        for each in page.people
    ]
    behind = None if page.next is None else f"{page.next.batch}-{page.next.subscriber_id}"
    return paged(request, items, behind)


def _moved(
    call: Call, edition_id: int, move: Callable[[Session, int], None], action: str
) -> Response:
    def work(session: Session) -> Outcome:
        edition = _edition(call, session, edition_id)
        move(session, edition_id)
        _audit(call, session, action, edition_id)
        session.refresh(edition)
        return Outcome(_shown(session, [edition])[0])

    return call.write(work)


def _audit(call: Call, session: Session, action: str, edition_id: int, **details: object) -> None:
    audit.record(
        session,
        actor=call.by,
        account_id=None,
        action=action,
        subject=str(edition_id),
        details=details,
        now=call.now,
    )


def _when(asked: _Schedule) -> dispatch.When:
    match asked:
        case Now():
            return dispatch.AtOnce()
        case AtInstant():
            return dispatch.AtInstant(asked.at, timedelta(hours=asked.deadline_hours))
        case AtLocalTime():
            return dispatch.AtLocalTime(
                read_date("day", asked.day),
                read_time("time", asked.time),
                asked.past,
                timedelta(hours=asked.deadline_hours),
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
            raise RefusedError(422, f"text: {_lines(parsed.findings)}")
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
    message = (
        f"{draft.changed_by} saved version {draft.version} since, and nothing of yours was saved. "
        "Read the draft again and save on top of that."
    )
    return RefusedError(409, message)


def _edition(call: Call, session: Session, edition_id: int) -> Edition:
    """Raises `NotFoundError`, alike for one that is not there and one that must not be seen."""
    found = session.get(Edition, edition_id)
    if found is None or not _may_see(call, session, found):
        raise NotFoundError(str(edition_id))
    return found


def _may_see(call: Call, session: Session, edition: Edition) -> bool:
    """A key that is for certain lists has nothing to do with what goes to others too."""
    if call.caller.list_ids is None:
        return True
    return all(call.may_see(each.id) for each in lists_of(session, edition.id))


def _shown(session: Session, editions: list[Edition]) -> list[EditionShown]:
    titles = titles_of(session, [each.id for each in editions])
    return [
        EditionShown(
            id=each.id,
            public_id=each.public_id,
            state=each.state,
            title=titles[each.id],
            lists=[mailing_list.slug for mailing_list in lists_of(session, each.id)],
            revision=each.revision,
            approved_revision=each.approved_revision,
            created_at=each.created_at,
            approved_at=each.approved_at,
            started_at=each.started_at,
            finished_at=each.finished_at,
        )
        for each in editions
    ]


def _draft(draft: Draft, *, voids: bool = False) -> DraftShown:
    content = draft.content
    return DraftShown(
        version=draft.version,
        briefing=BriefingShown.of(content.briefing),
        text=format_briefing(content.briefing),
        subject=content.subject,
        preheader=content.preheader,
        changed_at=draft.changed_at,
        changed_by=draft.changed_by,
        voids=voids,
    )


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


def _status(session: Session, status: EditionStatus) -> StatusShown:
    waves = [
        WaveShown(
            due_at=each.due_at,
            zones=list(each.zones),
            people=each.people,
            sent=each.sent,
            left_out=each.exclusion.name.lower() if each.exclusion else None,
        )
        for each in wave_statuses(session, status.edition_id)
    ]
    fields = {
        name: value for name, value in status.to_json().items() if name in StatusShown.model_fields
    }
    return StatusShown(**fields, waves=waves)


def _reason(name: str | None) -> Reason | None:
    if name is None:
        return None
    try:
        return Reason[name.upper()]
    except KeyError as error:
        known = ", ".join(each.name.lower() for each in Reason)
        raise RefusedError(422, f"reason: write one of {known}") from error


def _place(text: str | None) -> Place | None:
    if text is None:
        return None
    batch, _, subscriber_id = text.partition("-")
    here = whole_number(batch), whole_number(subscriber_id, greatest=GREATEST_LONG_KEY)
    if here[0] is None or here[1] is None:
        raise unknown_cursor()
    return Place(here[0], here[1])
