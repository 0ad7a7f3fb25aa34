"""`/suppressions`: addresses that are never mailed; only hashes of them are kept."""

from datetime import datetime
from typing import IO, Annotated, Any

from fastapi import APIRouter, Query, Security
from pydantic import AwareDatetime, BaseModel, Field
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from newsletter.accounts.scopes import Scope
from newsletter.addresses import parse_address
from newsletter.audience.suppression import (
    SoughtSuppressions,
    list_suppressions,
    suppress,
    suppressions_of,
)
from newsletter.audience.suppression_export import write_csv
from newsletter.audience.suppression_import import import_suppressions
from newsletter.audience.suppression_lifting import (
    LONGEST_WHY,
    Accident,
    extent_of,
    lift,
    route_called,
    undo_all,
)
from newsletter.models import EVERYWHERE, ReplyClass, Suppression, SuppressionReason
from newsletter.web.api.body import JsonRoute, StrictRoute, note_body
from newsletter.web.api.calls import Call, Outcome, may_read, may_write, one
from newsletter.web.api.fields import Address, Body, Key, Text
from newsletter.web.api.files import as_text, download, new_file, receive, require_kind
from newsletter.web.api.pages import Cursor, Limit, Page, paged, text_in

UPLOADED = ("text/csv",)
LARGEST_FILE = 256 << 20

uploads = APIRouter(prefix="/suppressions", tags=["suppressions"], route_class=StrictRoute)
router = APIRouter(prefix="/suppressions", tags=["suppressions"], route_class=JsonRoute)

Reader = Annotated[Call, Security(may_read, scopes=[Scope.SUPPRESSIONS_READ])]
Writer = Annotated[Call, Security(may_write, scopes=[Scope.SUPPRESSIONS_WRITE])]

_Scope = Annotated[
    Key | None,
    Field(description="For this list alone; null: everywhere, which needs a key for every list."),
]


_CONTENT: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "text/csv": {"schema": {"type": "string"}, "example": "address\nada@readers.example\n"}
        },
    }
}
_FILE: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "An entry on each line.",
        "content": {"text/csv": {"schema": {"type": "string"}}},
    }
}


class SuppressionToMake(Body):
    address: Address
    list: _Scope = None
    reason: SuppressionReason = SuppressionReason.ON_REQUEST


class SuppressionToLift(Body):
    address: Address
    list: _Scope = None
    reason: Annotated[Text, Field(max_length=LONGEST_WHY, examples=["Their provider was down"])]


class AccidentToUndo(Body):
    """Suppressions of some hours; what is not named does not matter."""

    since: AwareDatetime
    until: AwareDatetime
    reason: SuppressionReason | None = None
    reply_class: ReplyClass | None = Field(
        default=None, description="What the servers' words meant."
    )
    route: Annotated[
        Text | None, Field(description="A provider's name; `newsletter route list` has them.")
    ] = None
    source: Annotated[Text | None, Field(description="A part of what the source says.")] = None
    because: Annotated[
        Text | None,
        Field(
            max_length=LONGEST_WHY,
            description="Lift them, for this reason; without it they are only counted.",
        ),
    ] = None


class ExtentShown(BaseModel):
    found: dict[SuppressionReason, int]
    liftable: int = Field(description="All but complaints and people's own wishes.")
    lifted: int


class AddressToCheck(Body):
    address: Address


class SuppressionShown(BaseModel):
    address_hash: str = Field(description="Keyed with the installation's own key; in hexadecimal.")
    list: Annotated[str | None, Field(description="null: everywhere.")]
    reason: SuppressionReason
    source: str
    created_at: datetime


class Suppressions(BaseModel):
    items: list[SuppressionShown]


class LineProblem(BaseModel):
    line: int
    text: str


class SuppressionsImported(BaseModel):
    lines: int = Field(description="All of `new`, `known` and `rejected`.")
    new: int
    known: int = Field(description="Suppressed before, or named twice.")
    rejected: int
    problems: list[LineProblem] = Field(description="The first thousand.")


