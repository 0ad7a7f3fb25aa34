"""`newsletter api-key` and `newsletter openapi` at a terminal."""

import pytest
from click.testing import CliRunner, Result

from newsletter.accounts.api_keys import find_api_key
from newsletter.cli import api_key, openapi
from newsletter.clock import utc_now
from newsletter.db import reading, transaction
from newsletter.errors import InputError, NotFoundError
from tests.audience.people import a_list
from tests.cli.terminal import as_json

pytestmark = pytest.mark.parametrize("store", ["sqlite"])


@pytest.fixture(autouse=True)
def _a_list(own_database: None) -> None:
    with transaction() as session:
        a_list(session)


def newsletter_api_key(*arguments: str) -> Result:
    return CliRunner().invoke(api_key.command, arguments)


def test_a_key_is_printed_alone_and_works() -> None:
    made = newsletter_api_key("create", "The shop", "--scope=lists:read", "--days=2")

    with reading() as session:
        row = find_api_key(session, made.stdout.strip(), now=utc_now())

    assert row is not None
    assert (row.name, row.scopes, row.is_narrowed) == ("The shop", ["lists:read"], False)


def test_a_key_is_listed_without_its_secret_and_revoked() -> None:
    """S-09."""
    options = ("--scope=tags:read", "--scope=subscribers:write", "--list=daily", "--json")
    made = as_json(newsletter_api_key("create", "The shop", *options))

    listed = as_json(newsletter_api_key("list", "--json"))
    shown = newsletter_api_key("list").stdout
    revoked = newsletter_api_key("revoke", made["prefix"])

    secret = made.pop("key")
    assert listed == [made]
    assert made["lists"] == ["daily"]
    assert made["prefix"] in shown
    assert secret not in shown
    assert revoked.exit_code == 0
    with reading() as session:
        assert find_api_key(session, secret, now=utc_now()) is None
    assert as_json(newsletter_api_key("list", "--json"))[0]["revoked_at"] is not None


@pytest.mark.parametrize(
    ("arguments", "kind", "text"),
    [
        (["create", "x", "--scope=lists:read", "--list=none"], NotFoundError, "daily"),
        (["create", "x", "--scope=privacy:write", "--list=daily"], InputError, "scope: privacy"),
        (["create", " ", "--scope=lists:read"], InputError, "name:"),
        (["revoke", "none"], NotFoundError, "api-key list"),
    ],
)
def test_what_is_wrong_is_named(arguments: list[str], kind: type[Exception], text: str) -> None:
    error = newsletter_api_key(*arguments).exception

    assert isinstance(error, kind)
    assert text in str(error)


def test_the_document_is_openapi_with_an_example_of_every_problem() -> None:
    document = as_json(CliRunner().invoke(openapi.command))

    assert document["openapi"].startswith("3.1")
    for operations in document["paths"].values():
        for operation in operations.values():
            assert operation["security"]
            problems = {
                status: answer
                for status, answer in operation["responses"].items()
                if status.startswith(("4", "5"))
            }
            assert {"401", "403", "422", "429", "500", "503"} <= problems.keys()
            for answer in problems.values():
                content = answer["content"]["application/problem+json"]
                assert content["example"]["status"]
