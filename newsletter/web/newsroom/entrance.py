"""Stands before every screen: who asks, may they, and did they mean it."""

import logging
import secrets
from collections.abc import Callable
from contextlib import AbstractContextManager
from http import HTTPStatus
from urllib.parse import quote

from sqlalchemy import Engine
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from newsletter.accounts.acting import act_as
from newsletter.accounts.sessions import SignedIn, find_session, is_use_due, note_use
from newsletter.clock import utc_now
from newsletter.db import reading, transaction
from newsletter.errors import (
    ForbiddenError,
    InputError,
    NewsletterError,
    NotFoundError,
    StaleError,
    StateError,
)
from newsletter.web.deps import Deps, deps_of
from newsletter.web.newsroom import cookies, csrf
from newsletter.web.newsroom.forms import Form, read_posted
from newsletter.web.newsroom.pages import said
from newsletter.web.newsroom.screens import LARGEST_FORM, Answers, Screen
from newsletter.web.newsroom.visit import NOT_ALLOWED, Visit
from newsletter.words import Words

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "font-src 'self'; frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "Cache-Control": "no-store",
    # Nothing here carries a token in its address, and forms are known to be ours by it.
    "Referrer-Policy": "same-origin",
}
SIGN_IN = "/sign-in"
CONFIRM = "/account/confirm"
NOT_MEANT = Words(
    "This form is too old, or was sent from somewhere else. Go back, reload the page and try again."
)

_Work = Callable[[Engine], AbstractContextManager[Session]]
_STATUSES: tuple[tuple[type[NewsletterError], int], ...] = (
    (NotFoundError, 404),
    (ForbiddenError, 403),
    (InputError, 422),
    (StateError, 409),
)

logger = logging.getLogger(__name__)


class Entrance:
    """The endpoint of one screen."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen

    async def answer(self, request: Request) -> Response:
        is_write = request.method == "POST"
        answers = self._screen.post if is_write else self._screen.get
        if answers is None:
            raise HTTPException(405, headers={"Allow": self._allowed()})
        form = Form()
        if self._screen.largest_form > LARGEST_FORM:
            # A stranger's gigabyte is not read to its end before it is refused.
            elsewhere = await run_in_threadpool(self._turned_away, request)
            if elsewhere is not None:
                return elsewhere
        if is_write:
            form = await read_posted(request, largest=self._screen.largest_form)
        try:
            return await run_in_threadpool(self._answer, request, form, answers)
        finally:
            for file in form.files.values():
                await file.close()

    def _answer(self, request: Request, form: Form, answers: Answers) -> Response:
        deps = deps_of(request)
        signed_in = _who(request, deps)
        if (elsewhere := self._way_in(request, signed_in)) is not None:
            return elsewhere
        work: _Work = transaction if request.method == "POST" else reading
        try:
            with work(deps.engine) as session:
                visit = _visit(request, deps, session, signed_in, form)
                self._refuse_uninvited(visit)
                response = answers(visit)
        except StaleError:
            return _elsewhere(request, _again_url(request))
        except NewsletterError as error:
            with reading(deps.engine) as session:
                visit = _visit(request, deps, session, signed_in, form)
                response = _mistake(visit, error)
        return _finished(response, visit)

    def _turned_away(self, request: Request) -> Response | None:
        return self._way_in(request, _who(request, deps_of(request)))

    def _way_in(self, request: Request, signed_in: SignedIn | None) -> Response | None:
        """Where somebody must go first; None for who may be here."""
        if self._screen.is_open:
            return None
        if signed_in is None:
            return _elsewhere(request, _sign_in_url(request))
        if signed_in.way is not None and not self._screen.is_unfinished:
            return _elsewhere(request, signed_in.way)
        return None

    def _refuse_uninvited(self, visit: Visit) -> None:
        role = self._screen.role
        if role is not None and not visit.identity.role.includes(role):
            raise ForbiddenError(NOT_ALLOWED)
        if visit.request.method == "POST":
            shown = visit.form.get(csrf.FIELD) or visit.request.headers.get(csrf.HEADER, "")
            is_ours = csrf.is_from_this_site(visit.request, visit.settings)
            if not is_ours or not csrf.is_right(shown, visit.csrf):
                raise ForbiddenError(NOT_MEANT)

    def _allowed(self) -> str:
        reads = ["GET", "HEAD"] if self._screen.get else []
        return ", ".join([*reads, *(["POST"] if self._screen.post else [])])


def _who(request: Request, deps: Deps) -> SignedIn | None:
    token = cookies.session_token(request, deps.settings)
    if not token:
        return None
    now = utc_now()
    with reading(deps.engine) as session:
        signed_in = find_session(session, token, now=now)
    if signed_in is not None and is_use_due(signed_in, now=now):
        with transaction(deps.engine) as session:
            note_use(session, signed_in.session_id, now=now)
    return signed_in


def _visit(
    request: Request, deps: Deps, session: Session, signed_in: SignedIn | None, form: Form
) -> Visit:
    known = cookies.visitor(request, deps.settings)
    if signed_in is not None:
        act_as(session, signed_in.identity)
    return Visit(
        request=request,
        deps=deps,
        session=session,
        signed_in=signed_in,
        now=utc_now(),
        form=form,
        visitor=known or ("" if request.method == "POST" else secrets.token_urlsafe(16)),
    )


def _finished(response: Response, visit: Visit) -> Response:
    if visit.signed_in is None and visit.visitor != cookies.visitor(visit.request, visit.settings):
        cookies.keep_visitor(response, visit.settings, visit.visitor)
    if visit.new_session is not None:
        token, lasts = visit.new_session
        cookies.keep_session(response, visit.settings, token, lasts=lasts)
    elif visit.ends_session:
        cookies.drop_session(response, visit.settings)
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    return response


def _mistake(visit: Visit, error: NewsletterError) -> Response:
    status = next((status for kind, status in _STATUSES if isinstance(error, kind)), 500)
    if status == 500:
        logger.error("page failed", extra={"error": type(error).__name__, "text": str(error)})
    template = "_mistake.html" if visit.is_part else "mistake.html"
    title = HTTPStatus(status).phrase
    return visit.page(template, status=status, title=title, text=said(error), status_code=status)


def _elsewhere(request: Request, url: str) -> Response:
    if request.headers.get("hx-request") == "true":
        return Response(status_code=401, headers={"HX-Redirect": url, "Cache-Control": "no-store"})
    return RedirectResponse(url, 303, {"Cache-Control": "no-store"})


def _sign_in_url(request: Request) -> str:
    return SIGN_IN if request.method == "POST" else f"{SIGN_IN}?next={_here(request)}"


def _again_url(request: Request) -> str:
    return CONFIRM if request.method == "POST" else f"{CONFIRM}?next={_here(request)}"


def _here(request: Request) -> str:
    query = f"?{request.url.query}" if request.url.query else ""
    return quote(request.url.path + query, safe="")
