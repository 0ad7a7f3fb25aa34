"""The page an editor opens first: today's editions, what is due when, and what needs somebody."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup
from starlette.responses import Response

from newsletter.accounts.roles import Role
from newsletter.models import EditionState, MailingList
from newsletter.report.lists import growth_of
from newsletter.report.today import EditionToday, read_desk
from newsletter.web.newsroom.screens import Screen
from newsletter.web.newsroom.visit import Visit
from newsletter.words import Words

_TODAY_AND_YESTERDAY = 2


@dataclass(frozen=True, slots=True)
class Step:
    """What is next for an edition; `waits` says that it does, for somebody who may do it."""

    name: str
    page: str
    """Of the edition's pages; empty: its first."""
    waits: bool


# What is next in each state, and the least role that does it.
_STEPS: Mapping[EditionState, tuple[Role, Step]] = {
    EditionState.DRAFT: (Role.WRITER, Step(Words("Go on writing"), "/compose", waits=True)),
    EditionState.IN_REVIEW: (Role.EDITOR, Step(Words("Review"), "/review", waits=True)),
    EditionState.APPROVED: (Role.EDITOR, Step(Words("Schedule or send"), "/schedule", waits=True)),
    EditionState.SCHEDULED: (
        Role.VIEWER,
        Step(Words("See the schedule"), "/schedule", waits=False),
    ),
    EditionState.SENDING: (Role.VIEWER, Step(Words("Watch"), "/sending", waits=False)),
    EditionState.PAUSED: (Role.EDITOR, Step(Words("See why"), "/sending", waits=True)),
    EditionState.SENT: (Role.VIEWER, Step(Words("Report"), "/report", waits=False)),
    EditionState.CANCELLED: (Role.VIEWER, Step(Words("Report"), "/report", waits=False)),
}
_LOOK = Step(Words("Look at it"), "", waits=False)


def today(visit: Visit) -> Response:
    inner = _inner(visit)
    return visit.page("today/today.html", inner=inner, mark=_mark(inner))


def refreshed(visit: Visit) -> Response:
    """Nothing while it is what the browser shows already: whoever reads is not disturbed."""
    inner = _inner(visit)
    if visit.query("shown") == _mark(inner):
        return Response(status_code=204)
    return visit.page("today/_live.html", inner=inner, mark=_mark(inner))


def _inner(visit: Visit) -> Markup:
    body = visit.page("today/_day.html", **_content(visit)).body
    return Markup(bytes(body).decode())  # noqa: S704  made of a template just now


def _mark(inner: Markup) -> str:
    return hashlib.sha256(inner.encode()).hexdigest()[:16]


def _content(visit: Visit) -> dict[str, Any]:
    session, now = visit.session, visit.now
    lists = visit.lists_in_use(Role.VIEWER)
    desk = read_desk(session, lists, within=visit.identity.list_ids, zone=visit.zone, now=now)
    growth = growth_of(session, lists, days=_TODAY_AND_YESTERDAY, now=now)
    return {
        "days": [
            (day, [(edition, _step(visit, day.mailing_list, edition)) for edition in day.editions])
            for day in desk.days
        ],
        "alarms": desk.alarms,
        "yesterday": desk.yesterday,
        "came": sum(each.days[0].joined + each.days[0].imported for each in growth.values()),
        "went": sum(each.days[0].left + each.days[0].removed for each in growth.values()),
        "may_write": {each.id for each in lists if visit.may(Role.WRITER, [each.id])},
        "may_make_lists": visit.may(Role.ADMIN, ()),
    }


def _step(visit: Visit, mailing_list: MailingList, edition: EditionToday) -> Step:
    role, step = _STEPS[edition.state]
    return step if visit.may(role, [mailing_list.id]) else _LOOK


SCREENS = (
    Screen("/newsroom/today", get=today, role=Role.VIEWER),
    Screen("/newsroom/today/live", get=refreshed, role=Role.VIEWER),
)
