"""All editions in one table, and one of them at a glance."""

import pytest

from newsletter.db import transaction
from newsletter.models import EditionState, MailingList, Role
from newsletter.plan.editions import content_of, create_edition
from newsletter.web.newsroom import editions
from tests.desk import Desk
from tests.newsroom import MORNING, a_briefing, add_list
from tests.site import Site, text_of


def test_editions_are_listed_with_their_state_and_who_changed_them_last(
    site: Site, desk: Desk
) -> None:
    desk.draft()
    desk.change(desk.draft(), by="Bo Braun")

    page = text_of(site.member(Role.VIEWER).get("/newsroom/editions"))

    assert "Harbour Reopens After the Storm Again" in page
    assert "Bo Braun" in page
    assert "Wim Writer" in page


def test_a_state_is_picked_out(site: Site, desk: Desk) -> None:
    desk.approved()
    desk.sending()

    page = site.member(Role.VIEWER).get("/newsroom/editions?state=sending").text

    assert "/newsroom/editions/2" in page
    assert 'href="/newsroom/editions/1"' not in page


def test_older_editions_are_on_the_next_page(
    site: Site, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(editions, "PAGE", 1)
    desk.draft()
    desk.draft()
    viewer = site.member(Role.VIEWER)

    first = viewer.get("/newsroom/editions").text
    second = viewer.get("/newsroom/editions?before=2").text

    assert 'href="/newsroom/editions?before=2"' in first
    assert 'href="/newsroom/editions/1"' in second
    assert 'href="/newsroom/editions/2"' not in second


def test_who_has_one_list_sees_its_editions_alone(site: Site, desk: Desk) -> None:
    noon = add_list(site.engine, "noon")
    desk.draft()
    with transaction(site.engine) as session:
        create_edition(
            session,
            content_of(a_briefing(), "x"),
            lists=[session.get_one(MailingList, each) for each in (desk.list_id, noon)],
            settings=desk.settings,
            created_by="Wim",
            now=MORNING,
        )
    narrowed = site.member(Role.EDITOR, lists={desk.list_id: Role.EDITOR})

    page = narrowed.get("/newsroom/editions").text

    assert 'href="/newsroom/editions/1"' in page
    assert 'href="/newsroom/editions/2"' not in page
    assert narrowed.get("/newsroom/editions/2").status_code == 404


def test_an_empty_table_says_what_to_do(site: Site, desk: Desk) -> None:
    page = text_of(site.member(Role.WRITER).get("/newsroom/editions"))

    assert "No edition yet" in page
    assert "Write the first one" in page


@pytest.mark.parametrize(
    ("make", "words"),
    [
        ("draft", "Send a test"),
        ("approved", "Choose when it goes out"),
        ("sending", "Watch it being sent"),
    ],
)
def test_the_overview_leads_to_the_next_step(site: Site, desk: Desk, make: str, words: str) -> None:
    edition_id = getattr(desk, make)()

    page = text_of(site.member(Role.EDITOR).get(f"/newsroom/editions/{edition_id}"))

    assert words in page


def test_a_viewer_is_offered_nothing_that_they_may_not_do(site: Site, desk: Desk) -> None:
    page = text_of(site.member(Role.VIEWER).get(f"/newsroom/editions/{desk.approved()}"))

    assert "Choose when it goes out" not in page
    assert "Cancel this edition" not in page


def test_a_void_approval_is_told_on_every_page_of_the_edition(site: Site, desk: Desk) -> None:
    edition_id = desk.approved()
    desk.change(edition_id)
    editor = site.member(Role.EDITOR)

    for place in ("", "/checks", "/review", "/schedule"):
        page = text_of(editor.get(f"/newsroom/editions/{edition_id}{place}"))
        assert "The approval of revision 1 by Edda Editor is void: Bo Braun changed" in page


def test_an_edition_is_cancelled_by_an_editor(site: Site, desk: Desk) -> None:
    edition_id = desk.draft()

    refused = site.member(Role.WRITER).post(f"/newsroom/editions/{edition_id}/cancel")
    done = site.member(Role.EDITOR).post(f"/newsroom/editions/{edition_id}/cancel")

    assert (refused.status_code, done.status_code) == (403, 303)
    assert desk.state(edition_id) is EditionState.CANCELLED
    assert desk.audited() == ["edition cancelled"]


def test_an_edition_that_is_not_there_is_not_found(site: Site, desk: Desk) -> None:
    assert site.member(Role.ADMIN).get("/newsroom/editions/99").status_code == 404
