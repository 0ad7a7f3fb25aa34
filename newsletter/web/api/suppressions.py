"""`/suppressions`: addresses that are never mailed; only hashes of them are kept."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query, Security
from pydantic import BaseModel, Field
from sqlalchemy.orm import Session
from starlette.requests import Request
from starlette.responses import Response

from newsletter.accounts.scopes import Scope
from newsletter.addresses import parse_address
from newsletter.audience.suppression import list_suppressions, suppress, suppressions_of
from newsletter.audience.suppression_lifting import LONGEST_WHY, lift
from newsletter.models import EVERYWHERE, Suppression, SuppressionReason
from newsletter.web.api.body import JsonRoute
from newsletter.web.api.calls import Call, Outcome, may_read, may_write, one
from newsletter.web.api.fields import Address, Body, Key, Text
from newsletter.web.api.pages import Cursor, Limit, Page, paged, text_in

router = APIRouter(prefix="/suppressions", tags=["suppressions"], route_class=JsonRoute)

Reader = Annotated[Call, Security(may_read, scopes=[Scope.SUPPRESSIONS_READ])]
Writer = Annotated[Call, Security(may_write, scopes=[Scope.SUPPRESSIONS_WRITE])]

_Scope = Annotated[
    Key | None,
    Field(description="For this list alone; null: everywhere, which needs a key for every list."),
]


class SuppressionToMake(Body):
    address: Address
    list: _Scope = None
    reason: SuppressionReason = SuppressionReason.ON_REQUEST


class SuppressionToLift(Body):
    address: Address
    list: _Scope = None
    reason: Annotated[Text, Field(max_length=LONGEST_WHY, examples=["Their provider was down"])]


class AddressToCheck(Body):
    address: Address


class SuppressionShown(BaseModel):
    address_hash: str = Field(description="Keyed with the installation's own key; in hexadecimal.")
    list: Annotated[str | None, Field(description="null: everywhere.")]
    reason: SuppressionReason
    source: str
    created_at: datetime


class Suppressions(BaseModel):
    items: list[SuppressionShown]


@router.get("", response_model=Page[SuppressionShown])
def list_entries(
    request: Request,
    call: Reader,
    slug: Annotated[Key | None, Query(alias="list", description="Only those of this list.")] = None,
    reason: Annotated[SuppressionReason | None, Query()] = None,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> Response:
    """Oldest first. A key that is for certain lists names one of them."""
    with call.reading() as session:
        if slug is None:
            call.require_every_list()
        page = list_suppressions(
            session,
            list_id=call.list_called(session, slug).id if slug is not None else None,
            reason=reason,
            after=text_in(cursor),
            limit=limit,
        )
        slugs = _slugs(call, session)
    items = [_shown(entry, slugs) for entry in page.entries]
    return paged(request, items, page.next_after)


@router.post("", response_model=Suppressions)
def suppress_address(call: Writer, body: SuppressionToMake) -> Response:
    """Never mail an address again. Where it was suppressed already, that entry stays."""

    def work(session: Session) -> Outcome:
        address = parse_address(body.address)
        suppress(
            session,
            address,
            reason=body.reason,
            source=call.by,
            list_id=_list_id(call, session, body.list),
            now=call.now,
        )
        return Outcome(_entries(call, session, body.address))

    return call.write(work)


@router.post("/check", response_model=Suppressions)
def check_address(call: Reader, body: AddressToCheck) -> Response:
    """What stands against mail to an address; in a body, since addresses end up in logs of URLs."""
    with call.reading() as session:
        return one(_entries(call, session, body.address))


@router.post("/lift", response_model=Suppressions)
def lift_suppression(call: Writer, body: SuppressionToLift) -> Response:
    """Mail an address again that bounced, or was suppressed by an import. A complaint, or the
    person's own wish, is lifted by nobody but themselves (409).
    """

    def work(session: Session) -> Outcome:
        lift(
            session,
            parse_address(body.address),
            list_id=_list_id(call, session, body.list),
            by=call.by,
            why=body.reason,
            now=call.now,
        )
        return Outcome(_entries(call, session, body.address))

    return call.write(work)


def _list_id(call: Call, session: Session, slug: str | None) -> int:
    if slug is not None:
        return call.list_called(session, slug).id
    call.require_every_list()
    return EVERYWHERE


def _entries(call: Call, session: Session, address: str) -> Suppressions:
    """Those that the key may see: of its lists, and for a key for every list also the global ones."""
    slugs = _slugs(call, session)
    found = suppressions_of(session, parse_address(address))
    return Suppressions(items=[_shown(each, slugs) for each in found if each.list_id in slugs])


def _slugs(call: Call, session: Session) -> dict[int, str | None]:
    slugs: dict[int, str | None] = {each.id: each.slug for each in call.lists(session)}
    return slugs if call.caller.list_ids is not None else {EVERYWHERE: None, **slugs}


def _shown(row: Suppression, slugs: dict[int, str | None]) -> SuppressionShown:
    return SuppressionShown(
        address_hash=row.address_hash.hex(),
        list=slugs.get(row.list_id),
        reason=row.reason,
        source=row.source,
        created_at=row.created_at,
    )
