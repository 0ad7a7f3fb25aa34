"""Segments that are saved: one spelling, a name for good, and pages of people."""

import pytest
from sqlalchemy.orm import Session

from newsletter.audience.segments.query import segmented
from newsletter.audience.segments.saved import (
    SegmentChanges,
    create_segment,
    delete_segment,
    edit_segment,
    list_segments,
    people_of,
    segment_by_name,
    start_count,
)
from newsletter.audience.subscribers import add_subscriber
from newsletter.errors import InputError, NotFoundError
from newsletter.models import Segment, SegmentCount
from tests.audience.people import EDITOR, NOW


def saved(session: Session, name: str = "english", definition: str = "language is en") -> Segment:
    return create_segment(session, name, definition, created_by="ed", now=NOW)


def test_a_definition_is_kept_as_it_is_formatted(session: Session) -> None:
    segment = saved(session, definition="LANGUAGE  is\nEN  AND (language is not zh)")

    assert segment.definition == "language is en and not language is zh"


def test_a_segment_is_edited_and_keeps_what_is_not_named(session: Session) -> None:
    saved(session)

    edit_segment(session, "english", SegmentChanges(description="For  readers abroad"), now=NOW)
    edit_segment(session, "english", SegmentChanges(definition="language is en-gb"), now=NOW)

    segment = segment_by_name(session, "english")
    assert (segment.definition, segment.description) == ("language is en-gb", "For readers abroad")


@pytest.mark.parametrize(
    ("name", "definition", "message"),
    [
        ("english", "language is fr", "name: there is a segment called english"),
        ("No Name", "language is fr", "name: write 1 to 63"),
        ("other", "language is", "column 12: expected a language"),
        ("other", "tagged nobody", "column 8: expected a tag"),
    ],
)
def test_what_cannot_be_saved_names_the_field_or_the_column(
    session: Session, name: str, definition: str, message: str
) -> None:
    saved(session)

    with pytest.raises(InputError, match=message):
        saved(session, name, definition)


def test_a_segment_that_nothing_uses_is_deleted_with_its_count(session: Session) -> None:
    segment = saved(session)
    start_count(session, segment, now=NOW)

    delete_segment(session, "english")

    session.expire_all()
    assert list_segments(session) == []
    assert session.query(SegmentCount).count() == 0
    with pytest.raises(NotFoundError, match="newsletter segment list"):
        delete_segment(session, "english")


def test_segments_and_their_people_come_page_by_page(session: Session) -> None:
    for name in ("c", "a", "b"):
        saved(session, name)
    for name in ("ada", "bo", "cy"):
        fields = {"language": "en"}
        add_subscriber(session, f"{name}@readers.example", fields, origin=EDITOR, now=NOW)  # type: ignore[arg-type]
    english = segmented(session, "language is en", now=NOW)

    first = people_of(session, english, limit=2)
    rest = people_of(session, english, after=first.next_after or 0, limit=2)

    assert [each.name for each in list_segments(session, after="a", limit=1)] == ["b"]
    assert [len(first.people), len(rest.people), rest.next_after] == [2, 1, None]
