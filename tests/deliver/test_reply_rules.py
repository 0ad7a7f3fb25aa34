import re
import tomllib
from datetime import timedelta

import pytest
from sqlalchemy import Engine

from newsletter.db import transaction
from newsletter.deliver.outcome import Reply
from newsletter.deliver.providers import providers
from newsletter.deliver.reply_rules import TABLE, first_match, is_reached, rules_of, trip_of
from newsletter.models import HoldAction, HoldScope
from newsletter.plan.rates import Rate
from tests.newsroom import MORNING

RAW = tomllib.loads(TABLE.read_text(encoding="utf-8"))["rule"]
SPOKEN = re.compile(r"(\d{3}) (?:([245]\.\d{1,3}\.\d{1,3}) )?(.*)")


def reply(line: str) -> Reply:
    match = SPOKEN.fullmatch(line)
    assert match is not None
    return Reply(int(match[1]), match[2], match[3])


@pytest.mark.parametrize("row", RAW, ids=[row["name"] for row in RAW])
def test_r23_each_rules_own_line_is_matched_by_it_and_by_no_other_of_its_provider(
    row: dict[str, str],
) -> None:
    matching = [each.name for each in rules_of(row["provider"]) if each.matches(reply(row["line"]))]

    assert matching == [row["name"]]


@pytest.mark.parametrize("row", RAW, ids=[row["name"] for row in RAW])
def test_r23_each_rule_is_about_a_provider_that_is_known_and_has_a_usable_value(
    row: dict[str, str],
) -> None:
    assert row["provider"] in providers()
    match HoldAction(row["action"]):
        case HoldAction.RATE:
            assert Rate.parse(row["value"]).per_second > 0
        case HoldAction.CONNECTIONS:
            assert int(row["value"]) > 0
        case HoldAction.SUSPEND:
            assert "value" not in row


def test_r23_what_one_provider_says_means_nothing_from_another() -> None:
    words = reply("421 4.7.0 [TSS04] Messages from 192.0.2.7 temporarily deferred")

    assert first_match(rules_of("google"), words) is None
    rule = first_match(rules_of("yahoo"), words)

    assert rule is not None
    trip = trip_of(rule, words, transport_id=1, route=3)
    assert (trip.scope, trip.key, trip.transport_id) == (HoldScope.ROUTE, "3", 1)
    assert trip.lasts == timedelta(hours=2)
    assert "[TSS04]" in trip.reply


def test_r23_a_rule_that_wants_three_replies_within_an_hour_waits_for_them(engine: Engine) -> None:
    rule = next(each for each in rules_of("google") if each.after == 3)

    def heard(times: int, *, minutes: int) -> bool:
        with transaction(engine) as session:
            now = MORNING + timedelta(minutes=minutes)
            return is_reached(session, rule, transport_id=1, route=1, times=times, now=now)

    assert not heard(2, minutes=0)
    assert not heard(1, minutes=61)
    assert not heard(1, minutes=62)
    assert heard(1, minutes=63)
    assert heard(3, minutes=500)
