"""`/segments`: saved conditions over everybody, what they mean, and how many people they have."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Security
from pydantic import BaseModel, Field, with_config
from sqlalchemy.orm import Session
from starlette.requests import Request
from starlette.responses import Response
from typing_extensions import TypedDict

from newsletter.accounts.scopes import Scope
from newsletter.audience.segments.conditions import written
from newsletter.audience.segments.estimate import estimate
from newsletter.audience.segments.language import LONGEST
from newsletter.audience.segments.query import segmented
from newsletter.audience.segments.saved import (
    LONGEST_DESCRIPTION,
    SegmentChanges,
    create_segment,
    delete_segment,
    edit_segment,
    exact_count,
    list_segments,
    people_of,
    segment_by_name,
    start_count,
)
from newsletter.db import GREATEST_LONG_KEY
from newsletter.models import Segment
from newsletter.web.api.body import JsonRoute
from newsletter.web.api.calls import Call, Outcome, may_change, may_read, may_write, one
from newsletter.web.api.fields import STRICT, Body, Key, KeyInPath, Line
from newsletter.web.api.pages import Cursor, Limit, Page, number_in, paged, text_in
from newsletter.web.api.subscriber_shapes import SubscriberShown, shown

router = APIRouter(prefix="/segments", tags=["segments"], route_class=JsonRoute)

Reader = Annotated[Call, Security(may_read, scopes=[Scope.SEGMENTS_READ])]
Writer = Annotated[Call, Security(may_write, scopes=[Scope.SEGMENTS_WRITE])]
Changer = Annotated[Call, Security(may_change, scopes=[Scope.SEGMENTS_WRITE])]

_Definition = Annotated[
    str,
    Field(
        min_length=1,
        max_length=LONGEST,
        description="In the language of segments.",
        examples=["language is en and not tagged press"],
    ),
]
_Description = Annotated[Line, Field(max_length=LONGEST_DESCRIPTION)]


class SegmentToMake(Body):
    name: Key
    definition: _Definition
    description: _Description = ""


@with_config(STRICT)
class SegmentPatch(TypedDict, total=False):
    """What is left out stays as it is."""

    definition: _Definition
    description: _Description


class DefinitionToCheck(Body):
    definition: _Definition


class SegmentShown(BaseModel):
    name: str = Field(examples=["english-readers"])
    description: str
    definition: str
    created_at: datetime
    created_by: str
    changed_at: datetime


class ExactCount(BaseModel):
    people: int
    asked_at: datetime
    ended_at: datetime | None = Field(description="null: it is still being counted.")


class Count(BaseModel):
    definition: str = Field(description="As it is understood.")
    notes: list[str] = Field(description="What to know when reading the figures.")
    people: int = Field(description="About, from a sample, unless `margin` is 0.")
    audience: int = Field(description="Everybody there is, about.")
    margin: int = Field(description="In 95 of 100 cases the truth is not farther off.")
    exact: ExactCount | None = Field(
        default=None, description="The exact count, if one was asked for."
    )


@router.get("", response_model=Page[SegmentShown])
def list_saved_segments(
    request: Request, call: Reader, cursor: Cursor = None, limit: Limit = 100
) -> Response:
    call.require_every_list()
    with call.reading() as session:
        found = list_segments(session, after=text_in(cursor) or "", limit=limit + 1)
    items = [_shown(each) for each in found[:limit]]
    return paged(request, items, items[-1].name if len(found) > limit else None)


@router.post("", status_code=201, response_model=SegmentShown)
def make_segment(call: Writer, body: SegmentToMake) -> Response:
    """Save a condition. Its name stays for good."""
    call.require_every_list()

    def work(session: Session) -> Outcome:
        made = create_segment(
            session,
            body.name,
            body.definition,
            description=body.description,
            created_by=call.by,
            now=call.now,
        )
        return Outcome(_shown(made), 201, f"{call.root}/segments/{made.name}")

    return call.write(work)


@router.post("/estimate", response_model=Count)
def estimate_definition(call: Reader, body: DefinitionToCheck) -> Response:
    """About how many people a condition has that nobody saved."""
    call.require_every_list()
    with call.reading() as session:
        return one(_count(session, body.definition, call.now))


@router.get("/{name}", response_model=SegmentShown)
def show_segment(call: Reader, name: KeyInPath) -> Response:
    call.require_every_list()
    with call.reading() as session:
        return one(_shown(segment_by_name(session, name)))


@router.patch("/{name}", response_model=SegmentShown)
def change_segment(call: Changer, name: KeyInPath, body: SegmentPatch) -> Response:
    """Change what the body names. Editions that are approved keep to what was approved."""
    call.require_every_list()

    def work(session: Session) -> Outcome:
        segment = segment_by_name(session, name)
        session.refresh(segment, with_for_update=True)
        call.require_unchanged(_shown(segment))
        return Outcome(_shown(edit_segment(session, name, SegmentChanges(**body), now=call.now)))

    return call.write(work)


@router.delete("/{name}", status_code=204, response_class=Response)
def remove_segment(call: Changer, name: KeyInPath) -> Response:
    """Delete it, unless an edition uses it that is not over (409)."""
    call.require_every_list()

    def work(session: Session) -> Outcome:
        segment = segment_by_name(session, name)
        session.refresh(segment, with_for_update=True)
        call.require_unchanged(_shown(segment))
        delete_segment(session, name)
        return Outcome(status=204)

    return call.write(work)


@router.get("/{name}/count", response_model=Count)
def count_segment(call: Reader, name: KeyInPath) -> Response:
    """About how many people it has; and exactly, if that was asked for and is done."""
    call.require_every_list()
    with call.reading() as session:
        segment = segment_by_name(session, name)
        return one(_count(session, segment.definition, call.now, segment))


@router.post("/{name}/count", status_code=202, response_model=Count)
def count_segment_exactly(call: Writer, name: KeyInPath) -> Response:
    """Have it counted exactly; the result will be in `GET …/count`."""
    call.require_every_list()

    def work(session: Session) -> Outcome:
        segment = segment_by_name(session, name)
        start_count(session, segment, now=call.now)
        return Outcome(_count(session, segment.definition, call.now, segment), 202)

    return call.write(work)


@router.get("/{name}/subscribers", response_model=Page[SubscriberShown])
def list_people_of_segment(
    request: Request, call: Reader, name: KeyInPath, cursor: Cursor = None, limit: Limit = 100
) -> Response:
    call.require_every_list()
    with call.reading() as session:
        segment = segmented(session, segment_by_name(session, name).definition, now=call.now)
        page = people_of(
            session, segment, after=number_in(cursor, greatest=GREATEST_LONG_KEY) or 0, limit=limit
        )
        items = [shown(session, person) for person in page.people]
    return paged(request, items, page.next_after)


def _count(
    session: Session, definition: str, now: datetime, segment: Segment | None = None
) -> Count:
    understood = segmented(session, definition, now=now)
    about = estimate(session, understood)
    exact = exact_count(session, segment) if segment is not None else None
    return Count(
        definition=written(understood.condition),
        notes=list(understood.notes),
        people=about.people,
        audience=about.audience,
        margin=about.margin,
        exact=ExactCount.model_validate(exact, from_attributes=True) if exact else None,
    )


def _shown(row: Segment) -> SegmentShown:
    return SegmentShown.model_validate(row, from_attributes=True)
