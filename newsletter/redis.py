"""The Redis connection and the prefix of every key that is ours."""

import logging
import time
from collections.abc import Callable
from functools import cache

import redis
from limits.errors import StorageError
from limits.storage import MemoryStorage, RedisStorage
from limits.strategies import RateLimiter, SlidingWindowCounterRateLimiter
from redis.backoff import NoBackoff
from redis.retry import Retry

from newsletter.settings import get_settings

logger = logging.getLogger(__name__)

PREFIX = "newsletter:"
EVENT_STREAM = PREFIX + "events"
PUMP_TURNED = PREFIX + "pump:turned"
"""When the pump last finished a turn, in ISO 8601."""
SERVED = PREFIX + "served:"
"""And a queue: when a worker process that serves it last said so, in ISO 8601."""
BEAT_RANG = PREFIX + "beat:rang"
"""When beat last rang for anything, in ISO 8601."""
REST_SECONDS = 10.0
"""How long a limiter asks no Redis that did not answer; each process counts for itself then."""


class SharedLimiter:
    """Counts over every process together. One for each process; safe to use from its threads."""

    def __init__(self, redis_url: str, *, name: str) -> None:
        self._name = name
        storage = RedisStorage(
            redis_url,
            key_prefix=PREFIX + name,
            wrap_exceptions=True,
            socket_timeout=1,
            socket_connect_timeout=1,
            retry=Retry(NoBackoff(), 0),  # type: ignore[arg-type]  # handed on to the client
        )
        self._shared = SlidingWindowCounterRateLimiter(storage)
        self._own = SlidingWindowCounterRateLimiter(MemoryStorage())
        self._asked_again_at = 0.0

    def admits(self, hit: Callable[[RateLimiter, bool], bool]) -> bool:
        """`hit` is given what counts, and whether that is this process alone."""
        if time.monotonic() >= self._asked_again_at:
            try:
                return hit(self._shared, False)
            except StorageError as error:
                self._asked_again_at = time.monotonic() + REST_SECONDS
                cause = type(error.storage_error).__name__
                logger.warning(
                    "limits are counted alone", extra={"limits": self._name, "error": cause}
                )
        return hit(self._own, True)


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
