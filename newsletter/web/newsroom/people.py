"""An edition's people: who is in which state and why, one person's answer, and what servers refused."""

import csv
import io
from collections.abc import Iterator

from starlette.responses import Response, StreamingResponse

from newsletter.accounts.roles import Role
from newsletter.audience.exporting import disarmed
from newsletter.db import GREATEST_LONG_KEY
from newsletter.errors import AddressError, InputError, NotFoundError
from newsletter.models import DeliveryState, Edition, Reason
from newsletter.report.editions import edition_status
from newsletter.report.people import (
    Answer,
    Person,
    Place,
    every_person,
    people_in_state,
    refusals_of,
    why,
)
from newsletter.report.titles import titles_of
from newsletter.web.newsroom.pages import said
from newsletter.web.newsroom.screens import Screen
from newsletter.web.newsroom.visit import NOT_HERE, Visit
from newsletter.web.numbers import whole_number

_COLUMNS = ("address", "name", "state", "reason", "code", "attempts", "revision", "sent_at")
_STATES = (
    DeliveryState.SENT,
    DeliveryState.FAILED,
    DeliveryState.EXCLUDED,
    DeliveryState.UNCERTAIN,
    DeliveryState.DEFERRED,
    DeliveryState.WAITING,
    DeliveryState.CANCELLED,
)
"""In the order that people ask for them."""
_ROWS_AT_ONCE = 500


def people(visit: Visit) -> Response:
    edition = visit.edition(Role.EDITOR)
    state, reason = _state(visit), _reason(visit)
    if visit.query("q"):
        return _one(visit, edition)
    page = people_in_state(
        visit.session, edition.id, state, reason=reason, after=_place(visit.query("after"))
    )
    return visit.page(
        "people/people.html",
        edition=edition,
        title=_title(visit, edition),
        counts=_counts(visit, edition),
        state=state,
        reason=reason,
        page=page,
    )


def people_csv(visit: Visit) -> Response:
    edition, state, reason = visit.edition(Role.EDITOR), _state(visit), _reason(visit)
    people = every_person(visit.deps.engine, edition.id, state, reason=reason)
    name = f"edition-{edition.id}-{state.name.lower()}.csv"
    return StreamingResponse(
        _written(people),
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


def failures(visit: Visit) -> Response:
    edition = visit.edition(Role.VIEWER)
    return visit.page(
        "people/failures.html",
        edition=edition,
        title=_title(visit, edition),
        refusals=refusals_of(visit.session, edition.id),
    )


def _one(visit: Visit, edition: Edition) -> Response:
    asked, answer, mistake = visit.query("q"), None, None
    try:
        answer = why(visit.session, edition.id, asked)
    except (AddressError, InputError, NotFoundError) as error:
        mistake = said(error)
    else:
        _refuse_strangers(visit, answer)
    return visit.page(
        "people/person.html",
        status=200 if answer else 404,
        edition=edition,
        title=_title(visit, edition),
        asked=asked,
        answer=answer,
        mistake=mistake,
    )


def _refuse_strangers(visit: Visit, answer: Answer) -> None:
    """Who is on none of the edition's lists is shown to those alone who see everybody."""
    is_known = answer.delivery is not None or any(own for _, own in answer.memberships)
    if not is_known and not visit.may(Role.ADMIN, ()):
        raise NotFoundError(NOT_HERE)


def _written(people: Iterator[Person]) -> Iterator[str]:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(_COLUMNS)
    yield _taken(text)  # at once, so that the download begins
    for number, person in enumerate(people, start=1):
        writer.writerow(
            (
                disarmed(person.address),
                disarmed(person.name),
                person.state.name.lower(),
                person.reason.name.lower() if person.reason else "",
                person.code or "",
                person.attempts,
                person.revision or "",
                person.sent_at.isoformat() if person.sent_at else "",
            )
        )
        if number % _ROWS_AT_ONCE == 0:
            yield _taken(text)
    yield _taken(text)


def _taken(text: io.StringIO) -> str:
    """What was written so far, and is now forgotten."""
    taken = text.getvalue()
    text.seek(0)
    text.truncate()
    return taken


def _counts(visit: Visit, edition: Edition) -> dict[DeliveryState, int]:
    status = edition_status(visit.session, edition.id)
    counts = {state: getattr(status, state.name.lower()) for state in _STATES}
    return counts | {DeliveryState.EXCLUDED: sum(status.excluded.values())}


def _title(visit: Visit, edition: Edition) -> str:
    return titles_of(visit.session, [edition.id])[edition.id]


def _state(visit: Visit) -> DeliveryState:
    """Raises `NotFoundError` for a state that there is not."""
    try:
        return DeliveryState[visit.query("state", "failed").upper()]
    except KeyError as error:
        raise NotFoundError(NOT_HERE) from error


def _reason(visit: Visit) -> Reason | None:
    name = visit.query("reason")
    try:
        return Reason[name.upper()] if name else None
    except KeyError as error:
        raise NotFoundError(NOT_HERE) from error


def _place(text: str) -> Place | None:
    batch, _, subscriber_id = text.partition("-")
    here = whole_number(batch), whole_number(subscriber_id, greatest=GREATEST_LONG_KEY)
    return None if here[0] is None or here[1] is None else Place(here[0], here[1])


SCREENS = (
    Screen("/newsroom/editions/{id}/people", get=people, role=Role.EDITOR),
    Screen("/newsroom/editions/{id}/people.csv", get=people_csv, role=Role.EDITOR),
    Screen("/newsroom/editions/{id}/failures", get=failures, role=Role.VIEWER),
)
