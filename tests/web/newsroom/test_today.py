"""The day's page: what is due, how far it is, what needs somebody, and what there is to do next."""

import re
from datetime import UTC, datetime, time, timedelta

import pytest
from sqlalchemy import Engine, update

from newsletter.clock import utc_now
from newsletter.db import transaction
from newsletter.deliver.holds import Trip, hold
from newsletter.models import (
    Batch,
    BatchState,
    Edition,
    EditionFigures,
    EditionList,
    EditionState,
    HoldScope,
    ListDayFigures,
    ListFigures,
    Revision,
    Role,
    Wave,
    WaveZone,
    Zone,
)
from newsletter.plan.slots import NewSlot, set_slot
from tests.newsroom import add_list
from tests.site import Site, text_of

TODAY = "/newsroom/today"
EVERY_DAY = frozenset(range(7))
_numbers = iter(range(1, 1_000))


@pytest.fixture
def list_id(engine: Engine) -> int:
    list_id = add_list(engine)
    with transaction(engine) as session:
        session.add(ListFigures(list_id=list_id, confirmed=1_000, pending=0))
    return list_id


def add_edition(
    engine: Engine,
    list_id: int,
    state: EditionState,
    title: str = "Harbour reopens",
    *,
    ago: timedelta = timedelta(minutes=20),
    **batch: int,
) -> int:
    """One that has a batch has begun, so long ago."""
    now = utc_now()
    is_over = state in (EditionState.SENT, EditionState.CANCELLED)
    with transaction(engine) as session:
        edition = Edition(
            public_id=f"edition-{next(_numbers)}",
            state=state,
            revision=1,
            approved_revision=1 if batch else None,
            created_at=now,
            started_at=now - ago if batch else None,
            planned_at=now - ago if batch else None,
            finished_at=now - ago + timedelta(minutes=10) if is_over else None,
        )
        session.add(edition)
        session.flush()
        session.add(EditionList(edition_id=edition.id, position=0, list_id=list_id))
        session.add(
            Revision(
                edition_id=edition.id,
                number=1,
                briefing={},
                source_text="",
                subject=title,
                preheader="",
                content_hash="",
                created_at=now,
                created_by="Ed",
            )
        )
        if batch:
            session.add(
                Batch(
                    edition_id=edition.id,
                    number=1,
                    state=BatchState.DONE,
                    due_at=now - ago,
                    **batch,
                )
            )
        return edition.id


def add_slot(engine: Engine, list_id: int, due_in: timedelta, *, ready: timedelta) -> datetime:
    """A daily slot in UTC that is due so soon; made yesterday, so that its alarms hold already."""
    due_at = (utc_now() + due_in).replace(second=0, microsecond=0)
    with transaction(engine) as session:
        slot = NewSlot(
            EVERY_DAY, due_at.time(), zone="UTC", ready=ready, alarm=timedelta(minutes=15)
        )
        set_slot(session, list_id, slot, now=utc_now() - timedelta(days=2))
    return due_at


def fill(engine: Engine, edition_id: int, due_at: datetime) -> None:
    with transaction(engine) as session:
        session.execute(
            update(EditionList)
            .where(EditionList.edition_id == edition_id)
            .values(slot_date=due_at.date())
        )


def said(site: Site, role: Role = Role.ADMIN, zone: str = "UTC") -> str:
    answer = site.member(role, zone=zone).get(TODAY)
    assert answer.status_code == 200
    return text_of(answer)


def test_without_a_list_an_admin_learns_where_to_begin_and_others_whom_to_ask(site: Site) -> None:
    assert "Begin with a list" in said(site)
    assert "An admin can give it to you" in said(site, Role.VIEWER)


def test_a_list_without_editions_says_so_and_offers_the_first(site: Site, list_id: int) -> None:
    writer, viewer = site.member(Role.WRITER), site.member(Role.VIEWER)

    assert "Nothing is being made or sent" in text_of(writer.get(TODAY))
    assert "/newsroom/editions/new?list=harbour" in writer.get(TODAY).text
    assert "/newsroom/editions/new" not in viewer.get(TODAY).text


