"""How often one API key may ask, over every web process together."""

from limits import RateLimitItemPerMinute
from limits.strategies import RateLimiter

from newsletter.redis import SharedLimiter

RETRY_SECONDS = 10


class KeyRate:
    """One for each web process; safe to use from its threads."""

    def __init__(self, redis_url: str, *, per_minute: int) -> None:
        self._item = RateLimitItemPerMinute(per_minute)
        self._limiter = SharedLimiter(redis_url, name="api")

    def admits(self, key_id: int) -> bool:
        def hit(limiter: RateLimiter, _is_alone: bool) -> bool:
            return limiter.hit(self._item, str(key_id))

        return self._limiter.admits(hit)
