"""What a request may look like at all: no parameter unknown, the body small enough and JSON."""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message

from newsletter.web.api.problems import RefusedError

LARGEST_BODY = 256 * 1024
_BODY = "newsletter.body"


def body_of(request: Request) -> bytes:
    """What was sent; for an uploaded file its digest, once it was read."""
    body: bytes = request.scope.get(_BODY, b"")
    return body


def note_body(request: Request, body: bytes) -> None:
    request.scope[_BODY] = body


Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class StrictRoute(APIRoute):
    """Refuses a parameter that it does not know: a misspelt filter must not mean everybody."""

    def get_route_handler(self) -> Handler:
        handle = super().get_route_handler()
        known = {field.alias for field in self.dependant.query_params}

        async def check_and_handle(request: Request) -> Response:
            unknown = sorted(request.query_params.keys() - known)
            if unknown:
                mistake = {"loc": ("query", unknown[0]), "type": "extra", "msg": "There is none."}
                raise RequestValidationError([mistake])
            return await handle(request)

        return check_and_handle


class JsonRoute(StrictRoute):
    """Refuses what is too large (413) and what is not JSON (415)."""

    def get_route_handler(self) -> Handler:
        handle = super().get_route_handler()

        async def read_and_handle(request: Request) -> Response:
            body = await _read(request)
            if body:
                _require_json(request)
            note_body(request, body)

            async def receive() -> Message:
                return {"type": "http.request", "body": body, "more_body": False}

            return await handle(Request(request.scope, receive))

        return read_and_handle


async def _read(request: Request) -> bytes:
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > LARGEST_BODY:
        raise _too_large()
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > LARGEST_BODY:
            raise _too_large()
    return bytes(body)


def _too_large() -> RefusedError:
    return RefusedError(
        413, "A request has at most {kilobytes} kB.", kilobytes=LARGEST_BODY // 1024
    )


def _require_json(request: Request) -> None:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    # A page of another site can make a browser send text/plain, but not this (S-08).
    if kind != "application/json":
        raise RefusedError(415, "Send the body as application/json.")
