"""`/subscribers`: people, what is known of them, and the lists that they are on."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal, cast

from fastapi import APIRouter, Query, Security
from pydantic import BaseModel, Field, StrictFloat, StrictInt, StrictStr, with_config
from sqlalchemy import select
from sqlalchemy.orm import Session
from starlette.requests import Request
from starlette.responses import Response
from typing_extensions import TypedDict

from newsletter.accounts.scopes import Scope
from newsletter.audience.consent import remove_from_list, subscribe
from newsletter.audience.detail import SubscriberDetail, subscriber_detail
from newsletter.audience.import_merge import source_of
from newsletter.audience.invitations import LONGEST_REASON, invite
from newsletter.audience.lists import all_lists
from newsletter.audience.sections import set_hidden_sections
from newsletter.audience.signup_mail import Links
from newsletter.audience.subscribers import (
    SubscriberChanges,
    SubscriberFields,
    add_subscriber,
    edit_subscriber,
    find_subscriber,
    list_subscribers,
    written_fields,
)
from newsletter.audience.tags import set_tags
from newsletter.errors import NotFoundError
from newsletter.models import (
    EVERYWHERE,
    ChangeCause,
    ConsentKind,
    Import,
    MailingList,
    OptIn,
    Subscriber,
    SubscriberChange,
    Subscription,
    SubscriptionStatus,
    SuppressionReason,
)
from newsletter.web.api.body import JsonRoute
from newsletter.web.api.calls import Call, Outcome, may_change, may_read, may_write, one
from newsletter.web.api.fields import (
    STRICT,
    Address,
    Body,
    Day,
    Flag,
    Key,
    Language,
    Line,
    SlugInPath,
    SubscriberInPath,
    TagName,
    Text,
    Time,
    Zone,
)
from newsletter.web.api.pages import Cursor, Limit, Page, number_in, paged
from newsletter.web.api.problems import RefusedError

router = APIRouter(prefix="/subscribers", tags=["subscribers"], route_class=JsonRoute)
of_list = APIRouter(prefix="/lists", tags=["subscribers"], route_class=JsonRoute)

Reader = Annotated[Call, Security(may_read, scopes=[Scope.SUBSCRIBERS_READ])]
Writer = Annotated[Call, Security(may_write, scopes=[Scope.SUBSCRIBERS_WRITE])]
Changer = Annotated[Call, Security(may_change, scopes=[Scope.SUBSCRIBERS_WRITE])]
TagReader = Annotated[Call, Security(may_read, scopes=[Scope.TAGS_READ])]
TagChanger = Annotated[Call, Security(may_change, scopes=[Scope.TAGS_WRITE])]

Status = Literal["pending", "confirmed", "unsubscribed"]
_Name = Annotated[Line, Field(max_length=200, examples=["Ada"])]
_Value = Annotated[StrictStr, Field(max_length=500)] | StrictInt | StrictFloat | Flag | None
_Attributes = Annotated[
    dict[Key, _Value],
    Field(
        max_length=200,
        description="By the keys of `/attributes`; null takes a value away, others stay.",
        examples=[{"team": "Harbour"}],
    ),
]
_Consent = Annotated[
    Text,
    Field(
        max_length=500,
        description="How they agreed; it is kept as evidence. Without it somebody on a list with "
        "double opt-in stays pending.",
        examples=["Ticked the box in the shop's checkout, order 4711"],
    ),
]


class SubscriberToMake(Body):
    address: Address
    name: _Name = ""
    language: Language | None = None
    zone: Zone | None = None
    delivery_time: Time | None = None
    break_until: Day | None = None
    attributes: _Attributes = {}
    lists: Annotated[list[Key], Field(max_length=100, description="Slugs to subscribe to.")] = []
    consent: _Consent | None = None


@with_config(STRICT)
class SubscriberPatch(TypedDict, total=False):
    """What is left out stays as it is; null means unknown, or wanted no longer."""

    address: Address
    name: _Name
    language: Language | None
    zone: Zone | None
    delivery_time: Time | None
    break_until: Day | None
    attributes: _Attributes


class SubscriberOfList(Body):
    address: Address
    name: _Name = ""
    language: Language | None = None
    zone: Zone | None = None
    attributes: _Attributes = {}
    consent: _Consent | None = None


class PersonToInvite(Body):
    address: Address
    reason: Annotated[Text, Field(max_length=LONGEST_REASON, examples=["They asked by telephone"])]


class SubscriptionToMake(Body):
    consent: _Consent | None = None


class HiddenSections(Body):
    hidden_sections: Annotated[list[Key], Field(max_length=63, description="All others are shown.")]


class Tags(Body):
    tags: Annotated[list[TagName], Field(max_length=100)]


class SubscriptionShown(BaseModel):
    list: Annotated[str, Field(examples=["morning-briefing"])]
    status: Status
    hidden_sections: tuple[str, ...]
    joined_at: datetime
    left_at: datetime | None


class SuppressionOfPerson(BaseModel):
    list: Annotated[str | None, Field(description="null: everywhere.")]
    reason: SuppressionReason
    created_at: datetime


class SubscriberShown(BaseModel):
    id: int = Field(examples=[4711])
    address: str = Field(examples=["ada@readers.example"])
    name: str
    language: str | None
    zone: str | None
    delivery_time: str | None
    break_until: str | None
    attributes: dict[str, str | int | float | bool]
    created_at: datetime


class SubscriberInFull(SubscriberShown):
    tags: list[str]
    subscriptions: list[SubscriptionShown] = Field(description="Of the lists that the key is for.")
    suppressions: list[SuppressionOfPerson] = Field(
        description="Everywhere, or on a list that the key is for."
    )


class Invited(BaseModel):
    list: str


class Subscriptions(BaseModel):
    items: list[SubscriptionShown]


class ChangeShown(BaseModel):
    at: datetime
    field: str = Field(examples=["zone"])
    before: str | None
    after: str | None
    cause: ChangeCause
    by: str
    reference: str | None


class History(BaseModel):
    items: list[ChangeShown] = Field(description="Oldest first.")


class ConsentShown(BaseModel):
    list: str
    kind: ConsentKind
    at: datetime
    evidence: dict[str, Any]


class Evidence(BaseModel):
    items: list[ConsentShown] = Field(description="Oldest first.")


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
            after=number_in(cursor) or 0,
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
            put_on_list(call, session, person, call.list_called(session, slug), body.consent)
        return made(call, session, person)

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
        put_on_list(call, session, person, mailing_list, body.consent)
        return made(call, session, person)

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
        return one(in_full(call, session, visible(call, session, subscriber_id)))


@router.patch("/{subscriber_id}", response_model=SubscriberInFull)
def change_person(
    call: Changer, subscriber_id: SubscriberInPath, body: SubscriberPatch
) -> Response:
    """Change what the body names; a new address keeps number, lists and history."""
    if "address" in body:
        call.require_every_list()

    def work(session: Session) -> Outcome:
        _lock(session, subscriber_id)
        call.require_unchanged(in_full(call, session, visible(call, session, subscriber_id)))
        changes = cast("SubscriberChanges", _texts(cast("Mapping[str, Any]", body)))
        edit_subscriber(session, subscriber_id, changes, origin=call.origin, now=call.now)
        return _after_change(call, session, subscriber_id)

    return call.write(work)


@router.get("/{subscriber_id}/subscriptions", response_model=Subscriptions)
def list_subscriptions(call: Reader, subscriber_id: SubscriberInPath) -> Response:
    with call.reading() as session:
        detail = visible(call, session, subscriber_id)
        return one(Subscriptions(items=in_full(call, session, detail).subscriptions))


@router.put("/{subscriber_id}/subscriptions/{slug}", response_model=SubscriberInFull)
def subscribe_person(
    call: Writer, subscriber_id: SubscriberInPath, slug: SlugInPath, body: SubscriptionToMake
) -> Response:
    """Put somebody on a list; nobody who left it, or must not be mailed, is brought back (409)."""

    def work(session: Session) -> Outcome:
        person = visible(call, session, subscriber_id).person
        put_on_list(call, session, person, call.list_called(session, slug), body.consent)
        return _after_change(call, session, subscriber_id)

    return call.write(work)


@router.patch("/{subscriber_id}/subscriptions/{slug}", response_model=SubscriberInFull)
def hide_sections(
    call: Writer, subscriber_id: SubscriberInPath, slug: SlugInPath, body: HiddenSections
) -> Response:
    """Hide sections of the list from this reader; a pinned one cannot be hidden."""

    def work(session: Session) -> Outcome:
        visible(call, session, subscriber_id)
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
        person = visible(call, session, subscriber_id).person
        mailing_list = call.list_called(session, slug)
        if session.get(Subscription, (mailing_list.id, subscriber_id)) is None:
            message = f"Subscriber {subscriber_id} is not on {slug}."
            raise NotFoundError(message)
        remove_from_list(session, person, mailing_list, origin=call.origin, now=call.now)
        return _after_change(call, session, subscriber_id)

    return call.write(work)


@router.get("/{subscriber_id}/tags", response_model=Tags, tags=["tags"])
def show_tags(call: TagReader, subscriber_id: SubscriberInPath) -> Response:
    with call.reading() as session:
        return one(Tags(tags=list(visible(call, session, subscriber_id).tags)))


@router.put("/{subscriber_id}/tags", response_model=Tags, tags=["tags"])
def replace_tags(call: TagChanger, subscriber_id: SubscriberInPath, body: Tags) -> Response:
    """These tags and no others; send If-Match, or you may take away what somebody just put there."""

    def work(session: Session) -> Outcome:
        _lock(session, subscriber_id)
        tags = list(visible(call, session, subscriber_id).tags)
        call.require_unchanged(Tags(tags=tags))
        kept = set_tags(session, subscriber_id, body.tags, origin=call.origin, now=call.now)
        return Outcome(Tags(tags=kept), subscriber_id=subscriber_id)

    return call.write(work)


@router.get("/{subscriber_id}/history", response_model=History)
def show_history(call: Reader, subscriber_id: SubscriberInPath) -> Response:
    """Every change of what is known of somebody, with its cause."""
    with call.reading() as session:
        detail = visible(call, session, subscriber_id)
        hidden = _hidden_fields(call, session)
        imports = _foreign_imports(call, session)
    items = [
        _change(change, is_foreign=change.reference in imports)
        for change in detail.changes
        if change.field not in hidden
    ]
    return one(History(items=items))


@router.get("/{subscriber_id}/evidence", response_model=Evidence)
def show_evidence(call: Reader, subscriber_id: SubscriberInPath) -> Response:
    """What proves that somebody agreed, and when they left."""
    with call.reading() as session:
        detail = visible(call, session, subscriber_id)
        slugs = {each.slug for each in call.lists(session)}
    items = [
        ConsentShown(list=each.list_slug, kind=each.kind, at=each.at, evidence=each.details)
        for each in detail.consents
        if each.list_slug in slugs
    ]
    return one(Evidence(items=items))


def visible(call: Call, session: Session, subscriber_id: int) -> SubscriberDetail:
    """Raises `NotFoundError`, alike for nobody and for somebody on none of the key's lists (S-09)."""
    detail = subscriber_detail(session, subscriber_id)
    if call.caller.list_ids is None:
        return detail
    if any(call.may_see(member.mailing_list.id) for member in detail.memberships):
        return detail
    message = f"There is no subscriber {subscriber_id} on the lists of this key."
    raise NotFoundError(message)


