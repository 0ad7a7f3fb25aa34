"""`newsletter edition test` and `newsletter test-recipient` as a person at a terminal meets them."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import Engine

from newsletter.cli import edition, test_recipients
from newsletter.deliver.post_office import PostOffice
from newsletter.devmail.peer import DevMail
from newsletter.devmail.script import Phase, Reply, Rule, Script
from newsletter.errors import AddressError, InputError
from tests.newsroom import (
    add_list,
    add_readers,
    add_transport,
    approved_edition,
    settings_for,
)
from tests.smtpd import smtpd

__all__ = ["smtpd"]


@pytest.fixture
def store() -> str:
    return "sqlite"


pytestmark = pytest.mark.usefixtures("own_bells", "own_database")


@pytest.fixture
def edition_id(engine: Engine, smtpd: DevMail, tmp_path: Path) -> int:
    list_id = add_list(engine)
    add_readers(engine, list_id, ["Ada"])
    settings = settings_for(tmp_path)
    return approved_edition(engine, settings, [list_id], add_transport(engine, smtpd.port))


@pytest.fixture
def post_office(engine: Engine, tmp_path: Path) -> Iterator[PostOffice]:
    with PostOffice(engine, settings_for(tmp_path, poll_seconds=0.1)) as post_office:
        yield post_office


def edition_test(edition_id: int, *arguments: str) -> Result:
    return CliRunner().invoke(edition.command, ["test", str(edition_id), *arguments])


def recipients(*arguments: str) -> Result:
    return CliRunner().invoke(test_recipients.command, arguments)


def test_who_may_get_tests_is_added_shown_and_removed() -> None:
    empty = recipients("list")
    added = recipients("add", "@Desk.example")
    shown = recipients("list")
    removed = recipients("remove", "@desk.example")

    assert "Nobody yet" in empty.output
    assert added.output == "Test mails may go to @desk.example.\n"
    assert shown.output.startswith("@desk.example  since ")
    assert removed.output == "@desk.example is off the list.\n"
    assert "Nobody yet" in recipients("list").output


@pytest.mark.usefixtures("post_office")
def test_the_servers_answer_is_shown_within_seconds(edition_id: int, smtpd: DevMail) -> None:
    recipients("add", "ed@desk.example")

    result = edition_test(edition_id, "--to=ed@desk.example", "--as=ada@readers.example")

    assert result.exit_code == 0, result.output
    assert result.output.startswith("ed@desk.example  sent  250 ")
    assert b"Ada" in smtpd.messages()[0].content


@pytest.mark.usefixtures("post_office")
def test_one_refusal_among_several_is_exit_code_1(edition_id: int, smtpd: DevMail) -> None:
    recipients("add", "@desk.example")
    smtpd.script = Script(
        rules=(Rule(phase=Phase.RCPT, action=Reply(code=550, text="No"), times=1),)
    )

    result = edition_test(edition_id, "--to=ed@desk.example", "--to=flo@desk.example", "--json")

    told = json.loads(result.output)
    assert result.exit_code == 1
    assert sorted(each["state"] for each in told) == ["failed", "sent"]
    assert {each["address"] for each in told} == {"ed@desk.example", "flo@desk.example"}
    assert "550 No" in {each["reply"] for each in told}


def test_without_a_worker_it_says_where_to_look(edition_id: int) -> None:
    recipients("add", "@desk.example")

    result = edition_test(edition_id, "--to=ed@desk.example", "--wait=0.2")

    assert result.exit_code == 1
    assert "does a worker serve the queue `system`?" in result.output


def test_a_mistake_is_told_before_anything_is_posted(edition_id: int) -> None:
    assert isinstance(edition_test(edition_id, "--to=nobody").exception, AddressError)
    assert isinstance(edition_test(edition_id, "--to=ed@desk.example").exception, InputError)