@router.get("", response_model=Page[SuppressionShown])
def list_entries(
    request: Request,
    call: Reader,
    slug: Annotated[Key | None, Query(alias="list", description="Only those of this list.")] = None,
    reason: Annotated[SuppressionReason | None, Query()] = None,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> Response:
    """Oldest first. A key that is for certain lists names one of them."""
    with call.reading() as session:
        if slug is None:
            call.require_every_list()
        page = list_suppressions(
            session,
            SoughtSuppressions(
                list_id=call.list_called(session, slug).id if slug is not None else None,
                reason=reason,
            ),
            after=text_in(cursor),
            limit=limit,
        )
        slugs = _slugs(call, session)
    items = [_shown(entry, slugs) for entry in page.entries]
    return paged(request, items, page.next_after)


@router.post("", response_model=Suppressions)
def suppress_address(call: Writer, body: SuppressionToMake) -> Response:
    """Never mail an address again. Where it was suppressed already, that entry stays."""

    def work(session: Session) -> Outcome:
        address = parse_address(body.address)
        suppress(
            session,
            address,
            reason=body.reason,
            source=call.by,
            list_id=_list_id(call, session, body.list),
            now=call.now,
        )
        return Outcome(_entries(call, session, body.address))

    return call.write(work)


@router.post("/check", response_model=Suppressions)
def check_address(call: Reader, body: AddressToCheck) -> Response:
    """What stands against mail to an address; in a body, since addresses end up in logs of URLs."""
    with call.reading() as session:
        return one(_entries(call, session, body.address))


@router.post("/lift", response_model=Suppressions)
def lift_suppression(call: Writer, body: SuppressionToLift) -> Response:
    """Mail an address again that bounced, or was suppressed by an import. A complaint, or the
    person's own wish, is lifted by nobody but themselves (409).
    """

    def work(session: Session) -> Outcome:
        lift(
            session,
            parse_address(body.address),
            list_id=_list_id(call, session, body.list),
            by=call.by,
            why=body.reason,
            now=call.now,
        )
        return Outcome(_entries(call, session, body.address))

    return call.write(work)


@router.post("/undo", response_model=ExtentShown)
def undo_accident(call: Writer, body: AccidentToUndo) -> Response:
    """Count what a provider that refused everybody, or a wrong file, suppressed; or lift it. Asked
    again it lifts what is left.
    """
    call.require_every_list()
    with call.reading() as session:
        accident = Accident(
            since=body.since,
            until=body.until,
            reason=body.reason,
            reply_class=body.reply_class,
            route=route_called(session, body.route).id if body.route is not None else None,
            source=body.source,
        )
        extent = extent_of(session, accident)

    def work() -> Outcome:
        lifted = 0
        if body.because is not None:
            lifted = undo_all(call.engine, accident, by=call.by, why=body.because, now=call.now)
        return Outcome(
            ExtentShown(found=dict(extent.found), liftable=extent.liftable, lifted=lifted)
        )

    return call.write_in_steps(work)


@uploads.post("/import", response_model=SuppressionsImported, openapi_extra=_CONTENT)
async def import_file(
    request: Request,
    call: Writer,
    reason: Annotated[
        SuppressionReason, Query(description="Of the lines that do not say it themselves.")
    ] = SuppressionReason.IMPORTED,
) -> Response:
    """Suppress the addresses of a file: a CSV with a header, one address a line, or an export of this
    installation. Sent again it changes nothing.
    """
    call.require_every_list()
    require_kind(request, UPLOADED)
    with new_file() as file:
        note_body(request, await receive(request.stream(), file, most_bytes=LARGEST_FILE))

        def work() -> Outcome:
            report = import_suppressions(
                call.engine, file, reason=reason, source=call.by, now=call.now
            )
            return Outcome(SuppressionsImported.model_validate(report, from_attributes=True))

        return await run_in_threadpool(call.write_in_steps, work)


@router.get("/export", response_class=Response, responses=_FILE)
def export_entries(call: Reader) -> Response:
    """All of them as CSV, with the id of the key that the hashes are made with."""
    call.require_every_list()

    def write(file: IO[bytes]) -> None:
        with as_text(file) as text:
            write_csv(call.engine, text)

    return download(write, media_type="text/csv", name="suppressions.csv")


def _list_id(call: Call, session: Session, slug: str | None) -> int:
    if slug is not None:
        return call.list_called(session, slug).id
    call.require_every_list()
    return EVERYWHERE


def _entries(call: Call, session: Session, address: str) -> Suppressions:
    """Those that the key may see: of its lists, and for a key for every list also the global ones."""
    slugs = _slugs(call, session)
    found = suppressions_of(session, parse_address(address))
    return Suppressions(items=[_shown(each, slugs) for each in found if each.list_id in slugs])


def _slugs(call: Call, session: Session) -> dict[int, str | None]:
    slugs: dict[int, str | None] = {each.id: each.slug for each in call.lists(session)}
    return slugs if call.caller.list_ids is not None else {EVERYWHERE: None, **slugs}


def _shown(row: Suppression, slugs: dict[int, str | None]) -> SuppressionShown:
    return SuppressionShown(
        address_hash=row.address_hash.hex(),
        list=slugs.get(row.list_id),
        reason=row.reason,
        source=row.source,
        created_at=row.created_at,
    )
