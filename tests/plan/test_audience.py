"""Segments narrow an edition: its audience alone is planned, exclusions are counted with a reason."""

from collections.abc import Sequence
from datetime import UTC, datetime, time, timedelta

import pytest
from sqlalchemy import Engine

from newsletter.audience.segments.language import QueryError
from newsletter.audience.segments.saved import (
    SegmentChanges,
    create_segment,
    delete_segment,
    edit_segment,
)
from newsletter.db import reading, transaction
from newsletter.errors import NotFoundError, StateError
from newsletter.models import DeliveryState, EditionSegment, MailingList, Past, Subscriber, Tag
from newsletter.plan import schedule
from newsletter.plan.approval import Approval, approve_edition
from newsletter.plan.audience import choose_audience, segments_of
from newsletter.plan.editions import content_of, create_edition, revise_edition
from newsletter.plan.planner import plan_edition
from newsletter.report.editions import edition_status
from newsletter.report.waves import wave_statuses
from newsletter.settings import Settings
from tests.newsroom import (
    MORNING,
    a_briefing,
    add_list,
    add_readers,
    add_transport,
    assert_ledger_is_exact,
    states_of,
    subscribe,
)

EXCLUDED, WAITING = DeliveryState.EXCLUDED, DeliveryState.WAITING


@pytest.fixture
def readers(engine: Engine) -> list[int]:
    """Ada and Bo read English, Cy and Di Chinese, all of them on list 1."""
    readers = add_readers(engine, add_list(engine), ["Ada", "Bo", "Cy", "Di"])
    add_transport(engine, 25)
    with transaction(engine) as session:
        for number, reader in enumerate(readers):
            session.get_one(Subscriber, reader).language = "en" if number < 2 else "zh"
        session.add(Tag(id=1, name="guest"))
    return readers


def segment(engine: Engine, name: str, definition: str) -> None:
    with transaction(engine) as session:
        create_segment(session, name, definition, created_by="ed", now=MORNING)


def draft(
    engine: Engine,
    settings: Settings,
    *,
    audience: str | None = None,
    exclusions: Sequence[str] = (),
    lists: Sequence[int] = (1,),
) -> int:
    with transaction(engine) as session:
        edition = create_edition(
            session,
            content_of(a_briefing(), "text"),
            lists=[session.get_one(MailingList, list_id) for list_id in lists],
            settings=settings,
            created_by="Ed",
            now=MORNING,
        )
        choose_audience(session, edition.id, audience=audience, exclusions=exclusions)
        return edition.id


def approve(engine: Engine, settings: Settings, edition_id: int) -> Approval:
    with transaction(engine) as session:
        return approve_edition(
            session, edition_id, approved_by="Ann", settings=settings, now=MORNING
        )


def send(engine: Engine, edition_id: int) -> dict[int, DeliveryState]:
    with transaction(engine) as session:
        schedule.send_now(session, edition_id, now=MORNING)
    plan_edition(engine, edition_id, now=MORNING)
    return states_of(engine, edition_id)


def definitions(engine: Engine, edition_id: int) -> list[str | None]:
    with reading(engine) as session:
        return [each.definition for each in segments_of(session, edition_id)]


def test_people_outside_the_audience_are_not_planned(
    engine: Engine, settings: Settings, readers: list[int]
) -> None:
    _, _, cy, di = readers
    segment(engine, "chinese", "language is zh")
    edition_id = draft(engine, settings, audience="chinese")

    approval = approve(engine, settings, edition_id)

    assert approval.people == 2
    assert send(engine, edition_id) == {cy: WAITING, di: WAITING}
    assert_ledger_is_exact(engine, edition_id)


def test_people_of_an_exclusion_are_excluded_with_their_reason(
    engine: Engine, settings: Settings, readers: list[int]
) -> None:
    ada, bo, cy, di = readers
    segment(engine, "chinese", "language is zh")
    segment(engine, "di", "name is di")
    segment(engine, "guests", "tagged guest")
    edition_id = draft(engine, settings, audience="chinese", exclusions=["di", "guests"])
    everybody = draft(engine, settings, exclusions=["di"])
    approve(engine, settings, edition_id)
    approve(engine, settings, everybody)

    assert send(engine, edition_id) == {cy: WAITING, di: EXCLUDED}
    assert send(engine, everybody) == {ada: WAITING, bo: WAITING, cy: WAITING, di: EXCLUDED}
    with reading(engine) as session:
        assert edition_status(session, edition_id).excluded == {"segment": 1}
    assert_ledger_is_exact(engine, edition_id)


def test_an_audience_holds_for_every_list_of_the_edition(
    engine: Engine, settings: Settings, readers: list[int]
) -> None:
    ada, _, cy, di = readers
    second = add_list(engine, "evening")
    [ed] = add_readers(engine, second, ["Ed"])
    subscribe(engine, second, [ada, cy])
    segment(engine, "not-english", "not language is en")
    edition_id = draft(engine, settings, audience="not-english", lists=(1, second))

    approval = approve(engine, settings, edition_id)

    assert approval.people == 3
    assert send(engine, edition_id) == {cy: WAITING, di: WAITING, ed: WAITING}


