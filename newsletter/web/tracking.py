"""The open pixel and the click redirect: they answer from memory and set no cookie.

What counts is a GET that a reader's program made to show or follow something: a HEAD or a prefetch
gets the same answer and is not counted. Nothing of a test mail counts.
"""

import base64
import re

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from newsletter.clock import utc_now
from newsletter.errors import TokenError
from newsletter.models import EventKind
from newsletter.tokens import DeliveryRef, Purpose
from newsletter.track.events import NO_LINK, ReaderEvent
from newsletter.track.links import GREATEST_NUMBER
from newsletter.web.deps import Deps, deps_of
from newsletter.web.pages import NO_STORE

PIXEL = base64.b64decode("R0lGODlhAQABAIAAAAAAAAAAACH5BAEAAAAALAAAAAABAAEAAAICRAEAOw==")

_NUMBER = re.compile(r"[1-9][0-9]{0,4}", re.ASCII)


async def open_pixel(request: Request) -> Response:
    """The same transparent GIF for every token, so that nobody learns which of them are ours."""
    deps = deps_of(request)
    try:
        ref = deps.tokens.read_delivery(Purpose.OPEN, request.path_params["token"])
    except TokenError:
        ref = None
    if ref is not None:
        _record(deps, request, EventKind.OPEN, ref=ref)
    return Response(PIXEL, media_type="image/gif", headers=NO_STORE)


async def click(request: Request) -> Response:
    """Only a link that the edition has is followed; the address never comes from the request."""
    deps = deps_of(request)
    number = _number(request.path_params["number"])
    try:
        ref = deps.tokens.read_delivery(Purpose.CLICK, request.path_params["token"])
    except TokenError as error:
        raise HTTPException(404) from error
    if ref.is_test:
        target = await run_in_threadpool(deps.links.current, ref.edition_id, number)
    else:
        target = deps.links.remembered(ref.edition_id, number) or await run_in_threadpool(
            deps.links.target, ref.edition_id, number
        )
    if target is None:
        raise HTTPException(404)
    _record(deps, request, EventKind.CLICK, ref=ref, link=number)
    return RedirectResponse(target, 302, NO_STORE)


def _record(
    deps: Deps, request: Request, kind: EventKind, *, ref: DeliveryRef, link: int = NO_LINK
) -> None:
    if ref.is_test or request.method != "GET" or _is_prefetch(request):
        return
    deps.events.push(ReaderEvent(kind, ref.edition_id, ref.subscriber_id, link, utc_now()))


def _is_prefetch(request: Request) -> bool:
    # `Sec-Purpose: prefetch;prerender` and the older `Purpose: prefetch`
    purposes = request.headers.get("sec-purpose", "") + request.headers.get("purpose", "")
    return "prefetch" in purposes.lower()


def _number(text: str) -> int:
    if not _NUMBER.fullmatch(text) or int(text) > GREATEST_NUMBER:
        raise HTTPException(404)
    return int(text)
