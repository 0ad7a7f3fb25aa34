"""The working draft: saved without loss, and what of it voids an approval."""

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import Engine, func, select

from newsletter.compose.briefing import Briefing, Section, Story
from newsletter.compose.content import DraftContent
from newsletter.compose.tidy import tidy
from newsletter.db import reading, transaction
from newsletter.errors import InputError, NotFoundError, StateError
from newsletter.models import (
    Edition,
    EditionState,
    MailingList,
    Revision,
    Wave,
    WorkingDraft,
)
from newsletter.plan import schedule
from newsletter.plan.approval import approve_edition
from newsletter.plan.drafts import (
    Conflict,
    Saved,
    cut_revision,
    draft_of,
    forget_kept,
    has_uncut_changes,
    kept_drafts,
    open_edition,
    restore_revision,
    save_draft,
    take_kept,
)
from newsletter.plan.editions import (
    content_of,
    correct_edition,
    create_edition,
    drop_correction,
    newest_revision,
    revise_edition,
)
from newsletter.settings import Settings
from tests.newsroom import (
    MORNING,
    a_briefing,
    add_list,
    add_readers,
    add_transport,
    edition_of,
)

LATER = MORNING + timedelta(minutes=5)


def opened(engine: Engine, content: DraftContent | None = None) -> int:
    list_id = add_list(engine)
    with transaction(engine) as session:
        edition = open_edition(
            session,
            content or DraftContent(briefing=a_briefing()),
            lists=[session.get_one(MailingList, list_id)],
            created_by="Ed",
            now=MORNING,
        )
        return edition.id


def save(
    engine: Engine, edition_id: int, content: DraftContent, *, based_on: int = 1, by: str = "Bo"
) -> Saved | Conflict:
    with transaction(engine) as session:
        return save_draft(session, edition_id, content, based_on=based_on, by=by, now=LATER)


def cut(engine: Engine, settings: Settings, edition_id: int) -> int:
    with transaction(engine) as session:
        return cut_revision(session, edition_id, settings=settings, by="Ed", now=LATER).number


def approve(engine: Engine, settings: Settings, edition_id: int) -> None:
    with transaction(engine) as session:
        approve_edition(session, edition_id, approved_by="Ann", settings=settings, now=LATER)


def titled(title: str) -> DraftContent:
    return DraftContent(briefing=replace(a_briefing(), title=title))


def test_an_edition_begins_with_nothing_at_all(engine: Engine) -> None:
    edition_id = opened(engine, DraftContent())

    with reading(engine) as session:
        draft = draft_of(session, edition_id)
        assert has_uncut_changes(session, edition_id)

    assert (draft.version, draft.changed_by) == (1, "Ed")
    assert draft.content.briefing == Briefing(title="", sections=())
    assert edition_of(engine, edition_id).revision == 0
    with reading(engine) as session, pytest.raises(StateError, match="no revision yet"):
        newest_revision(session, edition_of(engine, edition_id))


def test_saving_takes_the_draft_one_version_on(engine: Engine) -> None:
    edition_id = opened(engine)

    saved = save(engine, edition_id, titled("Another"))

    assert isinstance(saved, Saved)
    assert (saved.draft.version, saved.draft.changed_by, saved.voids) == (2, "Bo", False)
    with reading(engine) as session:
        assert draft_of(session, edition_id) == saved.draft


def test_saving_what_is_there_already_is_no_new_version(engine: Engine) -> None:
    edition_id = opened(engine)

    saved = save(engine, edition_id, DraftContent(briefing=a_briefing()), based_on=0)

    assert isinstance(saved, Saved)
    assert saved.draft.version == 1


def test_a_draft_may_be_incomplete_and_is_kept_as_it_is(engine: Engine) -> None:
    edition_id = opened(engine)
    begun = Briefing(title="", sections=(Section("Port", ()), Section(None, (Story(""),))))

    save(engine, edition_id, DraftContent(briefing=begun))

    with reading(engine) as session:
        assert draft_of(session, edition_id).content.briefing == begun


def test_who_saves_on_an_old_version_gets_both_kept(engine: Engine) -> None:
    edition_id = opened(engine)
    save(engine, edition_id, titled("Bo's"), by="Bo")

    conflict = save(engine, edition_id, titled("Cy's"), by="Cy")

    assert isinstance(conflict, Conflict)
    assert conflict.draft.content.briefing.title == "Bo's"
    assert conflict.kept.content.briefing.title == "Cy's"
    with reading(engine) as session:
        assert draft_of(session, edition_id).content.briefing.title == "Bo's"
        assert [kept.kept_by for kept in kept_drafts(session, edition_id)] == ["Cy"]


