"""Reads the body of a form, whoever sent it and however little they said about it."""

from collections.abc import Mapping
from urllib.parse import parse_qsl

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import Message

LARGEST_BODY = 64 * 1024
MOST_FIELDS = 20


async def read_form(request: Request, *, most_fields: int = MOST_FIELDS) -> Mapping[str, str]:
    """The text fields of a multipart body, else of a urlencoded one, which needs no Content-Type.

    A body that is neither has no fields. Raises `HTTPException`: 413 for one of over 64 kB, 400
    for a broken multipart one.
    """
    body = await _read_body(request)
    if request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        return await _read_multipart(request, body, most_fields)
    try:
        pairs = parse_qsl(body.decode(errors="replace"), max_num_fields=most_fields)
    except ValueError as error:
        raise HTTPException(400) from error
    return {name: value.strip() for name, value in pairs}


async def _read_body(request: Request) -> bytes:
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > LARGEST_BODY:
        raise HTTPException(413)
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > LARGEST_BODY:
            raise HTTPException(413)
    return bytes(body)


async def _read_multipart(request: Request, body: bytes, most_fields: int) -> Mapping[str, str]:
    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    again = Request(request.scope, receive)
    async with again.form(max_files=1, max_fields=most_fields) as form:
        return {name: value.strip() for name, value in form.items() if isinstance(value, str)}