@pytest.mark.parametrize(
    ("state", "role", "words", "page"),
    [
        (EditionState.DRAFT, Role.WRITER, "Go on writing", "/compose"),
        (EditionState.DRAFT, Role.VIEWER, "Look at it", '"'),
        (EditionState.IN_REVIEW, Role.EDITOR, "Review", "/review"),
        (EditionState.IN_REVIEW, Role.WRITER, "Look at it", '"'),
        (EditionState.APPROVED, Role.EDITOR, "Schedule or send", "/schedule"),
        (EditionState.SCHEDULED, Role.VIEWER, "See the schedule", "/schedule"),
        (EditionState.SENDING, Role.VIEWER, "Watch", "/sending"),
        (EditionState.PAUSED, Role.EDITOR, "See why", "/sending"),
        (EditionState.SENT, Role.VIEWER, "Report", "/report"),
        (EditionState.CANCELLED, Role.VIEWER, "Report", "/report"),
    ],
)
def test_each_state_has_its_next_step_for_whoever_may_do_it(
    site: Site, list_id: int, state: EditionState, role: Role, words: str, page: str
) -> None:
    edition_id = add_edition(site.engine, list_id, state)

    answer = site.member(role).get(TODAY)

    step = re.findall(rf'href="/newsroom/editions/{edition_id}([^>]*)>{words}</a>', answer.text)
    assert len(step) == 1
    assert step[0].startswith(page)


def test_an_edition_that_is_being_sent_says_how_far_it_is(site: Site, list_id: int) -> None:
    edition_id = add_edition(
        site.engine, list_id, EditionState.SENDING, people=800, sent=480, failed=8
    )
    with transaction(site.engine) as session:
        for number, name in enumerate(("Europe/Berlin", "America/New_York", "Asia/Tokyo"), start=1):
            zone = Zone(name=name)
            session.add(zone)
            due_at = utc_now() + timedelta(hours=number)
            session.add(Wave(edition_id=edition_id, number=number, due_at=due_at))
            session.flush()
            session.add(WaveZone(edition_id=edition_id, zone_id=zone.id, wave=number))

    page = said(site)

    assert "61.0 % of 800 · 3 zones to go, the next in 59 min" in page
    assert "8 failed" in page


def test_while_people_are_planned_the_share_is_one_of_all_who_are_expected(
    site: Site, list_id: int
) -> None:
    edition_id = add_edition(site.engine, list_id, EditionState.SENDING, people=500, sent=250)
    with transaction(site.engine) as session:
        session.get_one(Edition, edition_id).planned_at = None

    assert "25.0 % of 1,000 or so" in said(site)


def test_a_draft_that_fills_a_slot_says_when_its_approval_is_due(site: Site, list_id: int) -> None:
    due_at = add_slot(
        site.engine, list_id, timedelta(minutes=72, seconds=30), ready=timedelta(hours=1)
    )
    edition_id = add_edition(site.engine, list_id, EditionState.DRAFT)
    fill(site.engine, edition_id, due_at)

    page = said(site)

    assert re.search(r"approval due in 1[12] min", page)
    assert "Nothing is approved yet for The Harbour Brief" in page
    is_today = due_at.date() == utc_now().date()
    assert page.count("No edition yet") == int(is_today), "tomorrow's, which is the last shown"


def test_an_approval_that_is_late_is_an_alarm(site: Site, list_id: int) -> None:
    add_slot(site.engine, list_id, timedelta(minutes=30), ready=timedelta(hours=1))

    page = said(site)

    assert "Nothing is approved for The Harbour Brief; it was to be by" in page
    assert "No edition yet for" in page
    assert re.search(r"approval was due (29|30|31) min ago", page)


def test_times_are_in_the_zone_of_whoever_looks_and_name_it(site: Site, list_id: int) -> None:
    due_at = add_slot(site.engine, list_id, timedelta(hours=3), ready=timedelta(hours=1))
    local = due_at.astimezone(UTC) + timedelta(hours=9)

    page = said(site, zone="Asia/Tokyo")

    assert f"{local:%H:%M} JST" in page
    assert "times are those of Asia/Tokyo" in page


