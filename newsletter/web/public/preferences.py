"""Readers' settings: behind a link that was mailed to them alone, all of them; behind the link that
stands in every edition, and may be passed on with it, none (S-04).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date

from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from newsletter.addresses import mask_address, parse_address
from newsletter.audience.moving import ask_to_move, main_list
from newsletter.audience.preferences import (
    Wishes,
    leave_everything,
    preferences_of,
    save_preferences,
)
from newsletter.audience.signup import Form, request_link
from newsletter.audience.subscribers import SubscriberFields
from newsletter.audience.zones import zone_choices
from newsletter.clock import utc_now
from newsletter.db import reading, transaction
from newsletter.errors import AddressError, InputError, NotFoundError, StateError, TokenError
from newsletter.models import MailingList, Subscriber, Subscription, SystemMailKind
from newsletter.outbox import post
from newsletter.tokens import PersonRef, Purpose, SubscriptionRef
from newsletter.web.client import visit_of
from newsletter.web.deps import Deps, deps_of
from newsletter.web.forms import read_form
from newsletter.web.pages import page
from newsletter.web.public.dress import Sender, sender_of
from newsletter.web.public.notice import HEADERS, busy, notice
from newsletter.web.public.person import (
    Owner,
    browsers_words,
    links_of,
    owner_of,
    read_ref,
    too_old,
)
from newsletter.web.public.preference_words import (
    PreferenceWords,
    all_languages,
    preference_words,
)
from newsletter.web.public.unsubscribe import OUR_FIELD, leave_by_page, say_test

PATH = "/p"
MOST_FIELDS = 1_000
"""Two for each section of each list."""
_Note = Callable[[PreferenceWords], str]
"""What the page says about what was done, in words that may have changed by it."""
SHOWN, LIST, SECTION = "shown:", "list:", "section:"


@dataclass(frozen=True, slots=True)
class _Tie:
    """What an edition's link may show: a list, and half of an address."""

    words: PreferenceWords
    sender: Sender
    address: str

    @property
    def masked_address(self) -> str:
        return mask_address(self.address)


async def of_edition(request: Request) -> Response:
    """The page of the link that stands in every mail: it mails another link, or leaves the list."""
    deps = deps_of(request)
    try:
        ref = deps.tokens.read_preferences(request.path_params["token"])
    except TokenError as error:
        raise HTTPException(404) from error
    if ref.is_test:
        return await run_in_threadpool(say_test, deps.engine, ref)
    if request.method != "POST":
        return await run_in_threadpool(_show_tie, deps, ref)
    form = await read_form(request)
    if OUR_FIELD in form:
        return await run_in_threadpool(leave_by_page, deps, ref)
    if "link" in form:
        return await run_in_threadpool(_mail_link, request, deps, ref)
    return await run_in_threadpool(_show_tie, deps, ref, 400)


async def settings(request: Request) -> Response:
    """The page of the link that was mailed to its reader."""
    deps, ref = deps_of(request), read_ref(request, Purpose.SETTINGS)
    browsers = browsers_words(request)
    if request.method != "POST":
        return await run_in_threadpool(_show, deps, ref, browsers)
    form = await read_form(request, most_fields=MOST_FIELDS)
    return await run_in_threadpool(_act, deps, ref, form, browsers)


def _show_tie(deps: Deps, ref: SubscriptionRef, status: int = 200) -> Response:
    with reading(deps.engine) as session:
        tie = _tie(session, ref)
    return page(
        "public/preferences_mail.html",
        status=status,
        headers=HEADERS,
        words=tie.words,
        sender=tie.sender,
        address=tie.masked_address,
        leave=OUR_FIELD,
    )


def _mail_link(request: Request, deps: Deps, ref: SubscriptionRef) -> Response:
    """As with the form for strangers: a worker decides whether the address was mailed enough."""
    visit = visit_of(request, deps.settings.trusted_proxies)
    with reading(deps.engine) as session:
        tie = _tie(session, ref)
    words = tie.words
    if not deps.signup_limits.admits(PATH, visit.ip):
        return busy(words, sender=tie.sender)
    asked = Form(
        address=parse_address(tie.address),
        lists=(),
        language=words.tag,
        zone="",
        wording="",
        url=f"{deps.settings.base_url}{PATH}",
        visit=visit,
    )
    with transaction(deps.engine) as session:
        request_link(session, asked, now=utc_now())
    lead = words.link_sent_lead.format(address=tie.masked_address)
    return notice(words, words.link_sent, lead, sender=tie.sender)


def _tie(session: Session, ref: SubscriptionRef) -> _Tie:
    """Raises `HTTPException` 404 when it is no more."""
    person = session.get(Subscriber, ref.subscriber_id)
    mailing_list = session.get(MailingList, ref.list_id)
    is_tied = session.get(Subscription, (ref.list_id, ref.subscriber_id)) is not None
    if person is None or mailing_list is None or not is_tied:
        raise HTTPException(404)
    words = preference_words(person.language, mailing_list.language)
    return _Tie(words, sender_of(mailing_list), person.address)


