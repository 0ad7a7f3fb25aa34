"""`newsletter account` and `newsletter audit` at a terminal."""

import pytest
from click.testing import CliRunner, Result

from newsletter.accounts.people import account_by_email
from newsletter.accounts.signing_in import Browser, Entered, sign_in_with_password
from newsletter.cli import account, audit
from newsletter.clock import utc_now
from newsletter.db import transaction
from newsletter.errors import InputError, StateError
from newsletter.models import SystemMail, SystemMailKind
from tests.audience.people import a_list
from tests.cli.terminal import as_json

pytestmark = pytest.mark.parametrize("store", ["sqlite"])

PASSWORD = "seven gulls over the quay"
ADA = ("ada@harbour.example", "--name", "Ada")


@pytest.fixture(autouse=True)
def _a_list(own_database: None) -> None:
    with transaction() as session:
        a_list(session)


def run(*arguments: str, typed: str = "") -> Result:
    return CliRunner().invoke(account.command, arguments, input=typed)


def test_the_first_admin_types_a_password_and_can_sign_in() -> None:
    made = run("create", *ADA, "--admin", typed=f"{PASSWORD}\n{PASSWORD}\n")

    assert made.exit_code == 0, made.output
    assert PASSWORD not in made.output
    with transaction() as session:
        browser = Browser("198.51.100.7", "tests")
        came = sign_in_with_password(session, ADA[0], PASSWORD, browser=browser, now=utc_now())
    assert isinstance(came, Entered)


def test_a_link_takes_the_place_of_the_password() -> None:
    made = as_json(run("create", *ADA, "--admin", "--link", "--json"))

    assert "/invitation/" in made["link"]
    assert made["state"] == "invited"


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (ADA, "either --role"),
        ((*ADA, "--admin", "--list", "daily=viewer"), "either --role"),
        ((*ADA, "--list", "daily"), "slug=role"),
        ((*ADA, "--list", "daily=boss"), "slug=role"),
        ((*ADA, "--admin", "--time-zone", "Mars"), "time zone"),
    ],
)
def test_what_is_wrong_with_a_command_is_said(arguments: tuple[str, ...], why: str) -> None:
    refused = run("create", *arguments, "--link")

    assert isinstance(refused.exception, InputError)
    assert why in str(refused.exception)


def test_a_soft_password_is_refused() -> None:
    refused = run("create", *ADA, "--admin", typed="password1234\npassword1234\n")

    assert isinstance(refused.exception, InputError)
    assert run("list", "--json").stdout.strip() == "[]"


def test_somebody_is_invited_to_one_list_changed_shut_out_and_let_in_again() -> None:
    run("create", *ADA, "--admin", typed=f"{PASSWORD}\n{PASSWORD}\n")
    bo = "bo@harbour.example"

    invited = as_json(run("invite", bo, "--name", "Bo", "--list", "daily=writer", "--json"))
    changed = as_json(run("role", bo, "--role", "editor", "--json"))
    gone = as_json(run("disable", bo, "--json"))
    refused = run("one-time-link", bo)
    back = as_json(run("enable", bo, "--json"))

    assert invited["lists"] == {"daily": "writer"}
    assert changed["role"] == "editor"
    assert (gone["state"], back["state"]) == ("disabled", "invited")
    assert isinstance(refused.exception, StateError)
    with transaction() as session:
        mail = session.query(SystemMail).one()
        assert mail.kind is SystemMailKind.ACCOUNT_INVITE
        assert mail.to_address == bo
        assert "/invitation/" in mail.data["link"]


def test_links_to_sign_in_and_to_a_new_password_are_printed_alone() -> None:
    run("create", *ADA, "--admin", typed=f"{PASSWORD}\n{PASSWORD}\n")

    assert "/sign-in/link/" in run("one-time-link", ADA[0]).stdout
    reset = run("reset", ADA[0], "--second-factors").stdout

    assert "/reset/" in reset
    assert len(reset.split()) == 1
    with transaction() as session:
        assert account_by_email(session, ADA[0]).totp_since is None


def test_what_was_done_by_command_stands_in_the_audit_log() -> None:
    """S-35."""
    run("create", *ADA, "--admin", "--link")
    run("reset", ADA[0])

    shown = CliRunner().invoke(audit.command, ["list", "--json", "--action", "account created"])
    all_of_it = CliRunner().invoke(audit.command, ["list", "--limit", "1"])

    entry = as_json(shown)[0]
    assert entry["subject"] == ADA[0]
    assert entry["actor"].endswith("(command line)")
    assert "password reset by command" in all_of_it.stdout
    assert "--before" in all_of_it.stderr
