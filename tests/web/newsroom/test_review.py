"""Asking for a review, commenting on stories, and approving what one has looked at."""

from sqlalchemy import select

from newsletter.db import reading, transaction
from newsletter.models import Account, Comment, EditionState, Role
from tests.desk import Desk, hidden_field
from tests.site import Member, Site, text_of


def review_of(edition_id: int) -> str:
    return f"/newsroom/editions/{edition_id}/review"


def comments(desk: Desk) -> list[Comment]:
    with reading(desk.engine) as session:
        return list(session.scalars(select(Comment).order_by(Comment.id)))


def seen_hash(member: Member, edition_id: int) -> str:
    return hidden_field(member.get(review_of(edition_id)).text, "hash")


def test_a_writer_asks_for_a_review_and_may_withdraw_it(site: Site, desk: Desk) -> None:
    edition_id = desk.draft()
    writer = site.member(Role.WRITER)

    writer.post(review_of(edition_id), {"note": "The second story, please."})
    asked = text_of(writer.get(review_of(edition_id)))
    in_between = desk.state(edition_id)
    writer.post(f"{review_of(edition_id)}/withdraw")

    assert in_between is EditionState.IN_REVIEW
    assert "Wim Writer asks for a review." in asked
    assert "The second story, please." in asked
    assert desk.state(edition_id) is EditionState.DRAFT


def test_a_comment_on_a_story_stands_below_it_and_is_resolved(site: Site, desk: Desk) -> None:
    edition_id = desk.submitted()
    viewer, writer = site.member(Role.VIEWER), site.member(Role.WRITER)

    viewer.post(f"{review_of(edition_id)}/comments", {"text": "Which pier?", "story": "2"})
    page = viewer.get(review_of(edition_id)).text
    refused = viewer.post(f"{review_of(edition_id)}/comments/1/resolve")
    writer.post(f"{review_of(edition_id)}/comments/1/resolve")

    assert page.index('id="story-2"') < page.index("Which pier?")
    assert refused.status_code == 403
    assert comments(desk)[0].resolved_by == "Wim Writer"


def test_an_empty_comment_is_told_and_nothing_is_lost(site: Site, desk: Desk) -> None:
    edition_id = desk.submitted()

    answer = site.member(Role.VIEWER).post(
        f"{review_of(edition_id)}/comments", {"text": "x" * 3000, "story": "1"}
    )

    assert answer.status_code == 422
    assert "comment: write 1 to 2,000 characters" in text_of(answer)
    assert "x" * 3000 in answer.text


def test_an_editor_sends_it_back_with_what_has_to_change(site: Site, desk: Desk) -> None:
    edition_id = desk.submitted()

    site.member(Role.EDITOR).post(
        f"{review_of(edition_id)}/send-back", {"note": "Shorten the first story."}
    )

    assert desk.state(edition_id) is EditionState.DRAFT
    assert [each.text for each in comments(desk)] == ["Shorten the first story."]


def test_what_was_looked_at_is_approved_by_its_hash(site: Site, desk: Desk) -> None:
    edition_id = desk.submitted()
    editor = site.member(Role.EDITOR)

    answer = editor.post(
        f"{review_of(edition_id)}/approve", {"hash": seen_hash(editor, edition_id)}
    )

    assert answer.headers["location"] == f"/newsroom/editions/{edition_id}/schedule"
    assert desk.state(edition_id) is EditionState.APPROVED
    assert "edition approved" in desk.audited()
    page = text_of(editor.get(review_of(edition_id)))
    assert "Revision 1 is approved by Edda Editor." in page
    assert "4 people" in page


def test_what_changed_under_ones_eyes_is_not_approved(site: Site, desk: Desk) -> None:
    edition_id = desk.submitted()
    editor = site.member(Role.EDITOR)
    seen = seen_hash(editor, edition_id)
    desk.change(edition_id)

    answer = editor.post(f"{review_of(edition_id)}/approve", {"hash": seen})

    assert answer.status_code == 409
    assert "is not what you looked at any more: Bo Braun changed it" in text_of(answer)
    edition = desk.edition(edition_id)
    assert (edition.state, edition.revision) == (EditionState.DRAFT, 2)
    assert seen_hash(editor, edition_id) != seen


def test_a_form_without_a_hash_approves_nothing(site: Site, desk: Desk) -> None:
    edition_id = desk.submitted()

    answer = site.member(Role.EDITOR).post(f"{review_of(edition_id)}/approve")

    assert answer.status_code == 409
    assert desk.state(edition_id) is EditionState.IN_REVIEW


def test_a_writer_approves_nothing(site: Site, desk: Desk) -> None:
    edition_id = desk.submitted()
    writer = site.member(Role.WRITER)

    answer = writer.post(f"{review_of(edition_id)}/approve", {"hash": "x"})

    assert answer.status_code == 403
    assert "An editor approves it." in text_of(writer.get(review_of(edition_id)))


def test_where_the_list_wants_four_eyes_the_writer_is_told_so(site: Site, desk: Desk) -> None:
    desk.alter_list(lambda each: setattr(each, "four_eyes", True))
    edition_id = desk.draft(by="Edda Editor")
    author, other = site.member(Role.EDITOR), site.member(Role.ADMIN)
    seen = seen_hash(other, edition_id)

    page = text_of(author.get(review_of(edition_id)))
    refused = author.post(f"{review_of(edition_id)}/approve", {"hash": seen})
    done = other.post(f"{review_of(edition_id)}/approve", {"hash": seen})

    assert "somebody else approves it" in page
    assert (refused.status_code, done.status_code) == (403, 303)


def test_nobody_becomes_a_second_person_by_another_name(site: Site, desk: Desk) -> None:
    desk.alter_list(lambda each: setattr(each, "four_eyes", True))
    edition_id = desk.draft(by="Edda Editor")
    author = site.member(Role.EDITOR)
    author.post(review_of(edition_id), {"note": ""})  # leaves a trace of the name
    with transaction(desk.engine) as session:
        session.get_one(Account, author.account_id).name = "Somebody Else"

    answer = author.post(
        f"{review_of(edition_id)}/approve", {"hash": seen_hash(site.member(Role.ADMIN), edition_id)}
    )

    assert answer.status_code == 403


def test_people_are_counted_on_demand_and_frozen_with_the_approval(site: Site, desk: Desk) -> None:
    edition_id = desk.draft()
    writer = site.member(Role.WRITER)

    before = text_of(writer.get(review_of(edition_id)))
    part = writer.post(f"{review_of(edition_id)}/count", headers={"HX-Request": "true"})

    assert "not counted yet" in before
    assert "4 people" in text_of(part)
    assert "<html" not in part.text


def test_an_approval_is_withdrawn(site: Site, desk: Desk) -> None:
    edition_id = desk.approved()

    site.member(Role.EDITOR).post(f"{review_of(edition_id)}/unapprove")

    assert desk.state(edition_id) is EditionState.DRAFT


def test_text_of_strangers_is_text(site: Site, desk: Desk) -> None:
    edition_id = desk.submitted()
    viewer = site.member(Role.VIEWER)

    viewer.post(f"{review_of(edition_id)}/comments", {"text": "<script>alert(1)</script>"})

    page = viewer.get(review_of(edition_id)).text
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page
