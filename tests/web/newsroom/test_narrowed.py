"""Whoever has some lists sees the editions that go to no other list: the same on every page."""

import re
from dataclasses import dataclass, replace
from datetime import time, timedelta

import pytest
from sqlalchemy import Engine

from newsletter.clock import utc_now
from newsletter.compose.likeness import url_key
from newsletter.db import transaction
from newsletter.deliver.holds import Trip, hold
from newsletter.models import (
    Candidate,
    CandidateState,
    Edition,
    EditionState,
    HoldScope,
    MailingList,
    Role,
)
from newsletter.plan.editions import content_of, create_edition
from newsletter.plan.slots import NewSlot, fill_slot, set_slot
from tests.desk import Desk
from tests.newsroom import a_briefing, add_list
from tests.site import Member, Site, text_of

OWN, SHARED = "Ferries Run Again", "Two Towns Agree"
TOMORROW = utc_now().date() + timedelta(days=1)
_LINK = re.compile(r"/newsroom/editions/(\d+)")


@dataclass(frozen=True, slots=True)
class Towns:
    """An editor of the harbour alone; `shared` editions go to noon as well."""

    desk: Desk
    noon: int
    member: Member

    def write(self, title: str, *list_ids: int, **values: object) -> int:
        with transaction(self.desk.engine) as session:
            edition = create_edition(
                session,
                content_of(replace(a_briefing(), title=title), "text"),
                lists=[session.get_one(MailingList, each) for each in list_ids],
                settings=self.desk.settings,
                created_by="Wim",
                now=utc_now(),
            )
            for name, value in values.items():
                setattr(edition, name, value)
            return edition.id

    def pair(self, **values: object) -> tuple[int, int]:
        own = self.write(OWN, self.desk.list_id, **values)
        return own, self.write(SHARED, self.desk.list_id, self.noon, **values)


@pytest.fixture
def towns(site: Site, desk: Desk) -> Towns:
    noon = add_list(site.engine, "noon")
    member = site.member(Role.EDITOR, lists={desk.list_id: Role.EDITOR})
    return Towns(desk, noon, member)


def begun(*, ago: timedelta, over: bool = True) -> dict[str, object]:
    """What makes an edition one that began so long ago."""
    at = utc_now() - ago
    return {
        "state": EditionState.SENT if over else EditionState.SENDING,
        "approved_revision": 1,
        "started_at": at,
        "planned_at": at,
        "finished_at": at + timedelta(minutes=5) if over else None,
    }


DRAFT: dict[str, object] = {}
SENDING = begun(ago=timedelta(minutes=5), over=False)
YESTERDAY = begun(ago=timedelta(days=1))


@pytest.mark.parametrize(
    ("page", "values"),
    [
        ("/newsroom/today", DRAFT),
        ("/newsroom/today", SENDING),
        ("/newsroom/today", YESTERDAY),
        ("/newsroom/editions", DRAFT),
        ("/newsroom/editions", SENDING),
        ("/newsroom/reports", SENDING),
        ("/newsroom/reports/harbour", YESTERDAY),
        ("/newsroom/reports/harbour/editions.csv", YESTERDAY),
        ("/newsroom/slots?list=harbour", DRAFT),
        ("/newsroom/stories?list=harbour", DRAFT),
    ],
)
def test_a_page_names_the_editions_that_can_be_opened_and_no_other(
    towns: Towns, page: str, values: dict[str, object]
) -> None:
    with transaction(towns.desk.engine) as session:
        slot = NewSlot(frozenset(range(7)), time(23, 59), zone="UTC")
        set_slot(session, towns.desk.list_id, slot, now=utc_now())
    towns.pair(**values)
    towns.write(SHARED, towns.desk.list_id, towns.noon, **values)

    shown = towns.member.get(page)

    assert shown.status_code == 200
    assert OWN in shown.text
    assert SHARED not in shown.text
    numbers = set(_LINK.findall(shown.text))
    opened = [towns.member.get(f"/newsroom/editions/{each}").status_code for each in numbers]
    assert set(opened) <= {200}


