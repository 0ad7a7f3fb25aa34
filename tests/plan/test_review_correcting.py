"""Correction mails: for those alone who were sent the mistake."""

from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Engine, select

from newsletter.db import reading, transaction
from newsletter.errors import InputError, StateError
from newsletter.models import Delivery, DeliveryState, Edition, MailingList
from newsletter.plan import schedule
from newsletter.plan.approval import approve_edition
from newsletter.plan.correcting import (
    correction_mail_of,
    corrections_of,
    note_correction,
    open_correction_mail,
)
from newsletter.plan.drafts import draft_of
from newsletter.plan.editions import content_of, correct_edition, create_edition
from newsletter.plan.planner import plan_edition
from newsletter.settings import Settings
from tests.newsroom import (
    MORNING,
    a_briefing,
    add_list,
    add_readers,
    add_transport,
    settings_for,
    states_of,
)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return settings_for(tmp_path)


@pytest.fixture
def readers(engine: Engine) -> list[int]:
    add_transport(engine, 25)
    return add_readers(engine, add_list(engine), ["Ada", "Bo", "Cy", "Di"])


@pytest.fixture
def edition_id(engine: Engine, settings: Settings, readers: list[int]) -> int:
    """Being sent: Ada has it, Bo's failed, Cy got a revision that came later."""
    with transaction(engine) as session:
        made = create_edition(
            session,
            content_of(a_briefing(), "text"),
            lists=[session.get_one(MailingList, 1)],
            settings=settings,
            created_by="Wim",
            now=MORNING,
        ).id
    approve(engine, settings, made)
    with transaction(engine) as session:
        schedule.send_now(session, made, now=MORNING)
    plan_edition(engine, made, now=MORNING)
    sent = [(DeliveryState.SENT, 1), (DeliveryState.FAILED, 1), (DeliveryState.SENT, 2)]
    with transaction(engine) as session:
        for reader, (state, revision) in zip(readers, sent, strict=False):
            delivery = session.get_one(Delivery, (made, reader))
            delivery.state, delivery.revision = state, revision
    return made


def approve(engine: Engine, settings: Settings, edition_id: int) -> None:
    with transaction(engine) as session:
        approve_edition(session, edition_id, approved_by="Edda", settings=settings, now=MORNING)


def correct(engine: Engine, settings: Settings, edition_id: int) -> None:
    corrected = replace(a_briefing(), title="Harbour Reopens Tomorrow")
    with transaction(engine) as session:
        correct_edition(
            session,
            edition_id,
            content_of(corrected, "text"),
            settings=settings,
            corrected_by="Wim",
            now=MORNING,
        )


def note(engine: Engine, edition_id: int, text: str = "It reopens tomorrow.") -> None:
    with transaction(engine) as session:
        note_correction(session, edition_id, text, by="Wim", now=MORNING)


def test_a_correction_mail_goes_to_those_who_were_sent_the_mistake(
    engine: Engine, settings: Settings, edition_id: int, readers: list[int]
) -> None:
    correct(engine, settings, edition_id)
    note(engine, edition_id)
    approve(engine, settings, edition_id)

    with transaction(engine) as session:
        mail = open_correction_mail(session, edition_id, by="Wim", now=MORNING).id
    approve(engine, settings, mail)
    with transaction(engine) as session:
        schedule.send_now(session, mail, now=MORNING)
    plan_edition(engine, mail, now=MORNING)

    assert list(states_of(engine, mail)) == [readers[0]]
    with reading(engine) as session:
        draft = draft_of(session, mail)
        known = correction_mail_of(session, session.get_one(Edition, edition_id))
    assert draft.content.subject_line == "Correction: Harbour Reopens Tomorrow"
    assert draft.content.briefing.intro[0][0].text == "It reopens tomorrow."
    assert known is not None
    assert known.edition_id == mail


def test_what_was_corrected_is_kept_with_its_note(
    engine: Engine, settings: Settings, edition_id: int
) -> None:
    correct(engine, settings, edition_id)
    note(engine, edition_id, "First.")
    note(engine, edition_id, "It reopens tomorrow.")

    with reading(engine) as session:
        found = [(each.revision, each.note) for each in corrections_of(session, edition_id)]

    assert found == [(2, "It reopens tomorrow.")]


def test_where_nothing_was_corrected_there_is_nothing_to_say(
    engine: Engine, settings: Settings, edition_id: int
) -> None:
    with pytest.raises(StateError, match="no correction to say"):
        note(engine, edition_id)
    with (
        pytest.raises(StateError, match="no approved correction"),
        transaction(engine) as session,
    ):
        open_correction_mail(session, edition_id, by="Wim", now=MORNING)


def test_a_correction_that_is_not_approved_yet_is_mailed_to_nobody(
    engine: Engine, settings: Settings, edition_id: int
) -> None:
    correct(engine, settings, edition_id)

    with (
        pytest.raises(StateError, match="no approved correction"),
        transaction(engine) as session,
    ):
        open_correction_mail(session, edition_id, by="Wim", now=MORNING)
    with reading(engine) as session:
        assert session.scalars(select(Edition.id)).all() == [edition_id]


def test_an_empty_note_is_refused(engine: Engine, settings: Settings, edition_id: int) -> None:
    correct(engine, settings, edition_id)

    with pytest.raises(InputError, match="note: write"):
        note(engine, edition_id, "  ")
