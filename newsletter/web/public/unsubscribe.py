"""Leaving a list: one click in the mail program (RFC 8058), or one button on this page.

A POST is answered once the database has it, never with a redirect and never with a cookie. Looking
at the page changes nothing, since scanners look too.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Engine, select
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from newsletter.addresses import mask_address
from newsletter.clock import utc_now
from newsletter.db import reading, transaction
from newsletter.errors import TokenError
from newsletter.models import MailingList, Subscriber, Subscription
from newsletter.tokens import SubscriptionRef
from newsletter.track import unsubscribes
from newsletter.web.deps import DATABASE_AWAY, Deps, deps_of
from newsletter.web.forms import read_form
from newsletter.web.pages import NO_STORE, page
from newsletter.web.public.words import PageWords, page_words

METHODS = ["GET", "POST", "OPTIONS"]
OUR_FIELD = "leave"


@dataclass(frozen=True, slots=True)
class _Subscription:
    words: PageWords
    list_name: str
    masked_address: str


async def unsubscribe(request: Request) -> Response:
    deps = deps_of(request)
    try:
        ref = deps.tokens.read_unsubscribe(request.path_params["token"])
    except TokenError as error:
        raise HTTPException(404) from error
    if ref.is_test:
        return await run_in_threadpool(_say_test, deps.engine, ref)
    if request.method != "POST":
        return await run_in_threadpool(_ask, deps.engine, ref)
    form = await read_form(request)
    return await run_in_threadpool(_answer, deps, ref, form)


def _ask(engine: Engine, ref: SubscriptionRef, status: int = 200) -> Response:
    return _page("public/unsubscribe.html", _find(engine, ref), status)


def _answer(deps: Deps, ref: SubscriptionRef, form: Mapping[str, str]) -> Response:
    if form.get("List-Unsubscribe") == "One-Click":
        _leave(deps, ref, "one-click")
        return PlainTextResponse("You are unsubscribed.\n", headers=NO_STORE)
    if OUR_FIELD in form:
        _leave(deps, ref, "page")
        return _page("public/unsubscribed.html", _find(deps.engine, ref))
    return _ask(deps.engine, ref, status=400)


def _say_test(engine: Engine, ref: SubscriptionRef) -> Response:
    """A test mail's link belongs to nobody: it shows that it works, and changes nothing."""
    with reading(engine) as session:
        mailing_list = session.get(MailingList, ref.list_id)
    if mailing_list is None:
        raise HTTPException(404)
    return page(
        "public/test_mail.html",
        headers=NO_STORE | {"X-Robots-Tag": "noindex"},
        words=page_words(None, mailing_list.language),
        list_name=mailing_list.name,
    )


def _leave(deps: Deps, ref: SubscriptionRef, how: str) -> None:
    """A database that is away is the error to be answered; the request is kept all the same."""
    at = utc_now()
    try:
        with transaction(deps.engine) as session:
            unsubscribes.unsubscribe(session, ref, at=at, how=how)
    except DATABASE_AWAY:
        deps.spool.keep(ref, at=at, how=how)
        raise


def _find(engine: Engine, ref: SubscriptionRef) -> _Subscription:
    """Raises `HTTPException` 404 for a person or a list that is no more, like for a forged link."""
    with reading(engine) as session:
        row = session.execute(
            select(Subscriber.address, Subscriber.language, MailingList.name, MailingList.language)
            .join(Subscription, Subscription.subscriber_id == Subscriber.id)
            .join(MailingList, MailingList.id == Subscription.list_id)
            .where(
                Subscription.list_id == ref.list_id,
                Subscription.subscriber_id == ref.subscriber_id,
            )
        ).one_or_none()
    if row is None:
        raise HTTPException(404)
    address, language, list_name, list_language = row
    return _Subscription(page_words(language, list_language), list_name, mask_address(address))


def _page(template: str, subscription: _Subscription, status: int = 200) -> Response:
    return page(
        template,
        status=status,
        headers=NO_STORE | {"X-Robots-Tag": "noindex"},
        words=subscription.words,
        list_name=subscription.list_name,
        address=subscription.masked_address,
        field=OUR_FIELD,
    )
