"""Says what went wrong in one calm page; never a traceback, a token or a hint who exists."""

import logging
from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.types import ExceptionHandler

from newsletter.errors import RenderError
from newsletter.web.deps import DATABASE_AWAY
from newsletter.web.pages import NO_STORE, page

logger = logging.getLogger(__name__)

RETRY_AFTER_SECONDS = 30

# (title, lead) of a page by its status.
_TEXTS = {
    400: ("This request is incomplete", "Please go back, reload the page and try once more."),
    404: (
        "This link leads nowhere",
        "It may have been cut off on its way. Please open it from the mail again, "
        "or copy its whole address.",
    ),
    405: ("This page cannot be used that way", "Please open the link from the mail again."),
    413: ("That was too much at once", "This page takes no more than a few words."),
    500: ("Something went wrong here", "It is not your fault. Please try again in a moment."),
    503: ("One moment, please", "We cannot answer just now. Please try again in half a minute."),
}


def error_page(status: int, headers: dict[str, str] | None = None) -> HTMLResponse:
    title, lead = _TEXTS.get(status) or (HTTPStatus(status).phrase, "")
    return page(
        "public/error.html",
        status=status,
        headers=NO_STORE | (headers or {}),
        title=title,
        lead=lead,
    )


async def _http_error(_request: Request, error: Exception) -> HTMLResponse:
    assert isinstance(error, HTTPException)
    return error_page(error.status_code, dict(error.headers or {}))


async def _database_away(request: Request, error: Exception) -> HTMLResponse:
    # The first part of the path only: what follows is a token.
    place = request.url.path.split("/")[1]
    logger.error("database away", extra={"page": place, "error": type(error).__name__})
    return error_page(503, {"Retry-After": str(RETRY_AFTER_SECONDS)})


async def _cannot_render(request: Request, error: Exception) -> HTMLResponse:
    logger.error("page not rendered", extra={"page": request.url.path, "error": str(error)})
    return error_page(500)


async def _unexpected(_request: Request, _error: Exception) -> HTMLResponse:
    return error_page(500)


HANDLERS: dict[int | type[Exception], ExceptionHandler] = {
    HTTPException: _http_error,
    **dict.fromkeys(DATABASE_AWAY, _database_away),
    RenderError: _cannot_render,
    Exception: _unexpected,
}