def test_what_cannot_be_opened_is_not_there(towns: Towns) -> None:
    own, shared = towns.pair()

    answers = [towns.member.get(f"/newsroom/editions/{each}").status_code for each in (own, shared)]

    assert answers == [200, 404]


def test_whoever_has_both_lists_or_every_list_sees_it(site: Site, towns: Towns) -> None:
    towns.pair()
    lists = {towns.desk.list_id: Role.VIEWER, towns.noon: Role.VIEWER}

    for member in (site.member(Role.VIEWER, lists=lists), site.member(Role.VIEWER)):
        for page in ("/newsroom/today", "/newsroom/editions"):
            assert SHARED in member.get(page).text


def test_a_slot_that_it_fills_is_not_offered_as_empty(towns: Towns) -> None:
    shared = towns.write(SHARED, towns.desk.list_id, towns.noon)
    with transaction(towns.desk.engine) as session:
        slot = NewSlot(frozenset({TOMORROW.weekday()}), time(7), zone="UTC")
        set_slot(session, towns.desk.list_id, slot, now=utc_now())
        harbour = session.get_one(MailingList, towns.desk.list_id)
        fill_slot(session, harbour, TOMORROW, shared, now=utc_now())

    slots = towns.member.get("/newsroom/slots?list=harbour")
    today = towns.member.get("/newsroom/today")

    assert "an edition that goes to other lists too" in text_of(slots)
    assert f"/newsroom/editions/{shared}" not in slots.text
    assert "No edition yet for" not in text_of(today)


def test_a_slot_is_filled_only_with_what_one_may_send(towns: Towns) -> None:
    """S-07."""
    shared = towns.write(SHARED, towns.desk.list_id, towns.noon)
    with transaction(towns.desk.engine) as session:
        slot = NewSlot(frozenset(range(7)), time(7), zone="UTC")
        slot_id = set_slot(session, towns.desk.list_id, slot, now=utc_now()).id

    fields = {"day": str(TOMORROW), "edition": str(shared)}
    answer = towns.member.post(f"/newsroom/slots/{slot_id}/fill", fields)

    assert answer.status_code == 404


def test_a_breaker_on_it_is_no_alarm_of_theirs(site: Site, towns: Towns) -> None:
    shared = towns.write(SHARED, towns.desk.list_id, towns.noon, **SENDING)
    with transaction(towns.desk.engine) as session:
        trip = Trip(HoldScope.EDITION, str(shared), "R-40", "Too many are refused.")
        hold(session, trip, now=utc_now())

    assert "Too many are refused." not in towns.member.get("/newsroom/today").text
    assert "Too many are refused." in site.member(Role.EDITOR).get("/newsroom/today").text


def test_a_story_that_went_into_it_leads_nowhere(towns: Towns) -> None:
    shared = towns.write(SHARED, towns.desk.list_id, towns.noon)
    add_used_candidate(towns.desk.engine, towns.desk.list_id, shared)

    page = towns.member.get("/newsroom/stories?list=harbour&tab=used")

    assert "The pier is open" in page.text
    assert "an edition that goes to other lists too" in text_of(page)
    assert "Take it out again" not in text_of(page)
    assert f"/newsroom/editions/{shared}" not in page.text


def test_nothing_is_copied_from_it(towns: Towns) -> None:
    towns.write(SHARED, towns.desk.list_id, towns.noon)
    fields = {"list": str(towns.desk.list_id), "start": "stories"}

    answer = towns.member.post("/newsroom/editions/new", fields)

    assert answer.status_code == 422
    assert "has no edition yet to copy" in text_of(answer)


def add_used_candidate(engine: Engine, list_id: int, edition_id: int) -> None:
    now = utc_now()
    with transaction(engine) as session:
        session.get_one(Edition, edition_id)
        session.add(
            Candidate(
                list_id=list_id,
                url="https://gazette.example/pier",
                url_key=url_key("https://gazette.example/pier"),
                state=CandidateState.USED,
                title="The pier is open",
                summary="",
                source="Gazette",
                found_at=now,
                seen_at=now,
                edition_id=edition_id,
                settled_by="Wim",
                settled_at=now,
            )
        )
