"""Composing an edition: as text and as cards, with and without a script, and never losing a word."""

import re
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from newsletter.clock import utc_now
from newsletter.compose.briefing import Briefing, KeyPoint, Section, Story, plain
from newsletter.compose.content import DraftContent
from newsletter.compose.tidy import tidy
from newsletter.db import reading, transaction
from newsletter.models import EditionList, EditionState, MailingList, Role
from newsletter.plan.approval import approve_edition
from newsletter.plan.drafts import Draft, cut_revision, draft_of, kept_drafts, open_edition
from tests.newsroom import a_briefing, add_list, add_transport, edition_of, settings_for
from tests.site import Member, Site, text_of

PART = {"HX-Request": "true"}
PASTED = (
    "[Harbour Brief] Ferries Sail Again\n\nEditor | Ada Lovelace\n\n[Port]\n\n"
    "Ferries sail again\n\nThe first one left at noon, with few on board. (Harbour Gazette)\n\n"
    "Fish is back\n\nThe first catch was landed in the evening. (Harbour Gazette)\n\n"
    "Leave a Reply\n\nYour email address will not be published.\n"
)


def opened(engine: Engine, content: DraftContent | None = None) -> int:
    list_id = add_list(engine)
    with transaction(engine) as session:
        edition = open_edition(
            session,
            content or DraftContent(briefing=a_briefing(stories=3)),
            lists=[session.get_one(MailingList, list_id)],
            created_by="Ed",
            now=utc_now(),
        )
        return edition.id


def draft(engine: Engine, edition_id: int) -> Draft:
    with reading(engine) as session:
        return draft_of(session, edition_id)


def briefing(engine: Engine, edition_id: int) -> Briefing:
    return draft(engine, edition_id).content.briefing


def headlines(engine: Engine, edition_id: int) -> list[str]:
    return [story.headline for story in briefing(engine, edition_id).stories]


def do(member: Member, edition_id: int, verb: str, *, version: Any = 1, **fields: Any) -> Any:
    """A press of a card's button, as a browser without a script would post it."""
    given = {name.replace("_", "-"): value for name, value in fields.items()}
    return member.post(
        f"/newsroom/editions/{edition_id}/compose/cards",
        {"do": verb, "version": version, **given},
    )


def write(member: Member, edition_id: int, text: str, *, version: int = 1, **more: Any) -> Any:
    url = f"/newsroom/editions/{edition_id}/compose/text"
    return member.post(url, {"text": text, "version": version}, **more)


def test_a_new_edition_is_met_with_a_place_to_paste(site: Site) -> None:
    edition_id = opened(site.engine, DraftContent())

    page = site.member(Role.WRITER).get(f"/newsroom/editions/{edition_id}/compose")

    assert page.status_code == 200
    assert 'id="text"' in page.text
    assert "looked over while you write it" in text_of(page)
    assert "no findings" in text_of(page)


def test_saving_nothing_over_nothing_is_no_change(site: Site) -> None:
    edition_id = opened(site.engine, DraftContent())

    write(site.member(Role.WRITER), edition_id, " \n")

    assert draft(site.engine, edition_id).version == 1


def test_what_was_begun_is_met_as_cards(site: Site) -> None:
    edition_id = opened(site.engine)
    writer = site.member(Role.WRITER)

    cards = writer.get(f"/newsroom/editions/{edition_id}/compose")
    text = writer.get(f"/newsroom/editions/{edition_id}/compose?mode=text")

    assert cards.text.count('class="card"') == 3
    assert "## Story number 2 of the port" in text.text


def test_what_is_found_beside_the_draft_is_of_all_its_lists(site: Site) -> None:
    edition_id = opened(site.engine)
    other = add_list(site.engine, "other")
    url = f"/newsroom/editions/{edition_id}/compose"
    writer = site.member(Role.WRITER)
    before = text_of(writer.get(url))

    with transaction(site.engine) as session:
        session.get_one(MailingList, other).postal_address = ""
        session.add(EditionList(edition_id=edition_id, position=1, list_id=other))
    after = text_of(writer.get(url))

    missing = "The list has no postal address; give it one."
    assert missing not in before
    assert after.count(missing) == 1


