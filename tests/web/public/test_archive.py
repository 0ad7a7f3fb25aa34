"""A list's archive: its pages, cards and feeds, for everybody and about nobody (S-17)."""

import json
import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from xml.etree import ElementTree

import pytest
from sqlalchemy import Engine
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from newsletter.db import transaction
from newsletter.models import (
    Archive,
    Correction,
    Edition,
    EditionList,
    EditionState,
    MailingList,
    Revision,
)
from newsletter.plan.editions import content_of, correct_edition, create_edition
from newsletter.web.app import create_app
from tests import newsroom
from tests.newsroom import MORNING, a_briefing
from tests.web.served import settings_for

ATOM = {"a": "http://www.w3.org/2005/Atom"}
# Paths of the links that know their reader: click, open, unsubscribe, preferences, settings.
OF_A_READER = re.compile(r"""["'/](?:c|o|u|p|my)/[A-Za-z0-9_-]{20,}""")


@pytest.fixture
def client(engine: Engine, redis_server: str, tmp_path: Path) -> Iterator[TestClient]:
    settings = settings_for(redis_server, tmp_path, base_url="https://news.example")
    with TestClient(create_app(settings=settings, engine=engine), follow_redirects=False) as client:
        yield client


@pytest.fixture
def list_id(engine: Engine) -> int:
    list_id = newsroom.add_list(engine)
    with transaction(engine) as session:
        found = session.get_one(MailingList, list_id)
        found.archive = Archive.PUBLIC
        found.zone = "Europe/Berlin"
    return list_id


def add_edition(
    engine: Engine,
    list_id: int,
    tmp_path: Path,
    *,
    started_at: datetime | None = MORNING,
    state: EditionState = EditionState.SENT,
    title: str = "Harbour Reopens",
) -> str:
    """Its public id."""
    with transaction(engine) as session:
        edition = create_edition(
            session,
            content_of(a_briefing(), "text"),
            lists=[session.get_one(MailingList, list_id)],
            settings=newsroom.settings_for(tmp_path, base_url="https://news.example"),
            created_by="Ed",
            now=MORNING,
        )
        revision = session.get_one(Revision, (edition.id, 1))
        revision.subject, revision.approved_at = title, MORNING - timedelta(minutes=5)
        edition.approved_revision, edition.state, edition.started_at = 1, state, started_at
        return edition.public_id


