"""`newsletter list` and `newsletter subscriber` as a person at a terminal meets them."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import select

from newsletter.addresses import parse_address
from newsletter.audience.suppression import is_suppressed
from newsletter.cli import lists, subscribers
from newsletter.db import get_engine, reading
from newsletter.errors import InputError, NotFoundError
from newsletter.models import MailingList
from newsletter.settings import get_settings

ONE_STORE = pytest.mark.parametrize("store", ["sqlite"])
pytestmark = ONE_STORE

CREATE = [
    "create",
    "daily",
    "--name=The Daily",
    "--sender-name=The Desk",
    "--sender-address=desk@courier.example",
    "--postal-address=4 Ropewalk Lane, Port Ellery",
]
PEOPLE = "email,name,mood\nada@readers.example,Ada,fine\nnobody,Bo,gone\n"


@pytest.fixture(autouse=True)
def _own_database(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("NEWSLETTER_DATABASE_URL", database_url)
    get_settings.cache_clear()
    get_engine.cache_clear()
    yield
    get_engine().dispose()
    get_settings.cache_clear()
    get_engine.cache_clear()


def newsletter_list(*arguments: str) -> Result:
    return CliRunner().invoke(lists.command, arguments)


def newsletter_subscribers(*arguments: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(subscribers.command, arguments, input=stdin)


def test_a_new_list_is_shown_and_found_again() -> None:
    made = newsletter_list(*CREATE, "--zone=europe/london", "--accent=#0F5C6E")
    shown = newsletter_list("show", "daily")
    named = newsletter_list("show")

    assert (made.exit_code, shown.exit_code, named.exit_code) == (0, 0, 0)
    assert made.output == shown.output
    assert "from            The Desk <desk@courier.example>" in shown.output
    assert "Europe/London" in shown.output
    assert "#0f5c6e" in shown.output
    assert named.output == "daily  The Daily\n"


def test_without_lists_the_command_to_make_one_is_named() -> None:
    assert "newsletter list create" in newsletter_list("show").output


def test_a_wrong_field_makes_no_list() -> None:
    refused = newsletter_list(*CREATE, "--zone=Mars")

    with reading() as session:
        assert session.scalars(select(MailingList)).all() == []
    assert isinstance(refused.exception, InputError)
    assert str(refused.exception).startswith("zone: ")


def test_an_unknown_list_is_an_error_that_names_the_known_ones() -> None:
    newsletter_list(*CREATE)

    refused = newsletter_list("show", "dialy")

    assert isinstance(refused.exception, NotFoundError)
    assert "daily" in str(refused.exception)


def test_an_import_reports_what_came_of_each_line(tmp_path: Path) -> None:
    newsletter_list(*CREATE)
    (tmp_path / "people.csv").write_text(PEOPLE)

    result = newsletter_subscribers("import", str(tmp_path / "people.csv"), "--list=daily")

    assert result.exit_code == 0
    assert "1 people in 2 lines: 1 new on the list, 0 changed, 0 as they were." in result.output
    assert "Ignored columns: mood." in result.output
    assert "line 3, address: invalid address (n***)" in result.output
    assert "\x1b" not in result.output


def test_only_the_first_twenty_problems_are_shown() -> None:
    newsletter_list(*CREATE)

    result = newsletter_subscribers(
        "import", "-", "--list=daily", stdin="email\n" + "nobody\n" * 30
    )

    assert result.output.count("invalid address (") == 20
    assert "--json lists the first 30" in result.output


def test_an_import_reports_to_a_program_as_json() -> None:
    newsletter_list(*CREATE)

    result = newsletter_subscribers("import", "-", "--list=daily", "--json", stdin=PEOPLE)

    report = json.loads(result.stdout)
    assert result.exit_code == 0
    assert report["lines"] == 2
    assert report["by_status"] == {"confirmed": 1}
    assert report["rejected"] == {"invalid address": 1}
    assert report["problems"] == [
        {"line": 3, "field": "address", "reason": "invalid address", "text": "n***"}
    ]


def test_a_file_that_cannot_be_read_is_exit_code_2() -> None:
    newsletter_list(*CREATE)

    result = newsletter_subscribers("import", "/nowhere/people.csv", "--list=daily")

    assert result.exit_code == 2
    assert "people.csv" in result.output


def test_a_header_of_no_use_is_a_persons_mistake() -> None:
    newsletter_list(*CREATE)

    result = newsletter_subscribers("import", "-", "--list=daily", stdin="name\nAda\n")

    assert isinstance(result.exception, InputError)


def test_an_address_is_suppressed_for_good() -> None:
    first = newsletter_subscribers("suppress", "Cy@Readers.example", "--reason=complained")
    second = newsletter_subscribers("suppress", "cy@readers.example")

    with reading() as session:
        assert is_suppressed(session, parse_address("cy@readers.example"), list_id=1)
    assert first.output == "C***@r***.example is suppressed.\n"
    assert second.output == "c***@r***.example was suppressed already.\n"


def test_an_address_may_be_suppressed_for_one_list() -> None:
    newsletter_list(*CREATE)

    newsletter_subscribers("suppress", "cy@readers.example", "--list=daily")

    cy = parse_address("cy@readers.example")
    with reading() as session:
        daily = session.scalars(select(MailingList)).one()
        assert is_suppressed(session, cy, list_id=daily.id)
        assert not is_suppressed(session, cy, list_id=daily.id + 1)