def test_a_tab_that_goes_on_saving_writes_over_its_own_kept_version(engine: Engine) -> None:
    edition_id = opened(engine)
    save(engine, edition_id, titled("Bo's"), by="Bo")
    save(engine, edition_id, titled("Cy's"), by="Cy")

    save(engine, edition_id, titled("Cy's, longer"), by="Cy")

    with reading(engine) as session:
        kept = kept_drafts(session, edition_id)
    assert [each.content.briefing.title for each in kept] == ["Cy's, longer"]


def test_taking_a_kept_version_keeps_the_other_in_its_place(engine: Engine) -> None:
    edition_id = opened(engine)
    save(engine, edition_id, titled("Bo's"), by="Bo")
    conflict = save(engine, edition_id, titled("Cy's"), by="Cy")
    assert isinstance(conflict, Conflict)

    with transaction(engine) as session:
        taken = take_kept(session, edition_id, conflict.kept.id, by="Cy", now=LATER)

    assert taken.draft.content.briefing.title == "Cy's"
    with transaction(engine) as session:
        (kept,) = kept_drafts(session, edition_id)
        forget_kept(session, edition_id, kept.id)
    assert (kept.content.briefing.title, kept.kept_by) == ("Bo's", "Bo")
    with reading(engine) as session, pytest.raises(NotFoundError):
        take_kept(session, edition_id, kept.id, by="Cy", now=LATER)


def test_a_revision_is_cut_once_for_what_it_says(engine: Engine, settings: Settings) -> None:
    edition_id = opened(engine)

    numbers = [cut(engine, settings, edition_id) for _ in range(2)]
    save(engine, edition_id, titled("Another"))
    numbers.append(cut(engine, settings, edition_id))

    assert numbers == [1, 1, 2]
    with reading(engine) as session:
        assert not has_uncut_changes(session, edition_id)
        revision = session.get_one(Revision, (edition_id, 2))
    assert revision.subject == "Another"
    assert "title: Another" in revision.source_text


def test_subject_and_preheader_follow_the_briefing_until_they_are_written(
    engine: Engine, settings: Settings
) -> None:
    edition_id = opened(engine, replace(titled("The title"), subject="A  subject\n"))

    cut(engine, settings, edition_id)

    with reading(engine) as session:
        revision = session.get_one(Revision, (edition_id, 1))
        draft = draft_of(session, edition_id)
    assert (revision.subject, revision.preheader) == ("A  subject", "The harbour reopens")
    assert (draft.content.subject, draft.content.preheader) == ("A  subject", None)


def test_changing_one_letter_voids_approval_and_schedule(
    engine: Engine, settings: Settings
) -> None:
    add_transport(engine, 25)
    edition_id = opened(engine)
    cut(engine, settings, edition_id)
    approve(engine, settings, edition_id)
    with transaction(engine) as session:
        schedule.send_at(session, edition_id, MORNING + timedelta(hours=2), now=LATER)

    saved = save(engine, edition_id, titled("Harbour Reopens After the Storn"))

    assert isinstance(saved, Saved)
    assert saved.voids
    edition = edition_of(engine, edition_id)
    assert (edition.state, edition.approved_revision) == (EditionState.DRAFT, None)
    with reading(engine) as session:
        assert session.scalar(select(func.count()).select_from(Wave)) == 0
    with pytest.raises(StateError, match="Approve it first"), transaction(engine) as session:
        schedule.send_now(session, edition_id, now=LATER)


def test_cutting_what_was_approved_leaves_it_approved(engine: Engine, settings: Settings) -> None:
    add_transport(engine, 25)
    edition_id = opened(engine)
    cut(engine, settings, edition_id)
    approve(engine, settings, edition_id)
    with transaction(engine) as session:
        session.get_one(MailingList, 1).name = "Another masthead"

    number = cut(engine, settings, edition_id)

    edition = edition_of(engine, edition_id)
    assert (number, edition.state) == (1, EditionState.APPROVED)


def test_a_text_that_holds_no_briefing_is_kept_beside_it_and_nothing_is_cut(
    engine: Engine, settings: Settings
) -> None:
    edition_id = opened(engine)
    with reading(engine) as session:
        content = draft_of(session, edition_id).content

    save(engine, edition_id, replace(content, unread_text="half a \x00 thought"))

    with reading(engine) as session:
        draft = draft_of(session, edition_id)
    assert draft.content.unread_text == "half a  thought"
    assert draft.content.briefing == tidy(a_briefing())
    with pytest.raises(StateError, match="holds no briefing yet"):
        cut(engine, settings, edition_id)


def test_restoring_a_revision_keeps_what_no_revision_has(
    engine: Engine, settings: Settings
) -> None:
    edition_id = opened(engine, titled("First"))
    cut(engine, settings, edition_id)
    save(engine, edition_id, titled("Second, never cut"))

    with transaction(engine) as session:
        restored = restore_revision(session, edition_id, 1, by="Ed", now=LATER)

    assert restored.draft.content.briefing.title == "First"
    with reading(engine) as session:
        (kept,) = kept_drafts(session, edition_id)
        assert kept.content.briefing.title == "Second, never cut"
        with pytest.raises(NotFoundError):
            restore_revision(session, edition_id, 7, by="Ed", now=LATER)


