"""How often forms may be sent: by network, by form and in all, over every web process together.

How often one address is mailed is not decided here but where mail is made, from the rows.
"""

import logging
from collections.abc import Iterable
from functools import partial

from limits import RateLimitItem, RateLimitItemPerDay, RateLimitItemPerHour, RateLimitItemPerMinute
from limits.strategies import RateLimiter

from newsletter.accounts.networks import network_of
from newsletter.redis import SharedLimiter

logger = logging.getLogger(__name__)

OF_A_NETWORK = (RateLimitItemPerMinute(20, 10), RateLimitItemPerDay(100))
ALONE = 4
"""While Redis is away each process lets through a fourth, as if there were so many of them."""

_Wanted = tuple[RateLimitItem, str, str]
"""A limit, what it is of, and which one of those."""


class SignupLimits:
    """One for each web process; safe to use from its threads."""

    def __init__(self, redis_url: str, *, per_hour: int) -> None:
        self._per_hour = per_hour
        self._limiter = SharedLimiter(redis_url, name="limits")

    def admits(self, form: str, ip: str) -> bool:
        """Whether one more may come from there; the network is asked first, so that it alone pays."""
        network = network_of(ip)
        wanted: list[_Wanted] = [
            *((item, "network", network) for item in OF_A_NETWORK),
            (RateLimitItemPerHour(max(1, self._per_hour // 2)), "form", form),
            (RateLimitItemPerHour(self._per_hour), "all", ""),
        ]
        return self._limiter.admits(partial(_hit, wanted))


def _hit(wanted: Iterable[_Wanted], limiter: RateLimiter, is_alone: bool) -> bool:
    for item, what, which in wanted:
        if not limiter.hit(_part(item) if is_alone else item, what, which):
            logger.warning("sign-up limit reached", extra={"limit": what})
            return False
    return True


def _part(item: RateLimitItem) -> RateLimitItem:
    return type(item)(max(1, item.amount // ALONE), item.multiples)
