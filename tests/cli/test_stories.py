"""Feeds and alarm addresses from the command line."""

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import Engine

from newsletter.cli import cli
from tests.newsroom import add_list
from tests.webserver import Reply, running_web_server

RSS = b"""<rss version="2.0"><channel><title>Gazette</title>
<item><title>Ferries</title><link>/f</link></item></channel></rss>"""


@pytest.fixture
def store() -> str:
    return "sqlite"


@pytest.fixture(autouse=True)
def at_home(own_bells: None, own_database: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEWSLETTER_FETCH_PRIVATE", "127.0.0.0/8")


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, arguments)


def test_a_feed_is_added_read_shown_and_removed(engine: Engine) -> None:
    add_list(engine)

    with running_web_server(lambda _: Reply(RSS, kind="application/rss+xml")) as server:
        added = run("feed", "add", "harbour", server.url())
        waiting = run("feed", "list")
        read = run("feed", "read", "harbour")
    shown = run("feed", "list")
    removed = run("feed", "remove", "1")

    assert added.exit_code == read.exit_code == removed.exit_code == 0, read.output
    assert "not read yet" in waiting.output
    assert "read 2" in read.output
    assert "Gazette" in shown.output
    assert "There is no feed yet" in run("feed", "list").output


def test_an_address_of_alarms_is_set_tried_and_silenced(engine: Engine) -> None:
    add_list(engine)

    first = run("alarm", "address", "harbour", "https://chat.example.org/hook")
    again = run("alarm", "address", "harbour", "https://chat.example.org/other")
    tried = run("alarm", "try", "harbour")
    calls = run("alarm", "calls", "harbour")
    silenced = run("alarm", "silence", "harbour")
    after = run("alarm", "calls", "harbour")

    assert "whsec_" in first.output
    assert "whsec_" not in again.output
    assert tried.exit_code == silenced.exit_code == 0
    assert "waiting  no answer" in calls.output
    assert "harbour has no address for its alarms." in after.output
