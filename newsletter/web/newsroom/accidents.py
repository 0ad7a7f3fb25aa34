"""Takes back at once what a provider's accident or a wrong file suppressed (B-25)."""

from collections.abc import Mapping
from datetime import datetime
from zoneinfo import ZoneInfo

from sqlalchemy import select
from starlette.responses import Response

from newsletter.accounts.roles import Role
from newsletter.audience.fields import refuse
from newsletter.audience.suppression_lifting import (
    ONLY_BY_THEMSELVES,
    Accident,
    Extent,
    extent_of,
    undo_all,
)
from newsletter.errors import InputError
from newsletter.models import ReplyClass, Route, SuppressionReason
from newsletter.web.newsroom.edits import mistakes, typed_in
from newsletter.web.newsroom.screens import Screen
from newsletter.web.newsroom.visit import Visit
from newsletter.words import Words

ASKED = ("since", "until", "reason", "reply_class", "route", "source")
FIELDS = (*ASKED, "why")


def look(visit: Visit) -> Response:
    """How much it was, before anything is done."""
    visit.require(Role.ADMIN, ())
    asked = {name: visit.query(name) for name in ASKED}
    if not any(asked.values()):
        return _page(visit, asked)
    try:
        extent = extent_of(visit.session, _accident(visit, asked))
    except InputError as error:
        return _page(visit, asked, wrong=mistakes(error, FIELDS))
    return _page(visit, asked, extent=extent)


def take_back(visit: Visit) -> Response:
    """In transactions of its own, a thousand at a time: nothing is asked of the visit's before."""
    visit.require(Role.ADMIN, ())
    asked = typed_in(visit.form, ASKED)
    why = visit.form.get("why")
    accident = _accident(visit, asked)
    lifted = undo_all(visit.deps.engine, accident, by=visit.by, why=why, now=visit.now)
    visit.audit("suppressions taken back", lifted=lifted, why=why, **asked)
    notice = Words(
        "{lifted:,} addresses may be mailed again; complaints and people's own wishes stay.",
        lifted=lifted,
    )
    return visit.go("/office/suppressions", notice)


def _accident(visit: Visit, asked: Mapping[str, str]) -> Accident:
    since, until = (_moment(visit, name, asked[name]) for name in ("since", "until"))
    if until <= since:
        refuse("until", "choose a time behind the first")
    try:
        return Accident(
            since=since,
            until=until,
            reason=SuppressionReason(asked["reason"]) if asked["reason"] else None,
            reply_class=ReplyClass(asked["reply_class"]) if asked["reply_class"] else None,
            route=int(asked["route"]) if asked["route"] else None,
            source=asked["source"] or None,
        )
    except ValueError:
        refuse("reason", "choose from what the page offers")


def _moment(visit: Visit, field: str, text: str) -> datetime:
    """A date and hour in the zone of whoever asks."""
    try:
        local = datetime.fromisoformat(text)
    except ValueError:
        refuse(field, "choose a date and an hour")
    return local.replace(tzinfo=ZoneInfo(visit.identity.time_zone))


def _page(
    visit: Visit,
    asked: Mapping[str, str],
    *,
    extent: Extent | None = None,
    wrong: Mapping[str, str] | None = None,
) -> Response:
    return visit.page(
        "office/suppressions_undo.html",
        status=422 if wrong else 200,
        asked=asked,
        extent=extent,
        wrong=wrong or {},
        reasons=[each for each in SuppressionReason if each not in ONLY_BY_THEMSELVES],
        classes=list(ReplyClass),
        routes=visit.session.scalars(select(Route).order_by(Route.name)).all(),
    )


SCREENS = (Screen("/office/suppressions/undo", get=look, post=take_back, role=Role.ADMIN),)
