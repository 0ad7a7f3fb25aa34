"""The office's exports: the people of a list or a segment as a file, streamed as it is read."""

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import Engine
from starlette.responses import Response, StreamingResponse

from newsletter.accounts.roles import Role
from newsletter.audience.exporting import Audience, Page, count_people, csv_pages, json_pages
from newsletter.audience.segments.query import segmented
from newsletter.audience.segments.saved import list_segments, segment_by_name
from newsletter.errors import InputError
from newsletter.models import MailingList, SubscriptionStatus
from newsletter.web.newsroom.forms import Form
from newsletter.web.newsroom.pages import said
from newsletter.web.newsroom.screens import Screen
from newsletter.web.newsroom.visit import Visit

MOST_SEGMENTS = 500
MEDIA_TYPES = {"csv": "text/csv", "raw": "text/csv", "jsonl": "application/jsonl"}
STATUSES = {status.name.lower(): status for status in SubscriptionStatus}


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What the form asks for; empty texts for all of them."""

    mailing_list: MailingList | None
    segment: str
    status: str
    audience: Audience

    @property
    def name(self) -> str:
        return "-".join(filter(None, (self._slug, self.segment, self.status)))

    @property
    def _slug(self) -> str:
        return self.mailing_list.slug if self.mailing_list else ""


def index(visit: Visit) -> Response:
    visit.require_fresh()
    return _page(visit)


def count(visit: Visit) -> Response:
    """How many people the file would have; a part of the page."""
    asked = Form(tuple(visit.request.query_params.multi_items()))
    try:
        people = count_people(visit.session, _wanted(visit, asked).audience)
    except InputError as error:
        return visit.page("office/_export_count.html", people=None, why=said(error))
    return visit.page("office/_export_count.html", people=people, why="")


def download(visit: Visit) -> Response:
    visit.require_fresh()
    kind = visit.form.get("format")
    try:
        wanted = _wanted(visit, visit.form)
        if kind not in MEDIA_TYPES:
            raise InputError("Choose what the file is for.")
    except InputError as error:
        return _page(visit, said(error))
    visit.audit(
        "people exported",
        wanted.name,
        list=wanted.mailing_list.slug if wanted.mailing_list else None,
        segment=wanted.segment or None,
        status=wanted.status or None,
        format=kind,
    )
    file_name = f"{wanted.name}.{'jsonl' if kind == 'jsonl' else 'csv'}"
    return StreamingResponse(
        _texts(visit.deps.engine, wanted.audience, kind),
        media_type=MEDIA_TYPES[kind],
        headers={"Content-Disposition": f'attachment; filename="{file_name}"'},
    )


def _texts(engine: Engine, audience: Audience, kind: str) -> Iterator[str]:
    """Opens a session of its own: the visit's is closed by then."""
    pages: Iterator[Page]
    if kind == "jsonl":
        pages = json_pages(engine, audience)
    else:
        pages = csv_pages(engine, audience, is_raw=kind == "raw")
    for page in pages:
        yield page.text


def _wanted(visit: Visit, form: Form) -> _Wanted:
    """Raises `InputError` for what says too little, and as `Visit.require` for what is not theirs."""
    slug, segment, status = form.get("list"), form.get("segment"), form.get("status")
    mailing_list = next((each for each in visit.lists(Role.ADMIN) if each.slug == slug), None)
    if mailing_list is None and (slug or not segment):
        raise InputError("Choose a list, a segment, or both.")
    if status and (mailing_list is None or status not in STATUSES):
        raise InputError("Choose the list that people have this status on.")
    people = None
    if segment:
        # What it asks of people may be about any list.
        visit.require(Role.ADMIN, ())
        definition = segment_by_name(visit.session, segment).definition
        people = segmented(visit.session, definition, now=visit.now).people
    return _Wanted(
        mailing_list,
        segment,
        status,
        Audience(
            list_id=mailing_list.id if mailing_list else None,
            people=people,
            status=STATUSES.get(status),
        ),
    )


def _page(visit: Visit, wrong: str = "") -> Response:
    is_everywhere = visit.may(Role.ADMIN, ())
    segments = list_segments(visit.session, limit=MOST_SEGMENTS) if is_everywhere else []
    lists = visit.lists(Role.ADMIN)
    return visit.page(
        "office/exports.html",
        status=422 if wrong else 200,
        lists=[(each.slug, each.name) for each in lists],
        segments=[(each.name, each.name) for each in segments],
        chosen={
            name: visit.form.get(name) or visit.query(name)
            for name in ("list", "segment", "status", "format")
        },
        wrong=wrong,
    )


SCREENS = (
    Screen("/office/exports", get=index, post=download, role=Role.ADMIN),
    Screen("/office/exports/count", get=count, role=Role.ADMIN),
)
