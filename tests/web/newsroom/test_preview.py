"""The preview: as any reader gets it, with nothing in it that works, counts or runs."""

import re
import time
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Engine

from newsletter.audience.sections import add_section
from newsletter.compose.briefing import Image, Section, Span, Story
from newsletter.compose.content import DraftContent
from newsletter.db import transaction
from newsletter.models import MailingList, Role, Subscriber, Subscription
from newsletter.plan.drafts import draft_of, open_edition, save_draft
from newsletter.plan.editions import content_of, create_edition
from newsletter.render.preview import _drafts
from tests.newsroom import MORNING, a_briefing, add_list, add_readers, settings_for
from tests.site import Site, text_of


@pytest.fixture
def list_id(engine: Engine) -> int:
    return add_list(engine)


@pytest.fixture
def edition_id(engine: Engine, list_id: int, tmp_path: Path) -> int:
    briefing = a_briefing()
    port = briefing.sections[0]
    first = replace(
        port.stories[0],
        href="https://gazette.example/one?a=1&b=2",
        images=(Image("https://pictures.example/crane.jpg", "A crane"),),
    )
    sport = Section("Sport", (Story("A match", ((Span("It was won."),),)),))
    sections = (replace(port, stories=(first, *port.stories[1:])), sport)
    with transaction(engine) as session:
        edition = create_edition(
            session,
            content_of(replace(briefing, sections=sections), ""),
            lists=[session.get_one(MailingList, list_id)],
            settings=settings_for(tmp_path),
            created_by="Ada",
            now=MORNING,
        )
        return edition.id


def url(edition_id: int, query: str = "", *, part: str = "") -> str:
    return f"/newsroom/editions/{edition_id}/preview{part}?{query}"


def test_the_page_holds_the_mail_in_a_closed_frame(site: Site, edition_id: int) -> None:
    viewer = site.member(Role.VIEWER)

    page = viewer.get(url(edition_id))
    frame = viewer.get(url(edition_id, part="/frame"))

    assert page.status_code == frame.status_code == 200
    assert 'sandbox="allow-popups allow-popups-to-escape-sandbox"' in page.text
    assert "Good morning, Ada Lovelace." in frame.text
    policy = frame.headers["content-security-policy"]
    assert policy.startswith("sandbox ")
    assert "allow-scripts" not in policy
    assert "allow-same-origin" not in policy
    assert "frame-ancestors 'self'" in policy
    assert "script-src" not in policy
    assert "default-src 'none'" in policy


def test_nothing_in_it_works_or_counts(site: Site, edition_id: int) -> None:
    viewer = site.member(Role.VIEWER)

    html = viewer.get(url(edition_id, part="/frame")).text
    text = viewer.get(url(edition_id, "view=text")).text

    assert 'href="https://gazette.example/one?a=1&amp;b=2"' in html
    for page in (html, text):
        assert not re.search(r"/(?:u|p|o|c)/[A-Za-z0-9_-]*", page.replace("/newsroom/", ""))
    assert 'class="px"' not in html
    assert "zq" not in re.sub(r"[a-z]zq|zq[a-z]{2}", "", html)


@pytest.mark.parametrize(
    ("reader", "words"),
    [
        ("nameless", "Good morning."),
        ("long", "Hohenzollern-Sigmaringen-Schwarzenberg the Third"),
        ("odd", "&lt;b&gt;王小明&lt;/b&gt;"),
        ("nobody-we-know", "Good morning, Ada Lovelace."),
    ],
)
def test_it_is_read_as_somebody_odd(site: Site, edition_id: int, reader: str, words: str) -> None:
    page = site.member(Role.VIEWER).get(url(edition_id, f"as={reader}", part="/frame"))

    assert words in page.text
    assert "<b>王小明" not in page.text


def test_dark_and_light_do_not_ask_the_browser(site: Site, edition_id: int) -> None:
    viewer = site.member(Role.VIEWER)

    light = viewer.get(url(edition_id, part="/frame")).text
    dark = viewer.get(url(edition_id, "dark=1", part="/frame")).text

    assert "prefers-color-scheme" not in light + dark
    assert "@media not all" in light
    assert "@media all {" in dark
    assert ":root { color-scheme: dark;" in dark


def test_images_are_off_when_they_are_to_be(site: Site, edition_id: int) -> None:
    viewer = site.member(Role.VIEWER)

    on = viewer.get(url(edition_id, part="/frame")).headers["content-security-policy"]
    off = viewer.get(url(edition_id, "images=0", part="/frame")).headers["content-security-policy"]

    assert "img-src http: https: data:" in on
    assert "img-src 'none'" in off


