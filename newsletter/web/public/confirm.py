"""What the two links in a confirmation mail open: a question with one button each.

Scanners follow links, so only a POST does anything (T-30).
"""

from collections.abc import Callable
from typing import TypeVar

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from newsletter.addresses import mask_address
from newsletter.audience import confirmation
from newsletter.audience.confirmation import Confirmation, Standing
from newsletter.audience.signup_mail import Links
from newsletter.clock import utc_now
from newsletter.db import reading, transaction
from newsletter.errors import TokenError
from newsletter.web.client import visit_of
from newsletter.web.deps import deps_of
from newsletter.web.forms import read_form
from newsletter.web.public.dress import OURS, Sender, sender_of
from newsletter.web.public.notice import ask, notice
from newsletter.web.public.signup_words import SignupWords, words_of_request

T = TypeVar("T")

METHODS = ["GET", "POST"]
YES = "yes"
NEVER = "never"


async def confirm(request: Request) -> Response:
    reference = _read(deps_of(request).tokens.read_confirmation, request)
    if request.method != "POST":
        return await run_in_threadpool(_ask, request, reference)
    if YES not in await read_form(request):
        return await run_in_threadpool(_ask, request, reference, 400)
    return await run_in_threadpool(_confirm, request, reference)


async def refuse(request: Request) -> Response:
    hashed = _read(deps_of(request).tokens.read_refusal, request)
    words = words_of_request(request)
    if request.method == "POST" and NEVER in await read_form(request):
        return await run_in_threadpool(_refuse, request, hashed, words)
    return ask(
        words,
        words.refuse_title,
        words.refuse_lead,
        field=NEVER,
        button=words.refuse_button,
        status=400 if request.method == "POST" else 200,
    )


def _read(reader: Callable[[str], T], request: Request) -> T:
    try:
        return reader(request.path_params["token"])
    except TokenError as error:
        raise HTTPException(404) from error


def _ask(request: Request, reference: str, status: int = 200) -> Response:
    with reading(deps_of(request).engine) as session:
        found = confirmation.look_at(session, reference, now=utc_now())
    words = words_of_request(request, house=found.language)
    if found.standing is not Standing.OPEN:
        return _ended(words, found.standing)
    return ask(
        words,
        words.confirm_title.format(lists=words.names(found.lists)),
        words.confirm_lead.format(address=mask_address(found.address)),
        field=YES,
        button=words.confirm_button,
        sender=_sender(found),
        status=status,
    )


def _confirm(request: Request, reference: str) -> Response:
    deps = deps_of(request)
    with transaction(deps.engine) as session:
        done = confirmation.confirm(
            session,
            reference,
            visit=visit_of(request, deps.settings.trusted_proxies),
            links=Links(deps.settings.base_url, deps.settings.mail_domain, deps.tokens),
            now=utc_now(),
        )
    words = words_of_request(request, house=done.language)
    if done.standing is not Standing.OPEN:
        return _ended(words, done.standing)
    lead = words.confirmed_lead.format(
        address=mask_address(done.address), lists=words.names(done.lists)
    )
    return notice(words, words.confirmed, lead, sender=_sender(done), is_done=True)


def _refuse(request: Request, hashed: bytes, words: SignupWords) -> Response:
    with transaction(deps_of(request).engine) as session:
        confirmation.refuse(session, hashed, now=utc_now())
    return notice(words, words.refused, words.refused_lead, is_done=True)


def _ended(words: SignupWords, standing: Standing) -> Response:
    if standing is Standing.USED:
        return notice(words, words.used, words.used_lead)
    return notice(words, words.gone, words.gone_lead, status=410)


def _sender(found: Confirmation) -> Sender:
    return sender_of(found.lists[0]) if len(found.lists) == 1 else OURS
