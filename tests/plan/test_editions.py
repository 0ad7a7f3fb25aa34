from dataclasses import replace

import pytest
from sqlalchemy import Engine, func, select

from newsletter.compose.briefing import Briefing
from newsletter.compose.findings import Severity
from newsletter.compose.preheader import PREHEADER_LENGTH
from newsletter.db import reading, transaction
from newsletter.errors import InputError, NotFoundError, StateError
from newsletter.models import CompiledEdition, EditionState, Link, MailingList, Revision
from newsletter.plan import schedule
from newsletter.plan.approval import RefusedApproval, approve_edition
from newsletter.plan.editions import content_of, create_edition, revise_edition
from newsletter.settings import Settings
from tests.newsroom import (
    MORNING,
    a_briefing,
    add_list,
    add_readers,
    add_transport,
    edition_of,
)


def draft(engine: Engine, settings: Settings, *list_ids: int, briefing: Briefing) -> int:
    with transaction(engine) as session:
        edition = create_edition(
            session,
            content_of(briefing, "as pasted"),
            lists=[session.get_one(MailingList, list_id) for list_id in list_ids],
            settings=settings,
            created_by="Ed",
            now=MORNING,
        )
        return edition.id


def approve(engine: Engine, settings: Settings, edition_id: int) -> int:
    with transaction(engine) as session:
        approval = approve_edition(
            session, edition_id, approved_by="Ann", settings=settings, now=MORNING
        )
        return approval.people


def revise(engine: Engine, settings: Settings, edition_id: int, briefing: Briefing) -> None:
    with transaction(engine) as session:
        revise_edition(
            session,
            edition_id,
            content_of(briefing, "as pasted again"),
            settings=settings,
            revised_by="Ed",
            now=MORNING,
        )


def test_an_approved_edition_has_its_revision_and_its_transport(
    engine: Engine, settings: Settings
) -> None:
    transport, list_id = add_transport(engine, 25), add_list(engine)
    add_readers(engine, list_id, ["ada", "bo"])
    edition_id = draft(engine, settings, list_id, briefing=a_briefing())

    people = approve(engine, settings, edition_id)

    edition = edition_of(engine, edition_id)
    assert people == 2
    assert edition.state is EditionState.APPROVED
    assert (edition.approved_revision, edition.transport_id) == (1, transport)
    with reading(engine) as session:
        revision = session.get_one(Revision, (edition_id, 1))
    assert (revision.approved_by, revision.created_by) == ("Ann", "Ed")
    assert revision.source_text == "as pasted"


def test_a_change_makes_it_a_draft_again_and_voids_the_approval(
    engine: Engine, settings: Settings
) -> None:
    add_transport(engine, 25)
    edition_id = draft(engine, settings, add_list(engine), briefing=a_briefing())
    approve(engine, settings, edition_id)

    revise(engine, settings, edition_id, a_briefing(stories=3))

    edition = edition_of(engine, edition_id)
    assert (edition.state, edition.revision) == (EditionState.DRAFT, 2)
    assert edition.approved_revision is None
    with pytest.raises(StateError, match="Approve it first"), transaction(engine) as session:
        schedule.send_now(session, edition_id, now=MORNING)
    with reading(engine) as session:
        hashes = session.scalars(select(Revision.content_hash)).all()
    assert len(set(hashes)) == 2


def test_what_the_checks_call_an_error_cannot_be_approved(
    engine: Engine, settings: Settings
) -> None:
    add_transport(engine, 25)
    empty = replace(a_briefing(), sections=())
    edition_id = draft(engine, settings, add_list(engine), briefing=empty)

    with pytest.raises(RefusedApproval, match="section-empty") as caught:
        approve(engine, settings, edition_id)

    assert any(finding.severity is Severity.ERROR for finding in caught.value.findings)
    assert edition_of(engine, edition_id).state is EditionState.DRAFT


def test_approving_twice_says_that_it_is_approved(engine: Engine, settings: Settings) -> None:
    add_transport(engine, 25)
    edition_id = draft(engine, settings, add_list(engine), briefing=a_briefing())
    approve(engine, settings, edition_id)

    with pytest.raises(StateError, match="is approved; only a draft"):
        approve(engine, settings, edition_id)


def test_without_a_transport_there_is_nothing_to_approve_for(
    engine: Engine, settings: Settings
) -> None:
    edition_id = draft(engine, settings, add_list(engine), briefing=a_briefing())

    with pytest.raises(NotFoundError, match="newsletter transport set"):
        approve(engine, settings, edition_id)


def test_an_edition_under_way_cannot_be_changed(engine: Engine, settings: Settings) -> None:
    add_transport(engine, 25)
    edition_id = draft(engine, settings, add_list(engine), briefing=a_briefing())
    approve(engine, settings, edition_id)
    with transaction(engine) as session:
        schedule.send_now(session, edition_id, now=MORNING)

    with pytest.raises(StateError, match="is sending"):
        revise(engine, settings, edition_id, a_briefing(stories=3))


def test_each_list_has_a_compiled_form_and_all_share_the_links(
    engine: Engine, settings: Settings
) -> None:
    lists = add_list(engine), add_list(engine, "noon")
    edition_id = draft(engine, settings, *lists, briefing=a_briefing())
    revise(engine, settings, edition_id, a_briefing())

    with reading(engine) as session:
        forms = session.scalar(select(func.count()).select_from(CompiledEdition))
        numbers = session.scalars(select(Link.number).order_by(Link.number)).all()

    assert forms == 4
    assert len(set(numbers)) == len(numbers)


def test_an_edition_needs_a_list(engine: Engine, settings: Settings) -> None:
    with pytest.raises(InputError, match="at least one list"):
        draft(engine, settings, briefing=a_briefing())


def test_the_preheader_ends_with_a_whole_word() -> None:
    briefing = replace(a_briefing(), key_points=(), intro=())
    long = replace(briefing, title="Harbour " * 40)

    content = content_of(long, "")

    assert len(content.preheader) <= PREHEADER_LENGTH
    assert content.preheader.endswith("Harbour…")