def test_the_source_is_shown_as_words(site: Site, edition_id: int) -> None:
    page = site.member(Role.VIEWER).get(url(edition_id, "view=source"))

    assert "&lt;!DOCTYPE html&gt;" in page.text
    assert "<iframe" not in page.text


def test_an_editor_reads_it_as_a_real_subscriber(
    site: Site, engine: Engine, list_id: int, edition_id: int
) -> None:
    (bo,) = add_readers(engine, list_id, ["Bo"])
    with transaction(engine) as session:
        mailing_list = session.get_one(MailingList, list_id)
        section = add_section(session, mailing_list, "sport", name="Sport")
        session.get_one(Subscription, (list_id, bo)).hidden_sections = 1 << section.bit
    editor = site.member(Role.EDITOR)

    found = editor.get(url(edition_id, "q=Bo"))
    frame = editor.get(url(edition_id, f"as=reader-{bo}", part="/frame"))
    page = editor.get(url(edition_id))

    assert f"as=reader-{bo}" in found.text
    assert "Good morning, Bo." in frame.text
    assert "bo@readers.example" in frame.text
    assert "A match" not in frame.text
    assert "a reader who hides “Sport”" in text_of(page)


def test_only_an_editor_reads_it_as_somebody_real(
    site: Site, engine: Engine, list_id: int, edition_id: int
) -> None:
    (bo,) = add_readers(engine, list_id, ["Bo"])
    stranger = add_readers(engine, add_list(engine, "other"), ["Cy"])[0]
    writer, editor = site.member(Role.WRITER), site.member(Role.EDITOR)

    by_writer = [
        writer.get(url(edition_id, f"as=reader-{bo}")),
        writer.get(url(edition_id, f"as=reader-{bo}", part="/frame")),
    ]
    of_strangers = [
        editor.get(url(edition_id, f"as=reader-{number}", part="/frame"))
        for number in (stranger, 999_999, "x", "-1")
    ]

    assert [each.status_code for each in by_writer] == [403, 403]
    assert [each.status_code for each in of_strangers] == [404] * 4
    assert "Bo" not in writer.get(url(edition_id, "q=Bo")).text.replace("Body", "").replace(
        'value="Bo"', ""
    )


def test_it_shows_the_draft_as_it_stands_and_compiles_it_once(
    site: Site, engine: Engine, edition_id: int
) -> None:
    viewer = site.member(Role.VIEWER)
    viewer.get(url(edition_id, part="/frame"))
    kept = len(_drafts._kept)

    for view in ("view=phone", "view=text", "as=odd", "dark=1"):
        viewer.get(url(edition_id, view, part="/frame"))
    assert len(_drafts._kept) == kept

    with transaction(engine) as session:
        found = draft_of(session, edition_id)
        change = replace(found.content, subject="Another subject")
        save_draft(session, edition_id, change, based_on=found.version, by="Bo", now=MORNING)

    assert "Another subject" in viewer.get(url(edition_id)).text


def test_a_draft_without_anything_in_it_has_a_preview(
    site: Site, engine: Engine, list_id: int
) -> None:
    with transaction(engine) as session:
        mailing_list = session.get_one(MailingList, list_id)
        edition = open_edition(
            session, DraftContent(), lists=[mailing_list], created_by="Ada", now=MORNING
        )

    page = site.member(Role.WRITER).get(url(edition.id))

    assert page.status_code == 200
    assert "(no subject)" in page.text


def test_a_preview_takes_less_than_half_a_second(site: Site, edition_id: int) -> None:
    viewer = site.member(Role.VIEWER)
    viewer.get(url(edition_id))

    began = time.thread_time()
    viewer.get(url(edition_id, part="/frame"))

    assert time.thread_time() - began < 0.5


def test_whoever_works_for_another_list_sees_no_preview(
    site: Site, engine: Engine, edition_id: int
) -> None:
    other = add_list(engine, "other")
    stranger = site.member(Role.ADMIN, lists={other: Role.ADMIN})

    for part in ("", "/frame"):
        assert stranger.get(url(edition_id, part=part)).status_code == 404


def test_a_list_that_it_does_not_go_to_is_no_dress_of_it(
    site: Site, engine: Engine, edition_id: int
) -> None:
    add_list(engine, "other")

    assert site.member(Role.VIEWER).get(url(edition_id, "list=other")).status_code == 404


def test_a_readers_name_stays_words(
    site: Site, engine: Engine, list_id: int, edition_id: int
) -> None:
    (bo,) = add_readers(engine, list_id, ["Bo"])
    with transaction(engine) as session:
        session.get_one(Subscriber, bo).name = "<script>alert(1)</script>"
    editor = site.member(Role.EDITOR)

    for part in ("", "/frame"):
        page = editor.get(url(edition_id, f"as=reader-{bo}", part=part))
        assert "<script>alert" not in page.text
