"""`/subscribers`: people, what is known of them, and the lists that they are on."""

from collections.abc import Mapping
from typing import Annotated, Any, cast

from fastapi import APIRouter, Query, Security
from sqlalchemy.orm import Session
from starlette.requests import Request
from starlette.responses import Response

from newsletter.accounts.scopes import Scope
from newsletter.audience.consent import remove_from_list, subscribe
from newsletter.audience.detail import SubscriberDetail, subscriber_detail
from newsletter.audience.invitations import invite
from newsletter.audience.narrowing import narrow
from newsletter.audience.sections import set_hidden_sections
from newsletter.audience.signup_mail import Links
from newsletter.audience.subscribers import (
    SubscriberChanges,
    SubscriberFields,
    add_subscriber,
    edit_subscriber,
    find_subscriber,
    list_subscribers,
)
from newsletter.audience.tags import set_tags
from newsletter.db import GREATEST_LONG_KEY, locked
from newsletter.errors import NotFoundError
from newsletter.models import (
    MailingList,
    OptIn,
    Subscriber,
    Subscription,
    SubscriptionStatus,
)
from newsletter.web.api.body import JsonRoute
from newsletter.web.api.calls import Call, Outcome, may_change, may_read, may_write, one
from newsletter.web.api.fields import (
    Address,
    Key,
    SlugInPath,
    SubscriberInPath,
    TagName,
)
from newsletter.web.api.pages import Cursor, Limit, Page, number_in, paged
from newsletter.web.api.problems import RefusedError
from newsletter.web.api.subscriber_shapes import (
    ChangeShown,
    ConsentShown,
    Evidence,
    HiddenSections,
    History,
    Invited,
    PersonToInvite,
    Status,
    SubscriberInFull,
    SubscriberOfList,
    SubscriberPatch,
    SubscriberShown,
    SubscriberToMake,
    Subscriptions,
    SubscriptionToMake,
    Tags,
    in_full,
    person_shown,
    shown,
)

router = APIRouter(prefix="/subscribers", tags=["subscribers"], route_class=JsonRoute)
of_list = APIRouter(prefix="/lists", tags=["subscribers"], route_class=JsonRoute)

Reader = Annotated[Call, Security(may_read, scopes=[Scope.SUBSCRIBERS_READ])]
Writer = Annotated[Call, Security(may_write, scopes=[Scope.SUBSCRIBERS_WRITE])]
Changer = Annotated[Call, Security(may_change, scopes=[Scope.SUBSCRIBERS_WRITE])]
TagReader = Annotated[Call, Security(may_read, scopes=[Scope.TAGS_READ])]
TagChanger = Annotated[Call, Security(may_change, scopes=[Scope.TAGS_WRITE])]


