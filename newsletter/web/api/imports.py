"""`/imports`: files of people; sent, confirmed, run by a worker, watched and taken back."""

from collections.abc import Callable
from datetime import datetime
from typing import IO, Annotated, Any

from fastapi import APIRouter, Query, Request, Security
from pydantic import BaseModel, Field
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from newsletter.accounts.scopes import Scope
from newsletter.audience.import_archives import LARGEST_FILE, unpacked
from newsletter.audience.import_report import write_report
from newsletter.audience.import_undo import start_undoing, undone_of
from newsletter.audience.importing import (
    LONGEST_FILE_NAME,
    LONGEST_NOTE,
    ImportPlan,
    cancel_import,
    get_import,
    inspect_file,
    list_imports,
    receive_file,
    resume_import,
    start_import,
)
from newsletter.errors import NotFoundError
from newsletter.models import Import, ImportState, LegalBasis, MailingList
from newsletter.web.api.body import JsonRoute, StrictRoute, note_body
from newsletter.web.api.calls import Call, Outcome, may_read, may_write, one
from newsletter.web.api.fields import ONE_LINE, Body, Flag, Key, Line, NumberInPath, TagName, Text
from newsletter.web.api.files import as_text, download, new_file, receive, require_kind
from newsletter.web.api.pages import Cursor, Limit, Page, number_in, paged

UPLOADED = ("text/csv", "text/tab-separated-values", "application/gzip")

uploads = APIRouter(prefix="/imports", tags=["imports"], route_class=StrictRoute)
router = APIRouter(prefix="/imports", tags=["imports"], route_class=JsonRoute)

Reader = Annotated[Call, Security(may_read, scopes=[Scope.IMPORTS_READ])]
Writer = Annotated[Call, Security(may_write, scopes=[Scope.IMPORTS_WRITE])]

_CONTENT: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "text/csv": {"schema": {"type": "string"}, "example": "email\nada@readers.example\n"},
            "text/tab-separated-values": {"schema": {"type": "string"}},
            "application/gzip": {"schema": {"type": "string", "format": "binary"}},
        },
    }
}
_REPORT: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "A row for lines that follow each other and fared alike.",
        "content": {"text/csv": {"schema": {"type": "string"}}},
    }
}


class Plan(Body):
    """How a file is to be imported."""

    basis: LegalBasis
    note: Annotated[Line, Field(max_length=LONGEST_NOTE)] = ""
    columns: Annotated[
        dict[Text, Text],
        Field(max_length=200, description="What titles mean, where that was not recognised."),
    ] = {}
    preset: Key | None = None
    encoding: Annotated[Text, Field(max_length=32)] | None = None
    delimiter: Annotated[Text, Field(max_length=3)] | None = None
    status: Annotated[Text, Field(max_length=32)] | None = None
    tags: Annotated[list[TagName], Field(max_length=100)] = []
    overwrites: Flag = False
    is_dry_run: Flag = False


class UndoneShown(BaseModel):
    people: int
    subscriptions: int
    tags: int
    suppressions: int


class ImportShown(BaseModel):
    id: int = Field(examples=[12])
    list: str
    file_name: str
    sha256: str
    size_bytes: int
    bytes_read: int
    line: int
    state: ImportState
    is_dry_run: bool
    basis: LegalBasis | None
    note: str
    tags: tuple[str, ...]
    by: str
    outcomes: dict[str, int] = Field(description="Lines, by what became of them.")
    statuses: dict[str, int] = Field(description="People, by what they are on the list now.")
    error: str
    created_at: datetime
    ended_at: datetime | None
    undone: UndoneShown = Field(description="What its undoing has removed so far.")


class ColumnShown(BaseModel):
    title: str
    meaning: str
    examples: list[str]


class InspectionShown(BaseModel):
    encoding: str
    is_encoding_guessed: bool
    delimiter: str
    preset: str | None
    columns: list[ColumnShown]


@router.get("", response_model=Page[ImportShown])
def list_all_imports(
    request: Request, call: Reader, cursor: Cursor = None, limit: Limit = 100
) -> Response:
    """The newest first."""
    with call.reading() as session:
        found = list_imports(
            session, before=number_in(cursor), limit=limit, list_ids=call.caller.list_ids
        )
        slugs = {each.id: each.slug for each in call.lists(session)}
    items = [_shown(job, slugs[job.list_id]) for job in found]
    return paged(request, items, found[-1].id if len(found) == limit else None)


@uploads.post("", status_code=201, response_model=ImportShown, openapi_extra=_CONTENT)
async def upload_file(
    request: Request,
    call: Writer,
    slug: Annotated[Key, Query(alias="list", description="Whom they are to be subscribed to.")],
    file_name: Annotated[
        str, Query(min_length=1, max_length=LONGEST_FILE_NAME, pattern=ONE_LINE)
    ] = "upload.csv",
) -> Response:
    """Send a CSV or TSV, or a gzip of one, up to 1 GB. Nothing is imported until it is started."""
    require_kind(request, UPLOADED)
    with new_file() as file:
        digest = await receive(request.stream(), file, most_bytes=LARGEST_FILE)
        note_body(request, digest)

        def keep() -> Outcome:
            with call.reading() as session:
                mailing_list = call.list_called(session, slug)
            import_id = receive_file(
                call.engine,
                unpacked(file),
                list_id=mailing_list.id,
                file_name=file_name,
                by=call.by,
                now=call.now,
            )
            return _outcome(call, import_id, status=201)

        return await run_in_threadpool(call.write_in_steps, keep, take_back=_forget(call))


