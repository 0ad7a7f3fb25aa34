"""The inbox of stories on its page: into a draft with one click, and back."""

import re
from pathlib import Path

import pytest
from sqlalchemy import Engine, select

from newsletter.compose.candidates import hand_in, take_in
from newsletter.compose.feed_format import Entry
from newsletter.db import reading, transaction
from newsletter.models import (
    AuditEntry,
    Candidate,
    CandidateState,
    EditionState,
    Feed,
    MailingList,
    Role,
)
from newsletter.plan.drafts import draft_of
from newsletter.plan.editions import content_of, create_edition
from newsletter.plan.stored import get_edition
from tests.newsroom import MORNING, a_briefing, add_list, settings_for
from tests.site import Site, text_of

FERRY = "Ferry line to the islands resumes on Monday"
TRAM = "City council votes for a new tram line"
URL = "https://gazette.example/"


@pytest.fixture(autouse=True)
def silent_bells(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("newsletter.queue.ring", lambda *_: None)


@pytest.fixture
def list_id(engine: Engine) -> int:
    list_id = add_list(engine)
    with transaction(engine) as session:
        feed = Feed(
            list_id=list_id,
            url=f"{URL}feed",
            name="Gazette",
            next_at=MORNING,
            created_at=MORNING,
            created_by="Ada",
        )
        session.add(feed)
        session.flush()
        entries = [Entry(f"{URL}{n}", title, "", None) for n, title in enumerate((FERRY, TRAM))]
        take_in(session, feed, entries, now=MORNING)
    return list_id


def draft(engine: Engine, list_id: int, tmp_path: Path) -> int:
    with transaction(engine) as session:
        mailing_list = session.get_one(MailingList, list_id)
        edition = create_edition(
            session,
            content_of(a_briefing(), ""),
            lists=[mailing_list],
            settings=settings_for(tmp_path),
            created_by="Ada",
            now=MORNING,
        )
        return edition.id


def candidate(engine: Engine, title: str) -> Candidate:
    with reading(engine) as session:
        return session.scalars(select(Candidate).where(Candidate.title == title)).one()


def headlines(engine: Engine, edition_id: int) -> list[str]:
    with reading(engine) as session:
        briefing = draft_of(session, edition_id).content.briefing
        return [story.headline for story in briefing.stories]


def test_the_page_shows_what_the_feeds_brought(site: Site, list_id: int) -> None:
    page = site.member(Role.WRITER).get("/newsroom/stories")

    assert page.status_code == 200
    assert FERRY in page.text
    assert f'href="{URL}0" rel="noopener noreferrer"' in page.text
    assert "Gazette" in text_of(page)


def test_one_click_makes_it_a_story_of_the_draft_and_one_more_takes_it_out(
    site: Site, engine: Engine, list_id: int, tmp_path: Path
) -> None:
    edition_id = draft(engine, list_id, tmp_path)
    editor = site.member(Role.WRITER)
    row = candidate(engine, FERRY)

    used = editor.post(f"/newsroom/stories/{row.id}/use", {"into": f"{edition_id}.0"})

    assert used.status_code == 303
    assert headlines(engine, edition_id)[-1] == FERRY
    assert candidate(engine, FERRY).state is CandidateState.USED
    page = editor.get(used.headers["location"])
    assert "Take it out again" in page.text
    assert f">{FERRY}<" not in page.text

    editor.post(f"/newsroom/stories/{row.id}/back", {})

    assert FERRY not in headlines(engine, edition_id)
    assert candidate(engine, FERRY).state is CandidateState.NEW


def test_a_dismissed_story_is_gone_until_somebody_brings_it_back(
    site: Site, engine: Engine, list_id: int
) -> None:
    editor = site.member(Role.WRITER)
    row = candidate(engine, TRAM)

    gone = editor.post(f"/newsroom/stories/{row.id}/dismiss", {"here": "tab=new"})

    assert gone.headers["location"] == "/newsroom/stories?tab=new"
    editor.get("/newsroom/stories")  # shows the notice, which names it
    assert TRAM not in editor.get("/newsroom/stories").text
    assert TRAM in editor.get("/newsroom/stories?tab=dismissed").text

    editor.post(f"/newsroom/stories/{row.id}/back", {})

    assert candidate(engine, TRAM).state is CandidateState.NEW


def test_a_story_goes_into_no_edition_that_is_no_draft(
    site: Site, engine: Engine, list_id: int, tmp_path: Path
) -> None:
    edition_id = draft(engine, list_id, tmp_path)
    with transaction(engine) as session:
        get_edition(session, edition_id).state = EditionState.APPROVED
    row = candidate(engine, FERRY)

    answer = site.member(Role.WRITER).post(
        f"/newsroom/stories/{row.id}/use", {"into": f"{edition_id}.0"}
    )

    assert answer.status_code == 409
    assert "stories go into drafts" in text_of(answer)
    assert candidate(engine, FERRY).state is CandidateState.NEW


@pytest.mark.parametrize("into", ["", "x", "1", "99999999.0", "-1.0", "1.0.0"])
def test_a_target_that_is_none_changes_nothing(
    site: Site, engine: Engine, list_id: int, into: str
) -> None:
    row = candidate(engine, FERRY)

    answer = site.member(Role.WRITER).post(f"/newsroom/stories/{row.id}/use", {"into": into})

    assert answer.status_code in (404, 422)
    assert candidate(engine, FERRY).state is CandidateState.NEW


def test_a_page_is_handed_in_by_its_address(site: Site, engine: Engine, list_id: int) -> None:
    editor = site.member(Role.WRITER)

    bad = editor.post("/newsroom/stories", {"list": "harbour", "url": "javascript:alert(1)"})
    good = editor.post("/newsroom/stories", {"list": "harbour", "url": "https://a.example/x"})

    assert bad.status_code == 422
    assert "is no web address" in text_of(bad)
    assert 'value="javascript:alert(1)"' in bad.text
    assert good.status_code == 303
    assert "It is being read" in editor.get("/newsroom/stories").text


def test_whoever_works_for_another_list_sees_and_changes_nothing_here(
    site: Site, engine: Engine, list_id: int, tmp_path: Path
) -> None:
    other = add_list(engine, "other")
    stranger = site.member(Role.EDITOR, lists={other: Role.EDITOR})
    edition_id = draft(engine, list_id, tmp_path)
    row = candidate(engine, FERRY)

    answers = [
        stranger.get("/newsroom/stories?list=harbour"),
        stranger.get("/newsroom/stories/feeds?list=harbour"),
        stranger.post("/newsroom/stories", {"list": "harbour", "url": "https://a.example/"}),
        stranger.post(f"/newsroom/stories/{row.id}/dismiss"),
        stranger.post(f"/newsroom/stories/{row.id}/use", {"into": f"{edition_id}.0"}),
        stranger.post("/newsroom/stories/feeds", {"list": "harbour", "url": "https://a.example/"}),
        stranger.post("/newsroom/stories/feeds/1/remove"),
        stranger.post("/newsroom/stories/feeds/1/rename", {"name": "Mine"}),
    ]

    assert [answer.status_code for answer in answers] == [404] * 8
    assert candidate(engine, FERRY).state is CandidateState.NEW


def test_a_story_of_one_list_goes_into_no_draft_of_another(
    site: Site, engine: Engine, list_id: int, tmp_path: Path
) -> None:
    edition_id = draft(engine, add_list(engine, "other"), tmp_path)
    writer = site.member(Role.WRITER, lists={list_id: Role.WRITER})
    row = candidate(engine, FERRY)

    answer = writer.post(f"/newsroom/stories/{row.id}/use", {"into": f"{edition_id}.0"})

    assert answer.status_code == 404


def test_feeds_are_added_named_and_removed(site: Site, engine: Engine, list_id: int) -> None:
    writer, editor = site.member(Role.WRITER), site.member(Role.EDITOR)

    writer.post("/newsroom/stories/feeds", {"list": "harbour", "url": "https://b.example/rss"})
    writer.post("/newsroom/stories/feeds/2/rename", {"name": "The B Paper"})
    page = writer.get("/newsroom/stories/feeds?list=harbour")
    refused = writer.post("/newsroom/stories/feeds/2/remove")
    removed = editor.post("/newsroom/stories/feeds/2/remove")

    assert "The B Paper" in page.text
    assert (refused.status_code, removed.status_code) == (403, 303)
    with reading(engine) as session:
        assert session.get(Feed, 2) is None
        actions = session.scalars(select(AuditEntry.action)).all()
    assert {"feed added", "feed removed"} <= set(actions)


def test_what_a_feed_says_stays_words(site: Site, engine: Engine, list_id: int) -> None:
    hostile = "<img src=x onerror=alert(1)>"
    with transaction(engine) as session:
        row = hand_in(session, list_id, "https://a.example/<script>", by=hostile, now=MORNING)
        row.title, row.source, row.summary, row.state = (
            hostile,
            hostile,
            hostile,
            CandidateState.NEW,
        )
        session.get_one(Feed, 1).error = hostile

    writer = site.member(Role.WRITER)
    pages = writer.get("/newsroom/stories").text + writer.get("/newsroom/stories/feeds").text

    assert "onerror" in pages
    assert "<img src=x" not in pages
    assert not re.search(r"<script>", pages)


def test_a_viewer_has_no_inbox(site: Site, list_id: int) -> None:
    assert site.member(Role.VIEWER).get("/newsroom/stories").status_code == 403
