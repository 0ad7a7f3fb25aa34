"""Answers page by page: each page names the place where the next one begins."""

import base64
import binascii
import json
from collections.abc import Sequence
from typing import Annotated, Generic, TypeVar
from urllib.parse import urlencode

from fastapi import Query
from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import Response

from newsletter.db import GREATEST_KEY
from newsletter.web.api.problems import RefusedError

MOST_ON_A_PAGE = 500
Item = TypeVar("Item", bound=BaseModel)

Limit = Annotated[int, Query(ge=1, le=MOST_ON_A_PAGE, description="How many on a page at most.")]
Cursor = Annotated[
    str | None,
    Query(
        max_length=300,
        pattern=r"^[A-Za-z0-9_-]+$",
        description="`next` of the page before; opaque.",
    ),
]


class Page(BaseModel, Generic[Item]):
    items: list[Item]
    next: str | None = Field(description="The cursor of the next page; null: this is the last.")


def number_in(cursor: str | None, *, greatest: int = GREATEST_KEY) -> int | None:
    place = _read(cursor)
    if place is None:
        return None
    if not isinstance(place, int) or not 0 <= place <= greatest:
        raise unknown_cursor()
    return place


def text_in(cursor: str | None) -> str | None:
    place = _read(cursor)
    if place is None:
        return None
    if not isinstance(place, str) or "\0" in place:
        raise unknown_cursor()
    return place


def paged(request: Request, items: Sequence[Item], place: int | str | None) -> Response:
    """`place`: where the next page begins; None: there is none."""
    cursor = None if place is None else _cursor(place)
    headers = {"Cache-Control": "no-store"}
    if cursor is not None:
        query = {**request.query_params, "cursor": cursor}
        headers["Link"] = f'<{request.url.path}?{urlencode(query)}>; rel="next"'
    page = Page[BaseModel](items=list(items), next=cursor)
    body = page.model_dump_json(serialize_as_any=True)
    return Response(body, headers=headers, media_type="application/json")


def _cursor(place: int | str) -> str:
    raw = json.dumps(place).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _read(cursor: str | None) -> int | str | None:
    if cursor is None:
        return None
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        place = json.loads(raw)
    except (binascii.Error, ValueError) as error:
        raise unknown_cursor() from error
    if isinstance(place, bool) or not isinstance(place, int | str) or _cursor(place) != cursor:
        raise unknown_cursor()
    return place


def unknown_cursor() -> RefusedError:
    return RefusedError(422, "cursor: write what the page before gave as its next one.")
