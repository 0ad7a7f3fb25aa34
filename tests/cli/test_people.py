"""`newsletter list`, `attribute` and `subscriber` over a person's whole life at a terminal."""

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import select

from newsletter.audience.subscribers import find_subscriber
from newsletter.cli import attributes, imports, subscribers
from newsletter.db import reading
from newsletter.errors import InputError, NotFoundError, StateError
from newsletter.models import Subscriber
from tests.cli.terminal import CREATE, as_json, newsletter_list

pytestmark = [
    pytest.mark.parametrize("store", ["sqlite"]),
    pytest.mark.usefixtures("own_database"),
]


def subscriber(*arguments: str) -> Result:
    return CliRunner().invoke(subscribers.command, arguments)


def test_a_list_is_edited_and_retired() -> None:
    newsletter_list(*CREATE)

    edited = as_json(
        newsletter_list(
            *("edit", "daily", "--tracking=off", "--public", "--send-time=07:00"),
            *("--opt-in=single", "--on-uncertain=resend", "--json"),
        )
    )
    retired = as_json(newsletter_list("retire", "daily", "--json"))
    named = newsletter_list("show")
    shown = newsletter_list("show", "daily")

    assert (edited["tracking"], edited["is_public"], edited["send_time"]) == ("off", True, "07:00")
    assert (edited["opt_in"], edited["on_uncertain"]) == ("single", "resend")
    assert (edited["name"], edited["retired_at"]) == ("The Daily", None)
    assert retired["retired_at"] is not None
    assert named.output == "daily  The Daily  (retired)\n"
    assert "retired  " in shown.output
    assert [each["slug"] for each in as_json(newsletter_list("show", "--json"))] == ["daily"]


def test_a_retired_list_takes_no_import() -> None:
    newsletter_list(*CREATE)
    newsletter_list("retire", "daily")

    refused = CliRunner().invoke(
        imports.command,
        ["-", "--list=daily", "--basis=consent"],
        input="email\nada@readers.example\n",
    )

    assert isinstance(refused.exception, StateError)


def test_sections_are_added_edited_listed_and_retired() -> None:
    newsletter_list(*CREATE)
    empty = newsletter_list("section", "list", "daily")
    newsletter_list("section", "add", "daily", "port", "--name=Port", "--alias=Harbour")
    newsletter_list("section", "add", "daily", "notices", "--name=Notices", "--pinned")

    edited = newsletter_list("section", "edit", "daily", "notices", "--not-pinned", "--position=1")
    bare = as_json(newsletter_list("section", "edit", "daily", "port", "--no-aliases", "--json"))
    listed = as_json(newsletter_list("section", "list", "daily", "--json"))
    retired = newsletter_list("section", "retire", "daily", "port")

    assert "newsletter list section add" in empty.output
    assert edited.output == "notices              Notices\n"
    assert bare[0]["aliases"] == []
    assert [(each["key"], each["is_pinned"]) for each in listed] == [
        ("notices", False),
        ("port", False),
    ]
    assert retired.output == "port                 Port  (retired)\n"


def test_attributes_are_added_listed_and_retired() -> None:
    def attribute(*arguments: str) -> Result:
        return CliRunner().invoke(attributes.command, arguments)

    empty = attribute("list")
    attribute("add", "team", "--kind=choice", "--label=Team", "--choice=red", "--choice=blue")
    listed = as_json(attribute("list", "--json"))
    retired = attribute("retire", "team")

    assert "newsletter attribute add" in empty.output
    assert (listed[0]["key"], listed[0]["choices"]) == ("team", ["red", "blue"])
    assert retired.output == "team                 choice: red, blue  Team  (retired)\n"


