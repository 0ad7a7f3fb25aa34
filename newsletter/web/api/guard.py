"""Lets nobody in without an API key, and nobody too often."""

import hashlib
from dataclasses import dataclass

from fastapi.security.utils import get_authorization_scheme_param
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from newsletter.accounts.api_keys import find_api_key, is_use_due, note_use
from newsletter.clock import utc_now
from newsletter.db import reading, transaction
from newsletter.web.api.problems import RefusedError, away, problem
from newsletter.web.api.rate import RETRY_SECONDS, KeyRate
from newsletter.web.deps import DATABASE_AWAY, Deps
from newsletter.words import Words

DOCUMENT = "/openapi.json"
_CALLER = "newsletter.caller"
_NO_KEY = Words("Send an API key that is valid still, as: Authorization: Bearer nlk_…")
_TOO_OFTEN = Words("This key asks too often. Try again in a moment.")


@dataclass(frozen=True, slots=True)
class Caller:
    """Whose request it is, and what their key is for."""

    key_id: int
    prefix: str
    name: str
    made_by: str
    """Who made the key."""
    account_id: int | None
    """Theirs; None: it was made on the command line."""
    scopes: frozenset[str]
    list_ids: frozenset[int] | None
    """None: every list."""
    digest_key: bytes
    """Keys the hashes of their requests; nobody has it but who has the API key."""


def caller_of(request: Request) -> Caller:
    caller: Caller = request.scope[_CALLER]
    return caller


class Guard:
    """Stands before the whole API, so that without a key there is nothing to be learned of it."""

    def __init__(self, app: ASGIApp, deps: Deps) -> None:
        self._app = app
        self._engine = deps.engine
        self._rate = KeyRate(
            deps.settings.redis_url, per_minute=deps.settings.api_requests_per_minute
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        request = Request(scope)
        if request.url.path == scope.get("root_path", "") + DOCUMENT:
            await self._app(scope, receive, send)
            return
        try:
            scope[_CALLER] = await run_in_threadpool(self._admit, request)
        except RefusedError as error:
            await problem(error.status, str(error), headers=error.headers)(scope, receive, send)
        except DATABASE_AWAY:
            await away()(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _admit(self, request: Request) -> Caller:
        scheme, token = get_authorization_scheme_param(request.headers.get("authorization"))
        caller = self._caller(token) if scheme.lower() == "bearer" else None
        if caller is None:
            raise RefusedError(401, _NO_KEY, {"WWW-Authenticate": "Bearer"})
        if not self._rate.admits(caller.key_id):
            raise RefusedError(429, _TOO_OFTEN, {"Retry-After": str(RETRY_SECONDS)})
        return caller

    def _caller(self, token: str) -> Caller | None:
        now = utc_now()
        with reading(self._engine) as session:
            row = find_api_key(session, token, now=now)
        if row is None:
            return None
        if is_use_due(row, now=now):
            with transaction(self._engine) as session:
                note_use(session, row.id, now=now)
        return Caller(
            key_id=row.id,
            prefix=row.prefix,
            name=row.name,
            made_by=row.created_by,
            account_id=row.created_by_account,
            scopes=frozenset(row.scopes),
            list_ids=frozenset(row.list_ids) if row.is_narrowed else None,
            digest_key=hashlib.sha256(b"request:" + token.encode()).digest(),
        )
