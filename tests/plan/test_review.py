"""Reviews, comments and approvals: asked, placed on stories, and void when the content changes."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine

from newsletter.checks.acknowledging import acknowledge, acknowledged_in, fingerprint, take_back
from newsletter.compose.briefing import Briefing, Section
from newsletter.compose.findings import Finding, Severity
from newsletter.db import reading, transaction
from newsletter.errors import ForbiddenError, InputError, NotFoundError, StateError
from newsletter.models import (
    AudienceCount,
    Comment,
    Edition,
    EditionState,
    MailingList,
    Review,
    ReviewEnd,
)
from newsletter.plan.approval import (
    Approval,
    RefusedApproval,
    approve_edition,
    check_edition,
    hash_to_approve,
    let_errors_pass,
    withdraw_approval,
)
from newsletter.plan.drafts import draft_of, save_draft
from newsletter.plan.editions import content_of, create_edition
from newsletter.plan.marks import Marks, marks_of, note_test
from newsletter.plan.review import (
    add_comment,
    end_review,
    last_review,
    place_comments,
    reopen_comment,
    resolve_comment,
    submit_edition,
)
from newsletter.settings import Settings
from newsletter.words import Words
from tests.newsroom import (
    MORNING,
    a_briefing,
    add_list,
    add_readers,
    add_transport,
    edition_of,
    settings_for,
)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return settings_for(tmp_path)


@pytest.fixture
def edition_id(engine: Engine, settings: Settings) -> int:
    list_id = add_list(engine)
    add_readers(engine, list_id, ["Ada", "Bo"])
    add_transport(engine, 25)
    return draft(engine, settings, a_briefing())


def draft(engine: Engine, settings: Settings, briefing: Briefing) -> int:
    with transaction(engine) as session:
        return create_edition(
            session,
            content_of(briefing, "as pasted"),
            lists=[session.get_one(MailingList, 1)],
            settings=settings,
            created_by="Wim",
            now=MORNING,
        ).id


def submit(engine: Engine, settings: Settings, edition_id: int) -> Review:
    with transaction(engine) as session:
        return submit_edition(
            session, edition_id, note="Look.", by="Wim", settings=settings, now=MORNING
        )


def approve(
    engine: Engine,
    settings: Settings,
    edition_id: int,
    *,
    by: str = "Edda",
    expected: str | None = None,
    aka: Sequence[str] = (),
) -> Approval:
    with transaction(engine) as session:
        return approve_edition(
            session,
            edition_id,
            approved_by=by,
            settings=settings,
            now=MORNING + timedelta(minutes=1),
            expected_hash=expected,
            also_known_as=aka,
        )


def change(engine: Engine, edition_id: int, title: str = "Harbour Stays Closed") -> None:
    with transaction(engine) as session:
        known = draft_of(session, edition_id)
        briefing = replace(known.content.briefing, title=title)
        save_draft(
            session,
            edition_id,
            replace(known.content, briefing=briefing, subject=None),
            based_on=known.version,
            by="Bo",
            now=MORNING + timedelta(minutes=2),
        )


def marks(engine: Engine, edition_id: int) -> Marks:
    with reading(engine) as session:
        return marks_of(session, session.get_one(Edition, edition_id))


def hash_of(engine: Engine, edition_id: int) -> str:
    with reading(engine) as session:
        return hash_to_approve(session, session.get_one(Edition, edition_id))


def want_four_eyes(engine: Engine) -> None:
    with transaction(engine) as session:
        session.get_one(MailingList, 1).four_eyes = True


def test_a_review_is_asked_and_ends_with_the_approval(
    engine: Engine, settings: Settings, edition_id: int
) -> None:
    submit(engine, settings, edition_id)
    assert edition_of(engine, edition_id).state is EditionState.IN_REVIEW

    approve(engine, settings, edition_id)

    assert edition_of(engine, edition_id).state is EditionState.APPROVED
    with reading(engine) as session:
        review = last_review(session, edition_id)
    assert review is not None
    assert (review.end, review.ended_by) == (ReviewEnd.APPROVED, "Edda")


@pytest.mark.parametrize("end", [ReviewEnd.WITHDRAWN, ReviewEnd.RETURNED])
def test_a_review_that_ends_otherwise_leaves_a_draft(
    engine: Engine, settings: Settings, edition_id: int, end: ReviewEnd
) -> None:
    submit(engine, settings, edition_id)

    with transaction(engine) as session:
        end_review(session, edition_id, end, by="Edda", now=MORNING)

    assert edition_of(engine, edition_id).state is EditionState.DRAFT
    assert marks(engine, edition_id).review is None
    with pytest.raises(StateError, match="not in review"), transaction(engine) as session:
        end_review(session, edition_id, end, by="Edda", now=MORNING)


def test_what_is_approved_is_not_submitted(
    engine: Engine, settings: Settings, edition_id: int
) -> None:
    approve(engine, settings, edition_id)

    with pytest.raises(StateError, match="is approved; only a draft"):
        submit(engine, settings, edition_id)


def test_a_change_voids_the_review_and_the_tested_mark_and_says_by_whom(
    engine: Engine, settings: Settings, edition_id: int
) -> None:
    submit(engine, settings, edition_id)
    with transaction(engine) as session:
        note_test(session, session.get_one(Edition, edition_id), [1], by="Wim", now=MORNING)
    before = marks(engine, edition_id)
    assert (before.review is not None, before.test is not None) == (True, True)

    change(engine, edition_id)

    after = marks(engine, edition_id)
    assert edition_of(engine, edition_id).state is EditionState.DRAFT
    assert (after.review, after.test) == (None, None)
    assert after.void_review is not None
    assert after.void_test is not None
    assert after.changed_by == "Bo"


def test_a_change_voids_the_approval_visibly(
    engine: Engine, settings: Settings, edition_id: int
) -> None:
    approve(engine, settings, edition_id)
    holding = marks(engine, edition_id)

    change(engine, edition_id)

    void = marks(engine, edition_id)
    assert holding.approval is not None
    assert holding.void_approval is None
    assert void.approval is None
    assert void.void_approval == holding.approval


def test_who_approves_names_what_they_looked_at(
    engine: Engine, settings: Settings, edition_id: int
) -> None:
    seen = hash_of(engine, edition_id)
    change(engine, edition_id)

    with pytest.raises(
        StateError, match=r"not what you looked at any more: Bo changed it at 06:02"
    ):
        approve(engine, settings, edition_id, expected=seen)

    edition = edition_of(engine, edition_id)
    assert (edition.state, edition.revision) == (EditionState.DRAFT, 1)


def test_what_they_looked_at_is_approved_when_it_is_that_still(
    engine: Engine, settings: Settings, edition_id: int
) -> None:
    approval = approve(engine, settings, edition_id, expected=hash_of(engine, edition_id))

    assert approval.content_hash == hash_of(engine, edition_id)
    with reading(engine) as session:
        count = session.get_one(AudienceCount, edition_id)
    assert (count.people, count.excluded, approval.people) == (2, {}, 2)


def test_without_a_hash_the_draft_is_frozen_as_it_is_and_approved(
    engine: Engine, settings: Settings, edition_id: int
) -> None:
    change(engine, edition_id)

    assert approve(engine, settings, edition_id).revision == 2


@pytest.mark.parametrize(("by", "aka"), [("Wim", ()), ("WIM", ()), ("Somebody", ("Wim",))])
def test_where_a_list_wants_four_eyes_the_writer_does_not_approve(
    engine: Engine, settings: Settings, edition_id: int, by: str, aka: Sequence[str]
) -> None:
    want_four_eyes(engine)
    submit(engine, settings, edition_id)

    with pytest.raises(ForbiddenError, match="second person"):
        approve(engine, settings, edition_id, by=by, aka=aka)

    assert edition_of(engine, edition_id).state is EditionState.IN_REVIEW
    approve(engine, settings, edition_id, by="Edda")


def test_whoever_changed_it_last_does_not_approve_it_either(
    engine: Engine, settings: Settings, edition_id: int
) -> None:
    want_four_eyes(engine)
    change(engine, edition_id)

    with pytest.raises(ForbiddenError, match="second person"):
        approve(engine, settings, edition_id, by="Bo")


def test_where_two_eyes_are_enough_the_writer_approves(
    engine: Engine, settings: Settings, edition_id: int
) -> None:
    assert approve(engine, settings, edition_id, by="Wim").revision == 1


def test_an_approval_is_withdrawn_without_a_change(
    engine: Engine, settings: Settings, edition_id: int
) -> None:
    approve(engine, settings, edition_id)

    with transaction(engine) as session:
        withdraw_approval(session, edition_id)

    assert edition_of(engine, edition_id).state is EditionState.DRAFT
    assert marks(engine, edition_id).void_approval is None
    with pytest.raises(StateError, match="no approval"), transaction(engine) as session:
        withdraw_approval(session, edition_id)


def test_errors_pass_when_an_admin_says_why_and_for_that_revision_alone(
    engine: Engine, settings: Settings, edition_id: int
) -> None:
    with_an_empty_section = replace(
        a_briefing(), sections=(*a_briefing().sections, Section("Weather", ()))
    )
    faulty = draft(engine, settings, with_an_empty_section)
    with pytest.raises(RefusedApproval):
        approve(engine, settings, faulty)
    with pytest.raises(InputError, match="reason"), transaction(engine) as session:
        let_errors_pass(session, faulty, reason="so", by="Ada", settings=settings, now=MORNING)

    with transaction(engine) as session:
        let_errors_pass(
            session,
            faulty,
            reason="The weather comes by a separate mail.",
            by="Ada",
            settings=settings,
            now=MORNING,
        )

    assert approve(engine, settings, faulty).revision == 1
    change(engine, faulty)
    with pytest.raises(RefusedApproval):
        approve(engine, settings, faulty)


def test_where_there_is_no_error_there_is_nothing_to_let_pass(
    engine: Engine, settings: Settings, edition_id: int
) -> None:
    with pytest.raises(StateError, match="no error"), transaction(engine) as session:
        let_errors_pass(
            session, edition_id, reason="It is fine.", by="Ada", settings=settings, now=MORNING
        )


def test_an_edition_that_nobody_would_get_is_warned_of(
    engine: Engine, settings: Settings, edition_id: int
) -> None:
    noon = add_list(engine, "noon")
    with transaction(engine) as session:
        lonely = create_edition(
            session,
            content_of(a_briefing(), "x"),
            lists=[session.get_one(MailingList, noon)],
            settings=settings,
            created_by="Wim",
            now=MORNING,
        ).id

    with transaction(engine) as session:
        codes = [
            {each.code for each in check_edition(session, each_id, settings=settings, now=MORNING)}
            for each_id in (edition_id, lonely)
        ]

    assert ["audience-empty" in found for found in codes] == [False, True]


def test_a_warning_is_acknowledged_until_it_says_something_else(
    engine: Engine, edition_id: int
) -> None:
    warning = Finding("source-missing", Severity.WARNING, Words("“A” names no source."))
    other = replace(warning, message=Words("“B” names no source."))
    with transaction(engine) as session:
        acknowledge(
            session, edition_id, "source-missing", findings=[warning], by="Edda", now=MORNING
        )

        known = acknowledged_in(session, edition_id)

        assert known[fingerprint(warning)].by == "Edda"
        assert fingerprint(other) not in known
        take_back(session, edition_id, fingerprint(warning))
        assert acknowledged_in(session, edition_id) == {}


def test_an_error_is_not_acknowledged_and_neither_is_what_is_not_there(
    engine: Engine, edition_id: int
) -> None:
    error = Finding("section-empty", Severity.ERROR, Words("The section is empty."))

    with transaction(engine) as session:
        for name, words in (("section-empty", "is an error"), ("gone", "no such finding")):
            with pytest.raises(InputError, match=words):
                acknowledge(session, edition_id, name, findings=[error], by="Ed", now=MORNING)


def said(headline: str | None, position: int | None) -> Comment:
    return Comment(headline=headline, position=position)


def test_comments_stay_with_their_story_wherever_it_goes() -> None:
    stories = list(a_briefing(3).stories)
    moved = replace(a_briefing(), sections=(Section("Port", (stories[2], stories[0])),))
    on_three, on_two, on_all = (
        said(stories[2].headline, 3),
        said(stories[1].headline, 2),
        said(None, None),
    )

    placed = place_comments([on_three, on_two, on_all], moved)

    assert placed.by_story == {1: [on_three], 2: [on_two]}
    assert placed.of_edition == [on_all]
    gone = place_comments([on_two], replace(moved, sections=(Section("Port", tuple(stories[:1])),)))
    assert gone.of_gone == [on_two]


def test_a_story_with_a_new_headline_is_known_by_its_place() -> None:
    first, second = a_briefing(2).stories
    renamed = replace(second, headline="Something else")
    comment = said(second.headline, 2)

    placed = place_comments(
        [comment], replace(a_briefing(), sections=(Section("Port", (first, renamed)),))
    )

    assert placed.by_story == {2: [comment]}


def test_a_comment_is_made_on_a_story_and_resolved_and_reopened(
    engine: Engine, edition_id: int
) -> None:
    with transaction(engine) as session:
        comment = add_comment(session, edition_id, "Sure?", story=2, by="Edda", now=MORNING)

        assert comment.headline == "Story number 2 of the port"
        assert resolve_comment(session, edition_id, comment.id, by="Wim", now=MORNING).resolved_at
        assert reopen_comment(session, edition_id, comment.id).resolved_at is None
        with pytest.raises(NotFoundError):
            resolve_comment(session, edition_id + 1, comment.id, by="Wim", now=MORNING)


@pytest.mark.parametrize(("text", "story"), [("", None), ("x" * 2001, None), ("Sure?", 3)])
def test_an_odd_comment_is_refused(
    engine: Engine, edition_id: int, text: str, story: int | None
) -> None:
    with pytest.raises(InputError), transaction(engine) as session:
        add_comment(session, edition_id, text, story=story, by="Edda", now=MORNING)
