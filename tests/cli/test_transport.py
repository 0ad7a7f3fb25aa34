"""`newsletter transport` as a person at a terminal meets it."""

import json

import pytest
from click.testing import CliRunner

from newsletter.cli import transport
from newsletter.clock import utc_now
from newsletter.db import get_engine, transaction
from newsletter.deliver.holds import Trip, hold
from newsletter.models import Domain, HoldScope
from tests.newsroom import add_list

pytestmark = pytest.mark.parametrize("store", ["sqlite"])


@pytest.fixture(autouse=True)
def _a_transport(own_database: None) -> None:
    newsletter_transport("set", "relay", "smtp+starttls://user:secret@relay.example")


def newsletter_transport(*arguments: str) -> str:
    result = CliRunner().invoke(transport.command, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def held(scope: HoldScope, key: str, *, transport_id: int = 0) -> None:
    trip = Trip(
        scope,
        key,
        "R-00",
        "Numbers said so.",
        transport_id=transport_id,
        reply="550 No <a@b.example>",
    )
    with transaction() as session:
        hold(session, trip, now=utc_now())


def test_how_a_transport_is_used_is_shown_without_its_password() -> None:
    newsletter_transport("change", "relay", "--weight", "3", "--rate", "100/s")

    shown = newsletter_transport("list")

    assert "relay.example:587 (starttls) as user" in shown
    assert "weight 3" in shown
    assert "100/s" in shown
    assert "secret" not in shown


def test_a_hold_is_shown_with_its_reason_and_the_servers_words_and_can_be_lifted() -> None:
    held(HoldScope.TRANSPORT, "1", transport_id=1)
    held(HoldScope.ROUTE, "0", transport_id=1)

    shown = newsletter_transport("status")

    assert "breaker open" in shown
    assert "hold 2: route other, suspend" in shown
    assert "Numbers said so." in shown
    assert "550 No" in shown
    assert "a@b.example" not in shown

    newsletter_transport("lift", "1", "--by", "Olga")
    shown = newsletter_transport("status")
    assert "breaker closed" in shown
    assert "last error: 550 No" in shown


def test_a_program_reads_the_same_as_json() -> None:
    with transaction() as session:
        session.add(Domain(name="dead.example"))
    held(HoldScope.RECIPIENT_DOMAIN, "1")

    found = json.loads(newsletter_transport("status", "--json"))

    assert found["transports"][0]["breaker"] == "closed"
    assert found["transports"][0]["last_hour"]["tried"] == 0
    assert [each["what"] for each in found["holds"]] == ["dead.example"]


def test_a_breaker_is_opened_and_closed_by_hand() -> None:
    newsletter_transport("open", "relay", "--by", "Olga")
    assert "Held by Olga." in newsletter_transport("status")

    assert "goes through again" in newsletter_transport("close", "relay")
    assert "was closed" in newsletter_transport("close", "relay")


def test_a_list_is_given_transports_of_its_own() -> None:
    add_list(get_engine())

    assert "relay" in newsletter_transport("assign", "harbour", "relay")
    assert "any transport" in newsletter_transport("assign", "harbour")
