"""Leaving a list: one click in the mail program (RFC 8058), or one button on this page.

A POST is answered once the database has it, never with a redirect and never with a cookie. Looking
at the page changes nothing, since scanners look too.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Engine, select
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from newsletter.addresses import mask_address
from newsletter.audience.preferences import UNDO_LIFETIME
from newsletter.clock import utc_now
from newsletter.db import reading, transaction
from newsletter.errors import TokenError
from newsletter.models import MailingList, Subscriber, Subscription, SubscriptionStatus
from newsletter.tokens import SubscriptionRef, UndoRef
from newsletter.track import unsubscribes
from newsletter.web.deps import DATABASE_AWAY, Deps, deps_of
from newsletter.web.forms import read_form
from newsletter.web.pages import NO_STORE, page
from newsletter.web.public import leaving
from newsletter.web.public.dress import Sender, sender_of
from newsletter.web.public.preference_words import PreferenceWords, preference_words
from newsletter.web.public.words import PageWords, page_words

METHODS = ["GET", "POST", "OPTIONS"]
OUR_FIELD = "leave"


@dataclass(frozen=True, slots=True)
class _Subscription:
    words: PageWords
    preferences: PreferenceWords
    sender: Sender
    masked_address: str


async def unsubscribe(request: Request) -> Response:
    deps = deps_of(request)
    try:
        ref = deps.tokens.read_unsubscribe(request.path_params["token"])
    except TokenError as error:
        raise HTTPException(404) from error
    if ref.is_test:
        return await run_in_threadpool(say_test, deps.engine, ref)
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
        return leave_by_page(deps, ref)
    if leaving.FIELD in form:
        return _answer_after(deps, ref, form)
    return _ask(deps.engine, ref, status=400)


def leave_by_page(deps: Deps, ref: SubscriptionRef) -> Response:
    """The page says how to take it back, and asks why: to whoever left just now, and nobody else."""
    left_at = _leave(deps, ref, "page")
    subscription = _find(deps.engine, ref)
    undo = UndoRef(ref.list_id, ref.subscriber_id, left_at)
    return leaving.show_left(
        deps,
        undo,
        subscription.preferences,
        title=subscription.words.done,
        lead=subscription.words.done_lead.format(
            address=subscription.masked_address, list=subscription.sender.name
        ),
        sender=subscription.sender,
        settings_path=f"/p/{deps.tokens.preferences(ref)}",
    )


def _answer_after(deps: Deps, ref: SubscriptionRef, form: Mapping[str, str]) -> Response:
    subscription = _find(deps.engine, ref)
    return leaving.answer(
        deps,
        ref,
        form,
        subscription.preferences,
        address=subscription.masked_address,
        sender=subscription.sender,
    )


def say_test(engine: Engine, ref: SubscriptionRef) -> Response:
    """A test mail's link belongs to nobody: it shows that it works, and changes nothing."""
    with reading(engine) as session:
        mailing_list = session.get(MailingList, ref.list_id)
    if mailing_list is None:
        raise HTTPException(404)
    return page(
        "public/test_mail.html",
        headers=NO_STORE | {"X-Robots-Tag": "noindex"},
        words=page_words(None, mailing_list.language),
        sender=sender_of(mailing_list),
    )


def _leave(deps: Deps, ref: SubscriptionRef, how: str) -> datetime:
    """When that was; of somebody who was not subscribed, a time that is no leaving's.

    A database that is away is the error to be answered; the request is kept all the same.
    """
    at = utc_now()
    try:
        with transaction(deps.engine) as session:
            before = session.get(Subscription, (ref.list_id, ref.subscriber_id))
            was_on = before is not None and before.status is SubscriptionStatus.CONFIRMED
            unsubscribes.unsubscribe(session, ref, at=at, how=how)
    except DATABASE_AWAY:
        deps.spool.keep(ref, at=at, how=how)
        raise
    return at if was_on else at - UNDO_LIFETIME


def _find(engine: Engine, ref: SubscriptionRef) -> _Subscription:
    """Raises `HTTPException` 404 for a person or a list that is no more, like for a forged link."""
    with reading(engine) as session:
        row = session.execute(
            select(Subscriber.address, Subscriber.language, MailingList)
            .join(Subscription, Subscription.subscriber_id == Subscriber.id)
            .join(MailingList, MailingList.id == Subscription.list_id)
            .where(
                Subscription.list_id == ref.list_id,
                Subscription.subscriber_id == ref.subscriber_id,
            )
        ).one_or_none()
    if row is None:
        raise HTTPException(404)
    address, language, mailing_list = row
    return _Subscription(
        page_words(language, mailing_list.language),
        preference_words(language, mailing_list.language),
        sender_of(mailing_list),
        mask_address(address),
    )


def _page(template: str, subscription: _Subscription, status: int = 200) -> Response:
    return page(
        template,
        status=status,
        headers=NO_STORE | {"X-Robots-Tag": "noindex"},
        words=subscription.words,
        sender=subscription.sender,
        address=subscription.masked_address,
        field=OUR_FIELD,
    )
