"""`…/export`: the people of a list or of a segment, as a file."""

from enum import StrEnum
from typing import IO, Annotated, Any

from fastapi import APIRouter, Query, Security
from starlette.responses import Response

from newsletter.accounts.scopes import Scope
from newsletter.audience.exporting import Audience, write_csv, write_json_lines
from newsletter.audience.segments.query import segmented
from newsletter.audience.segments.saved import segment_by_name
from newsletter.models import SubscriptionStatus
from newsletter.web.api.body import JsonRoute
from newsletter.web.api.calls import Call, may_read
from newsletter.web.api.fields import KeyInPath, SlugInPath
from newsletter.web.api.files import as_text, download
from newsletter.web.api.subscriber_shapes import Status

router = APIRouter(tags=["exports"], route_class=JsonRoute)

Reader = Annotated[Call, Security(may_read, scopes=[Scope.EXPORTS_READ])]


class Format(StrEnum):
    CSV = "csv"
    JSON_LINES = "jsonl"


_MEDIA_TYPES = {Format.CSV: "text/csv", Format.JSON_LINES: "application/jsonl"}
_FILE: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "A person on each line.",
        "content": {each: {"schema": {"type": "string"}} for each in _MEDIA_TYPES.values()},
    }
}

_Form = Annotated[Format, Query(alias="format")]
_Raw = Annotated[
    bool,
    Query(
        alias="raw", description="CSV for a program: what a spreadsheet would calculate stays so."
    ),
]


@router.get("/lists/{slug}/export", response_class=Response, responses=_FILE)
def export_list(
    call: Reader,
    slug: SlugInPath,
    status: Annotated[Status | None, Query(description="Theirs on the list.")] = None,
    form: _Form = Format.CSV,
    is_raw: _Raw = False,
) -> Response:
    """Importing it again changes nothing."""
    with call.reading() as session:
        list_id = call.list_called(session, slug).id
    wanted = SubscriptionStatus[status.upper()] if status is not None else None
    return _export(call, Audience(list_id=list_id, status=wanted), slug, form, is_raw=is_raw)


@router.get("/segments/{name}/export", response_class=Response, responses=_FILE)
def export_segment(
    call: Reader, name: KeyInPath, form: _Form = Format.CSV, is_raw: _Raw = False
) -> Response:
    call.require_every_list()
    with call.reading() as session:
        found = segmented(session, segment_by_name(session, name).definition, now=call.now)
    return _export(call, Audience(people=found.people), name, form, is_raw=is_raw)


def _export(call: Call, audience: Audience, name: str, form: Format, *, is_raw: bool) -> Response:
    def write(file: IO[bytes]) -> None:
        with as_text(file) as text:
            if form is Format.CSV:
                write_csv(call.engine, audience, text, is_raw=is_raw)
            else:
                write_json_lines(call.engine, audience, text)

    return download(write, media_type=_MEDIA_TYPES[form], name=f"{name}.{form}")
