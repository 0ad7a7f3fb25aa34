"""`newsletter route` and `newsletter warm-up` as a person at a terminal meets them."""

from datetime import UTC, timedelta

import pytest
from click.testing import CliRunner
from sqlalchemy import update

from newsletter.cli import route, warm_up
from newsletter.clock import utc_now
from newsletter.db import get_engine, transaction
from newsletter.deliver.warm_up import reserve
from newsletter.errors import InputError, NotFoundError, StateError
from newsletter.models import Batch, EditionTransport
from newsletter.settings import get_settings
from tests.newsroom import (
    add_list,
    add_readers,
    add_transport,
    sending_edition,
    settings_for,
)

pytestmark = [
    pytest.mark.parametrize("store", ["sqlite"]),
    pytest.mark.usefixtures("own_bells", "own_database"),
]


def newsletter_route(*arguments: str) -> str:
    ran = CliRunner().invoke(route.command, arguments, catch_exceptions=False)
    assert ran.exit_code == 0, ran.output
    return ran.stdout


def newsletter_warm_up(*arguments: str) -> str:
    ran = CliRunner().invoke(warm_up.command, arguments, catch_exceptions=False)
    assert ran.exit_code == 0, ran.output
    return ran.stdout


def test_all_routes_are_listed_with_their_limits() -> None:
    lines = newsletter_route("list").splitlines()

    assert lines[0] == (
        "other: 10 connections, 100/s for each of its sites, 100 messages a connection"
    )
    assert (
        "google: 5 connections, 100/s, 50 messages a connection; takes mail over TLS only" in lines
    )


def test_a_limit_is_set_and_taken_back() -> None:
    changed = newsletter_route("set", "google", "--connections", "2", "--rate", "600/min")

    assert changed.startswith("google: 2 connections, 600/min,")
    assert changed in newsletter_route("list")
    assert newsletter_route("set", "google").startswith("google: 5 connections, 100/s,")


def test_a_rate_that_is_none_and_a_route_that_is_not_there_are_refused() -> None:
    with pytest.raises(InputError, match="100/s"):
        newsletter_route("set", "google", "--rate", "fast")
    with pytest.raises(NotFoundError, match="newsletter route list"):
        newsletter_route("set", "gogle")


def test_a_warm_up_tells_how_it_stands_and_when_it_ends() -> None:
    engine = get_engine()
    transport_id, list_id = add_transport(engine, 25), add_list(engine)
    add_readers(engine, list_id, ["Ada", "Bo", "Cy", "Dora", "Eve", "Flo", "Gus"])

    started = newsletter_warm_up("start", "devmail", "--first", "2", "--growth", "2")

    assert started.startswith("devmail: 2 a day and provider at first, no cap after 16 days")
    assert "nothing has been sent" in newsletter_warm_up("show", "devmail")
    edition_id = sending_edition(
        engine, settings_for(get_settings().state_dir), [list_id], transport_id
    )
    now = utc_now()
    with transaction(engine) as session:
        session.merge(EditionTransport(edition_id=edition_id, transport_id=transport_id, weight=1))
        reserve(session, transport_id, 0, 500, now=now)
        session.execute(
            update(Batch).where(Batch.edition_id == edition_id, Batch.number == 1).values(sent=2)
        )

    # Two today, four tomorrow, and the last of them the day after.
    ends_on = (now + timedelta(days=2)).astimezone(UTC).date()
    shown = newsletter_warm_up("show", "devmail")
    assert shown == f"other: 2 of 2 today; 5 people wait, the last of them until {ends_on}\n"
    assert "no caps" in newsletter_warm_up("stop", "devmail")
    with pytest.raises(StateError, match="not being warmed up"):
        newsletter_warm_up("show", "devmail")


def test_a_transport_that_is_not_there_cannot_be_warmed_up() -> None:
    with pytest.raises(NotFoundError, match="newsletter transport list"):
        newsletter_warm_up("start", "nobody")