@router.get("/{import_id}", response_model=ImportShown)
def show_import(call: Reader, import_id: NumberInPath) -> Response:
    with call.reading() as session:
        job, mailing_list = _visible(call, session, import_id)
        return one(_shown(job, mailing_list.slug))


@router.post("/{import_id}/inspect", response_model=InspectionShown)
def inspect_import(call: Reader, import_id: NumberInPath, body: Plan) -> Response:
    """How the file would be read, with its first rows."""
    _require_visible(call, import_id)
    found = inspect_file(call.engine, import_id, _plan(call, body))
    columns = [
        ColumnShown(title=each.title, meaning=each.meaning, examples=list(each.examples))
        for each in found.columns
    ]
    return one(
        InspectionShown(
            encoding=found.encoding,
            is_encoding_guessed=found.is_encoding_guessed,
            delimiter=found.delimiter,
            preset=found.preset,
            columns=columns,
        )
    )


@router.post("/{import_id}/start", status_code=202, response_model=ImportShown)
def start_received(call: Writer, import_id: NumberInPath, body: Plan) -> Response:
    """Confirm how the file is read, and let a worker import it. After a dry run it can be started
    again, as long as the file is kept: for a week.
    """
    plan = _plan(call, body)
    return _step(call, import_id, lambda: start_import(call.engine, import_id, plan), 202)


@router.post("/{import_id}/cancel", response_model=ImportShown)
def cancel_one(call: Writer, import_id: NumberInPath) -> Response:
    """Stop it. What came in stays, until it is undone."""
    return _step(call, import_id, lambda: cancel_import(call.engine, import_id, now=call.now))


@router.post("/{import_id}/resume", status_code=202, response_model=ImportShown)
def resume_one(call: Writer, import_id: NumberInPath) -> Response:
    """Let a worker go on where it was broken off; whoever is still at it stops."""
    return _step(
        call, import_id, lambda: resume_import(call.engine, import_id, is_background=True), 202
    )


@router.post("/{import_id}/undo", status_code=202, response_model=ImportShown)
def undo_one(call: Writer, import_id: NumberInPath) -> Response:
    """Let a worker remove what it alone made; what people did since stays. `undone` says how far it is."""

    def undo() -> Import:
        return start_undoing(call.engine, import_id, by=call.by, now=call.now, is_background=True)

    return _step(call, import_id, undo, 202)


@router.get("/{import_id}/report", response_class=Response, responses=_REPORT)
def report_lines(call: Reader, import_id: NumberInPath) -> Response:
    """What became of each line, as CSV; no address in full."""

    def write(file: IO[bytes]) -> None:
        with call.reading() as session, as_text(file) as text:
            _visible(call, session, import_id)
            write_report(session, import_id, text)

    return download(write, media_type="text/csv", name=f"import-{import_id}.csv")


def _step(call: Call, import_id: int, step: Callable[[], Import], status: int = 200) -> Response:
    _require_visible(call, import_id)

    def work() -> Outcome:
        step()
        return _outcome(call, import_id, status=status)

    return call.write_in_steps(work)


def _outcome(call: Call, import_id: int, *, status: int) -> Outcome:
    with call.reading() as session:
        job, mailing_list = _visible(call, session, import_id)
    return Outcome(
        _shown(job, mailing_list.slug),
        status,
        f"{call.root}/imports/{job.id}" if status == 201 else None,
    )


def _forget(call: Call) -> Callable[[Outcome], None]:
    """Of two that were sent at once under one idempotency key, the second is not kept."""

    def forget(outcome: Outcome) -> None:
        assert isinstance(outcome.content, ImportShown)
        cancel_import(call.engine, outcome.content.id, now=call.now)

    return forget


def _require_visible(call: Call, import_id: int) -> None:
    with call.reading() as session:
        _visible(call, session, import_id)


def _visible(call: Call, session: Session, import_id: int) -> tuple[Import, MailingList]:
    """Raises `NotFoundError`, alike for none and for one into a list that the key is not for."""
    job = get_import(session, import_id)
    if not call.may_see(job.list_id):
        raise NotFoundError(
            "There is no import {number} into the lists of this key.", number=import_id
        )
    return job, session.get_one(MailingList, job.list_id)


def _plan(call: Call, body: Plan) -> ImportPlan:
    is_narrow = call.caller.list_ids is not None
    return ImportPlan(**body.model_dump(), is_narrow=is_narrow, is_background=True)


def _shown(job: Import, slug: str) -> ImportShown:
    return ImportShown(
        id=job.id,
        list=slug,
        file_name=job.file_name,
        sha256=job.sha256,
        size_bytes=job.size_bytes,
        bytes_read=job.bytes_read,
        line=job.line,
        state=job.state,
        is_dry_run=job.is_dry_run,
        basis=job.basis,
        note=job.note,
        tags=tuple(job.tags),
        by=job.by,
        outcomes=job.outcomes,
        statuses=job.statuses,
        error=job.error,
        created_at=job.created_at,
        ended_at=job.ended_at,
        undone=UndoneShown.model_validate(undone_of(job), from_attributes=True),
    )
