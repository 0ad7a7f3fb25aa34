"""Corrections of an edition that is being sent: beside it until approved, and links that never move."""

import re
from dataclasses import replace

import pytest
from sqlalchemy import Engine, select

from newsletter.compose.anchors import Anchor
from newsletter.compose.briefing import Briefing, KeyPoint, Section, Span, Story
from newsletter.db import reading, transaction
from newsletter.errors import StateError
from newsletter.models import Edition, EditionState, Link, LinkFigures, MailingList, Revision
from newsletter.plan import schedule
from newsletter.plan.anchors import stories_of
from newsletter.plan.approval import RefusedApproval, approve_edition
from newsletter.plan.editions import (
    compiled_of,
    content_of,
    correct_edition,
    create_edition,
    drop_correction,
    revise_edition,
)
from newsletter.render.compiled import edition_page
from newsletter.report.figures import link_counts, story_counts
from newsletter.settings import Settings
from tests.newsroom import (
    MORNING,
    a_briefing,
    add_list,
    add_transport,
    edition_of,
)


@pytest.fixture
def edition_id(engine: Engine, settings: Settings) -> int:
    """Approved and being sent."""
    add_transport(engine, 25)
    made = draft(engine, settings, linking("a", "b", "c"))
    approve(engine, settings, made)
    with transaction(engine) as session:
        schedule.send_now(session, made, now=MORNING)
    return made


def linking(*names: str) -> Briefing:
    """A briefing whose stories lead to source.example/NAME, in this order."""
    stories = tuple(
        Story(
            headline=f"Story {name} of the port",
            paragraphs=((Span(f"What happened there, at length: {name}. " * 4),),),
            href=f"https://source.example/{name}",
        )
        for name in names
    )
    return replace(a_briefing(), key_points=(), sections=(Section("Port", stories),))


def draft(engine: Engine, settings: Settings, briefing: Briefing) -> int:
    list_id = add_list(engine)
    with transaction(engine) as session:
        edition = create_edition(
            session,
            content_of(briefing, "as pasted"),
            lists=[session.get_one(MailingList, list_id)],
            settings=settings,
            created_by="Ed",
            now=MORNING,
        )
        return edition.id


def approve(engine: Engine, settings: Settings, edition_id: int) -> int:
    with transaction(engine) as session:
        return approve_edition(
            session, edition_id, approved_by="Ann", settings=settings, now=MORNING
        ).revision


def correct(engine: Engine, settings: Settings, edition_id: int, briefing: Briefing) -> int:
    with transaction(engine) as session:
        return correct_edition(
            session,
            edition_id,
            content_of(briefing, "as pasted again"),
            settings=settings,
            corrected_by="Ed",
            now=MORNING,
        ).revision


def drop(engine: Engine, edition_id: int) -> None:
    with transaction(engine) as session:
        drop_correction(session, edition_id)


def numbers(engine: Engine, edition_id: int) -> dict[str, int]:
    """The number of each link to a story that the newest revision shows, by the story's name."""
    with reading(engine) as session:
        edition = session.get_one(Edition, edition_id)
        compiled = compiled_of(session, edition, list_id=1)
    marks = [link for link in compiled.links if "source.example" in link.url]
    return {link.url.rpartition("/")[2]: link.number for link in marks}


def anchors(engine: Engine, edition_id: int, revision: int) -> dict[str, Anchor]:
    """By the story's headline."""
    with reading(engine) as session:
        known = stories_of(session.get_one(Revision, (edition_id, revision)))
    return {each.story.headline: each.anchor for each in known}


def page(engine: Engine, edition_id: int) -> str:
    """The newest revision as it stands on the web."""
    with reading(engine) as session:
        compiled = compiled_of(session, session.get_one(Edition, edition_id), list_id=1)
    return edition_page(compiled)


def targets(engine: Engine, edition_id: int) -> dict[int, str]:
    with reading(engine) as session:
        rows = session.execute(select(Link.number, Link.url).where(Link.edition_id == edition_id))
        return {number: url for number, url in rows}  # noqa: C416  a row is no pair to the types


def test_a_correction_stands_beside_what_is_sent_until_it_is_approved(
    engine: Engine, settings: Settings, edition_id: int
) -> None:
    assert correct(engine, settings, edition_id, linking("a", "d")) == 2

    edition = edition_of(engine, edition_id)
    assert (edition.state, edition.revision) == (EditionState.SENDING, 2)
    assert edition.approved_revision == 1

    assert approve(engine, settings, edition_id) == 2

    edition = edition_of(engine, edition_id)
    assert (edition.state, edition.approved_revision) == (EditionState.SENDING, 2)
    with reading(engine) as session:
        revision = session.get_one(Revision, (edition_id, 2))
    assert (revision.created_by, revision.approved_by) == ("Ed", "Ann")


def test_a_link_that_stays_keeps_its_number_and_a_new_one_gets_a_new_number(
    engine: Engine, settings: Settings, edition_id: int
) -> None:
    before, out = numbers(engine, edition_id), targets(engine, edition_id)

    correct(engine, settings, edition_id, linking("new", "c", "a"))

    after = numbers(engine, edition_id)
    assert (after["a"], after["c"]) == (before["a"], before["c"])
    assert after["new"] not in out
    assert targets(engine, edition_id).items() >= out.items()