def in_full(call: Call, session: Session, detail: SubscriberDetail) -> SubscriberInFull:
    shown = _person(detail.person, detail.fields)
    slugs = {each.id: each.slug for each in call.lists(session)}
    return SubscriberInFull(
        **shown.model_dump(),
        tags=list(detail.tags),
        subscriptions=[
            SubscriptionShown(
                list=member.mailing_list.slug,
                status=cast("Status", member.subscription.status.name.lower()),
                hidden_sections=tuple(section.key for section in member.hidden),
                joined_at=member.subscription.joined_at,
                left_at=member.subscription.left_at,
            )
            for member in detail.memberships
            if member.mailing_list.id in slugs
        ],
        suppressions=[
            SuppressionOfPerson(
                list=slugs.get(each.list_id), reason=each.reason, created_at=each.created_at
            )
            for each in detail.suppressions
            if each.list_id == EVERYWHERE or each.list_id in slugs
        ],
    )


def put_on_list(
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


def made(call: Call, session: Session, person: Subscriber) -> Outcome:
    return Outcome(
        in_full(call, session, subscriber_detail(session, person.id)),
        201,
        f"{call.root}/subscribers/{person.id}",
        subscriber_id=person.id,
    )


def _after_change(call: Call, session: Session, subscriber_id: int) -> Outcome:
    detail = subscriber_detail(session, subscriber_id)
    return Outcome(in_full(call, session, detail), subscriber_id=subscriber_id)


def _with_address(call: Call, session: Session, address: str) -> list[SubscriberShown]:
    try:
        detail = visible(call, session, find_subscriber(session, address).id)
    except NotFoundError:
        return []
    return [_person(detail.person, detail.fields)]


def _lock(session: Session, subscriber_id: int) -> None:
    """So that nobody changes them between the comparison with If-Match and the change."""
    session.get(Subscriber, subscriber_id, with_for_update=True)


def _hidden_fields(call: Call, session: Session) -> set[str]:
    """What the history says of lists that the key is not for."""
    return {f"sections of {each.slug}" for each in all_lists(session) if not call.may_see(each.id)}


def _foreign_imports(call: Call, session: Session) -> set[str]:
    """References of imports into lists that the key is not for."""
    if call.caller.list_ids is None:
        return set()
    others = session.scalars(select(Import.id).where(Import.list_id.not_in(call.caller.list_ids)))
    return {source_of(number) for number in others}


def _change(change: SubscriberChange, *, is_foreign: bool) -> ChangeShown:
    """Of what came with another list's import, neither who brought it nor which one it was."""
    shown = ChangeShown.model_validate(change, from_attributes=True)
    return shown.model_copy(update={"by": "", "reference": None}) if is_foreign else shown


def shown(session: Session, person: Subscriber) -> SubscriberShown:
    return _person(person, written_fields(session, person))


def _person(person: Subscriber, fields: Mapping[str, str]) -> SubscriberShown:
    return SubscriberShown(
        id=person.id,
        address=person.address,
        name=person.name,
        language=person.language,
        zone=fields.get("zone"),
        delivery_time=fields.get("delivery time"),
        break_until=fields.get("break until"),
        attributes=person.attributes,
        created_at=person.created_at,
    )


def _fields(body: SubscriberToMake | SubscriberOfList) -> SubscriberFields:
    given = body.model_dump(exclude={"address", "lists", "consent"}, exclude_unset=True)
    return cast("SubscriberFields", _texts(given))


def _texts(values: Mapping[str, Any]) -> dict[str, Any]:
    """As the audience reads them, for whom an empty text means none."""
    return {field: "" if value is None else value for field, value in values.items()}
