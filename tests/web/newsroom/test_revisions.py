"""An edition's past, versions kept beside its draft, and beginning the next one."""

from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Engine, select

from newsletter.clock import utc_now
from newsletter.compose.content import DraftContent
from newsletter.db import reading, transaction
from newsletter.models import Edition, EditionList, MailingList, Role
from newsletter.plan.drafts import (
    Conflict,
    cut_revision,
    draft_of,
    kept_drafts,
    open_edition,
    save_draft,
)
from tests.newsroom import a_briefing, add_list, settings_for
from tests.site import Site, text_of


def titled(title: str) -> DraftContent:
    return DraftContent(briefing=replace(a_briefing(stories=2), title=title))


def with_two_revisions(engine: Engine, folder: Path) -> int:
    list_id = add_list(engine)
    settings = settings_for(folder)
    with transaction(engine) as session:
        edition = open_edition(
            session,
            titled("First title"),
            lists=[session.get_one(MailingList, list_id)],
            created_by="Ed",
            now=utc_now(),
        )
        cut_revision(session, edition.id, settings=settings, by="Ed", now=utc_now())
        save_draft(session, edition.id, titled("Second title"), based_on=1, by="Bo", now=utc_now())
        cut_revision(session, edition.id, settings=settings, by="Bo", now=utc_now())
        return edition.id


def test_revisions_are_listed_with_who_made_them(site: Site, tmp_path: Path) -> None:
    edition_id = with_two_revisions(site.engine, tmp_path)

    page = text_of(site.member(Role.VIEWER).get(f"/newsroom/editions/{edition_id}/revisions"))

    assert page.index("Second title") < page.index("First title")
    assert "Bo" in page


def test_a_revision_says_what_it_changed(site: Site, tmp_path: Path) -> None:
    edition_id = with_two_revisions(site.engine, tmp_path)
    viewer = site.member(Role.VIEWER)

    changed = viewer.get(f"/newsroom/editions/{edition_id}/revisions/2")
    first = viewer.get(f"/newsroom/editions/{edition_id}/revisions/1")

    assert "<del>First</del><ins>Second</ins> title" in changed.text
    assert "all of it is new" in text_of(first)
    assert viewer.get(f"/newsroom/editions/{edition_id}/revisions/9").status_code == 404


def test_a_revision_is_restored_and_nothing_is_lost(site: Site, tmp_path: Path) -> None:
    edition_id = with_two_revisions(site.engine, tmp_path)
    writer = site.member(Role.WRITER)

    answer = writer.post(f"/newsroom/editions/{edition_id}/revisions/1/restore")
    since = writer.get(f"/newsroom/editions/{edition_id}/revisions/2?with=draft")

    assert answer.status_code == 303
    assert "<del>Second</del><ins>First</ins> title" in since.text
    with reading(site.engine) as session:
        assert draft_of(session, edition_id).content.briefing.title == "First title"


def test_a_viewer_restores_nothing(site: Site, tmp_path: Path) -> None:
    edition_id = with_two_revisions(site.engine, tmp_path)

    answer = site.member(Role.VIEWER).post(f"/newsroom/editions/{edition_id}/revisions/1/restore")

    assert answer.status_code == 403


def test_a_kept_version_is_compared_taken_and_forgotten(site: Site, tmp_path: Path) -> None:
    edition_id = with_two_revisions(site.engine, tmp_path)
    with transaction(site.engine) as session:
        conflict = save_draft(
            session, edition_id, titled("Third title"), based_on=1, by="Cy", now=utc_now()
        )
    assert isinstance(conflict, Conflict)
    writer = site.member(Role.WRITER)
    url = f"/newsroom/editions/{edition_id}/kept/{conflict.kept.id}"

    page = writer.get(url)
    listed = writer.get(f"/newsroom/editions/{edition_id}/revisions")
    writer.post(f"{url}/take")

    assert "<del>Second</del><ins>Third</ins> title" in page.text
    assert url in listed.text
    with reading(site.engine) as session:
        assert draft_of(session, edition_id).content.briefing.title == "Third title"
        assert kept_drafts(session, edition_id) == []
    assert writer.get(url).status_code == 404