def test_an_address_leads_to_the_same_story_after_a_correction_that_moves_it(
    engine: Engine, settings: Settings, edition_id: int
) -> None:
    correct(engine, settings, edition_id, linking("c", "a"))
    approve(engine, settings, edition_id)
    fixed = replace(linking("b", "c"), key_points=(KeyPoint("Of the second.", 2),))
    correct(engine, settings, edition_id, fixed)

    out, back = anchors(engine, edition_id, 1), anchors(engine, edition_id, 3)
    assert out["Story c of the port"] == Anchor(3, "story-c-of-the-port")
    assert back == {each: out[each] for each in ("Story b of the port", "Story c of the port")}
    html = page(engine, edition_id)
    assert re.findall(r'<td [^>]*id="([^"]*)"', html) == [each.name for each in back.values()]
    assert '#story-c-of-the-port"' in html


def test_a_draft_s_names_follow_its_headlines_until_it_is_approved(
    engine: Engine, settings: Settings
) -> None:
    edition_id = draft(engine, settings, linking("a", "b"))
    first = linking("a", "b").sections[0].stories[0]
    renamed = replace(linking(), sections=(Section("Port", (replace(first, headline="Rain"),)),))

    with transaction(engine) as session:
        revise_edition(
            session,
            edition_id,
            content_of(renamed, "as written"),
            settings=settings,
            revised_by="Ed",
            now=MORNING,
        )

    assert anchors(engine, edition_id, 2) == {"Rain": Anchor(1, "rain")}


def test_what_was_compiled_before_stories_had_names_is_found_by_its_positions_for_good(
    engine: Engine, settings: Settings, edition_id: int
) -> None:
    with transaction(engine) as session:
        session.get_one(Revision, (edition_id, 1)).anchors = []

    correct(engine, settings, edition_id, linking("c", "a"))

    html = page(engine, edition_id)
    assert re.findall(r'<td [^>]*id="([^"]*)"', html) == ["story-3", "story-1"]


def test_a_moved_story_s_readers_are_counted_for_it(
    engine: Engine, settings: Settings, edition_id: int
) -> None:
    link = numbers(engine, edition_id)["c"]
    correct(engine, settings, edition_id, linking("c", "new"))
    approve(engine, settings, edition_id)

    with transaction(engine) as session:
        session.add(LinkFigures(edition_id=edition_id, number=link, clicks=7))
        edition = session.get_one(Edition, edition_id)
        counted = story_counts(session, edition, link_counts(session, edition_id))

    assert [(each.headline, each.clicks) for each in counted[:2]] == [
        ("Story c of the port", 7),
        ("Story new of the port", 0),
    ]


def test_two_links_to_one_place_have_a_number_each_and_keep_both(
    engine: Engine, settings: Settings
) -> None:
    edition_id = draft(engine, settings, linking("a", "a"))
    before = targets(engine, edition_id)
    with transaction(engine) as session:
        revise_edition(
            session,
            edition_id,
            content_of(linking("a", "a"), "the same"),
            settings=settings,
            revised_by="Ed",
            now=MORNING,
        )

    assert targets(engine, edition_id) == before


def test_a_correction_may_be_withdrawn_and_its_number_is_not_used_again(
    engine: Engine, settings: Settings, edition_id: int
) -> None:
    correct(engine, settings, edition_id, linking("a", "d"))

    drop(engine, edition_id)

    with pytest.raises(StateError, match="is sending; only a draft"):
        approve(engine, settings, edition_id)
    with pytest.raises(StateError, match="no correction"):
        drop(engine, edition_id)
    assert correct(engine, settings, edition_id, linking("a", "e")) == 3
    assert approve(engine, settings, edition_id) == 3


def test_a_correction_that_the_checks_refuse_changes_nothing(
    engine: Engine, settings: Settings, edition_id: int
) -> None:
    correct(engine, settings, edition_id, replace(a_briefing(), sections=()))

    with pytest.raises(RefusedApproval):
        approve(engine, settings, edition_id)

    assert edition_of(engine, edition_id).approved_revision == 1


def test_an_edition_that_is_over_is_corrected_for_its_page(
    engine: Engine, settings: Settings, edition_id: int
) -> None:
    with transaction(engine) as session:
        session.get_one(Edition, edition_id).state = EditionState.SENT

    correct(engine, settings, edition_id, linking("a", "d"))
    approve(engine, settings, edition_id)

    edition = edition_of(engine, edition_id)
    assert (edition.state, edition.approved_revision) == (EditionState.SENT, 2)


def test_what_is_not_being_sent_is_revised_and_not_corrected(
    engine: Engine, settings: Settings
) -> None:
    edition_id = draft(engine, settings, linking("a"))

    with pytest.raises(StateError, match="newsletter edition revise"):
        correct(engine, settings, edition_id, linking("b"))


def test_a_cancelled_edition_is_not_corrected(
    engine: Engine, settings: Settings, edition_id: int
) -> None:
    with transaction(engine) as session:
        schedule.cancel(session, edition_id)

    with pytest.raises(StateError, match="is cancelled; only what is being sent"):
        correct(engine, settings, edition_id, linking("b"))
