"""One request of the API: what its key allows, the transaction it writes in, and its answer."""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Annotated, Any

from fastapi import Depends, Header
from fastapi.security import HTTPBearer, SecurityScopes
from pydantic import BaseModel
from sqlalchemy.orm import Session
from starlette.requests import Request
from starlette.responses import Response

from newsletter.accounts.acting import act_as
from newsletter.accounts.answers import (
    Repeatable,
    begin_once,
    find_answer,
    keep_answer,
)
from newsletter.accounts.sessions import identity_of
from newsletter.audience.history import Origin
from newsletter.audience.lists import all_lists
from newsletter.clock import utc_now
from newsletter.db import reading, transaction
from newsletter.errors import NotFoundError
from newsletter.models import Account, ApiAnswer, ChangeCause, MailingList
from newsletter.web.api.body import body_of
from newsletter.web.api.guard import Caller, caller_of
from newsletter.web.api.problems import NOT_HERE, RefusedError
from newsletter.web.deps import Deps, deps_of

_BEARER = HTTPBearer(
    auto_error=False,
    scheme_name="apiKey",
    bearerFormat="nlk_…",
    description="An API key; an admin makes one with `newsletter api-key create`. "
    "The scopes that an operation needs stand beside it.",
)

IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        pattern=r"^[\x21-\x7e]+$",
        description="Any text of your own, another one for each write. Whoever sends the same "
        "request with it again within a day is answered as before, and nothing happens twice.",
    ),
]
IfMatch = Annotated[
    str | None,
    Header(
        alias="If-Match",
        max_length=200,
        pattern=r"^[\x21-\x7e ]+$",
        description="The ETag of what you read: if somebody changed it since, nothing is done (412).",
    ),
]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a write is answered; `subscriber_id`: whom the answer tells of."""

    content: BaseModel | None = None
    status: int = 200
    location: str | None = None
    subscriber_id: int | None = None


class Call:
    def __init__(
        self,
        deps: Deps,
        caller: Caller,
        *,
        root: str = "",
        repeatable: Callable[[], Repeatable] | None = None,
        if_match: str | None = None,
    ) -> None:
        """`repeatable` is called when there is something to write: by then the body is read."""
        self.engine = deps.engine
        self.settings = deps.settings
        self.caller = caller
        self.root = root
        """Where the API is mounted."""
        self._repeatable = repeatable
        self._if_match = if_match
        self.now: datetime = utc_now()

    @property
    def origin(self) -> Origin:
        return Origin(ChangeCause.API, self.by, self.caller.prefix)

    @property
    def by(self) -> str:
        return f"API key {self.caller.name}"

    @contextmanager
    def reading(self) -> Iterator[Session]:
        with reading(self.engine) as session:
            yield session

    def write(self, work: Callable[[Session], Outcome]) -> Response:
        """Do `work` and remember its answer in one transaction, or give the remembered answer."""
        with transaction(self.engine) as session:
            if self.caller.account_id is not None:
                account = session.get_one(Account, self.caller.account_id)
                act_as(session, identity_of(session, account))
            if self._repeatable is None:
                return _response(work(session))
            write = self._repeatable()
            before = begin_once(session, write, now=self.now)
            if before is not None:
                return _again(before, write)
            outcome = work(session)
            _keep(session, write, outcome)
            return _response(outcome)

    def write_in_steps(
        self, work: Callable[[], Outcome], *, take_back: Callable[[Outcome], None] | None = None
    ) -> Response:
        """For what commits on its own, and is remembered afterwards. Of two that are sent at once
        the second is refused by what it is about, or else taken back.
        """
        if self._repeatable is None:
            return _response(work())
        write = self._repeatable()
        with reading(self.engine) as session:
            before = find_answer(session, write)
        if before is not None:
            return _again(before, write)
        outcome = work()
        with transaction(self.engine) as session:
            first = begin_once(session, write, now=self.now)
            if first is None:
                _keep(session, write, outcome)
                return _response(outcome)
        if take_back is not None:
            take_back(outcome)
        return _again(first, write)

    def require_every_list(self) -> None:
        """Raises `RefusedError` for a key that is for certain lists."""
        if self.caller.list_ids is not None:
            raise RefusedError(403, "This key is for certain lists, and that is about all of them.")

    def may_see(self, list_id: int) -> bool:
        return self.caller.list_ids is None or list_id in self.caller.list_ids

    def lists(self, session: Session) -> list[MailingList]:
        """Those that the key is for, by slug."""
        return [each for each in all_lists(session) if self.may_see(each.id)]

    def list_called(self, session: Session, slug: str) -> MailingList:
        """Raises `NotFoundError`, alike for a list that is not there and one that must not be seen."""
        for each in self.lists(session):
            if each.slug == slug:
                return each
        raise NotFoundError(NOT_HERE)

    def require_unchanged(self, content: BaseModel) -> None:
        """`content` is what is there, and locked. Raises `RefusedError` if the caller has read another."""
        if self._if_match is None or self._if_match.strip() == "*":
            return
        known = {each.strip() for each in self._if_match.split(",")}
        if etag(_json(content)) not in known:
            raise RefusedError(412, "It was changed since you read it. Read it again.")


def may_read(
    request: Request,
    scopes: SecurityScopes,
    _key: Annotated[object, Depends(_BEARER)],
) -> Call:
    return Call(deps_of(request), _allowed(request, scopes), root=_root(request))


def may_write(
    request: Request,
    scopes: SecurityScopes,
    _key: Annotated[object, Depends(_BEARER)],
    idempotency_key: IdempotencyKey = None,
) -> Call:
    return may_change(request, scopes, _key, idempotency_key)


def may_change(
    request: Request,
    scopes: SecurityScopes,
    _key: Annotated[object, Depends(_BEARER)],
    idempotency_key: IdempotencyKey = None,
    if_match: IfMatch = None,
) -> Call:
    """As `may_write`, where two who change the same thing could overwrite each other's change."""
    caller = _allowed(request, scopes)
    return Call(
        deps_of(request),
        caller,
        root=_root(request),
        repeatable=_repeatable(request, caller, idempotency_key),
        if_match=if_match,
    )


