"""By what right lists write to their people, and what is kept for how long."""

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Security
from pydantic import BaseModel, Field
from sqlalchemy.orm import Session
from starlette.requests import Request
from starlette.responses import Response

from newsletter.accounts.scopes import Scope
from newsletter.audience.retention import Cutoffs, count_due
from newsletter.db import GREATEST_LONG_KEY
from newsletter.models import ConsentKind, LegalBasis
from newsletter.queue import Job, enqueue_after_commit
from newsletter.report.consents import (
    count_consents,
    count_without_evidence,
    people_without_evidence,
)
from newsletter.web.api.body import JsonRoute
from newsletter.web.api.calls import Call, Outcome, may_read, may_write, one
from newsletter.web.api.fields import SlugInPath
from newsletter.web.api.pages import Cursor, Limit, Page, number_in, paged
from newsletter.web.api.subscriber_shapes import SubscriberShown, shown

router = APIRouter(prefix="/lists", tags=["privacy"], route_class=JsonRoute)
retention = APIRouter(prefix="/retention", tags=["privacy"], route_class=JsonRoute)

Reader = Annotated[Call, Security(may_read, scopes=[Scope.SUBSCRIBERS_READ])]
Looker = Annotated[Call, Security(may_read, scopes=[Scope.PRIVACY_READ])]
Cleaner = Annotated[Call, Security(may_write, scopes=[Scope.PRIVACY_WRITE])]


class ConsentCounted(BaseModel):
    month: str = Field(description="Of the consent, in UTC.", examples=["2026-11"])
    kind: ConsentKind
    how: str = Field(description="A form, an import …; empty where the evidence does not say.")
    basis: LegalBasis | None = Field(description="What was declared for the import.")
    people: int


class Consents(BaseModel):
    items: list[ConsentCounted]
    without_evidence: int = Field(description="Confirmed people whose consent nothing proves.")


class RetentionDue(BaseModel):
    people: int = Field(description="Who left every list so long ago that they are forgotten.")
    events: int
    deliveries: int
    attempts: int
    import_lines: int


@router.get("/{slug}/consents", response_model=Consents)
def count_list_consents(call: Reader, slug: SlugInPath) -> Response:
    """The list's confirmed people by how, when and on what basis they agreed."""
    with call.reading() as session:
        list_id = call.list_called(session, slug).id
        counted = count_consents(session, list_id)
        unproven = count_without_evidence(session, list_id)
    items = [ConsentCounted(**asdict(each)) for each in counted]
    return one(Consents(items=items, without_evidence=unproven))


@router.get("/{slug}/consents/missing", response_model=Page[SubscriberShown])
def list_unproven(
    request: Request, call: Reader, slug: SlugInPath, cursor: Cursor = None, limit: Limit = 100
) -> Response:
    """The list's confirmed people whose consent nothing proves, by number."""
    with call.reading() as session:
        list_id = call.list_called(session, slug).id
        page = people_without_evidence(
            session, list_id, after=number_in(cursor, greatest=GREATEST_LONG_KEY) or 0, limit=limit
        )
        items = [shown(session, person) for person in page.people]
    return paged(request, items, page.next_after)


@retention.get("", response_model=RetentionDue)
def show_retention(call: Looker) -> Response:
    """How much is older than the installation's settings let it become."""
    call.require_every_list()
    with call.reading() as session:
        return one(_due(call, session))


@retention.post("", status_code=202, response_model=RetentionDue)
def apply_now(call: Cleaner) -> Response:
    """Let a worker delete it now and not within the hour; answers what is due."""
    call.require_every_list()

    def work(session: Session) -> Outcome:
        enqueue_after_commit(session, Job.APPLY_RETENTION)
        return Outcome(_due(call, session), 202)

    return call.write(work)


def _due(call: Call, session: Session) -> RetentionDue:
    return RetentionDue(**asdict(count_due(session, Cutoffs.of(call.settings, call.now))))
