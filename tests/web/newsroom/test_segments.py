"""The office's segments: tried while they are written, saved, counted, renamed and deleted."""

from pathlib import Path

import pytest
from sqlalchemy import Engine, select

from newsletter.audience.segments.estimate import count_waiting
from newsletter.clock import utc_now
from newsletter.db import reading, transaction
from newsletter.models import EditionSegment, MailingList, Role, Segment, SegmentUse, Subscriber
from newsletter.plan.editions import content_of, create_edition
from tests.newsroom import MORNING, a_briefing, add_list, add_readers, settings_for
from tests.site import Member, Site, text_of

ENGLISH = {"name": "english", "definition": "language is en", "description": "Reads English"}


@pytest.fixture
def editor(site: Site) -> Member:
    """Of a newsroom whose list harbour has four readers, three of them of English."""
    list_id = add_list(site.engine)
    ids = add_readers(site.engine, list_id, ["Ada", "Bo", "Cy", "Dee"])
    with transaction(site.engine) as session:
        for number in ids[:3]:
            session.get_one(Subscriber, number).language = "en"
    return site.member(Role.EDITOR)


def saved(engine: Engine) -> dict[str, str]:
    with reading(engine) as session:
        return {each.name: each.definition for each in session.scalars(select(Segment))}


def an_edition_with(engine: Engine, state_dir: Path, name: str) -> int:
    """A draft that goes to the people of the segment only."""
    with transaction(engine) as session:
        edition = create_edition(
            session,
            content_of(a_briefing(), "text"),
            lists=list(session.scalars(select(MailingList))),
            settings=settings_for(state_dir),
            created_by="Ed",
            now=MORNING,
        )
        segment = session.scalars(select(Segment).where(Segment.name == name)).one()
        session.add(
            EditionSegment(
                edition_id=edition.id,
                number=1,
                use=SegmentUse.AUDIENCE,
                segment_id=segment.id,
                name=name,
            )
        )
        return edition.id


def test_the_count_follows_what_is_typed(site: Site, editor: Member) -> None:
    part = editor.get("/office/segment-count?definition=language%20is%20en")

    assert "3 of 4 people (75.0 %)" in text_of(part)
    assert "<html" not in part.text


def test_a_mistake_is_shown_at_its_column(site: Site, editor: Member) -> None:
    part = editor.get("/office/segment-count?definition=on harbour and language iss en")

    assert "column 25" in text_of(part)
    assert "language <mark>i</mark>ss en" in part.text


def test_a_segment_is_saved_as_the_language_writes_it(site: Site, editor: Member) -> None:
    typed = ENGLISH | {"definition": "LANGUAGE is en\r\n  AND on harbour"}

    answer = editor.post("/office/new-segment", typed)

    assert answer.headers["location"] == "/office/segments/english"
    assert saved(site.engine) == {"english": "language is en and on harbour"}
    assert "Reads English" in text_of(editor.get("/office/segments"))


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("definition", "language is", "column"),
        ("definition", "on nowhere", "nowhere"),
        ("name", "English Readers", "Write 1 to 63 of a-z"),
        ("name", "taken", "a segment called taken already"),
    ],
)
def test_a_segment_that_cannot_be_saved_says_why_and_keeps_what_was_typed(
    site: Site, editor: Member, field: str, value: str, said: str
) -> None:
    editor.post("/office/new-segment", ENGLISH | {"name": "taken"})

    refused = editor.post("/office/new-segment", ENGLISH | {field: value})

    assert refused.status_code == 422
    assert said in text_of(refused)
    assert 'value="Reads English"' in refused.text
    assert list(saved(site.engine)) == ["taken"]


def test_a_segment_is_renamed_and_drafts_call_it_so_too(
    site: Site, editor: Member, tmp_path: Path
) -> None:
    editor.post("/office/new-segment", ENGLISH)
    edition_id = an_edition_with(site.engine, tmp_path, "english")

    editor.post("/office/segments/english", ENGLISH | {"name": "anglophone"})

    assert list(saved(site.engine)) == ["anglophone"]
    with reading(site.engine) as session:
        assert session.scalars(select(EditionSegment.name)).all() == ["anglophone"]
    assert f"edition {edition_id}" in text_of(editor.get("/office/segments/anglophone"))


def test_a_rename_to_a_taken_name_changes_nothing(site: Site, editor: Member) -> None:
    editor.post("/office/new-segment", ENGLISH)
    editor.post("/office/new-segment", ENGLISH | {"name": "other"})

    both = ENGLISH | {"name": "other", "definition": "language is zh"}
    refused = editor.post("/office/segments/english", both)

    assert refused.status_code == 422
    assert saved(site.engine) == {"english": "language is en", "other": "language is en"}


def test_a_segment_in_use_is_not_deleted(site: Site, editor: Member, tmp_path: Path) -> None:
    editor.post("/office/new-segment", ENGLISH)
    editor.post("/office/new-segment", ENGLISH | {"name": "unused"})
    an_edition_with(site.engine, tmp_path, "english")

    refused = editor.post("/office/segments/english/delete")
    editor.post("/office/segments/unused/delete")

    assert refused.status_code == 409
    assert "in use" in text_of(refused)
    assert list(saved(site.engine)) == ["english"]


def test_an_exact_count_is_asked_for_and_shown_when_it_is_done(site: Site, editor: Member) -> None:
    editor.post("/office/new-segment", ENGLISH)
    url = "/office/segments/english/exact"

    editor.post(url)
    before = editor.get(url)
    count_waiting(site.engine, clock=utc_now)
    after = editor.get(url)

    assert "every 2s" in before.text
    assert "Exactly 3 people" in text_of(after)
    assert "every 2s" not in after.text


def test_an_editor_sees_masked_people_and_an_admin_whole_ones(site: Site, editor: Member) -> None:
    part = "/office/segment-people?definition=language%20is%20en"

    masked, whole = text_of(editor.get(part)), text_of(site.member(Role.ADMIN).get(part))

    assert "ada@readers.example" not in masked
    assert masked.count("@") == 3
    assert "ada@readers.example" in whole


def test_segments_are_for_those_who_have_every_list(site: Site, editor: Member) -> None:
    """S-09: a segment is over everybody there is."""
    editor.post("/office/new-segment", ENGLISH)
    narrowed = site.member(Role.EDITOR, lists={1: Role.EDITOR})
    writer = site.member(Role.WRITER)
    gets = (
        "/office/segments",
        "/office/segments/english",
        "/office/segment-count?definition=language%20is%20en",
        "/office/segment-people?definition=language%20is%20en",
    )

    assert {narrowed.get(url).status_code for url in gets} == {404}
    assert {writer.get(url).status_code for url in gets} == {403}
    assert narrowed.post("/office/segments/english/delete").status_code == 404
    assert list(saved(site.engine)) == ["english"]