def one(content: BaseModel) -> Response:
    """The answer to a question for one thing, with the ETag that a later change may name."""
    return _answer(_json(content), status=200, location=None)


def etag(body: bytes) -> str:
    return f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'


def _allowed(request: Request, scopes: SecurityScopes) -> Caller:
    caller = caller_of(request)
    missing = [scope for scope in scopes.scopes if scope not in caller.scopes]
    if missing:
        challenge = f'Bearer error="insufficient_scope", scope="{" ".join(missing)}"'
        raise RefusedError(
            403,
            "This key lacks the scope {missing}.",
            {"WWW-Authenticate": challenge},
            missing=missing[0],
        )
    return caller


def _repeatable(
    request: Request, caller: Caller, key: str | None
) -> Callable[[], Repeatable] | None:
    return partial(_asked, request, caller, key) if key is not None else None


def _asked(request: Request, caller: Caller, key: str) -> Repeatable:
    asked = hashlib.blake2b(key=caller.digest_key, digest_size=32)
    for part in (request.method, request.url.path, request.url.query):
        asked.update(part.encode() + b"\0")
    asked.update(body_of(request))
    return Repeatable(caller.key_id, key, asked.digest())


def _again(before: ApiAnswer, asked: Repeatable) -> Response:
    if before.request_hash != asked.request_hash:
        raise RefusedError(422, "This Idempotency-Key was used for another request already.")
    return _answer(
        before.body,
        status=before.status or 200,
        location=before.location,
        extra={"Idempotency-Replayed": "true"},
    )


def _root(request: Request) -> str:
    root: str = request.scope.get("root_path", "")
    return root


def _keep(session: Session, write: Repeatable, outcome: Outcome) -> None:
    keep_answer(
        session,
        write,
        status=outcome.status,
        body=_json(outcome.content),
        location=outcome.location,
        subscriber_id=outcome.subscriber_id,
    )


def _response(outcome: Outcome) -> Response:
    return _answer(_json(outcome.content), status=outcome.status, location=outcome.location)


def _json(content: BaseModel | None) -> bytes:
    return b"" if content is None else content.model_dump_json().encode()


def _answer(
    body: bytes, *, status: int, location: str | None, extra: Mapping[str, Any] | None = None
) -> Response:
    headers = {"Cache-Control": "no-store", **(extra or {})}
    if location is not None:
        headers["Location"] = location
    if body:
        headers["ETag"] = etag(body)
    return Response(body, status, headers=headers, media_type="application/json" if body else None)