@router.get("", response_model=Page[SubscriberShown])
def list_people(
    request: Request,
    call: Reader,
    slug: Annotated[
        Key | None, Query(alias="list", description="Only those who are, or were, on this list.")
    ] = None,
    status: Annotated[Status | None, Query(description="Theirs on the list.")] = None,
    tag: Annotated[TagName | None, Query()] = None,
    address: Annotated[Address | None, Query(description="Who has this address.")] = None,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> Response:
    """People, by number. A key that is for certain lists names one of them."""
    with call.reading() as session:
        if address is not None:
            return paged(request, _with_address(call, session, address), None)
        if slug is None:
            call.require_every_list()
        if slug is None and status is not None:
            raise RefusedError(422, "status: it is a person's status on a list; name the list too.")
        page = list_subscribers(
            session,
            list_id=call.list_called(session, slug).id if slug is not None else None,
            status=SubscriptionStatus[status.upper()] if status is not None else None,
            tag=tag,
            after=number_in(cursor, greatest=GREATEST_LONG_KEY) or 0,
            limit=limit,
        )
        items = [shown(session, person) for person in page.people]
    return paged(request, items, page.next_after)


@router.post("", status_code=201, response_model=SubscriberInFull)
def make_person(call: Writer, body: SubscriberToMake) -> Response:
    """Add a person, and subscribe them. A key that is for certain lists uses
    `POST /lists/{slug}/subscribers`.
    """
    call.require_every_list()

    def work(session: Session) -> Outcome:
        person = add_subscriber(
            session, body.address, _fields(body), origin=call.origin, now=call.now
        )
        for slug in body.lists:
            _put_on_list(call, session, person, call.list_called(session, slug), body.consent)
        return _made(call, session, person)

    return call.write(work)


@of_list.post("/{slug}/subscribers", status_code=201, response_model=SubscriberInFull)
def make_subscriber_of_list(call: Writer, slug: SlugInPath, body: SubscriberOfList) -> Response:
    """Subscribe an address to the list. Whoever has it is made if nobody does; of a person who is
    known already nothing but the subscription changes.
    """

    def work(session: Session) -> Outcome:
        mailing_list = call.list_called(session, slug)
        try:
            person = find_subscriber(session, body.address)
        except NotFoundError:
            person = add_subscriber(
                session, body.address, _fields(body), origin=call.origin, now=call.now
            )
        _put_on_list(call, session, person, mailing_list, body.consent)
        return _made(call, session, person)

    return call.write(work)


@of_list.post("/{slug}/invitations", status_code=202, response_model=Invited)
def invite_person(call: Writer, slug: SlugInPath, body: PersonToInvite) -> Response:
    """Mail somebody one invitation, also after they wanted no more mail: once. Only they themselves
    subscribe, with the button behind its link.
    """

    def work(session: Session) -> Outcome:
        invite(
            session,
            body.address,
            call.list_called(session, slug),
            reason=body.reason,
            origin=call.origin,
            links=Links.of(call.settings),
            now=call.now,
        )
        return Outcome(Invited(list=slug), 202)

    return call.write(work)


@router.get("/{subscriber_id}", response_model=SubscriberInFull)
def show_person(call: Reader, subscriber_id: SubscriberInPath) -> Response:
    with call.reading() as session:
        return one(_in_full(call, session, _visible(call, session, subscriber_id)))


@router.patch("/{subscriber_id}", response_model=SubscriberInFull)
def change_person(
    call: Changer, subscriber_id: SubscriberInPath, body: SubscriberPatch
) -> Response:
    """Change what the body names; a new address keeps number, lists and history."""
    if "address" in body:
        call.require_every_list()

    def work(session: Session) -> Outcome:
        _lock(session, subscriber_id)
        call.require_unchanged(_in_full(call, session, _visible(call, session, subscriber_id)))
        changes = cast("SubscriberChanges", _texts(cast("Mapping[str, Any]", body)))
        edit_subscriber(session, subscriber_id, changes, origin=call.origin, now=call.now)
        return _after_change(call, session, subscriber_id)

    return call.write(work)


@router.get("/{subscriber_id}/subscriptions", response_model=Subscriptions)
def list_subscriptions(call: Reader, subscriber_id: SubscriberInPath) -> Response:
    with call.reading() as session:
        detail = _visible(call, session, subscriber_id)
        return one(Subscriptions(items=_in_full(call, session, detail).subscriptions))


@router.put("/{subscriber_id}/subscriptions/{slug}", response_model=SubscriberInFull)
def subscribe_person(
    call: Writer, subscriber_id: SubscriberInPath, slug: SlugInPath, body: SubscriptionToMake
) -> Response:
    """Put somebody on a list; nobody who left it, or must not be mailed, is brought back (409)."""

    def work(session: Session) -> Outcome:
        person = _visible(call, session, subscriber_id).person
        _put_on_list(call, session, person, call.list_called(session, slug), body.consent)
        return _after_change(call, session, subscriber_id)

    return call.write(work)


@router.patch("/{subscriber_id}/subscriptions/{slug}", response_model=SubscriberInFull)
def hide_sections(
    call: Writer, subscriber_id: SubscriberInPath, slug: SlugInPath, body: HiddenSections
) -> Response:
    """Hide sections of the list from this reader; a pinned one cannot be hidden."""

    def work(session: Session) -> Outcome:
        _visible(call, session, subscriber_id)
        set_hidden_sections(
            session,
            call.list_called(session, slug),
            subscriber_id,
            body.hidden_sections,
            origin=call.origin,
            now=call.now,
        )
        return _after_change(call, session, subscriber_id)

    return call.write(work)


@router.delete("/{subscriber_id}/subscriptions/{slug}", response_model=SubscriberInFull)
def unsubscribe_person(call: Writer, subscriber_id: SubscriberInPath, slug: SlugInPath) -> Response:
    """Take somebody off a list; only they themselves can come back. Done before: nothing happens."""

    def work(session: Session) -> Outcome:
        person = _visible(call, session, subscriber_id).person
        mailing_list = call.list_called(session, slug)
        if session.get(Subscription, (mailing_list.id, subscriber_id)) is None:
            raise NotFoundError(
                "Subscriber {number} is not on {slug}.", number=subscriber_id, slug=slug
            )
        remove_from_list(session, person, mailing_list, origin=call.origin, now=call.now)
        return _after_change(call, session, subscriber_id)

    return call.write(work)


@router.get("/{subscriber_id}/tags", response_model=Tags, tags=["tags"])
def show_tags(call: TagReader, subscriber_id: SubscriberInPath) -> Response:
    with call.reading() as session:
        return one(Tags(tags=list(_visible(call, session, subscriber_id).tags)))


@router.put("/{subscriber_id}/tags", response_model=Tags, tags=["tags"])
def replace_tags(call: TagChanger, subscriber_id: SubscriberInPath, body: Tags) -> Response:
    """These tags and no others; send If-Match, or you may take away what somebody just put there."""

    def work(session: Session) -> Outcome:
        _lock(session, subscriber_id)
        tags = list(_visible(call, session, subscriber_id).tags)
        call.require_unchanged(Tags(tags=tags))
        kept = set_tags(session, subscriber_id, body.tags, origin=call.origin, now=call.now)
        return Outcome(Tags(tags=kept), subscriber_id=subscriber_id)

    return call.write(work)


@router.get("/{subscriber_id}/history", response_model=History)
def show_history(call: Reader, subscriber_id: SubscriberInPath) -> Response:
    """Every change of what is known of somebody, with its cause."""
    with call.reading() as session:
        detail = _visible(call, session, subscriber_id)
    items = [ChangeShown.model_validate(each, from_attributes=True) for each in detail.changes]
    return one(History(items=items))


@router.get("/{subscriber_id}/evidence", response_model=Evidence)
def show_evidence(call: Reader, subscriber_id: SubscriberInPath) -> Response:
    """What proves that somebody agreed, and when they left."""
    with call.reading() as session:
        detail = _visible(call, session, subscriber_id)
    items = [
        ConsentShown(list=each.list_slug, kind=each.kind, at=each.at, evidence=each.details)
        for each in detail.consents
    ]
    return one(Evidence(items=items))


def _visible(call: Call, session: Session, subscriber_id: int) -> SubscriberDetail:
    """Raises `NotFoundError`, alike for nobody and for somebody on none of the key's lists (S-09)."""
    detail = subscriber_detail(session, subscriber_id)
    list_ids = call.caller.list_ids
    return detail if list_ids is None else narrow(session, detail, list_ids)


def _in_full(call: Call, session: Session, detail: SubscriberDetail) -> SubscriberInFull:
    return in_full(detail, {each.id: each.slug for each in call.lists(session)})


def _put_on_list(
    call: Call,
    session: Session,
    person: Subscriber,
    mailing_list: MailingList,
    consent: str | None,
) -> None:
    is_confirmed = consent is not None or mailing_list.opt_in is OptIn.SINGLE
    subscribe(
        session,
        person,
        mailing_list,
        SubscriptionStatus.CONFIRMED if is_confirmed else SubscriptionStatus.PENDING,
        origin=call.origin,
        evidence={"consent": consent} if consent is not None else {},
        now=call.now,
    )


def _made(call: Call, session: Session, person: Subscriber) -> Outcome:
    return Outcome(
        _in_full(call, session, _visible(call, session, person.id)),
        201,
        f"{call.root}/subscribers/{person.id}",
        subscriber_id=person.id,
    )


def _after_change(call: Call, session: Session, subscriber_id: int) -> Outcome:
    detail = _visible(call, session, subscriber_id)
    return Outcome(_in_full(call, session, detail), subscriber_id=subscriber_id)


def _with_address(call: Call, session: Session, address: str) -> list[SubscriberShown]:
    try:
        detail = _visible(call, session, find_subscriber(session, address).id)
    except NotFoundError:
        return []
    return [person_shown(detail.person, detail.fields)]


def _lock(session: Session, subscriber_id: int) -> None:
    """So that nobody changes them between the comparison with If-Match and the change."""
    locked(session, Subscriber, subscriber_id)


def _fields(body: SubscriberToMake | SubscriberOfList) -> SubscriberFields:
    given = body.model_dump(exclude={"address", "lists", "consent"}, exclude_unset=True)
    return cast("SubscriberFields", _texts(given))


def _texts(values: Mapping[str, Any]) -> dict[str, Any]:
    """As the audience reads them, for whom an empty text means none."""
    return {field: "" if value is None else value for field, value in values.items()}
