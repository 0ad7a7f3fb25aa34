"""Limits over all web processes, and on their own while Redis is away."""

import time

import pytest
import redis as redis_client

from newsletter import redis as our_redis
from newsletter.accounts.networks import network_of
from newsletter.audience.limits import SignupLimits
from newsletter.stack.ports import free_port


@pytest.mark.parametrize(
    ("ip", "network"),
    [
        ("198.51.100.7", "198.51.100.0/24"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("", "nowhere"),
        ("nonsense", "nowhere"),
    ],
)
def test_s02_a_network_is_what_one_person_has_at_hand(ip: str, network: str) -> None:
    assert network_of(ip) == network


def test_s02_processes_count_together(redis_server: str, redis: "redis_client.Redis") -> None:
    processes = [SignupLimits(redis_server, per_hour=1000) for _ in range(2)]

    admitted = [each.admits("/s", "198.51.100.7") for each in processes * 11]

    assert admitted == [True] * 20 + [False] * 2


def test_a_network_that_asks_too_often_takes_nothing_from_the_others(
    redis_server: str, redis: "redis_client.Redis"
) -> None:
    ours = SignupLimits(redis_server, per_hour=60)

    flood = [ours.admits("/s", "198.51.100.7") for _ in range(200)]
    others = [ours.admits("/s", f"198.51.{number}.7") for number in range(10)]

    assert (flood.count(True), others.count(True)) == (20, 10)


def test_while_redis_is_away_each_process_lets_a_fourth_through() -> None:
    ours = SignupLimits(f"redis://127.0.0.1:{free_port()}/0", per_hour=1000)

    admitted = [ours.admits("/s", "198.51.100.7") for _ in range(8)]

    assert admitted == [True] * 5 + [False] * 3


def test_redis_is_asked_again_when_it_is_back(
    redis_server: str, redis: "redis_client.Redis", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(our_redis, "REST_SECONDS", 0.05)
    ours = SignupLimits(redis_server, per_hour=1000)
    redis.config_set("maxclients", "1")
    try:
        alone = ours.admits("/s", "198.51.100.7")
    finally:
        redis.config_set("maxclients", "10000")
    time.sleep(0.06)

    assert alone
    assert ours.admits("/s", "198.51.100.7")
    assert redis.dbsize() > 0
