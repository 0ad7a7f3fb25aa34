"""People as the API is told of them, and as it tells of them."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal, cast

from pydantic import BaseModel, Field, StrictFloat, StrictInt, StrictStr, with_config
from sqlalchemy.orm import Session
from typing_extensions import TypedDict

from newsletter.audience.detail import SubscriberDetail
from newsletter.audience.invitations import LONGEST_REASON
from newsletter.audience.subscribers import written_fields
from newsletter.models import ChangeCause, ConsentKind, Subscriber, SuppressionReason
from newsletter.web.api.fields import (
    STRICT,
    Address,
    Body,
    Day,
    Flag,
    Key,
    Language,
    Line,
    TagName,
    Text,
    Time,
    Zone,
)

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


def in_full(detail: SubscriberDetail, slugs: Mapping[int, str]) -> SubscriberInFull:
    """`slugs` are those of the lists that the key is for."""
    shown = person_shown(detail.person, detail.fields)
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
        ],
        suppressions=[
            SuppressionOfPerson(
                list=slugs.get(each.list_id), reason=each.reason, created_at=each.created_at
            )
            for each in detail.suppressions
        ],
    )


def shown(session: Session, person: Subscriber) -> SubscriberShown:
    return person_shown(person, written_fields(session, person))


def person_shown(person: Subscriber, fields: Mapping[str, str]) -> SubscriberShown:
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
