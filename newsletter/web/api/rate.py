"""How often one API key may ask, over every web process together."""

import logging
import time

from limits import RateLimitItemPerMinute
from limits.errors import StorageError
from limits.storage import MemoryStorage, RedisStorage
from limits.strategies import SlidingWindowCounterRateLimiter
from redis.backoff import NoBackoff
from redis.retry import Retry

from newsletter.redis import PREFIX

logger = logging.getLogger(__name__)

RETRY_SECONDS = 10
REST_SECONDS = 10.0
"""How long Redis is not asked after it did not answer; each process counts for itself then."""


class KeyRate:
    """One for each web process; safe to use from its threads."""

    def __init__(self, redis_url: str, *, per_minute: int) -> None:
        self._item = RateLimitItemPerMinute(per_minute)
        storage = RedisStorage(
            redis_url,
            key_prefix=f"{PREFIX}api",
            wrap_exceptions=True,
            socket_timeout=1,
            socket_connect_timeout=1,
            retry=Retry(NoBackoff(), 0),  # type: ignore[arg-type]  # handed on to the client
        )
        self._shared = SlidingWindowCounterRateLimiter(storage)
        self._own = SlidingWindowCounterRateLimiter(MemoryStorage())
        self._asked_again_at = 0.0

    def admits(self, key_id: int) -> bool:
        if time.monotonic() >= self._asked_again_at:
            try:
                return self._shared.hit(self._item, str(key_id))
            except StorageError as error:
                self._asked_again_at = time.monotonic() + REST_SECONDS
                cause = type(error.storage_error).__name__
                logger.warning("API limits are counted alone", extra={"error": cause})
        return self._own.hit(self._item, str(key_id))
