"""The form by which readers ask for the link to their subscriptions; the answer tells nobody apart."""

from collections.abc import Mapping

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from newsletter.audience.signup import Form, request_link
from newsletter.clock import utc_now
from newsletter.db import transaction
from newsletter.web.client import visit_of
from newsletter.web.deps import Deps, deps_of
from newsletter.web.forms import read_form
from newsletter.web.pages import page
from newsletter.web.public.dress import OURS
from newsletter.web.public.notice import busy, notice
from newsletter.web.public.signup_form import HEADERS, Filled, empty_form, read_filled
from newsletter.web.public.signup_words import SignupWords, all_words, words_of_request

PATH = "/link"


async def send_link(request: Request) -> Response:
    deps, words = deps_of(request), words_of_request(request)
    if request.method != "POST":
        return _form(words, empty_form(deps.tokens, now=utc_now()))
    form = await read_form(request)
    return await run_in_threadpool(_take, request, deps, words, form)


def _take(request: Request, deps: Deps, words: SignupWords, form: Mapping[str, str]) -> Response:
    now = utc_now()
    filled = read_filled(deps.tokens, form, now=now)
    if filled.is_trapped:
        return _sent(words)
    if filled.address is None:
        return _form(words, filled, address_mistake=words.wrong_address)
    if not filled.is_ripe:
        return _form(words, filled, note=words.once_more)
    visit = visit_of(request, deps.settings.trusted_proxies)
    if not deps.signup_limits.admits(PATH, visit.ip):
        return busy(words)
    asked = Form(
        address=filled.address,
        lists=(),
        language=words.tag,
        zone="",
        wording="",
        url=f"{deps.settings.base_url}{PATH}",
        visit=visit,
    )
    with transaction(deps.engine) as session:
        request_link(session, asked, now=now)
    return _sent(words)


def _form(
    words: SignupWords, filled: Filled, *, note: str = "", address_mistake: str = ""
) -> Response:
    return page(
        "public/link.html",
        status=400 if address_mistake else 200,
        headers=HEADERS,
        words=words,
        sender=OURS,
        all_words=all_words(),
        filled=filled,
        note=note,
        address_mistake=address_mistake,
    )


def _sent(words: SignupWords) -> Response:
    return notice(words, words.sent, words.link_sent_lead, aside=words.sent_aside)
