"""Says what went wrong in one calm page; never a traceback, a token or a hint who exists."""

import logging

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.types import ExceptionHandler

from newsletter.errors import RenderError
from newsletter.web.deps import DATABASE_AWAY
from newsletter.web.pages import NO_STORE, page
from newsletter.web.public.dress import OURS
from newsletter.web.public.site_words import site_words

logger = logging.getLogger(__name__)

RETRY_AFTER_SECONDS = 30


def error_page(
    request: Request, status: int, headers: dict[str, str] | None = None
) -> HTMLResponse:
    words = site_words(request)
    title, lead = words.of_mistake(status)
    return page(
        "public/error.html",
        status=status,
        headers=NO_STORE | (headers or {}),
        words=words,
        sender=OURS,
        title=title,
        lead=lead,
    )


async def _http_error(request: Request, error: Exception) -> HTMLResponse:
    assert isinstance(error, HTTPException)
    return error_page(request, error.status_code, dict(error.headers or {}))


async def _database_away(request: Request, error: Exception) -> HTMLResponse:
    # The first part of the path only: what follows is a token.
    place = request.url.path.split("/")[1]
    logger.error("database away", extra={"page": place, "error": type(error).__name__})
    return error_page(request, 503, {"Retry-After": str(RETRY_AFTER_SECONDS)})


async def _cannot_render(request: Request, error: Exception) -> HTMLResponse:
    logger.error("page not rendered", extra={"page": request.url.path, "error": str(error)})
    return error_page(request, 500)


async def _unexpected(request: Request, _error: Exception) -> HTMLResponse:
    return error_page(request, 500)


HANDLERS: dict[int | type[Exception], ExceptionHandler] = {
    HTTPException: _http_error,
    **dict.fromkeys(DATABASE_AWAY, _database_away),
    RenderError: _cannot_render,
    Exception: _unexpected,
}
