"""Correcting what is out: beside what is being sent, noted for readers, and told by mail."""

import pytest

from newsletter.db import reading
from newsletter.models import DeliveryState, EditionState, Role
from newsletter.plan.correcting import corrections_of
from tests.desk import Desk, hidden_field
from tests.site import Member, Site, text_of


@pytest.fixture
def editor(site: Site) -> Member:
    return site.member(Role.EDITOR)


def url_of(edition_id: int) -> str:
    return f"/newsroom/editions/{edition_id}"


def approve(editor: Member, edition_id: int) -> None:
    seen = hidden_field(editor.get(f"{url_of(edition_id)}/review").text, "hash")
    answer = editor.post(f"{url_of(edition_id)}/review/approve", {"hash": seen})
    assert answer.status_code == 303, text_of(answer)


def test_a_correction_is_noted_approved_and_mailed_while_the_sending_goes_on(
    desk: Desk, editor: Member
) -> None:
    edition_id = desk.sending()
    desk.settle(edition_id, DeliveryState.SENT, DeliveryState.SENT)
    desk.change(edition_id, by="Wim Writer")

    before = text_of(editor.get(f"{url_of(edition_id)}/correct"))
    editor.post(f"{url_of(edition_id)}/correct", {"note": "It reopens tomorrow."})
    running = desk.edition(edition_id)
    approve(editor, edition_id)
    after = text_of(editor.get(f"{url_of(edition_id)}/correct"))
    mail = editor.post(f"{url_of(edition_id)}/correct/mail")

    assert "about 2 people" in before
    assert (running.state, running.approved_revision) == (EditionState.SENDING, 1)
    assert desk.edition(edition_id).approved_revision == 2
    assert "About 2 people were mailed before it was corrected." in after
    assert mail.headers["location"] == url_of(edition_id + 1)
    assert "only who was sent edition 1, up to revision 1" in text_of(
        editor.get(url_of(edition_id + 1))
    )
    with reading(desk.engine) as session:
        assert [each.note for each in corrections_of(session, edition_id)] == [
            "It reopens tomorrow."
        ]


def test_a_correction_is_dropped_whether_it_was_frozen_or_not(desk: Desk, editor: Member) -> None:
    edition_id = desk.sending()
    for freeze in (False, True):
        desk.change(edition_id)
        if freeze:
            editor.post(f"{url_of(edition_id)}/checks")

        editor.post(f"{url_of(edition_id)}/correct/drop")

        page = text_of(editor.get(f"{url_of(edition_id)}/correct"))
        assert "Correct what is out" in page
        assert desk.edition(edition_id).revision == 1


def test_an_empty_note_is_told(desk: Desk, editor: Member) -> None:
    edition_id = desk.sending()
    desk.change(edition_id)

    answer = editor.post(f"{url_of(edition_id)}/correct", {"note": " "})

    assert answer.status_code == 422
    assert "note: write 1 to" in text_of(answer)


def test_what_is_not_out_is_changed_and_not_corrected(desk: Desk, editor: Member) -> None:
    answer = editor.get(f"{url_of(desk.draft())}/correct")

    assert answer.status_code == 409
    assert "only what is being sent" in text_of(answer)


def test_every_page_of_the_edition_tells_of_the_correction(desk: Desk, editor: Member) -> None:
    edition_id = desk.sending()
    desk.change(edition_id)

    page = text_of(editor.get(f"{url_of(edition_id)}/sending"))

    assert "A correction is under way." in page
