"""Says what went wrong as `application/problem+json` (RFC 9457), and at which field of the request."""

import json
import logging
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Any, get_args

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from newsletter.audience.segments.language import QueryError
from newsletter.errors import (
    ForbiddenError,
    InputError,
    NewsletterError,
    NotFoundError,
    StateError,
)
from newsletter.web.deps import DATABASE_AWAY
from newsletter.web.errors import RETRY_AFTER_SECONDS

logger = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
NOT_HERE = "There is no such thing here, or this key may not see it."

_ATTRIBUTE = "attribute "


class FieldProblem(BaseModel):
    pointer: str | None = Field(
        default=None, description="A JSON Pointer (RFC 6901) to what is wrong in the body."
    )
    parameter: str | None = Field(
        default=None, description="The parameter of the path, the query or the header instead."
    )
    detail: str


class Problem(BaseModel):
    """RFC 9457. `type` is always `about:blank`: the status says what kind of problem it is."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    errors: list[FieldProblem] | None = Field(
        default=None, description="One for each field that is wrong."
    )


class RefusedError(NewsletterError):
    """The request cannot be served, for a reason that only HTTP knows."""

    def __init__(
        self,
        status: int,
        words: str,
        /,
        headers: Mapping[str, str] | None = None,
        **values: object,
    ) -> None:
        super().__init__(words, **values)
        self.status = status
        self.headers = headers


def problem(
    status: int,
    detail: str,
    *,
    errors: Sequence[FieldProblem] = (),
    headers: Mapping[str, str] | None = None,
) -> Response:
    content = Problem(
        title=HTTPStatus(status).phrase, status=status, detail=detail, errors=list(errors) or None
    )
    # In ASCII: what was sent, and is told of here, may hold what is no UTF-8.
    body = json.dumps(content.model_dump(exclude_none=True))
    fields = {"Cache-Control": "no-store", **(headers or {})}
    return Response(body, status, headers=fields, media_type=MEDIA_TYPE)


async def _refused(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RefusedError)
    return problem(error.status, str(error), headers=error.headers)


async def _http_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    # Where no route matched, Starlette says nothing but the status.
    detail = NOT_HERE if error.status_code == 404 else str(error.detail)
    return problem(error.status_code, detail, headers=error.headers)


async def _invalid(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    mistakes = [_field_problem(each) for each in error.errors()]
    return problem(422, "The request is not as the description of the API has it.", errors=mistakes)


async def _query_error(_request: Request, error: Exception) -> Response:
    text = str(error)
    return problem(422, text, errors=[FieldProblem(pointer="/definition", detail=text)])


async def _input_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, InputError)
    pointer = _pointer(request, error.field) if error.field else None
    if pointer is None:
        return problem(422, str(error))
    return problem(422, str(error), errors=[FieldProblem(pointer=pointer, detail=error.words)])


async def _not_found(_request: Request, _error: Exception) -> Response:
    # The error's own text may name lists that the key is not for.
    return problem(404, NOT_HERE)


async def _forbidden(_request: Request, error: Exception) -> Response:
    return problem(403, str(error))


async def _conflict(_request: Request, error: Exception) -> Response:
    return problem(409, str(error))


async def _database_away(request: Request, error: Exception) -> Response:
    logger.error("database away", extra={"page": "api", "error": type(error).__name__})
    return away()


def away() -> Response:
    headers = {"Retry-After": str(RETRY_AFTER_SECONDS)}
    return problem(503, "The database does not answer. Try again in a moment.", headers=headers)


async def _unexpected(_request: Request, _error: Exception) -> Response:
    return problem(500, "Something went wrong here. It is not your fault.")


HANDLERS: dict[int | type[Exception], Callable[[Request, Any], Coroutine[Any, Any, Response]]] = {
    RefusedError: _refused,
    HTTPException: _http_error,
    RequestValidationError: _invalid,
    QueryError: _query_error,
    InputError: _input_error,
    NotFoundError: _not_found,
    ForbiddenError: _forbidden,
    StateError: _conflict,
    **dict.fromkeys(DATABASE_AWAY, _database_away),
    Exception: _unexpected,
}


def _field_problem(mistake: Mapping[str, Any]) -> FieldProblem:
    place, *path = mistake["loc"]
    detail = str(mistake["msg"]).removeprefix("Value error, ")
    if place != "body":
        return FieldProblem(parameter=".".join(map(str, path)), detail=detail)
    if mistake["type"] == "json_invalid":  # its path is the number of a character
        return FieldProblem(pointer="", detail=f"{detail} at character {path[0]}")
    return FieldProblem(pointer="".join(f"/{_escaped(each)}" for each in path), detail=detail)


def _pointer(request: Request, field: str) -> str | None:
    """Where the body has what a stage calls `field`; None when the body has nothing of that name."""
    if field.startswith(_ATTRIBUTE):
        return f"/attributes/{_escaped(field.removeprefix(_ATTRIBUTE))}"
    name = field.replace(" ", "_").replace("-", "_")
    return f"/{name}" if name in _body_fields(request) else None


def _body_fields(request: Request) -> frozenset[str]:
    body_field = getattr(request.scope.get("route"), "body_field", None)
    if body_field is None:
        return frozenset()
    model: Any = body_field.field_info.annotation
    return frozenset().union(*map(_fields_of, get_args(model) or (model,)))


def _fields_of(model: Any) -> Iterable[str]:
    fields: Iterable[str] = getattr(model, "model_fields", None) or model.__annotations__
    return fields


def _escaped(part: object) -> str:
    return str(part).replace("~", "~0").replace("/", "~1")
