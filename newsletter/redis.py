"""The Redis connection and the prefix of every key that is ours."""

from functools import cache

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from newsletter.settings import get_settings

PREFIX = "newsletter:"
EVENT_STREAM = PREFIX + "events"
PUMP_TURNED = PREFIX + "pump:turned"
"""When the pump last finished a turn, in ISO 8601."""
BEAT_RANG = PREFIX + "beat:rang"
"""When beat last rang for anything, in ISO 8601."""


def impatient_redis(url: str) -> "redis.Redis":
    """For whoever can go on without an answer, and must not be held up by waiting for one."""
    return redis.Redis.from_url(
        url, socket_timeout=1, socket_connect_timeout=1, retry=Retry(NoBackoff(), 0)
    )


@cache
def get_redis() -> "redis.Redis":
    return redis.Redis.from_url(
        get_settings().redis_url,
        socket_timeout=5,
        socket_connect_timeout=5,
        health_check_interval=25,
    )
