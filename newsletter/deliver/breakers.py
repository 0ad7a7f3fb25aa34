"""Breakers: decide from counters when sending must stop, before it does harm. Nothing but numbers."""

from dataclasses import dataclass
from datetime import timedelta

from newsletter.models import OTHER, ReplyClass

REJECTED = frozenset(
    {reply_class for reply_class in ReplyClass if reply_class.is_hard}
    | {ReplyClass.SOFT_CONTENT, ReplyClass.UNKNOWN}
)
"""A permanent refusal of one of these speaks against the edition or its audience."""
UNWELCOME = frozenset({ReplyClass.BLOCK_REPUTATION, ReplyClass.BLOCK_AUTH})
FEW, MANY = 50, 200
MOST_REJECTED_OF_FEW, MOST_REJECTED_OF_MANY = 0.20, 0.05
FEWEST_UNSENDABLE = 3
"""What is odd about one reader or two is not the edition's fault (F-28)."""
MOST_UNSENDABLE = 0.005
FEWEST_DEFERRED = 50
MOST_DEFERRED = 0.30
DEFERRED_WITHIN = timedelta(minutes=5)
MOST_BLOCKED = 5
MOST_BLOCKED_OF_OTHERS = 0.05
BLOCKED_WITHIN = timedelta(hours=1)
MOST_UNAUTHENTIC = 3
MOST_UNAUTHENTIC_OF_TRIED = 0.01
WHOLE_DOMAIN = 10
ROUTE_HELD, ROUTE_HELD_MOST = timedelta(minutes=30), timedelta(hours=4)
ROUTE_REMEMBERED = timedelta(hours=24)
"""A route that was held within this time is held twice as long."""
FAILURES_TO_OPEN = 10
"""In a row, without one message judged in between."""
FAILURES_OF_A_REFUSED_CONNECTION = 5
"""What nobody listens to will not come back by itself: two such in a row are enough."""
REFUSED_SENDERS_TO_OPEN = 3


@dataclass(frozen=True, slots=True)
class Counted:
    """Tries within some time, and what became of them."""

    tried: int = 0
    deferred: int = 0
    blocked: int = 0
    unauthentic: int = 0


def edition_is_rejected(*, rejected: int, people: int) -> bool:
    """R-40: too many of the people tried so far were refused for good."""
    return (people >= MANY and rejected > people * MOST_REJECTED_OF_MANY) or (
        people >= FEW and rejected > people * MOST_REJECTED_OF_FEW
    )


def edition_is_broken(*, unsendable: int, people: int) -> bool:
    """R-46: too many messages could not be made, though one for a sample reader could (`proof`)."""
    return unsendable >= FEWEST_UNSENDABLE and unsendable > people * MOST_UNSENDABLE


def route_defers(last_minutes: Counted) -> bool:
    """R-44: the provider says "later" to too many."""
    return (
        last_minutes.tried >= FEWEST_DEFERRED
        and last_minutes.deferred > last_minutes.tried * MOST_DEFERRED
    )


def route_blocks(last_hour: Counted, *, route: int) -> bool:
    """R-44: the provider blocks us. The many small domains of route 0 must do so by proportion."""
    if last_hour.blocked < MOST_BLOCKED:
        return False
    return route != OTHER or last_hour.blocked > last_hour.tried * MOST_BLOCKED_OF_OTHERS


def sender_is_unauthentic(last_hour: Counted) -> bool:
    """R-42: somebody does not believe that this From domain's mail is ours."""
    return (
        last_hour.unauthentic >= MOST_UNAUTHENTIC
        and last_hour.unauthentic > last_hour.tried * MOST_UNAUTHENTIC_OF_TRIED
    )


def domain_is_dead(*, rejected: int) -> bool:
    """R-45: so many people of one domain were refused for good since it last accepted one."""
    return rejected >= WHOLE_DOMAIN


def route_held_for(times: int) -> timedelta:
    """How long a route is held that was held `times` times within a day."""
    return min(ROUTE_HELD * (1 << min(times, 10)), ROUTE_HELD_MOST)
