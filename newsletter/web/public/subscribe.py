"""The forms by which strangers subscribe, and their answer, which is the same for everybody.

Who the address belongs to is looked at later, by a worker: a page cannot tell what it does not know.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Engine
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from newsletter.audience.signup import Form, lists_open_to_all, request_signup
from newsletter.clock import utc_now
from newsletter.db import reading, transaction
from newsletter.models import MailingList
from newsletter.web.client import preferred_languages, visit_of
from newsletter.web.deps import Deps, deps_of
from newsletter.web.forms import read_form
from newsletter.web.pages import page
from newsletter.web.public.dress import OURS, Sender, sender_of
from newsletter.web.public.notice import busy, notice
from newsletter.web.public.signup_form import HEADERS, Filled, empty_form, read_filled
from newsletter.web.public.signup_words import SignupWords, all_words, words_of_request

LIST_FIELD = "list-"
ALL_LISTS = "/s"


@dataclass(frozen=True, slots=True)
class _Offer:
    """One form: `single` is its list, None where the reader chooses among several."""

    words: SignupWords
    lists: Sequence[MailingList]
    single: MailingList | None
    language: str
    is_chosen: bool
    """Whether the reader chose the language on the page: then the browser guesses none."""

    @property
    def path(self) -> str:
        return f"{ALL_LISTS}/{self.single.slug}" if self.single else ALL_LISTS

    @property
    def sender(self) -> Sender:
        return sender_of(self.single) if self.single else OURS

    def chosen(self, slugs: Collection[str]) -> list[MailingList]:
        return [each for each in self.lists if self.single or each.slug in slugs]


async def subscribe(request: Request) -> Response:
    return await _serve(request, request.path_params["slug"])


async def subscribe_to_several(request: Request) -> Response:
    return await _serve(request, None)


async def _serve(request: Request, slug: str | None) -> Response:
    deps = deps_of(request)
    offer = await run_in_threadpool(_offer, request, deps.engine, slug)
    if request.method != "POST":
        return _form(offer, empty_form(deps.tokens, now=utc_now()))
    form = await read_form(request)
    return await run_in_threadpool(_take, request, deps, offer, form)


def _offer(request: Request, engine: Engine, slug: str | None) -> _Offer:
    """Raises `HTTPException` 404 for a list that is private, retired or none, all alike."""
    with reading(engine) as session:
        lists = lists_open_to_all(session)
    single = next((each for each in lists if each.slug == slug), None)
    if slug is not None and single is None:
        raise HTTPException(404)
    words = words_of_request(request, house=single.language if single else None)
    is_chosen = "lang" in request.query_params
    preferred = [] if is_chosen else preferred_languages(request)
    return _Offer(
        words=words,
        lists=[single] if single else lists,
        single=single,
        language=next(iter(preferred), words.tag),
        is_chosen=is_chosen,
    )


def _take(request: Request, deps: Deps, offer: _Offer, form: Mapping[str, str]) -> Response:
    now = utc_now()
    filled = read_filled(deps.tokens, form, now=now)
    slugs = {name.removeprefix(LIST_FIELD) for name in form if name.startswith(LIST_FIELD)}
    words = offer.words
    if filled.is_trapped:
        return _sent(offer)
    if filled.address is None:
        return _form(offer, filled, ticked=slugs, address_mistake=words.wrong_address)
    if offer.single is None and not slugs:
        return _form(offer, filled, choice_mistake=words.nothing_chosen)
    if not filled.is_ripe:
        return _form(offer, filled, ticked=slugs, note=words.once_more)
    visit = visit_of(request, deps.settings.trusted_proxies)
    if not deps.signup_limits.admits(offer.path, visit.ip):
        return busy(words, sender=offer.sender)
    chosen = offer.chosen(slugs)
    if chosen:  # what a stranger may not join is left out, and nobody is told
        asked = Form(
            address=filled.address,
            lists=chosen,
            language=form.get("language", ""),
            zone=form.get("zone", ""),
            wording=words.wording(chosen),
            url=f"{deps.settings.base_url}{offer.path}",
            visit=visit,
        )
        with transaction(deps.engine) as session:
            request_signup(session, asked, now=now)
    return _sent(offer)


def _form(
    offer: _Offer,
    filled: Filled,
    *,
    ticked: Collection[str] = (),
    note: str = "",
    address_mistake: str = "",
    choice_mistake: str = "",
) -> Response:
    words = offer.words
    single = offer.single
    return page(
        "public/subscribe.html",
        status=400 if address_mistake or choice_mistake else 200,
        headers=HEADERS,
        words=words,
        all_words=all_words(),
        title=words.form_title.format(list=single.name) if single else words.forms_title,
        sender=offer.sender,
        lists=offer.lists,
        single=single,
        filled=filled,
        ticked=ticked,
        note=note,
        address_mistake=address_mistake,
        choice_mistake=choice_mistake,
        reader_language=offer.language,
        is_chosen=offer.is_chosen,
    )


def _sent(offer: _Offer) -> Response:
    words = offer.words
    return notice(words, words.sent, words.sent_lead, sender=offer.sender, aside=words.sent_aside)