def test_a_revision_made_elsewhere_is_what_editors_go_on_with(
    engine: Engine, settings: Settings
) -> None:
    edition_id = opened(engine)

    with transaction(engine) as session:
        revise_edition(
            session,
            edition_id,
            content_of(replace(a_briefing(), title="From a file"), "text"),
            settings=settings,
            revised_by="Ed",
            now=LATER,
        )

    conflict = save(engine, edition_id, titled("From a tab"))
    assert isinstance(conflict, Conflict)
    assert conflict.draft.content.briefing.title == "From a file"


def test_an_edition_from_before_there_were_drafts_has_one(
    engine: Engine, settings: Settings
) -> None:
    list_id = add_list(engine)
    with transaction(engine) as session:
        edition = create_edition(
            session,
            content_of(a_briefing(), "as pasted"),
            lists=[session.get_one(MailingList, list_id)],
            settings=settings,
            created_by="Ed",
            now=MORNING,
        )
        session.delete(session.get_one(WorkingDraft, edition.id))

    saved = save(engine, edition.id, titled("Another"), based_on=0)

    assert isinstance(saved, Saved)
    assert saved.draft.version == 1


def test_a_change_of_what_is_being_sent_is_a_correction_beside_it(
    engine: Engine, settings: Settings
) -> None:
    add_transport(engine, 25)
    edition_id = opened(engine)
    add_readers(engine, 1, ["ada"])
    cut(engine, settings, edition_id)
    approve(engine, settings, edition_id)
    with transaction(engine) as session:
        schedule.send_now(session, edition_id, now=LATER)

    saved = save(engine, edition_id, titled("Corrected"))
    number = cut(engine, settings, edition_id)

    assert isinstance(saved, Saved)
    assert not saved.voids
    edition = edition_of(engine, edition_id)
    assert (edition.state, edition.approved_revision) == (EditionState.SENDING, 1)
    assert number == edition.revision == 2


def test_dropping_a_correction_takes_the_draft_back(engine: Engine, settings: Settings) -> None:
    add_transport(engine, 25)
    edition_id = opened(engine)
    cut(engine, settings, edition_id)
    approve(engine, settings, edition_id)
    with transaction(engine) as session:
        schedule.send_now(session, edition_id, now=LATER)
        correct_edition(
            session,
            edition_id,
            content_of(replace(a_briefing(), title="Corrected"), "text"),
            settings=settings,
            corrected_by="Ed",
            now=LATER,
        )

    with transaction(engine) as session:
        drop_correction(session, edition_id)

    with reading(engine) as session:
        assert draft_of(session, edition_id).content.briefing == tidy(a_briefing())


def test_nobody_changes_a_cancelled_edition(engine: Engine, settings: Settings) -> None:
    edition_id = opened(engine)
    cut(engine, settings, edition_id)
    with transaction(engine) as session:
        schedule.cancel(session, edition_id)

    with pytest.raises(StateError, match="cancelled"):
        save(engine, edition_id, titled("Too late"))


def test_a_subject_that_no_mail_can_have_is_refused(engine: Engine) -> None:
    edition_id = opened(engine)

    with pytest.raises(InputError, match="255"):
        save(engine, edition_id, replace(titled("Fine"), subject="x" * 256))


def test_there_is_no_draft_of_no_edition(engine: Engine) -> None:
    with reading(engine) as session, pytest.raises(NotFoundError, match="no edition 99"):
        draft_of(session, 99)


@pytest.mark.parametrize("store", ["postgresql"])  # SQLite lets one write at a time from the start
def test_who_read_the_draft_before_another_saved_overwrites_nothing(engine: Engine) -> None:
    edition_id = opened(engine)

    with transaction(engine) as late:
        draft = draft_of(late, edition_id)
        save(engine, edition_id, titled("By Bo"), based_on=draft.version)
        saved = save_draft(
            late, edition_id, titled("By Cy"), based_on=draft.version, by="Cy", now=LATER
        )

    assert isinstance(saved, Conflict)
    with reading(engine) as session:
        assert draft_of(session, edition_id).content.briefing.title == "By Bo"


@pytest.mark.parametrize("store", ["postgresql"])
def test_an_approval_that_came_after_the_edition_was_read_is_void_too(
    engine: Engine, settings: Settings
) -> None:
    add_transport(engine, 25)
    edition_id = opened(engine)

    with transaction(engine) as late:
        seen = late.get_one(Edition, edition_id)
        approve(engine, settings, edition_id)
        saved = save_draft(late, edition_id, titled("Not that"), based_on=1, by="Cy", now=LATER)

    assert isinstance(saved, Saved)
    assert saved.voids
    assert seen.state is EditionState.DRAFT
    assert edition_of(engine, edition_id).state is EditionState.DRAFT
