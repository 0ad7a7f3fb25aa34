"""How often forms may be sent: by network, by form and in all, over every web process together.

How often one address is mailed is not decided here but where mail is made, from the rows.
"""

import logging
import time
from collections.abc import Iterable

from limits import RateLimitItem, RateLimitItemPerDay, RateLimitItemPerHour, RateLimitItemPerMinute
from limits.errors import StorageError
from limits.storage import MemoryStorage, RedisStorage
from limits.strategies import RateLimiter, SlidingWindowCounterRateLimiter
from redis.backoff import NoBackoff
from redis.retry import Retry

from newsletter.accounts.networks import network_of
from newsletter.redis import PREFIX

logger = logging.getLogger(__name__)

OF_A_NETWORK = (RateLimitItemPerMinute(20, 10), RateLimitItemPerDay(100))
ALONE = 4
"""While Redis is away each process lets through a fourth, as if there were so many of them."""
REST_SECONDS = 10.0
"""How long Redis is not asked after it did not answer."""

_Wanted = tuple[RateLimitItem, str, str]
"""A limit, what it is of, and which one of those."""


class SignupLimits:
    """One for each web process; safe to use from its threads."""

    def __init__(self, redis_url: str, *, per_hour: int) -> None:
        self._per_hour = per_hour
        storage = RedisStorage(
            redis_url,
            key_prefix=f"{PREFIX}limits",
            wrap_exceptions=True,
            socket_timeout=1,
            socket_connect_timeout=1,
            retry=Retry(NoBackoff(), 0),  # type: ignore[arg-type]  # handed on to the client
        )
        self._shared = SlidingWindowCounterRateLimiter(storage)
        self._own = SlidingWindowCounterRateLimiter(MemoryStorage())
        self._asked_again_at = 0.0

    def admits(self, form: str, ip: str) -> bool:
        """Whether one more may come from there; the network is asked first, so that it alone pays."""
        network = network_of(ip)
        wanted: list[_Wanted] = [
            *((item, "network", network) for item in OF_A_NETWORK),
            (RateLimitItemPerHour(max(1, self._per_hour // 2)), "form", form),
            (RateLimitItemPerHour(self._per_hour), "all", ""),
        ]
        if time.monotonic() >= self._asked_again_at:
            try:
                return _hit(self._shared, wanted)
            except StorageError as error:
                self._asked_again_at = time.monotonic() + REST_SECONDS
                cause = type(error.storage_error).__name__
                logger.warning("sign-up limits go on alone", extra={"error": cause})
        return _hit(self._own, [(_part(item), what, which) for item, what, which in wanted])


def _hit(limiter: RateLimiter, wanted: Iterable[_Wanted]) -> bool:
    for item, what, which in wanted:
        if not limiter.hit(item, what, which):
            logger.warning("sign-up limit reached", extra={"limit": what})
            return False
    return True


def _part(item: RateLimitItem) -> RateLimitItem:
    return type(item)(max(1, item.amount // ALONE), item.multiples)
