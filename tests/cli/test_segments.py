"""`newsletter segment` as a person at a terminal meets it."""

import json

import pytest
from click.testing import CliRunner, Result

from newsletter.audience.subscribers import add_subscriber
from newsletter.audience.tags import set_tags
from newsletter.cli import exports, segments
from newsletter.db import transaction
from newsletter.errors import InputError, NewsletterError
from tests.audience.people import EDITOR, NOW
from tests.newsroom import rung

pytestmark = pytest.mark.parametrize("store", ["sqlite"])


@pytest.fixture(autouse=True)
def _three_people(own_bells: None, own_database: None) -> None:
    with transaction() as session:
        for name in ("ada", "bo", "cy"):
            address = f"{name}@readers.example"
            person = add_subscriber(session, address, {"language": "en"}, origin=EDITOR, now=NOW)
        set_tags(session, person.id, ["vip"], origin=EDITOR, now=NOW)


def newsletter_segment(*arguments: str) -> Result:
    return CliRunner().invoke(segments.command, arguments)


def as_json(*arguments: str) -> object:
    result = newsletter_segment(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_a_segment_is_made_shown_edited_listed_and_deleted() -> None:
    definition = "language is en and not tagged vip"

    made = newsletter_segment("create", "guests", "TAGGED vip", "--description=Guests of ours")
    edited = newsletter_segment("edit", "guests", definition)
    listed = newsletter_segment("list")
    deleted = newsletter_segment("delete", "guests")
    empty = newsletter_segment("list")

    assert made.output == "guests: tagged vip\nGuests of ours\n1 of 3 people.\n"
    assert edited.output.startswith(f"guests: {definition}\nGuests of ours\n2")
    assert listed.output.split() == ["guests", *definition.split()]
    assert deleted.output == "The segment guests is deleted.\n"
    assert "newsletter segment create" in empty.output


def test_a_mistake_is_pointed_at() -> None:
    result = newsletter_segment("create", "guests", "language is en and tagged nobody")

    assert isinstance(result.exception, InputError)
    text, pointer = result.stderr.splitlines()
    assert text[pointer.index("^") :] == "nobody"


def test_people_come_page_by_page() -> None:
    newsletter_segment("create", "all", "language is en")

    first = newsletter_segment("people", "all", "--limit=2")
    rest = newsletter_segment("people", "all", "--limit=2", "--after=2")
    page = as_json("people", "all", "--limit=2")

    assert [line.split()[1] for line in first.stdout.splitlines()] == [
        "ada@readers.example",
        "bo@readers.example",
    ]
    assert first.stderr == "… and more: --after 2\n"
    assert rest.stdout.split()[1] == "cy@readers.example"
    assert isinstance(page, dict)
    assert page["next_after"] == 2


def test_a_count_is_about_of_a_text_or_exact_of_a_segment() -> None:
    newsletter_segment("create", "all", "language is en")

    about = as_json("count", "--query", "tagged vip")
    exact = as_json("count", "all", "--exact")
    shown = newsletter_segment("show", "all")

    assert about == {"people": 1, "audience": 3, "margin": 0, "is_exact": True, "notes": []}
    assert isinstance(exact, dict)
    assert (exact["people"], exact["looked_at"], exact["of"]) == (3, 3, 3)
    assert "exactly 3 people, counted at" in shown.output


def test_a_worker_is_asked_to_count(redis: object) -> None:
    newsletter_segment("create", "all", "language is en")

    asked = newsletter_segment("count", "all", "--exact", "--background")

    assert asked.output == "An exact count is under way: 0%.\n"
    assert ("newsletter.count_segments", {}) in rung(redis, "upkeep")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "arguments",
    [
        ["count"],
        ["count", "all", "--query=tagged vip"],
        ["count", "all", "--background"],
        ["count", "--query=tagged vip", "--exact"],
        ["show", "nobody"],
        ["people", "nobody"],
        ["delete", "nobody"],
    ],
)
def test_what_cannot_be_done_is_refused_with_what_to_do(arguments: list[str]) -> None:
    result = newsletter_segment(*arguments)

    assert isinstance(result.exception, NewsletterError)
    assert "\n" not in str(result.exception)


def test_a_segments_people_are_exported() -> None:
    newsletter_segment("create", "guests", "tagged vip")

    exported = CliRunner().invoke(exports.command, ["--segment=guests", "--format=jsonl"])
    refused = CliRunner().invoke(exports.command, ["--segment=guests", "--status=pending"])

    assert [json.loads(line)["email"] for line in exported.stdout.splitlines()] == [
        "cy@readers.example"
    ]
    assert isinstance(refused.exception, InputError)
