"""An edition while it is being sent: how far it has come, who is in trouble, and stopping it."""

from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from sqlalchemy.orm import Session
from starlette.responses import Response

from newsletter.accounts.roles import Role
from newsletter.db import GREATEST_LONG_KEY
from newsletter.deliver.settling import send_again, settle_by_evidence
from newsletter.errors import NotFoundError, StateError
from newsletter.models import AudienceCount, DeliveryState, EditionState, Evidence, Hold, HoldScope
from newsletter.plan import schedule
from newsletter.plan.counting import counted_places
from newsletter.report.doubts import everybody_in_doubt, uncertain_deliveries
from newsletter.report.editions import edition_status
from newsletter.report.sending import (
    by_provider,
    due_people,
    last_replies,
    people_in_trouble,
    speed_since,
)
from newsletter.report.transports import paused_editions
from newsletter.report.waves import WaveStatus, wave_statuses
from newsletter.web.newsroom.cookies import Undo
from newsletter.web.newsroom.screens import Screen
from newsletter.web.newsroom.visit import NOT_HERE, Visit
from newsletter.web.newsroom.way import Way, edition_page, way_of
from newsletter.words import Words

WINDOW = timedelta(seconds=20)
"""The speed is that of so long, or a little longer."""
MOST_WAVES = 60
TROUBLES = {
    "deferred": DeliveryState.DEFERRED,
    "failed": DeliveryState.FAILED,
    "uncertain": DeliveryState.UNCERTAIN,
}


def show(visit: Visit) -> Response:
    way = _begun(visit, Role.VIEWER)
    return edition_page(way, "sending.html", "sending", **_figures(way))


def live(visit: Visit) -> Response:
    """What changes on the page, for a browser that asks again and again."""
    way = _begun(visit, Role.VIEWER)
    figures = _figures(way)
    if visit.query("page") != figures["page_key"]:
        # What can be done here is something else now.
        return Response(status_code=204, headers={"HX-Refresh": "true"})
    return visit.page("edition/_live.html", way=way, edition=way.edition, **figures)


def troubles(visit: Visit) -> Response:
    """Who is deferred, failed or in doubt, the newest first."""
    way = _begun(visit, Role.EDITOR)
    name = str(visit.path["state"])
    if name not in TROUBLES:
        raise NotFoundError(NOT_HERE)
    found = people_in_trouble(
        visit.session,
        way.edition.id,
        TROUBLES[name],
        before=visit.query_number("before", greatest=GREATEST_LONG_KEY),
    )
    older = None
    if found.older is not None:
        older = f"{way.url}/sending/{name}?" + urlencode({"before": found.older})
    return edition_page(
        way, "troubles.html", "sending", name=name, people=found.people, older=older
    )


def pause(visit: Visit) -> Response:
    way = _begun(visit, Role.EDITOR)
    schedule.pause(visit.session, way.edition.id)
    visit.audit("edition paused", str(way.edition.id))
    undo = Undo("Go on", f"{way.url}/sending/resume")
    return visit.go(
        f"{way.url}/sending", "It is paused. Within seconds nothing more goes out.", undo=undo
    )


def resume(visit: Visit) -> Response:
    way = _begun(visit, Role.EDITOR)
    schedule.resume(visit.session, way.edition.id)
    visit.audit("edition resumed", str(way.edition.id))
    return visit.go(f"{way.url}/sending", "It goes on.")


def settle(visit: Visit) -> Response:
    """People in doubt: they were mailed, or they are mailed once more."""
    way = _begun(visit, Role.EDITOR)
    chosen = visit.form.numbers("person", greatest=GREATEST_LONG_KEY)
    edition_id, session = way.edition.id, visit.session
    in_doubt = everybody_in_doubt(session, edition_id)
    people = in_doubt if visit.form.has("everybody") else _among(in_doubt, chosen)
    if not people:
        raise StateError("Nobody of those you chose is in doubt any more.")
    if visit.form.get("choice") == "again":
        count = send_again(session, edition_id, people, Evidence.PERSON, visit.now, by=visit.by)
        said = Words("{count} people are mailed once more.", count=count)
    else:
        count = settle_by_evidence(
            session, edition_id, people, Evidence.PERSON, visit.now, by=visit.by
        )
        said = Words("{count} people count as mailed.", count=count)
    choice = visit.form.get("choice")
    visit.audit("doubts settled", str(edition_id), choice=choice, people=count)
    return visit.go(f"{way.url}/sending", said)


def _begun(visit: Visit, role: Role) -> Way:
    """Raises `StateError` for an edition that nothing was sent of."""
    way = way_of(visit, role)
    if way.edition.started_at is None and way.edition.state is not EditionState.PAUSED:
        raise StateError(
            "Edition {edition} has not begun; see when it goes out at {page}/schedule",
            edition=way.edition.id,
            page=way.url,
        )
    return way


def _figures(way: Way) -> dict[str, Any]:
    session, edition, now = way.visit.session, way.edition, way.visit.now
    status = edition_status(session, edition.id)
    due = due_people(session, edition.id, now=now)
    since, before = _sample(way.visit) or (now, status.settled)
    keeps = now - since < WINDOW
    return {
        "figures": status,
        "due": due,
        "speed": speed_since(before, since, settled=status.settled, due=due, now=now),
        "is_measured": now - since >= timedelta(seconds=1),
        "sample": (since, before) if keeps else (now, status.settled),
        "providers": by_provider(session, edition.id),
        "waves": _waves(way),
        "replies": last_replies(session, edition.id),
        "doubts": uncertain_deliveries(session, edition.id) if status.uncertain else [],
        "hold": _hold(session, edition.id),
        "page_key": f"{edition.state}-{bool(status.uncertain)}",
        "is_live": edition.state in (EditionState.SENDING, EditionState.PAUSED),
    }


def _sample(visit: Visit) -> tuple[datetime, int] | None:
    """What the browser was told a while ago: at which moment how many people were settled."""
    at, settled = visit.query("since"), visit.query("settled")
    if not (at + settled).isascii() or not at.isdecimal() or not settled.isdecimal():
        return None
    if len(at) > 11 or len(settled) > 11:
        return None
    since = datetime.fromtimestamp(int(at), UTC)
    return (since, int(settled)) if since <= visit.now else None


def _waves(way: Way) -> list[WaveStatus]:
    count = way.visit.session.get(AudienceCount, way.edition.id)
    people = counted_places(count) if count else None
    statuses = wave_statuses(way.visit.session, way.edition.id, people=people)
    shown = [each for each in statuses if each.people or not each.is_sweep]
    return shown[:MOST_WAVES] if len(shown) > 1 else []


def _hold(session: Session, edition_id: int) -> Hold | None:
    """Why a breaker has paused it; None: none has."""
    return next(
        (
            each
            for each in paused_editions(session)
            if each.scope is HoldScope.EDITION and each.key == str(edition_id)
        ),
        None,
    )


def _among(people: Collection[int], chosen: Collection[int]) -> list[int]:
    return [each for each in people if each in chosen]


_SENDING = "/newsroom/editions/{id}/sending"
SCREENS = (
    Screen(_SENDING, get=show, role=Role.VIEWER),
    Screen(f"{_SENDING}/live", get=live, role=Role.VIEWER),
    Screen(f"{_SENDING}/pause", post=pause, role=Role.EDITOR),
    Screen(f"{_SENDING}/resume", post=resume, role=Role.EDITOR),
    Screen(f"{_SENDING}/settle", post=settle, role=Role.EDITOR),
    Screen(f"{_SENDING}/{{state}}", get=troubles, role=Role.EDITOR),
)
