"""Which headings a reader can hide, and who has nothing left."""

from dataclasses import replace

import pytest
from sqlalchemy import Engine

from newsletter.audience.sections import add_section, edit_section
from newsletter.compose.briefing import Briefing, KeyPoint, Section, Span, Story
from newsletter.db import reading, transaction
from newsletter.models import DeliveryState, MailingList, Subscription
from newsletter.plan import schedule
from newsletter.plan.approval import approve_edition
from newsletter.plan.editions import content_of, create_edition
from newsletter.plan.hiding import Hiding, hiding_of
from newsletter.plan.planner import plan_edition
from newsletter.report.editions import edition_status
from newsletter.settings import Settings
from tests.newsroom import (
    MORNING,
    a_briefing,
    add_list,
    add_readers,
    add_transport,
    states_of,
    subscribe,
)

EXCLUDED, WAITING = DeliveryState.EXCLUDED, DeliveryState.WAITING


def briefing_with(*headings: str | None) -> Briefing:
    stories = (Story("A headline of the day", ((Span("All that is known of it."),),)),)
    return replace(
        a_briefing(),
        key_points=(KeyPoint("Something."),),
        sections=tuple(Section(name, stories) for name in headings),
    )


def a_list_with_sections(engine: Engine, slug: str = "harbour") -> int:
    """Port is bit 0, Sport bit 1."""
    list_id = add_list(engine, slug)
    with transaction(engine) as session:
        mailing_list = session.get_one(MailingList, list_id)
        add_section(session, mailing_list, "port", name="Port", aliases=["Harbour"])
        add_section(session, mailing_list, "sport", name="Sport")
    return list_id


def hide(engine: Engine, list_id: int, subscriber_id: int, mask: int) -> None:
    with transaction(engine) as session:
        session.get_one(Subscription, (list_id, subscriber_id)).hidden_sections = mask


def approved(engine: Engine, settings: Settings, briefing: Briefing, *list_ids: int) -> int:
    with transaction(engine) as session:
        edition = create_edition(
            session,
            content_of(briefing, "text"),
            lists=[session.get_one(MailingList, list_id) for list_id in list_ids],
            settings=settings,
            created_by="Ed",
            now=MORNING,
        )
        edition_id = edition.id
        approve_edition(session, edition_id, approved_by="Ann", settings=settings, now=MORNING)
        return edition_id


def planned(engine: Engine, settings: Settings, briefing: Briefing, *list_ids: int) -> int:
    edition_id = approved(engine, settings, briefing, *list_ids)
    with transaction(engine) as session:
        schedule.send_now(session, edition_id, now=MORNING)
    plan_edition(engine, edition_id, now=MORNING)
    return edition_id


@pytest.mark.parametrize(
    ("bits", "hidden", "places", "leaves_nothing"),
    [
        ([0, 1], 0b00, 0b00, False),
        ([0, 1], 0b01, 0b01, False),
        ([1, 0], 0b01, 0b10, False),
        ([0, 1], 0b11, 0b11, True),
        ([0, 1], 0b111, 0b11, True),
        ([5, 5], 1 << 5, 0b11, True),
        ([62], 1 << 62, 0b1, True),
        ([0, None], 0b11, 0b01, False),
        ([None], 0b11, 0, False),
        ([], 0b11, 0, False),
    ],
)
def test_what_hiding_comes_to(
    bits: list[int | None], hidden: int, places: int, leaves_nothing: bool
) -> None:
    hiding = Hiding.of(bits)

    assert hiding.places(hidden) == places
    assert hiding.leaves_nothing(hidden) is leaves_nothing


def test_headings_mean_the_lists_sections_as_they_are_when_it_is_approved(
    engine: Engine, settings: Settings
) -> None:
    add_transport(engine, 25)
    list_id = a_list_with_sections(engine)
    with transaction(engine) as session:
        edit_section(session, session.get_one(MailingList, list_id), "sport", {"is_pinned": True})

    edition_id = approved(
        engine, settings, briefing_with(" HARBOUR", "Sport", "Elsewhere", "Port"), list_id
    )

    with reading(engine) as session:
        assert hiding_of(session, edition_id, 1)[list_id].bits == (0, None, None, 0)


def test_whoever_hides_all_of_it_is_excluded_with_the_reason(
    engine: Engine, settings: Settings
) -> None:
    add_transport(engine, 25)
    list_id = a_list_with_sections(engine)
    ada, bo, cy = add_readers(engine, list_id, ["Ada", "Bo", "Cy"])
    hide(engine, list_id, ada, 0b11)
    hide(engine, list_id, bo, 0b01)

    edition_id = planned(engine, settings, briefing_with("Port", "Sport"), list_id)

    assert states_of(engine, edition_id) == {ada: EXCLUDED, bo: WAITING, cy: WAITING}
    with reading(engine) as session:
        assert edition_status(session, edition_id).excluded == {"nothing_left": 1}


def test_what_nobody_can_hide_leaves_something_for_everybody(
    engine: Engine, settings: Settings
) -> None:
    add_transport(engine, 25)
    list_id = a_list_with_sections(engine)
    [ada] = add_readers(engine, list_id, ["Ada"])
    hide(engine, list_id, ada, 0b11)

    edition_id = planned(engine, settings, briefing_with("Port", "Sport", "Corrections"), list_id)

    assert states_of(engine, edition_id) == {ada: WAITING}


def test_whoever_has_nothing_left_through_one_list_gets_it_through_the_next(
    engine: Engine, settings: Settings
) -> None:
    add_transport(engine, 25)
    first, second = a_list_with_sections(engine), a_list_with_sections(engine, "evening")
    [ada] = add_readers(engine, first, ["Ada"])
    subscribe(engine, second, [ada])
    hide(engine, first, ada, 0b11)

    edition_id = planned(engine, settings, briefing_with("Port", "Sport"), first, second)

    assert states_of(engine, edition_id) == {ada: WAITING}


def test_an_edition_from_before_there_were_sections_goes_out_whole(
    engine: Engine, settings: Settings
) -> None:
    add_transport(engine, 25)
    list_id = add_list(engine)
    [ada] = add_readers(engine, list_id, ["Ada"])
    hide(engine, list_id, ada, 0b11)

    edition_id = planned(engine, settings, briefing_with("Port"), list_id)

    assert states_of(engine, edition_id) == {ada: WAITING}
