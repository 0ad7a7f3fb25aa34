"""The mailbox in a browser, and the same as JSON.

What a message contains is foreign: its HTML is shown only in a sandboxed frame without scripts and
without an origin, everything else is escaped.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from email.utils import parseaddr
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import HTTPConnection, Request
from starlette.responses import (
    HTMLResponse,
    JSONResponse,
    PlainTextResponse,
    RedirectResponse,
    Response,
)
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from newsletter.devmail.headers import Letter, read_letter
from newsletter.devmail.one_click import Answer, post_one_click
from newsletter.devmail.store import Kept, Mailbox, Summary
from newsletter.errors import InputError
from newsletter.settings import TEMPLATES

PAGE_LENGTH = 50
LONGEST_PAGE = 500
LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
SCHEMES = ("light", "dark")
VIEWS = ("html", "text", "source", "headers")

_PAGE_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; frame-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
# Images load from anywhere, so that the open pixel does; links open in a window of their own.
_LETTER_POLICY = (
    "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; "
    "img-src http: https: data:; font-src http: https: data:; style-src 'unsafe-inline'; "
    "form-action 'none'; base-uri 'none'; frame-ancestors 'self'"
)
# Where a line of our own may stand without turning the letter into another kind of document.
_OPENINGS = tuple(
    re.compile(rf"<{tag}(?:\s[^>]*)?>", re.IGNORECASE) for tag in ("head", "html", "!doctype")
)
_ASKS_SCHEME = re.compile(r"\(\s*prefers-color-scheme\s*:\s*(light|dark)\s*\)", re.IGNORECASE)
_TAKES_BOTH = re.compile(
    r"(?<![\w-])color-scheme\s*:\s*(?:light\s+dark|dark\s+light)", re.IGNORECASE
)


def create_app(
    mailbox: Mailbox, *, base_url: str, host_names: frozenset[str] = frozenset()
) -> Starlette:
    """`host_names` are answered beside the loopback names; any other Host is refused."""
    pages = _Pages(mailbox, base_url)
    return Starlette(
        routes=[
            Route("/", pages.messages),
            Route("/empty", pages.empty, methods=["POST"]),
            Route("/messages/{id:int}", pages.message),
            Route("/messages/{id:int}/frame", pages.frame),
            Route("/messages/{id:int}/one-click", pages.one_click, methods=["POST"]),
            Route("/api/count", pages.api_count),
            Route("/api/messages", pages.api_messages),
            Route("/api/messages", pages.api_delete, methods=["DELETE"]),
            Route("/api/messages/{id:int}", pages.api_message),
            Route("/api/messages/{id:int}/source", pages.api_source),
            Mount("/static", StaticFiles(directory=Path(__file__).parent / "static")),
        ],
        middleware=[Middleware(_OwnPagesOnly, host_names=LOOPBACK_NAMES | host_names)],
        exception_handlers={HTTPException: pages.mistake},
    )


@dataclass(frozen=True, slots=True)
class _Selection:
    to: str
    before: int | None
    limit: int


class _Pages:
    def __init__(self, mailbox: Mailbox, base_url: str) -> None:
        self._mailbox = mailbox
        self._base_url = base_url
        self._templates = Environment(
            loader=FileSystemLoader(TEMPLATES / "web" / "mailbox"),
            autoescape=True,
            undefined=StrictUndefined,
        )
        self._templates.filters["bytes"] = _readable_bytes
        self._templates.filters["name"] = _name

    async def messages(self, request: Request) -> Response:
        chosen = _selection(request)
        summaries, older = self._page(chosen)
        return self._render(
            "messages.html",
            summaries=summaries,
            to=chosen.to,
            count=self._mailbox.count(),
            is_first=chosen.before is None,
            older_query=urlencode({"to": chosen.to, "before": older}) if older else "",
        )

    async def message(self, request: Request) -> Response:
        kept = self._kept(request)
        return self._render_message(kept, request.query_params.get("view", ""), None, "")

    async def one_click(self, request: Request) -> Response:
        kept = self._kept(request)
        url = read_letter(kept.content).one_click_url
        if url is None:
            raise HTTPException(409, "This message offers no one-click unsubscribe.")
        try:
            answer = await asyncio.to_thread(post_one_click, url, base_url=self._base_url)
        except InputError as error:
            return self._render_message(kept, "headers", None, str(error))
        return self._render_message(kept, "headers", answer, "")

    async def frame(self, request: Request) -> Response:
        html = read_letter(self._kept(request).content).html
        if html is None:
            raise HTTPException(404, "This message has no HTML part.")
        scheme = request.query_params.get("scheme", "")
        page = _framed(_forced(html, scheme) if scheme in SCHEMES else html, scheme)
        return HTMLResponse(
            page.encode("utf-8", "replace"), headers={"Content-Security-Policy": _LETTER_POLICY}
        )

    async def empty(self, request: Request) -> Response:
        self._mailbox.clear()
        return RedirectResponse("/", status_code=303)

    async def api_count(self, request: Request) -> Response:
        return JSONResponse({"received": self._mailbox.count()})

    async def api_messages(self, request: Request) -> Response:
        summaries, older = self._page(_selection(request))
        return JSONResponse(
            {"messages": [_as_json(summary) for summary in summaries], "next_before": older}
        )

    async def api_message(self, request: Request) -> Response:
        kept = self._kept(request)
        letter = read_letter(kept.content)
        return JSONResponse(
            _as_json(kept.summary)
            | {
                "headers": letter.headers,
                "text": letter.text,
                "html": letter.html,
                "attachments": letter.attachments,
            }
        )

    async def api_source(self, request: Request) -> Response:
        kept = self._kept(request)
        name = f"message-{kept.summary.id}.eml"
        return Response(
            kept.content,
            media_type="message/rfc822",
            headers={"Content-Disposition": f'attachment; filename="{name}"'},
        )

    async def api_delete(self, request: Request) -> Response:
        self._mailbox.clear()
        return Response(status_code=204)

    async def mistake(self, request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        detail = error.detail if isinstance(error, HTTPException) else ""
        if request.url.path.startswith("/api/"):
            return JSONResponse({"error": detail}, status_code=status)
        return self._render("mistake.html", status=status, detail=detail)

    def _page(self, chosen: _Selection) -> tuple[list[Summary], int | None]:
        """One page, and where the next one begins if there is one."""
        found = self._mailbox.page(
            before=chosen.before, limit=chosen.limit + 1, recipient=chosen.to
        )
        page = found[: chosen.limit]
        return page, page[-1].id if len(found) > chosen.limit else None

    def _kept(self, request: Request) -> Kept:
        kept = self._mailbox.get(request.path_params["id"])
        if kept is None:
            raise HTTPException(404, "There is no such message; it may have been deleted.")
        return kept

    def _render_message(
        self, kept: Kept, wanted: str, answer: Answer | None, failure: str
    ) -> Response:
        letter = read_letter(kept.content)
        views = [view for view in VIEWS if _has_view(letter, view)]
        return self._render(
            "message.html",
            summary=kept.summary,
            letter=letter,
            source=kept.content.decode("utf-8", "replace").replace("\r\n", "\n"),
            views=views,
            view=wanted if wanted in views else views[0],
            answer=answer,
            failure=failure,
        )

    def _render(self, template: str, /, *, status: int = 200, **values: object) -> Response:
        page = self._templates.get_template(template).render(status=status, **values)
        return HTMLResponse(
            page, status_code=status, headers={"Content-Security-Policy": _PAGE_POLICY}
        )


class _OwnPagesOnly:
    """Refuses foreign host names (DNS rebinding) and changes that another site asked for."""

    def __init__(self, app: ASGIApp, host_names: frozenset[str]) -> None:
        self._app = app
        self._host_names = host_names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        refusal = self._refusal(HTTPConnection(scope), scope["method"])
        if refusal:
            await refusal(scope, receive, send)
            return
        await self._app(scope, receive, _with_safety_headers(send))

    def _refusal(self, request: HTTPConnection, method: str) -> Response | None:
        host = request.headers.get("host", "")
        if _host_name(f"//{host}") not in self._host_names:
            return PlainTextResponse(
                "This mailbox does not answer under that name; see newsletter devmail --help.\n",
                status_code=421,
            )
        origin = request.headers.get("origin")
        if method not in {"GET", "HEAD"} and origin and urlsplit(origin).netloc != host:
            return PlainTextResponse("Another site asked for this change.\n", status_code=403)
        return None


def _host_name(address: str) -> str:
    try:
        return urlsplit(address).hostname or ""
    except ValueError:
        return ""


def _with_safety_headers(send: Send) -> Callable[[Message], Awaitable[None]]:
    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers["X-Content-Type-Options"] = "nosniff"
            headers["Referrer-Policy"] = "same-origin"
            headers["Cache-Control"] = "no-cache"
            headers["Cross-Origin-Resource-Policy"] = "same-origin"
        await send(message)

    return send_with_headers


def _framed(html: str, scheme: str) -> str:
    found = (opening.search(html) for opening in _OPENINGS)
    place = next((match.end() for match in found if match), 0)
    ours = '<base target="_blank">'
    if scheme in SCHEMES:
        ours += f'<meta name="color-scheme" content="{scheme}">'
    return html[:place] + ours + html[place:]


def _forced(html: str, scheme: str) -> str:
    """Not every browser lets a frame's colour scheme differ from the window's, so the letter's
    questions about it are answered in its own text.
    """
    answers = {True: "(min-width: 0)", False: "(max-width: 0)"}
    html = _ASKS_SCHEME.sub(lambda found: answers[found[1].lower() == scheme], html)
    return _TAKES_BOTH.sub(f"color-scheme: {scheme}", html)


def _selection(request: Request) -> _Selection:
    return _Selection(
        to=request.query_params.get("to", "").strip(),
        before=_number(request, "before", None),
        limit=min(_number(request, "limit", PAGE_LENGTH) or PAGE_LENGTH, LONGEST_PAGE),
    )


def _number(request: Request, name: str, default: int | None) -> int | None:
    text = request.query_params.get(name, "")
    if not text:
        return default
    if not (text.isascii() and text.isdecimal() and len(text) <= 18):
        raise HTTPException(400, f"{name} must be a number.")
    return int(text)


def _has_view(letter: Letter, view: str) -> bool:
    match view:
        case "html":
            return letter.html is not None
        case "text":
            return letter.text is not None
        case _:
            return True


def _as_json(summary: Summary) -> dict[str, Any]:
    return asdict(summary) | {"at": summary.at.isoformat()}


def _readable_bytes(size: int) -> str:
    if size < 1_000:
        return f"{size} B"
    return f"{size / 1_000:.1f} kB" if size < 1_000_000 else f"{size / 1_000_000:.1f} MB"


def _name(sender: str) -> str:
    """The display name where there is one."""
    name, address = parseaddr(sender)
    return name or address or sender
