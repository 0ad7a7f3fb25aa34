"""`/attributes` and `/tags`: what an installation keeps about its people besides."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Security
from pydantic import BaseModel, Field
from sqlalchemy.orm import Session
from starlette.requests import Request
from starlette.responses import Response

from newsletter.accounts.scopes import Scope
from newsletter.audience.attributes import (
    LONGEST_LABEL,
    LONGEST_TEXT,
    MOST_CHOICES,
    add_attribute,
    all_attributes,
    retire_attribute,
)
from newsletter.audience.tags import list_tags
from newsletter.errors import NotFoundError
from newsletter.models import Attribute, AttributeKind
from newsletter.web.api.body import JsonRoute
from newsletter.web.api.calls import Call, Outcome, may_read, may_write, one
from newsletter.web.api.fields import Body, Key, KeyInPath, Text
from newsletter.web.api.pages import Cursor, Limit, Page, paged, text_in

router = APIRouter(tags=["attributes"], route_class=JsonRoute)

Reader = Annotated[Call, Security(may_read, scopes=[Scope.ATTRIBUTES_READ])]
Writer = Annotated[Call, Security(may_write, scopes=[Scope.ATTRIBUTES_WRITE])]
TagReader = Annotated[Call, Security(may_read, scopes=[Scope.TAGS_READ])]


class AttributeToMake(Body):
    key: Key
    kind: AttributeKind
    label: Annotated[Text, Field(max_length=LONGEST_LABEL, examples=["Favourite team"])]
    choices: Annotated[
        list[Annotated[Text, Field(max_length=LONGEST_TEXT)]],
        Field(max_length=MOST_CHOICES, description="Of the kind `choice`; others have none."),
    ] = []


class AttributeShown(BaseModel):
    key: str = Field(examples=["team"])
    label: str
    kind: AttributeKind
    choices: list[str]
    created_at: datetime
    retired_at: datetime | None


class TagShown(BaseModel):
    name: str = Field(examples=["founding member"])


@router.get("/attributes", response_model=Page[AttributeShown])
def list_attributes(
    request: Request, call: Reader, cursor: Cursor = None, limit: Limit = 100
) -> Response:
    after = text_in(cursor) or ""
    with call.reading() as session:
        rest = [each for each in all_attributes(session) if each.key > after]
    items = [_shown(each) for each in rest[:limit]]
    return paged(request, items, items[-1].key if len(rest) > limit else None)


@router.post("/attributes", status_code=201, response_model=AttributeShown)
def make_attribute(call: Writer, body: AttributeToMake) -> Response:
    """Make an attribute. Its key and its kind stay for good."""
    call.require_every_list()

    def work(session: Session) -> Outcome:
        made = add_attribute(
            session, body.key, body.kind, label=body.label, choices=body.choices, now=call.now
        )
        return Outcome(_shown(made), 201, f"{call.root}/attributes/{made.key}")

    return call.write(work)


@router.get("/attributes/{key}", response_model=AttributeShown)
def show_attribute(call: Reader, key: KeyInPath) -> Response:
    with call.reading() as session:
        found = session.get(Attribute, key)
        if found is None:
            raise NotFoundError("There is no attribute {key}.", key=key)
        return one(_shown(found))


@router.post("/attributes/{key}/retire", response_model=AttributeShown)
def retire_an_attribute(call: Writer, key: KeyInPath) -> Response:
    """Take no new values; those that people have stay."""
    call.require_every_list()

    def work(session: Session) -> Outcome:
        return Outcome(_shown(retire_attribute(session, key, now=call.now)))

    return call.write(work)


@router.get("/tags", response_model=Page[TagShown], tags=["tags"])
def list_all_tags(
    request: Request, call: TagReader, cursor: Cursor = None, limit: Limit = 100
) -> Response:
    """Every tag that anybody has, or had."""
    call.require_every_list()
    with call.reading() as session:
        names = list_tags(session, after=text_in(cursor) or "", limit=limit + 1)
    items = [TagShown(name=name) for name in names[:limit]]
    return paged(request, items, items[-1].name if len(names) > limit else None)


def _shown(row: Attribute) -> AttributeShown:
    return AttributeShown.model_validate(row, from_attributes=True)