def add_copies(session: Session, first: Edition, list_id: int, *, copies: int) -> None:
    revision = session.get_one(Revision, (first.id, 1))
    for number in range(copies):
        # Several begin at the same instant: then their number decides.
        edition = Edition(
            public_id=f"copy{number}",
            state=EditionState.SENT,
            revision=1,
            approved_revision=1,
            created_at=MORNING,
            started_at=MORNING + timedelta(hours=number // 3),
        )
        session.add(edition)
        session.flush()
        session.add(EditionList(edition_id=edition.id, position=0, list_id=list_id))
        session.add(
            Revision(
                edition_id=edition.id,
                number=1,
                briefing=revision.briefing,
                source_text="",
                subject=f"Copy {number}",
                preheader="",
                content_hash="0",
                created_at=MORNING,
                created_by="Ed",
                approved_at=MORNING,
            )
        )


def test_the_archive_lists_what_was_sent_the_newest_first_and_nothing_else(
    client: TestClient, engine: Engine, list_id: int, tmp_path: Path
) -> None:
    for days in (1, 2, 3):
        add_edition(
            engine,
            list_id,
            tmp_path,
            started_at=MORNING + timedelta(days=days),
            title=f"Day {days}",
        )
    add_edition(
        engine, list_id, tmp_path, started_at=None, state=EditionState.DRAFT, title="Not out yet"
    )

    answer = client.get("/archive/harbour")

    assert re.findall(r"Day \d", answer.text) == ["Day 3", "Day 2", "Day 1"]
    assert "Not out yet" not in answer.text


def test_a_long_archive_goes_on_page_by_page_without_losing_or_repeating_one(
    client: TestClient, engine: Engine, list_id: int, tmp_path: Path
) -> None:
    public_id = add_edition(engine, list_id, tmp_path)
    with transaction(engine) as session:
        first = session.query(Edition).filter_by(public_id=public_id).one()
        add_copies(session, first, list_id, copies=64)

    seen: list[str] = []
    url: str | None = "/archive/harbour"
    while url is not None:
        page = client.get(url).text
        seen += re.findall(r'<h2><a href="[^"]*/([A-Za-z0-9_-]+)">', page)
        older = re.search(r'href="([^"]*before=[^"]*)"', page)
        url = older[1] if older else None

    assert len(seen) == len(set(seen)) == 65


def test_an_edition_has_a_page_with_stable_anchors_a_card_and_no_link_that_knows_its_reader(
    client: TestClient, engine: Engine, list_id: int, tmp_path: Path
) -> None:
    public_id = add_edition(engine, list_id, tmp_path, title="A <b>bold</b> & plain title")

    page = client.get(f"/archive/harbour/{public_id}").text

    assert 'id="story-number-1-of-the-port"' in page
    assert 'id="story-number-2-of-the-port"' in page
    assert (
        '<meta property="og:title" content="A &lt;b&gt;bold&lt;/b&gt; &amp; plain title">' in page
    )
    assert f'<link rel="canonical" href="https://news.example/archive/harbour/{public_id}">' in page
    assert not OF_A_READER.search(page)


def test_a_correction_is_noted_with_its_time_in_the_list_s_zone(
    client: TestClient, engine: Engine, list_id: int, tmp_path: Path
) -> None:
    public_id = add_edition(engine, list_id, tmp_path)
    with transaction(engine) as session:
        edition = session.query(Edition).filter_by(public_id=public_id).one()
        session.get_one(Revision, (edition.id, 1)).approved_at = MORNING + timedelta(minutes=70)
        for revision, note in ((1, "The ferry left at <six>."), (2, "Nobody approved this.")):
            session.add(
                Correction(edition_id=edition.id, revision=revision, note=note, at=MORNING, by="Ed")
            )

    page = client.get(f"/archive/harbour/{public_id}").text
    mailed = client.get(f"/e/{public_id}").text
    listed = client.get("/archive/harbour").text

    for shown in (page, mailed):
        assert re.search(r"Corrected on Friday, [^.<]*20[^.<]*2026, 08:10 CET\.", shown)
        assert "The ferry left at &lt;six&gt;." in shown
        assert "Nobody approved this." not in shown
    assert "08:10 CET" in listed
    assert 'property="article:modified_time" content="2026-11-20T07:10:00Z"' in page


def test_what_was_never_corrected_says_nothing_of_it(
    client: TestClient, engine: Engine, list_id: int, tmp_path: Path
) -> None:
    public_id = add_edition(engine, list_id, tmp_path)

    page = client.get(f"/e/{public_id}").text

    assert "Corrected" not in page
    assert "<aside" not in page
    assert page.count("<main>") == page.count("</main>") == 1


@pytest.mark.parametrize(
    ("state", "is_begun"),
    [
        (EditionState.DRAFT, False),
        (EditionState.APPROVED, False),
        (EditionState.SCHEDULED, False),
        (EditionState.PAUSED, False),
        (EditionState.CANCELLED, True),
    ],
)
def test_what_is_not_out_is_not_there(
    client: TestClient,
    engine: Engine,
    list_id: int,
    tmp_path: Path,
    state: EditionState,
    is_begun: bool,
) -> None:
    public_id = add_edition(
        engine, list_id, tmp_path, state=state, started_at=MORNING if is_begun else None
    )

    assert client.get(f"/archive/harbour/{public_id}").status_code == 404
    assert client.get("/archive/harbour/1").status_code == 404


def test_an_edition_is_in_the_archive_of_its_own_list_alone(
    client: TestClient, engine: Engine, list_id: int, tmp_path: Path
) -> None:
    public_id = add_edition(engine, list_id, tmp_path)
    newsroom.add_list(engine, "evening")

    assert client.get(f"/archive/harbour/{public_id}").status_code == 200
    assert client.get(f"/archive/evening/{public_id}").status_code == 404


def test_search_engines_are_asked_to_stay_away_unless_the_list_wants_them(
    client: TestClient, engine: Engine, list_id: int, tmp_path: Path
) -> None:
    public_id = add_edition(engine, list_id, tmp_path)
    paths = ("/archive/harbour", f"/archive/harbour/{public_id}", "/archive/harbour/feed.atom")

    public = [client.get(path).headers.get("x-robots-tag") for path in paths]
    with transaction(engine) as session:
        session.get_one(MailingList, list_id).archive = Archive.UNLISTED
    unlisted = [client.get(path).headers.get("x-robots-tag") for path in paths]
    with transaction(engine) as session:
        session.get_one(MailingList, list_id).archive = Archive.OFF
    off = [client.get(path).status_code for path in paths]

    assert public == [None, None, None]
    assert unlisted == ["noindex"] * 3
    assert off == [404, 404, 404]


def test_the_atom_feed_has_what_rfc_4287_asks_for(
    client: TestClient, engine: Engine, list_id: int, tmp_path: Path
) -> None:
    public_id = add_edition(engine, list_id, tmp_path, title="Ships & <tides>")

    answer = client.get("/archive/harbour/feed.atom")

    root = ElementTree.fromstring(answer.content)
    entry = root.find("a:entry", ATOM)
    assert entry is not None
    for name in ("id", "title", "updated"):
        assert root.findtext(f"a:{name}", namespaces=ATOM)
        assert entry.findtext(f"a:{name}", namespaces=ATOM)
    assert root.findtext("a:author/a:name", namespaces=ATOM) == "The Harbour Brief"
    assert entry.findtext("a:title", namespaces=ATOM) == "Ships & <tides>"
    assert entry.findtext("a:id", namespaces=ATOM) == (
        f"https://news.example/archive/harbour/{public_id}"
    )
    content = entry.findtext("a:content", namespaces=ATOM) or ""
    assert f"/archive/harbour/{public_id}#story-number-2-of-the-port" in content
    assert answer.headers["content-type"] == "application/atom+xml; charset=utf-8"


def test_the_json_feed_says_the_same(
    client: TestClient, engine: Engine, list_id: int, tmp_path: Path
) -> None:
    public_id = add_edition(engine, list_id, tmp_path)

    feed = json.loads(client.get("/archive/harbour/feed.json").content)

    assert feed["version"] == "https://jsonfeed.org/version/1.1"
    assert feed["items"][0]["url"] == f"https://news.example/archive/harbour/{public_id}"
    assert feed["items"][0]["date_published"] == "2026-11-20T06:00:00Z"


def test_a_feed_that_has_not_changed_is_not_sent_again(
    client: TestClient, engine: Engine, list_id: int, tmp_path: Path
) -> None:
    add_edition(engine, list_id, tmp_path)
    etag = client.get("/archive/harbour/feed.atom").headers["etag"]

    same = client.get("/archive/harbour/feed.atom", headers={"If-None-Match": etag})
    add_edition(engine, list_id, tmp_path, started_at=MORNING + timedelta(days=1))
    changed = client.get("/archive/harbour/feed.atom", headers={"If-None-Match": etag})

    assert (same.status_code, same.content) == (304, b"")
    assert changed.status_code == 200


def test_a_feed_tells_a_correction_though_it_remembers_what_it_told(
    client: TestClient, engine: Engine, list_id: int, tmp_path: Path
) -> None:
    public_id = add_edition(engine, list_id, tmp_path)
    before = client.get("/archive/harbour/feed.json").text
    with transaction(engine) as session:
        edition = session.query(Edition).filter_by(public_id=public_id).one()
        correct_edition(
            session,
            edition.id,
            content_of(a_briefing(stories=3), "text"),
            settings=newsroom.settings_for(tmp_path, base_url="https://news.example"),
            corrected_by="Ed",
            now=MORNING + timedelta(minutes=60),
        )
        edition.approved_revision = 2
        revision = session.get_one(Revision, (edition.id, 2))
        revision.approved_at = MORNING + timedelta(minutes=70)

    after = client.get("/archive/harbour/feed.json").text

    assert "Story number 3 of the port" not in before
    assert "Story number 3 of the port" in after


@pytest.mark.parametrize("before", ["x", "99999999999999999-1", "-1-1", "1", "0-0", "%00"])
def test_a_place_that_is_none_shows_no_mistake(
    client: TestClient, engine: Engine, list_id: int, before: str
) -> None:
    assert client.get(f"/archive/harbour?before={before}").status_code == 200


def test_a_chinese_list_s_archive_speaks_chinese(
    client: TestClient, engine: Engine, list_id: int, tmp_path: Path
) -> None:
    with transaction(engine) as session:
        session.get_one(MailingList, list_id).language = "zh-Hans"
    add_edition(engine, list_id, tmp_path)

    page = client.get("/archive/harbour").text

    assert '<html lang="zh-Hans">' in page
    assert "往期" in page
