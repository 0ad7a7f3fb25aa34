"""Reads the body of a request once, if it is small enough and JSON, before anything looks at it."""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message

from newsletter.web.api.problems import Refused

LARGEST_BODY = 256 * 1024
_BODY = "newsletter.body"


def body_of(request: Request) -> bytes:
    """What was sent; for an uploaded file its digest, once it was read."""
    body: bytes = request.scope.get(_BODY, b"")
    return body


def note_body(request: Request, body: bytes) -> None:
    request.scope[_BODY] = body


class JsonRoute(APIRoute):
    """Refuses what is too large (413) and what is not JSON (415)."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
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


def _too_large() -> Refused:
    return Refused(413, f"A request has at most {LARGEST_BODY // 1024} kB.")


def _require_json(request: Request) -> None:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    # A page of another site can make a browser send text/plain, but not this (S-08).
    if kind != "application/json":
        raise Refused(415, "Send the body as application/json.")
