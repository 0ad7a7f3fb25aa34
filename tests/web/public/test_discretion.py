"""Nobody learns from the forms whose address we have: not by words, not by length, not by time."""

import time
from collections.abc import Iterator
from pathlib import Path
from statistics import mean, median

import pytest
import redis as redis_client
from sqlalchemy import Engine
from starlette.testclient import TestClient

from newsletter.addresses import parse_address
from newsletter.audience.consent import subscribe
from newsletter.audience.signup import request_signup
from newsletter.audience.subscribers import add_subscriber
from newsletter.audience.suppression import suppress
from newsletter.db import transaction
from newsletter.models import MailingList, OptIn, SubscriptionStatus, SuppressionReason
from newsletter.settings import Settings
from tests.audience.people import EDITOR, NOW
from tests.audience.signing_up import a_form, make_list, requests
from tests.web.public.strangers import answer, filled, opened, send, settings_for

TRIES = 200
CLASSES = ("unknown", "on_list", "pending", "blocked")
CLOSE_SECONDS = 0.005


@pytest.fixture
def settings(redis_server: str, tmp_path: Path) -> Settings:
    return settings_for(redis_server, tmp_path, signups_per_hour=100_000)


@pytest.fixture
def client(engine: Engine, settings: Settings, redis: "redis_client.Redis") -> Iterator[TestClient]:
    with opened(engine, settings) as client:
        yield client


def address_of(who: str, number: int) -> str:
    return f"{who}.{number}@readers.example"


def populate(engine: Engine, settings: Settings) -> None:
    """People of each class, as many as there are tries."""
    with transaction(engine) as session:
        daily = session.get_one(MailingList, 1)
        for number in range(TRIES):
            reader = add_subscriber(
                session, address_of("on_list", number), {}, origin=EDITOR, now=NOW
            )
            confirmed = SubscriptionStatus.CONFIRMED
            subscribe(session, reader, daily, confirmed, origin=EDITOR, evidence={}, now=NOW)
            blocked = parse_address(address_of("blocked", number))
            reason = SuppressionReason.COMPLAINED
            suppress(session, blocked, reason=reason, source="arf", now=NOW)
            request_signup(session, a_form(session, address_of("pending", number)), now=NOW)
    answer(engine, settings)


@pytest.mark.parametrize(
    ("store", "path", "opt_in"),
    [
        ("sqlite", "/s/daily", OptIn.DOUBLE),
        ("postgresql", "/s/daily", OptIn.SINGLE),
        ("sqlite", "/link", OptIn.DOUBLE),
    ],
)
def test_s01_the_answer_is_the_same_in_words_length_and_time(
    client: TestClient, engine: Engine, settings: Settings, path: str, opt_in: OptIn
) -> None:
    make_list(engine, opt_in=opt_in)
    populate(engine, settings)
    later: dict[str, list[float]] = {who: [] for who in CLASSES}
    said = set()

    for number in range(TRIES):
        taken = {}
        for who in CLASSES[number % 4 :] + CLASSES[: number % 4]:
            fields = filled(address_of(who, number))
            began = time.perf_counter()
            answer_to_them = send(client, path, fields)
            taken[who] = time.perf_counter() - began
            headers = tuple(sorted(answer_to_them.headers.items()))
            said.add((answer_to_them.status_code, answer_to_them.content, headers))
        # Against the others of the same moment: a machine with much to do is slow to all of them.
        for who, seconds in taken.items():
            later[who].append(seconds - mean(taken.values()))

    medians = [median(times) for times in later.values()]
    assert len(said) == 1
    assert max(medians) - min(medians) < CLOSE_SECONDS
    assert len(requests(engine)) == TRIES * (len(CLASSES) + 1)
