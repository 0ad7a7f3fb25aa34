import pytest
from sqlalchemy import Engine, event

from newsletter.db import transaction
from newsletter.models import Link
from newsletter.track.links import LinkTable, is_web_address
from tests.track.people import STORY, mailed_morning


def test_a_link_is_read_once_and_then_remembered(engine: Engine) -> None:
    edition_id = mailed_morning(engine).edition_id
    table = LinkTable(engine)
    statements: list[str] = []
    event.listen(
        engine, "before_cursor_execute", lambda *arguments: statements.append(arguments[2])
    )

    assert table.remembered(edition_id, 1) is None
    assert table.target(edition_id, 1) == STORY
    asked = len(statements)
    assert table.target(edition_id, 1) == table.remembered(edition_id, 1) == STORY
    assert len(statements) == asked


def test_a_link_added_by_a_correction_is_found(engine: Engine) -> None:
    edition_id = mailed_morning(engine).edition_id
    table = LinkTable(engine)
    assert table.target(edition_id, 3) is None

    with transaction(engine) as session:
        session.add(Link(edition_id=edition_id, number=3, url="https://source.example/3"))

    assert table.target(edition_id, 3) == "https://source.example/3"


def test_the_edition_asked_for_longest_ago_is_forgotten_first(engine: Engine) -> None:
    edition_id = mailed_morning(engine).edition_id
    table = LinkTable(engine, editions=2)
    for other in (101, 102):
        table._remember(other, {1: STORY})
    assert table.remembered(101, 1) == STORY

    table.target(edition_id, 1)

    assert table.remembered(102, 1) is None
    assert table.remembered(101, 1) == STORY


@pytest.mark.parametrize(
    "url",
    [
        "https://source.example",
        "http://source.example:8080/a?b=c#d",
        "HTTPS://Source.example/",
        "https://bücher.example/straße",
    ],
)
def test_a_browser_may_be_sent_to_the_web(url: str) -> None:
    assert is_web_address(url)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "/relative",
        "//source.example/",
        "javascript:alert(1)",
        "data:text/html,x",
        "mailto:ada@readers.example",
        "ftp://source.example/",
        "https:source.example",
        "https:///path",
        "https://[broken",
        "https://source.example/\r\nSet-Cookie: a=b",
        "https://source.example/\x00",
        "java\nscript:alert(1)",
    ],
)
def test_a_browser_is_sent_nowhere_else(url: str) -> None:
    assert not is_web_address(url)