@pytest.mark.parametrize("role", [Role.VIEWER, None])
def test_only_who_may_write_for_its_lists_composes(site: Site, role: Role | None) -> None:
    edition_id = opened(site.engine)
    other = add_list(site.engine, "other")
    member = site.member(role) if role else site.member(Role.WRITER, lists={other: Role.WRITER})

    page = member.get(f"/newsroom/editions/{edition_id}/compose")
    posted = write(member, edition_id, PASTED)

    assert {page.status_code, posted.status_code} <= {403, 404}
    assert draft(site.engine, edition_id).version == 1


def test_a_pasted_text_becomes_structure_and_its_residue_is_kept(site: Site) -> None:
    edition_id = opened(site.engine, DraftContent())

    answer = write(site.member(Role.WRITER), edition_id, PASTED)

    assert answer.status_code == 303
    content = draft(site.engine, edition_id).content
    assert [story.headline for story in content.briefing.stories] == [
        "Ferries sail again",
        "Fish is back",
    ]
    assert content.briefing.credits == {"editor": "Ada Lovelace"}
    assert [aside.text for aside in content.set_aside] == [
        "Leave a Reply",
        "Your email address will not be published.",
    ]
    assert content.source_text == PASTED


def test_a_script_is_answered_with_the_parts_that_changed(site: Site) -> None:
    edition_id = opened(site.engine, DraftContent())

    answer = write(site.member(Role.WRITER), edition_id, PASTED, headers=PART)

    said = answer.json()
    assert said["version"] == 2
    assert set(said["parts"]) == {
        *("state", "counts", "findings", "outline", "aside", "inbox", "told"),
    }
    assert "Saved" in said["parts"]["state"]
    assert "No producer is named" in said["parts"]["findings"]
    assert "Leave a Reply" in said["parts"]["aside"]
    assert "Ferries Sail Again" in said["parts"]["inbox"]
    assert "The first one left at noon" in said["letter"]


def test_findings_lead_to_the_lines_of_what_was_typed(site: Site) -> None:
    edition_id = opened(site.engine, DraftContent())
    text = "---\ntitle: T\n---\n\n# Port\n\n## Headline\n"

    answer = write(site.member(Role.WRITER), edition_id, text, headers=PART)

    findings = answer.json()["parts"]["findings"]
    assert re.search(r'data-severity="error" data-line="7">', findings)
    assert 'data-jump="7"' in findings


def test_a_text_that_holds_no_briefing_is_kept_as_it_is_beside_the_stories(site: Site) -> None:
    edition_id = opened(site.engine)
    writer = site.member(Role.WRITER)

    write(writer, edition_id, "half a thought, with  two blanks\n")
    page = writer.get(f"/newsroom/editions/{edition_id}/compose?mode=text")

    assert "half a thought, with  two blanks" in page.text
    assert "holds no briefing yet" in text_of(page)
    assert briefing(site.engine, edition_id) == tidy(a_briefing(stories=3))
    assert draft(site.engine, edition_id).content.unread_text is not None


def test_going_back_to_the_stories_sets_that_text_aside(site: Site) -> None:
    edition_id = opened(site.engine)
    writer = site.member(Role.WRITER)
    write(writer, edition_id, "half a thought")

    do(writer, edition_id, "set-text-aside", version=2)

    content = draft(site.engine, edition_id).content
    assert content.unread_text is None
    assert [aside.text for aside in content.set_aside] == ["half a thought"]