def test_a_person_is_added_shown_changed_tagged_and_taken_off() -> None:
    newsletter_list(*CREATE)
    newsletter_list("section", "add", "daily", "sport", "--name=Sport")
    CliRunner().invoke(attributes.command, ["add", "team", "--kind=text", "--label=Team"])

    added = as_json(
        subscriber("add", "Ada@readers.example", "--name=Ada", "--list=daily", "--json")
    )
    confirmed = as_json(
        subscriber(
            *("subscribe", "ada@readers.example", "--list=daily"),
            *("--consent=paper form of 5 March", "--json"),
        )
    )
    edited = as_json(
        subscriber(
            *("edit", str(added["id"]), "--zone=Europe/Berlin", "--attribute=team=red"),
            *("--list=daily", "--hide=sport", "--break-until=2026-12-24", "--json"),
        )
    )
    tagged = subscriber("tag", "ada@readers.example", "--add=VIP", "--add=press", "--remove=press")
    gone = subscriber("unsubscribe", "ada@readers.example")

    assert added["subscriptions"][0]["status"] == "pending"
    assert confirmed["subscriptions"][0]["status"] == "confirmed"
    assert confirmed["consents"][-1]["evidence"]["consent"] == "paper form of 5 March"
    assert (edited["zone"], edited["attributes"]) == ("Europe/Berlin", {"team": "red"})
    assert edited["break_until"] == "2026-12-24"
    assert edited["subscriptions"][0]["hidden_sections"] == ["sport"]
    assert {change["cause"] for change in edited["changes"]} == {"admin"}
    assert tagged.output == "vip\n"
    assert "on              daily: unsubscribed, without sport\n" in gone.output
    assert "zone: - → Europe/Berlin (admin, " in gone.output


def test_who_left_is_not_brought_back_and_the_command_says_so() -> None:
    newsletter_list(*CREATE)
    subscriber("add", "ada@readers.example", "--list=daily", "--consent=form")
    subscriber("unsubscribe", "ada@readers.example", "--list=daily")

    refused = subscriber("subscribe", "ada@readers.example", "--list=daily", "--consent=form")

    assert isinstance(refused.exception, StateError)
    assert "only they themselves" in str(refused.exception)


def test_people_are_shown_page_by_page() -> None:
    for number in range(3):
        subscriber("add", f"r{number}@readers.example")

    first = as_json(subscriber("list", "--limit=2", "--json"))
    second = subscriber("list", f"--after={first['next_after']}")

    assert [each["address"][:2] for each in first["subscribers"]] == ["r0", "r1"]
    assert second.stdout.split()[1] == "r2@readers.example"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["add", "ada", "--json"], "address: "),
        (["add", "bo@readers.example", "--zone=Mars"], "zone: "),
        (["add", "bo@readers.example", "--attribute=team"], "attribute: write it as KEY=VALUE"),
        (["add", "bo@readers.example", "--attribute=team=red"], "attribute team: "),
        (["edit", "ada@readers.example", "--hide=sport"], "sections: name the --list"),
        (["edit", "ada@readers.example", "--list=daily"], "sections: name the --list"),
        (["list", "--status=pending"], "status: "),
        (["tag", "ada@readers.example", "--add=a,b"], "tags: "),
    ],
)
def test_a_mistake_names_its_field_and_changes_nothing(arguments: list[str], message: str) -> None:
    newsletter_list(*CREATE)
    subscriber("add", "ada@readers.example", "--name=Ada")

    refused = subscriber(*arguments)

    assert isinstance(refused.exception, InputError)
    assert str(refused.exception).startswith(message)
    with reading() as session:
        assert len(session.scalars(select(Subscriber)).all()) == 1
        assert find_subscriber(session, "ada@readers.example").name == "Ada"


def test_nobody_is_added_when_one_of_the_lists_is_unknown() -> None:
    newsletter_list(*CREATE)

    refused = subscriber("add", "ada@readers.example", "--list=daily", "--list=weekly")

    assert isinstance(refused.exception, NotFoundError)
    with reading() as session:
        assert session.scalars(select(Subscriber)).all() == []
