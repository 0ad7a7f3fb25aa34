"""Every example in docs/segments.md is read, on an installation that has what it names."""

import re

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from newsletter.audience.attributes import add_attribute
from newsletter.audience.segments.language import (
    DEEPEST,
    LONGEST,
    MOST_CONDITIONS,
    QueryError,
)
from newsletter.audience.segments.query import segmented
from newsletter.models import AttributeKind, Edition, EditionState, Tag
from newsletter.settings import PROJECT_ROOT
from tests.audience.people import NOW, a_list

PAGE = (PROJECT_ROOT / "docs" / "segments.md").read_text()
ROWS = re.findall(r"^\| (?!what is asked|---)[^|]+ \| (.+) \|$", PAGE, re.MULTILINE)
EXAMPLES = [
    *(example for row in ROWS for example in re.findall(r"`([^`]+)`", row)),
    *re.findall(r"segment create engaged '([^']+)'", PAGE),
    *re.findall(r"understood: `([^`]+)`", PAGE),
    *re.findall(r"^A segment is a saved condition over people: `([^`]+)`", PAGE, re.MULTILINE),
]


@pytest.fixture
def _what_they_name(session: Session) -> None:
    for key, kind in {
        "city": AttributeKind.TEXT,
        "name": AttributeKind.TEXT,
        "score": AttributeKind.NUMBER,
        "member": AttributeKind.BOOLEAN,
        "renewal": AttributeKind.DATE,
    }.items():
        add_attribute(session, key, kind, label=key, now=NOW)
    choices = ("free", "gold", "silver")
    add_attribute(session, "plan", AttributeKind.CHOICE, label="p", choices=choices, now=NOW)
    a_list(session, "daily")
    session.add_all(Tag(name=name) for name in ("vip", "staff", "long time reader"))
    session.add(Edition(id=12, public_id="x", state=EditionState.DRAFT, revision=1, created_at=NOW))
    session.flush()


@pytest.mark.usefixtures("_what_they_name")
def test_every_documented_example_is_read_and_can_be_asked(session: Session) -> None:
    assert len(EXAMPLES) > 40

    for example in EXAMPLES:
        people = segmented(session, example, now=NOW).people
        counted = session.scalar(select(func.count()).select_from(people.subquery()))
        assert counted == 0, example


@pytest.mark.usefixtures("_what_they_name")
@pytest.mark.parametrize("store", ["sqlite"])
def test_the_documented_mistake_reads_as_documented(session: Session) -> None:
    shown = re.findall(r"segment create gold '(.+)'\n.+\n( *)\^\nnewsletter: (.+)\n", PAGE)[0]
    definition, indent, message = shown

    with pytest.raises(QueryError) as caught:
        segmented(session, definition, now=NOW)

    assert str(caught.value) == message
    assert len(indent) == caught.value.column - 1


def test_the_documented_limits_are_those_that_hold() -> None:
    limits = f"{LONGEST:,} characters, {MOST_CONDITIONS} conditions and brackets {DEEPEST} deep"

    assert limits in PAGE