def test_yesterdays_figures_are_those_of_the_viewers_yesterday(site: Site, list_id: int) -> None:
    noon = datetime.combine(utc_now().date(), time(12), UTC)
    yesterday = utc_now() - (noon - timedelta(days=1))
    edition_id = add_edition(
        site.engine, list_id, EditionState.SENT, "The day before", ago=yesterday, people=9, sent=9
    )
    with transaction(site.engine) as session:
        session.add(
            EditionFigures(edition_id=edition_id, opens=4, clicks=3, clickers=2, unsubscribes=1)
        )
        session.add(
            ListDayFigures(
                list_id=list_id,
                day=(utc_now() - timedelta(days=1)).date(),
                joined=7,
                imported=5,
                left=2,
                removed=1,
            )
        )

    page = said(site)

    assert "The day before 9 0 44.4 % 22.2 % 1" in page
    assert "12 subscribers came, 3 went." in page


def test_refusals_are_an_alarm_when_they_are_more_than_before(site: Site, list_id: int) -> None:
    add_edition(
        site.engine, list_id, EditionState.SENT, ago=timedelta(hours=26), people=999, sent=999
    )
    add_edition(site.engine, list_id, EditionState.SENT, people=1_000, sent=950, failed=50)

    assert "50 people (5.0 %) were refused: Harbour reopens" in said(site)


def test_as_many_refusals_as_usual_are_none(site: Site, list_id: int) -> None:
    for ago in (timedelta(hours=26), timedelta(minutes=20)):
        add_edition(
            site.engine, list_id, EditionState.SENT, ago=ago, people=1_000, sent=950, failed=50
        )

    assert "were refused" not in said(site)


def test_doubts_lead_to_where_they_are_settled(site: Site, list_id: int) -> None:
    edition_id = add_edition(
        site.engine, list_id, EditionState.SENT, people=10, sent=8, uncertain=2
    )

    answer = site.member(Role.EDITOR).get(TODAY)

    assert "Nobody knows whether 2 people got Harbour reopens" in text_of(answer)
    assert f"/newsroom/editions/{edition_id}/sending" in answer.text


def test_an_open_breaker_and_mail_that_nobody_sends_are_alarms(site: Site, list_id: int) -> None:
    edition_id = add_edition(site.engine, list_id, EditionState.SENDING, people=10, sent=1)
    with transaction(site.engine) as session:
        session.execute(
            update(Batch).where(Batch.edition_id == edition_id).values(state=BatchState.READY)
        )
        trip = Trip(HoldScope.RECIPIENT_DOMAIN, "1", "R-26", "It refused 40 people in a row.")
        hold(session, trip, now=utc_now())

    page = said(site)

    assert "Mail is due and nobody sends it" in page
    assert "is held" in page
    assert "It refused 40 people in a row." in page


def test_a_narrowed_account_sees_its_lists_alone(site: Site, list_id: int) -> None:
    other_id = add_list(site.engine, "evening")
    add_edition(site.engine, other_id, EditionState.SENT, "Not for all", people=9, uncertain=9)

    page = text_of(site.member(Role.EDITOR, lists={list_id: Role.EDITOR}).get(TODAY))

    assert "The Harbour Brief" in page
    assert "Evening" not in page
    assert "Not for all" not in page


def test_it_refreshes_itself_only_when_something_changed(site: Site, list_id: int) -> None:
    editor = site.member(Role.EDITOR)
    page = editor.get(TODAY).text
    url = re.findall(r'hx-get="([^"]+)" hx-trigger="every 20s"', page)[0]
    hear = {"HX-Request": "true"}

    unchanged = editor.get(url, headers=hear)
    add_edition(site.engine, list_id, EditionState.DRAFT, "Fresh from the desk")
    changed = editor.get(url, headers=hear)

    assert unchanged.status_code == 204
    assert changed.status_code == 200
    assert "Fresh from the desk" in changed.text
    assert "<html" not in changed.text
    assert url not in changed.text


def test_a_local_slot_says_that_the_hour_is_the_readers_own(site: Site, list_id: int) -> None:
    due_at = utc_now() + timedelta(hours=5)
    with transaction(site.engine) as session:
        set_slot(session, list_id, NewSlot(EVERY_DAY, time(due_at.hour)), now=utc_now())

    assert f"at {due_at:%H}:00 where each reader lives" in said(site)