def test_an_approval_freezes_the_definition_and_names_it(
    engine: Engine, settings: Settings, readers: list[int]
) -> None:
    _, _, cy, di = readers
    segment(engine, "readers", "language is zh")
    edition_id, other = draft(engine, settings, audience="readers"), draft(engine, settings)

    narrowed, plain = (approve(engine, settings, each) for each in (edition_id, other))
    with transaction(engine) as session:
        changes = SegmentChanges(definition="language is en")
        edit_segment(session, "readers", changes, now=MORNING)

    assert definitions(engine, edition_id) == ["language is zh"]
    assert [each.definition for each in narrowed.segments] == ["language is zh"]
    assert narrowed.content_hash != plain.content_hash
    assert send(engine, edition_id) == {cy: WAITING, di: WAITING}


def test_a_revision_voids_what_was_frozen_and_the_next_approval_freezes_anew(
    engine: Engine, settings: Settings, readers: list[int]
) -> None:
    segment(engine, "readers", "language is zh")
    edition_id = draft(engine, settings, audience="readers")
    first = approve(engine, settings, edition_id)

    with transaction(engine) as session:
        content = content_of(a_briefing(), "text")
        revise_edition(
            session, edition_id, content, settings=settings, revised_by="Ed", now=MORNING
        )
        changes = SegmentChanges(definition="language is en")
        edit_segment(session, "readers", changes, now=MORNING)
    between = definitions(engine, edition_id)
    second = approve(engine, settings, edition_id)

    assert between == [None]
    assert definitions(engine, edition_id) == ["language is en"]
    assert first.content_hash != second.content_hash


def test_only_a_drafts_audience_is_changed(
    engine: Engine, settings: Settings, readers: list[int]
) -> None:
    segment(engine, "readers", "language is zh")
    edition_id = draft(engine, settings, exclusions=["readers"])

    with transaction(engine) as session:
        choose_audience(session, edition_id, audience="readers", exclusions=[])
    approve(engine, settings, edition_id)

    with pytest.raises(StateError, match="only a draft"), transaction(engine) as session:
        choose_audience(session, edition_id, audience=None, exclusions=[])
    with pytest.raises(NotFoundError, match="no segment called 'nobody'"):
        draft(engine, settings, audience="nobody")


def test_a_segment_stays_while_an_edition_needs_it_and_its_name_for_good(
    engine: Engine, settings: Settings, readers: list[int]
) -> None:
    segment(engine, "readers", "language is zh")
    edition_id = draft(engine, settings, audience="readers")
    approve(engine, settings, edition_id)

    with pytest.raises(StateError, match=f"edition {edition_id}"), transaction(engine) as session:
        delete_segment(session, "readers")
    with transaction(engine) as session:
        schedule.cancel(session, edition_id)
        delete_segment(session, "readers")

    with reading(engine) as session:
        [used] = segments_of(session, edition_id)
    assert (used.segment_id, used.name, used.definition) == (None, "readers", "language is zh")


def test_nobody_is_planned_when_a_frozen_definition_can_no_longer_be_read(
    engine: Engine, settings: Settings, readers: list[int]
) -> None:
    segment(engine, "guests", "tagged guest")
    edition_id = draft(engine, settings, exclusions=["guests"])
    approve(engine, settings, edition_id)
    with transaction(engine) as session:
        session.get_one(EditionSegment, (edition_id, 0)).definition = "tagged somebody-else"
        schedule.send_now(session, edition_id, now=MORNING)

    with pytest.raises(QueryError):
        plan_edition(engine, edition_id, now=MORNING)

    assert states_of(engine, edition_id) == {}


def test_at_local_time_only_the_audience_is_expected_and_planned(
    engine: Engine, settings: Settings, readers: list[int]
) -> None:
    _, _, cy, di = readers
    segment(engine, "chinese", "language is zh")
    segment(engine, "di", "name is di")
    edition_id = draft(engine, settings, audience="chinese", exclusions=["di"])
    approve(engine, settings, edition_id)

    tomorrow = MORNING.date() + timedelta(days=1)
    due = datetime.combine(tomorrow, time(7), UTC)

    with transaction(engine) as session:
        schedule.send_local(session, edition_id, tomorrow, time(7), past=Past.SEND, now=MORNING)
        expected = sum(wave.people for wave in wave_statuses(session, edition_id))
        assert schedule.start(session, edition_id, now=due)
    for now in (due, due + timedelta(days=3)):  # the wave; then the sweep, which finds nobody else
        plan_edition(engine, edition_id, now=now)

    assert expected == 1
    assert states_of(engine, edition_id) == {cy: WAITING, di: EXCLUDED}
    assert_ledger_is_exact(engine, edition_id)