@pytest.mark.parametrize(
    ("content", "title"),
    [
        (PASTED.encode(), "Ferries Sail Again"),
        (
            b"\xef\xbb\xbf# Markdown Title\r\n\r\n## Port\r\n\r\n### One\r\n\r\nIt is.",
            "Markdown Title",
        ),
        (
            "【早报】港口开放\n\n【要闻】\n\n渡轮恢复\n\n渡轮今天中午恢复航行。（新华社）".encode(
                "gb18030"
            ),
            "港口开放",
        ),
    ],
)
def test_a_file_takes_the_place_of_the_text(site: Site, content: bytes, title: str) -> None:
    edition_id = opened(site.engine, DraftContent())

    answer = site.member(Role.WRITER).post(
        f"/newsroom/editions/{edition_id}/compose/file",
        {"version": "1"},
        files={"file": ("briefing.md", content)},
    )

    assert answer.status_code == 303
    assert briefing(site.engine, edition_id).title == title


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"\xff\xfe\x00\x81\xff", "no text in UTF-8"), (b"x" * 600_000, "larger than 512 KB")],
)
def test_a_file_that_is_no_text_is_refused_with_words(
    site: Site, content: bytes, words: str
) -> None:
    edition_id = opened(site.engine)

    answer = site.member(Role.WRITER).post(
        f"/newsroom/editions/{edition_id}/compose/file",
        {"version": "1"},
        files={"file": ("briefing.txt", content)},
    )

    assert answer.status_code == 422
    assert words in text_of(answer)


def test_a_rich_paste_is_answered_as_text_and_saves_nothing(site: Site) -> None:
    edition_id = opened(site.engine)
    member = site.member(Role.WRITER)
    member.client.cookies.set("newsletter", member.token)

    answer = member.client.post(
        f"/newsroom/editions/{edition_id}/compose/paste",
        json={"html": "<h2>Port</h2><p><b>Bold</b> words</p>", "formatted": True},
        headers={"X-CSRF-Token": member.csrf, **PART},
    )

    assert answer.json() == {"text": "# Port\n\n**Bold** words"}
    assert draft(site.engine, edition_id).version == 1


def test_two_tabs_lose_nothing_and_are_both_shown(site: Site) -> None:
    edition_id = opened(site.engine)
    first, second = site.member(Role.WRITER), site.member(Role.EDITOR)
    do(first, edition_id, "wording", subject="From the first tab")

    answer = do(second, edition_id, "wording", subject="From the second tab")

    (kept,) = kept_of(site.engine, edition_id)
    assert answer.headers["location"] == f"/newsroom/editions/{edition_id}/kept/{kept.id}"
    page = second.get(answer.headers["location"])
    assert "Both versions are kept" in text_of(page)
    assert "first second" in text_of(page).replace("From the ", "").replace(" tab", "")
    assert draft(site.engine, edition_id).content.subject == "From the first tab"


def test_a_script_is_told_of_the_conflict(site: Site) -> None:
    edition_id = opened(site.engine)
    member = site.member(Role.WRITER)
    do(member, edition_id, "wording", subject="One")

    answer = write(member, edition_id, PASTED, headers=PART)

    assert answer.status_code == 409
    assert "Compare the two" in answer.json()["conflict"]


def kept_of(engine: Engine, edition_id: int) -> list[Any]:
    with reading(engine) as session:
        return kept_drafts(session, edition_id)


def test_one_letter_voids_the_approval_and_says_so(site: Site, tmp_path: Path) -> None:
    add_transport(site.engine, 25)
    edition_id = opened(site.engine)
    with transaction(site.engine) as session:
        settings = settings_for(tmp_path)
        cut_revision(session, edition_id, settings=settings, by="Ed", now=utc_now())
        approve_edition(session, edition_id, approved_by="Ann", settings=settings, now=utc_now())
    writer = site.member(Role.WRITER)

    answer = do(writer, edition_id, "head", title="Harbour Reopens After the Storn")

    assert edition_of(site.engine, edition_id).state is EditionState.DRAFT
    assert "is void" in text_of(writer.get(answer.headers["location"]))


# Cards


def test_a_story_is_edited(site: Site) -> None:
    edition_id = opened(site.engine)

    do(
        site.member(Role.WRITER),
        edition_id,
        "story",
        story=2,
        headline="A new headline",
        text="One.\n\n**Two** lines.",
        source="",
        href="https://example.org/x",
    )

    story = list(briefing(site.engine, edition_id).stories)[1]
    assert (story.headline, story.source, story.href) == (
        "A new headline",
        None,
        "https://example.org/x",
    )
    assert [plain(rich) for rich in story.paragraphs] == ["One.", "Two lines."]