def _show(deps: Deps, ref: PersonRef, browsers: PreferenceWords) -> Response:
    with reading(deps.engine) as session:
        owner = owner_of(session, ref)
        return too_old(browsers) if owner is None else _page(session, owner)


def _act(
    deps: Deps, ref: PersonRef, form: Mapping[str, str], browsers: PreferenceWords
) -> Response:
    try:
        with transaction(deps.engine) as session:
            owner = owner_of(session, ref)
            if owner is None:
                return too_old(browsers)
            note = _do(session, deps, owner, form)
            # In the words of the language that was chosen just now.
            renewed = owner_of(session, ref) or owner
            return _page(session, renewed, note=note(renewed.words))
    except (InputError, StateError, NotFoundError) as error:
        with reading(deps.engine) as session:
            owner = owner_of(session, ref)
            if owner is None:
                return too_old(browsers)
            return _page(session, owner, mistake=_mistake(owner.words, error), status=400)


def _do(session: Session, deps: Deps, owner: Owner, form: Mapping[str, str]) -> _Note:
    """Raises `InputError` and `StateError` when it cannot be done; nothing is changed then."""
    now, person = utc_now(), owner.person
    if "save" in form:
        save_preferences(session, person.id, _wishes(form, now.date()), now=now)
        return lambda words: words.saved
    if "move" in form:
        address = parse_address(form.get("address", ""))
        ask_to_move(session, person, address, links=links_of(deps), now=now)
        return lambda words: words.move_asked
    if "data" in form:
        _post(session, deps, owner, SystemMailKind.MY_DATA)
        return lambda words: words.data_asked
    if "erase" in form:
        _post(session, deps, owner, SystemMailKind.ERASE_ME)
        return lambda words: words.erase_asked
    if "leave-all" in form:
        leave_everything(session, person.id, now=now)
        return lambda words: words.left_all
    return lambda _words: ""


def _mistake(words: PreferenceWords, error: Exception) -> str:
    """In the reader's words: what the audience says is for admins, and in English."""
    if isinstance(error, AddressError):
        return words.wrong_address
    field = error.field if isinstance(error, InputError) else None
    return {
        "language": words.wrong_language,
        "zone": words.wrong_zone,
        "delivery time": words.wrong_hour,
        "break until": words.wrong_pause,
    }.get(field or "", words.changed_since)


def _post(session: Session, deps: Deps, owner: Owner, kind: SystemMailKind) -> None:
    """Once an hour, however often the button is pressed."""
    now, links = utc_now(), links_of(deps)
    link = {SystemMailKind.MY_DATA: links.data, SystemMailKind.ERASE_ME: links.erase}[kind]
    mailing_list = main_list(session, owner.person)
    post(
        session,
        kind,
        to=parse_address(owner.person.address),
        data={
            "language": owner.words.tag,
            "url": link(owner.person, now=now),
            "postal_address": mailing_list.postal_address if mailing_list else "",
        },
        list_id=mailing_list.id if mailing_list else None,
        dedupe=f"{kind.value} {owner.person.id} {now:%Y-%m-%d %H}",
        now=now,
    )


def _wishes(form: Mapping[str, str], today: date) -> Wishes:
    """Of what the page showed; whatever came to be since then is as it was."""
    shown = [name.removeprefix(SHOWN) for name in form if name.startswith(SHOWN)]
    fields: SubscriberFields = {}
    if "language" in form:
        fields["language"] = form["language"]
    if "zone" in form:
        fields["zone"] = form["zone"]
    if "hour" in form:
        fields["delivery_time"] = form["hour"][:5]
    if "pause" in form:
        fields["break_until"] = form["pause"] if form["pause"] > today.isoformat() else ""
    sections: dict[str, dict[str, bool]] = {}
    for slug, _, key in (name.partition(":") for name in shown):
        if key:
            sections.setdefault(slug, {})[key] = f"{SECTION}{slug}:{key}" in form
    lists = {name: f"{LIST}{name}" in form for name in shown if ":" not in name}
    return Wishes(fields, lists, sections)


def _page(
    session: Session, owner: Owner, *, note: str = "", mistake: str = "", status: int = 200
) -> Response:
    preferences = preferences_of(session, owner.person.id)
    fields = preferences.fields
    today = utc_now().date().isoformat()
    pause = fields.get("break until", "")
    zone = fields.get("zone", "")
    zones = zone_choices()
    return page(
        "public/preferences.html",
        status=status,
        headers=HEADERS,
        words=owner.words,
        sender=owner.sender,
        address=owner.masked_address,
        note=note,
        mistake=mistake,
        lists=preferences.lists,
        language=owner.words.tag if fields.get("language") else "",
        languages=all_languages(),
        zone=zone,
        zones=zones if zone in zones or not zone else (zone, *zones),
        hour=fields.get("delivery time", ""),
        pause=pause if pause > today else "",
        today=today,
    )
