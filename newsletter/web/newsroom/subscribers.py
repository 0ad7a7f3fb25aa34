"""The office's subscribers: finds them, and adds one."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from sqlalchemy import select
from starlette.responses import Response

from newsletter.accounts.roles import Role
from newsletter.audience.consent import subscribe
from newsletter.audience.fields import refuse
from newsletter.audience.history import Origin
from newsletter.audience.search import Wanted, search_subscribers
from newsletter.audience.subscribers import SubscriberFields, add_subscriber, find_subscriber
from newsletter.errors import InputError, NotFoundError, StateError
from newsletter.models import (
    EVERYWHERE,
    ChangeCause,
    MailingList,
    OptIn,
    Subscriber,
    Subscription,
    SubscriptionStatus,
    Suppression,
)
from newsletter.web.newsroom.edits import mistakes, typed_in
from newsletter.web.newsroom.pages import said
from newsletter.web.newsroom.screens import Screen
from newsletter.web.newsroom.visit import Visit
from newsletter.words import Words

ON_A_PAGE = 50
NEW = ("address", "name", "list", "consent")
STATES = tuple(status.name.lower() for status in SubscriptionStatus)


@dataclass(frozen=True, slots=True)
class Found:
    person: Subscriber
    memberships: Sequence[tuple[MailingList, SubscriptionStatus]]
    is_suppressed: bool


def index(visit: Visit) -> Response:
    lists = visit.lists(Role.ADMIN)
    wrong, found, next_url = "", [], None
    try:
        page = search_subscribers(
            visit.session, _wanted(visit, lists), after=visit.query("after"), limit=ON_A_PAGE
        )
    except InputError as error:
        wrong = said(error)
    else:
        found = _found(visit, page.people, lists)
        next_url = _url(visit, page.next_after) if page.next_after else None
    return visit.page(
        "office/subscribers.html",
        lists=lists,
        states=STATES,
        found=found,
        next_url=next_url,
        first_url=_url(visit, None) if visit.query("after") else None,
        wrong=wrong,
        asks=any(visit.query(name) for name in ("q", "list", "state")),
        may_import=visit.may(Role.ADMIN, ()),
    )


def new_form(visit: Visit) -> Response:
    return _new_form(visit, {name: visit.query(name) for name in NEW}, {})


def create(visit: Visit) -> Response:
    """Whoever has the address already is not changed by it but for the list."""
    typed = typed_in(visit.form, NEW)
    try:
        with visit.session.begin_nested():
            person, is_new = _person(visit, typed)
            _put_on_list(visit, person, typed)
    except (InputError, StateError) as error:
        wrong = mistakes(error, NEW) if isinstance(error, InputError) else {"": said(error)}
        return _new_form(visit, typed, wrong)
    if is_new:
        visit.audit("subscriber added", f"subscriber {person.id}")
    notice = (
        Words("{address} is there.", address=person.address)
        if is_new
        else Words("{address} was known already.", address=person.address)
    )
    return visit.go(f"/office/subscribers/{person.id}", notice)


def origin_of(visit: Visit) -> Origin:
    return Origin(ChangeCause.ADMIN, visit.by, "office")


def own_lists(visit: Visit) -> frozenset[int] | None:
    """Those that somebody is an admin of; None: of every one."""
    roles = visit.identity.list_roles
    if roles is None:
        return None
    return frozenset(number for number, role in roles.items() if role.includes(Role.ADMIN))


def list_called(visit: Visit, slug: str) -> MailingList:
    """One of theirs. Raises `InputError` alike for another one and for none."""
    found = next((each for each in visit.lists(Role.ADMIN) if each.slug == slug), None)
    if found is None:
        refuse("list", "choose one of your lists")
    return found


def consented(
    visit: Visit, person: Subscriber, mailing_list: MailingList, consent: str
) -> SubscriptionStatus:
    """Put somebody on a list; with `consent`, how they agreed, they are confirmed."""
    is_confirmed = bool(consent) or mailing_list.opt_in is OptIn.SINGLE
    subscription = subscribe(
        visit.session,
        person,
        mailing_list,
        SubscriptionStatus.CONFIRMED if is_confirmed else SubscriptionStatus.PENDING,
        origin=origin_of(visit),
        evidence={"consent": consent} if consent else {},
        now=visit.now,
    )
    visit.audit("subscribed", f"subscriber {person.id}", list=mailing_list.slug)
    return subscription.status


def _wanted(visit: Visit, lists: Collection[MailingList]) -> Wanted:
    slug, state = visit.query("list"), visit.query("state")
    if state and not slug:
        refuse("state", "it is a person's state on a list, so choose the list too")
    if state and state not in STATES:
        refuse("state", "choose one of: {known}", known=", ".join(STATES))
    return Wanted(
        text=visit.query("q"),
        list_id=list_called(visit, slug).id if slug else None,
        status=SubscriptionStatus[state.upper()] if state else None,
        of_lists=own_lists(visit),
    )


def _found(
    visit: Visit, people: Sequence[Subscriber], lists: Collection[MailingList]
) -> list[Found]:
    by_id = {each.id: each for each in lists}
    memberships: dict[int, list[tuple[MailingList, SubscriptionStatus]]] = {}
    rows = visit.session.execute(
        select(Subscription.subscriber_id, Subscription.list_id, Subscription.status)
        .where(Subscription.subscriber_id.in_([person.id for person in people]))
        .order_by(Subscription.list_id)
    )
    for subscriber_id, list_id, status in rows:
        if list_id in by_id:
            memberships.setdefault(subscriber_id, []).append((by_id[list_id], status))
    suppressed = set(
        visit.session.scalars(
            select(Suppression.address_hash).where(
                Suppression.address_hash.in_([person.address_hash for person in people]),
                Suppression.list_id == EVERYWHERE,
            )
        )
    )
    return [
        Found(person, memberships.get(person.id, ()), person.address_hash in suppressed)
        for person in people
    ]


def _url(visit: Visit, after: str | None) -> str:
    asked = {name: visit.query(name) for name in ("q", "list", "state")} | {"after": after or ""}
    return f"/office/subscribers?{urlencode({name: text for name, text in asked.items() if text})}"


def _new_form(visit: Visit, typed: Mapping[str, str], wrong: Mapping[str, str]) -> Response:
    return visit.page(
        "office/new_subscriber.html",
        status=422 if wrong else 200,
        lists=visit.lists_in_use(Role.ADMIN),
        may_skip_list=own_lists(visit) is None,
        typed=typed,
        wrong=wrong,
    )


def _person(visit: Visit, typed: Mapping[str, str]) -> tuple[Subscriber, bool]:
    """Who has the address, and whether nobody had until now."""
    if not typed["list"]:
        visit.require(Role.ADMIN, ())
    try:
        return find_subscriber(visit.session, _address(typed)), False
    except NotFoundError:
        fields = SubscriberFields(name=typed["name"])
        origin = origin_of(visit)
        return add_subscriber(
            visit.session, typed["address"], fields, origin=origin, now=visit.now
        ), True


def _address(typed: Mapping[str, str]) -> str:
    """A number would be somebody's, whose lists may be others'."""
    if "@" not in typed["address"]:
        refuse("address", "write a whole address like ada@example.org")
    return typed["address"]


def _put_on_list(visit: Visit, person: Subscriber, typed: Mapping[str, str]) -> None:
    if typed["list"]:
        consented(visit, person, list_called(visit, typed["list"]), typed["consent"])


SCREENS = (
    Screen("/office/subscribers", get=index, role=Role.ADMIN),
    Screen("/office/new-subscriber", get=new_form, post=create, role=Role.ADMIN),
)