def test_stories_move_with_their_key_points(site: Site) -> None:
    edition_id = opened(site.engine)
    writer = site.member(Role.WRITER)

    up = do(writer, edition_id, "story-down", story=1)
    do(writer, edition_id, "section-add", version=2, name="Town")
    do(writer, edition_id, "story-to", version=3, story=2, section=1)

    assert up.headers["location"].endswith("#story-2")
    made = briefing(site.engine, edition_id)
    assert [len(section.stories) for section in made.sections] == [2, 1]
    assert made.key_points == (KeyPoint("The harbour reopens.", 3),)


def test_a_deleted_story_is_brought_back_by_the_button_beside_the_notice(site: Site) -> None:
    edition_id = opened(site.engine)
    writer = site.member(Role.WRITER)
    before = briefing(site.engine, edition_id)

    answer = do(writer, edition_id, "story-remove", story=2)
    page = writer.get(answer.headers["location"])
    fields = dict(
        re.findall(
            r'name="(do|aside|section|place|version)" value="([^"]*)"',
            re.findall(r'<div class="notice" role="status">.*?</form>', page.text, re.DOTALL)[0],
        )
    )
    assert len(headlines(site.engine, edition_id)) == 2
    writer.post(f"/newsroom/editions/{edition_id}/compose/cards", fields)

    assert briefing(site.engine, edition_id).sections == before.sections


def test_a_deleted_section_waits_below_until_it_is_forgotten(site: Site) -> None:
    edition_id = opened(site.engine)
    writer = site.member(Role.WRITER)

    do(writer, edition_id, "section-remove", section=0)
    page = writer.get(f"/newsroom/editions/{edition_id}/compose?mode=cards")
    do(writer, edition_id, "drop-aside", version=2, aside=0)

    assert "Set aside" in text_of(page)
    assert draft(site.engine, edition_id).content.set_aside == ()


def test_sections_are_named_and_moved(site: Site) -> None:
    edition_id = opened(site.engine)
    writer = site.member(Role.WRITER)

    do(writer, edition_id, "section-add")
    do(writer, edition_id, "section-name", version=2, section=1, name="Town")
    do(writer, edition_id, "section-up", version=3, section=1)

    made = briefing(site.engine, edition_id)
    assert [section.name for section in made.sections] == ["Town", "Port"]
    assert made.key_points[0].story == 1


def test_the_first_story_of_nothing_is_added(site: Site) -> None:
    edition_id = opened(site.engine, DraftContent())

    do(site.member(Role.WRITER), edition_id, "story-add", section=0)

    assert briefing(site.engine, edition_id).sections == (Section(None, (Story(""),)),)


@pytest.mark.parametrize(
    ("press", "texts"),
    [
        ({}, ["one", "two", "three"]),
        ({"up": "1"}, ["two", "one", "three"]),
        ({"down": "1"}, ["one", "three", "two"]),
        ({"drop": "0"}, ["two", "three"]),
        ({"up": "0"}, ["one", "two", "three"]),
        ({"up": "77"}, ["one", "two", "three"]),
    ],
)
def test_key_points_are_written_tied_moved_and_deleted(
    site: Site, press: dict[str, Any], texts: list[str]
) -> None:
    edition_id = opened(site.engine)

    do(
        site.member(Role.WRITER),
        edition_id,
        "points",
        point=["one", "two", "three", ""],
        tie=["3", "", "99", ""],
        **press,
    )

    points = briefing(site.engine, edition_id).key_points
    assert [point.text for point in points] == texts
    assert {point.text: point.story for point in points} == {
        text: {"one": 3}.get(text) for text in texts
    }


def test_title_date_credits_and_intro(site: Site) -> None:
    edition_id = opened(site.engine)

    do(
        site.member(Role.WRITER),
        edition_id,
        "head",
        title="Another",
        series="",
        date="2026-12-01",
        language="zh",
        editor="Ada",
        intro="Hello.\nAgain.",
    )

    made = briefing(site.engine, edition_id)
    assert (made.title, made.series, str(made.date), made.language) == (
        "Another",
        None,
        "2026-12-01",
        "zh",
    )
    assert made.credits == {"editor": "Ada"}
    assert [plain(rich) for rich in made.intro] == ["Hello.", "Again."]