def test_what_is_forgotten_is_gone(site: Site, tmp_path: Path) -> None:
    edition_id = with_two_revisions(site.engine, tmp_path)
    with transaction(site.engine) as session:
        save_draft(session, edition_id, titled("Third"), based_on=1, by="Cy", now=utc_now())
        (kept,) = kept_drafts(session, edition_id)

    site.member(Role.WRITER).post(f"/newsroom/editions/{edition_id}/kept/{kept.id}/forget")

    with reading(site.engine) as session:
        assert kept_drafts(session, edition_id) == []


def newest(engine: Engine) -> tuple[int, DraftContent]:
    with reading(engine) as session:
        edition_id = session.scalars(select(Edition.id).order_by(Edition.id.desc())).first()
        assert edition_id is not None
        return edition_id, draft_of(session, edition_id).content


def test_the_next_morning_takes_over_the_sections(site: Site, tmp_path: Path) -> None:
    with_two_revisions(site.engine, tmp_path)

    answer = site.member(Role.WRITER).post(
        "/newsroom/editions/new", {"list": "1", "start": "structure"}
    )

    edition_id, content = newest(site.engine)
    assert answer.headers["location"] == f"/newsroom/editions/{edition_id}/compose"
    assert [section.name for section in content.briefing.sections] == ["Port"]
    assert (list(content.briefing.stories), content.briefing.title) == ([], "")
    assert content.briefing.series == "Harbour Brief"


@pytest.mark.parametrize(
    ("fields", "stories"),
    [
        ({"start": "stories"}, 2),
        ({"start": "empty"}, 0),
        ({"start": "text", "text": "[B] T\n\nHead line of it\n\nIt is so today. (Gazette)"}, 1),
    ],
)
def test_or_its_stories_or_nothing_or_a_text(
    site: Site, tmp_path: Path, fields: dict[str, str], stories: int
) -> None:
    with_two_revisions(site.engine, tmp_path)

    site.member(Role.WRITER).post("/newsroom/editions/new", {"list": "1", **fields})

    _, content = newest(site.engine)
    assert len(list(content.briefing.stories)) == stories


def test_an_edition_goes_to_several_lists(site: Site) -> None:
    first, second = add_list(site.engine), add_list(site.engine, "evening")

    site.member(Role.WRITER).post(
        "/newsroom/editions/new", {"list": [str(first), str(second)], "start": "empty"}
    )

    edition_id, _ = newest(site.engine)
    with reading(site.engine) as session:
        ids = session.scalars(
            select(EditionList.list_id).where(EditionList.edition_id == edition_id)
        ).all()
    assert set(ids) == {first, second}


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"start": "empty"}, "Choose the list"),
        ({"list": "1", "start": "text", "text": " "}, "Paste the text"),
        ({"list": "1", "start": "stories"}, "no edition yet to copy"),
        ({"list": "2", "start": "empty"}, "Choose the list"),
    ],
)
def test_what_is_missing_is_said_and_what_was_typed_stays(
    site: Site, fields: dict[str, str], words: str
) -> None:
    first = add_list(site.engine)
    add_list(site.engine, "not-theirs")
    writer = site.member(Role.WRITER, lists={first: Role.WRITER})

    answer = writer.post("/newsroom/editions/new", {"text": "typed", **fields})

    assert answer.status_code == 422
    assert words in text_of(answer)


def test_who_may_write_for_no_list_is_told_so(site: Site) -> None:
    list_id = add_list(site.engine)
    member = site.member(Role.WRITER, lists={list_id: Role.VIEWER})

    assert "no list yet on which you may write" in text_of(member.get("/newsroom/editions/new"))
