"""`/editions`, once approved: their sending, how far it is, and what became of each reader's."""

from collections.abc import Callable
from datetime import timedelta
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Security
from sqlalchemy.orm import Session
from starlette.requests import Request
from starlette.responses import Response

from newsletter.accounts.scopes import Scope
from newsletter.audience.fields import read_date, read_time
from newsletter.db import GREATEST_LONG_KEY, transaction
from newsletter.models import DeliveryState, Reason
from newsletter.plan import dispatch, schedule
from newsletter.plan.hourly_cap import CapReached
from newsletter.report.editions import EditionStatus, edition_status
from newsletter.report.people import Place, people_in_state
from newsletter.report.waves import wave_statuses
from newsletter.web.api.body import JsonRoute
from newsletter.web.api.calls import Call, Outcome, may_read, may_write, one
from newsletter.web.api.edition_shapes import (
    AtInstant,
    AtLocalTime,
    DeliveryShown,
    EditionShown,
    Now,
    Schedule,
    StatusShown,
    WaveShown,
)
from newsletter.web.api.editions import Reader, audit_edition, edition_of, editions_shown
from newsletter.web.api.fields import NumberInPath
from newsletter.web.api.pages import Cursor, Limit, Page, paged, text_in, unknown_cursor
from newsletter.web.api.problems import RefusedError
from newsletter.web.numbers import whole_number

router = APIRouter(prefix="/editions", tags=["editions"], route_class=JsonRoute)

Sender = Annotated[Call, Security(may_write, scopes=[Scope.EDITIONS_SEND])]
PeopleReader = Annotated[
    Call, Security(may_read, scopes=[Scope.EDITIONS_READ, Scope.SUBSCRIBERS_READ])
]


@router.post("/{edition_id}/schedule", status_code=201, response_model=EditionShown)
def set_schedule(call: Sender, edition_id: NumberInPath, body: Schedule) -> Response:
    """Send an approved edition: now, at an instant, or at a local time in every reader's zone.

    A large sending begins a moment later, and can be taken back until then. 409 if the hour's cap of
    the key's owner has no room for it, with the time from which on it has.
    """

    def work(session: Session) -> Outcome:
        edition = edition_of(call, session, edition_id)
        typed = "" if body.people is None else str(body.people)
        caution = dispatch.send_edition(session, edition_id, _when(body), typed=typed, now=call.now)
        audit_edition(
            call, session, "edition sent", edition_id, how=body.when, people=caution.people
        )
        session.refresh(edition)
        return Outcome(editions_shown(session, [edition])[0], 201)

    try:
        return call.write(work)
    except CapReached as error:
        with transaction(call.engine) as session:
            audit_edition(call, session, "sending refused", edition_id, why=str(error))
        raise


@router.delete("/{edition_id}/schedule", status_code=204, response_class=Response)
def pull_back(call: Sender, edition_id: NumberInPath) -> Response:
    """Take the schedule back before anything was sent; it stays approved."""

    def work(session: Session) -> Outcome:
        edition_of(call, session, edition_id)
        schedule.unschedule(session, edition_id)
        audit_edition(call, session, "edition pulled back", edition_id)
        return Outcome(status=204)

    return call.write(work)


@router.post("/{edition_id}/pause", response_model=EditionShown)
def pause(call: Sender, edition_id: NumberInPath) -> Response:
    """Within seconds nothing more goes out."""
    return _moved(call, edition_id, schedule.pause, "edition paused")


@router.post("/{edition_id}/resume", response_model=EditionShown)
def resume(call: Sender, edition_id: NumberInPath) -> Response:
    return _moved(call, edition_id, schedule.resume, "edition resumed")


@router.post("/{edition_id}/cancel", response_model=EditionShown)
def cancel(call: Sender, edition_id: NumberInPath) -> Response:
    """Whoever was not mailed yet will not be. That cannot be taken back."""
    return _moved(call, edition_id, schedule.cancel, "edition cancelled")


@router.get("/{edition_id}/status", response_model=StatusShown)
def show_status(call: Reader, edition_id: NumberInPath) -> Response:
    """How far it is, and what readers did."""
    with call.reading() as session:
        edition_of(call, session, edition_id)
        return one(_status(session, edition_status(session, edition_id)))


@router.get("/{edition_id}/deliveries", response_model=Page[DeliveryShown])
def list_deliveries(
    request: Request,
    call: PeopleReader,
    edition_id: NumberInPath,
    state: Annotated[
        Literal["waiting", "sent", "deferred", "failed", "excluded", "uncertain", "cancelled"],
        Query(description="The people of one state."),
    ],
    reason: Annotated[str | None, Query(pattern=r"^[a-z_]{1,30}$")] = None,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> Response:
    """Who got it, who did not, and why. A page may be short, or empty, before the last one."""
    with call.reading() as session:
        edition_of(call, session, edition_id)
        page = people_in_state(
            session,
            edition_id,
            DeliveryState[state.upper()],
            reason=_reason(reason),
            after=_place(text_in(cursor)),
            limit=limit,
        )
    items = [
        DeliveryShown(
            subscriber_id=each.subscriber_id,
            address=each.address,
            state=each.state.name.lower(),
            reason=each.reason.name.lower() if each.reason else None,
            code=each.code,
            attempts=each.attempts,
            revision=each.revision,
            sent_at=each.sent_at,
        )
        for each in page.people
    ]
    behind = None if page.next is None else f"{page.next.batch}-{page.next.subscriber_id}"
    return paged(request, items, behind)


def _moved(
    call: Call, edition_id: int, move: Callable[[Session, int], None], action: str
) -> Response:
    def work(session: Session) -> Outcome:
        edition = edition_of(call, session, edition_id)
        move(session, edition_id)
        audit_edition(call, session, action, edition_id)
        session.refresh(edition)
        return Outcome(editions_shown(session, [edition])[0])

    return call.write(work)


def _when(asked: Schedule) -> dispatch.When:
    match asked:
        case Now():
            return dispatch.AtOnce()
        case AtInstant():
            return dispatch.AtInstant(asked.at, timedelta(hours=asked.deadline_hours))
        case AtLocalTime():
            return dispatch.AtLocalTime(
                read_date("day", asked.day),
                read_time("time", asked.time),
                asked.past,
                timedelta(hours=asked.deadline_hours),
            )


def _status(session: Session, status: EditionStatus) -> StatusShown:
    waves = [
        WaveShown(
            due_at=each.due_at,
            zones=list(each.zones),
            people=each.people,
            sent=each.sent,
            left_out=each.exclusion.name.lower() if each.exclusion else None,
        )
        for each in wave_statuses(session, status.edition_id)
    ]
    fields = {
        name: value for name, value in status.to_json().items() if name in StatusShown.model_fields
    }
    return StatusShown(**fields, waves=waves)


def _reason(name: str | None) -> Reason | None:
    if name is None:
        return None
    try:
        return Reason[name.upper()]
    except KeyError as error:
        known = ", ".join(each.name.lower() for each in Reason)
        raise RefusedError(422, "reason: write one of {known}", known=known) from error


def _place(text: str | None) -> Place | None:
    if text is None:
        return None
    batch, _, subscriber_id = text.partition("-")
    here = whole_number(batch), whole_number(subscriber_id, greatest=GREATEST_LONG_KEY)
    if here[0] is None or here[1] is None:
        raise unknown_cursor()
    return Place(here[0], here[1])