def test_an_image_needs_words_for_who_does_not_see_it(site: Site) -> None:
    edition_id = opened(site.engine)
    writer = site.member(Role.WRITER)
    story: dict[str, Any] = {
        "story": 1,
        "headline": "H",
        "text": "T",
        "new_src": "https://example.org/a.jpg",
    }

    refused = do(writer, edition_id, "story", **story)
    do(writer, edition_id, "story", **story, new_alt="A ferry")

    assert refused.status_code == 422
    (image,) = next(briefing(site.engine, edition_id).stories).images
    assert (image.src, image.alt) == ("https://example.org/a.jpg", "A ferry")


def test_images_are_changed_and_removed(site: Site) -> None:
    edition_id = opened(site.engine)
    writer = site.member(Role.WRITER)
    given: dict[str, Any] = {
        "story": 1,
        "headline": "H",
        "text": "T",
        "src": ["https://a.example/1", "x"],
    }

    do(writer, edition_id, "story", **given, alt=["One", "Two"], drop_image="1")

    (image,) = next(briefing(site.engine, edition_id).stories).images
    assert image.alt == "One"


def test_an_uploaded_picture_is_kept_by_us(site: Site) -> None:
    edition_id = opened(site.engine)
    picture = Path(__file__).parents[3] / "docs" / "images"
    file = next(picture.glob("*.png"))

    answer = site.member(Role.WRITER).post(
        f"/newsroom/editions/{edition_id}/compose/cards",
        {"do": "story", "version": 1, "story": 1, "headline": "H", "text": "T", "new-alt": "It"},
        files={"picture": (file.name, file.read_bytes())},
    )

    assert answer.status_code == 303
    (image,) = next(briefing(site.engine, edition_id).stories).images
    assert "/media/" in image.src


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"verb": "head", "date": "7 March"}, "is no date"),
        ({"verb": "story", "story": 1, "href": "example"}, "is no web address"),
        ({"verb": "story", "headline": "H"}, "which one is meant"),
        ({"verb": "story-up", "story": 9}, "no story 9"),
        ({"verb": "nonsense"}, "what to do"),
        ({"verb": "points", "point": ["One", "Two"], "tie": ["1"]}, "came in parts"),
        ({"verb": "story", "story": 1, "src": "https://a.example/b.png"}, "came in parts"),
        ({"verb": "wording", "version": "x"}, "which version"),
        ({"verb": "wording", "subject": "x" * 300}, "255 characters"),
    ],
)
def test_what_cannot_be_done_is_said_and_changes_nothing(
    site: Site, fields: dict[str, Any], words: str
) -> None:
    edition_id = opened(site.engine)

    answer = do(site.member(Role.WRITER), edition_id, **fields)

    assert answer.status_code in (404, 422)
    assert words in text_of(answer)
    assert draft(site.engine, edition_id).version == 1


def test_the_letter_runs_nothing_and_is_framed_by_us_alone(site: Site) -> None:
    edition_id = opened(site.engine)

    letter = site.member(Role.WRITER).get(f"/newsroom/editions/{edition_id}/compose/letter")

    policy = letter.headers["content-security-policy"]
    assert "Story number 1 of the port" in letter.text
    assert "sandbox allow-same-origin" in policy
    assert "default-src 'none'" in policy
    assert "script" not in policy.replace("allow-popups-to-escape-sandbox", "")
    assert "frame-ancestors 'self'" in policy


def test_words_that_look_like_a_page_stay_words(site: Site) -> None:
    content = DraftContent(briefing=Briefing("<script>alert(1)</script>", ()))
    edition_id = opened(site.engine, content)
    writer = site.member(Role.WRITER)

    for mode in ("text", "cards"):
        page = writer.get(f"/newsroom/editions/{edition_id}/compose?mode={mode}")
        assert "<script>alert" not in page.text
