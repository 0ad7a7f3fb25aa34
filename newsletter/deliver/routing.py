"""Chooses the transport of a batch: by weight, among those that nothing holds."""

import zlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from newsletter.models import Hold, HoldAction, HoldScope
from newsletter.plan.rates import Rate

Choice = Mapping[int, int]
"""The transports an edition may use, each with its weight."""


@dataclass(frozen=True, slots=True)
class Limited:
    connections: int | None = None
    rate: Rate | None = None


UNLIMITED = Limited()


@dataclass(frozen=True, slots=True)
class Obstacles:
    """What the open holds mean to whoever claims."""

    down: frozenset[int] = frozenset()
    """Transports nothing goes through."""
    probes_due: frozenset[int] = frozenset()
    """Those of them that one process may try."""
    routes: frozenset[tuple[int, int]] = frozenset()
    """A transport and a route that it takes nothing for."""
    sender_domains: frozenset[str] = frozenset()
    recipient_domains: frozenset[int] = frozenset()
    editions: frozenset[int] = frozenset()
    limits: Mapping[tuple[int, int], Limited] = field(default_factory=dict)
    """What a transport has to keep to for a route, below the table of providers."""

    def limit(self, transport_id: int, route: int) -> Limited:
        return self.limits.get((transport_id, route), UNLIMITED)


def obstacles_of(holds: Sequence[Hold], *, now: datetime) -> Obstacles:
    suspended = [each for each in holds if each.action is HoldAction.SUSPEND]

    def keys(scope: HoldScope) -> list[str]:
        return [each.key for each in suspended if each.scope is scope]

    transports = [each for each in suspended if each.scope is HoldScope.TRANSPORT]
    return Obstacles(
        down=frozenset(each.transport_id for each in transports),
        probes_due=frozenset(each.transport_id for each in transports if _may_probe(each, now)),
        routes=frozenset(
            (each.transport_id, int(each.key))
            for each in suspended
            if each.scope is HoldScope.ROUTE
        ),
        sender_domains=frozenset(keys(HoldScope.SENDER_DOMAIN)),
        recipient_domains=frozenset(int(key) for key in keys(HoldScope.RECIPIENT_DOMAIN)),
        editions=frozenset(int(key) for key in keys(HoldScope.EDITION)),
        limits=_limits(holds),
    )


def and_crowded(obstacles: Obstacles, routes: Iterable[tuple[int, int]]) -> Obstacles:
    """With these routes of transports in the way as well: no connection to them is free."""
    return replace(obstacles, routes=obstacles.routes.union(routes))


def _limits(holds: Sequence[Hold]) -> dict[tuple[int, int], Limited]:
    limits: dict[tuple[int, int], Limited] = {}
    for each in holds:
        if each.action is HoldAction.SUSPEND:
            continue
        where = each.transport_id, int(each.key)
        known = limits.get(where, UNLIMITED)
        if each.action is HoldAction.RATE:
            limits[where] = replace(known, rate=Rate.parse(each.value))
        else:
            limits[where] = replace(known, connections=int(each.value))
    return limits


def may_carry(choice: Choice, route: int, obstacles: Obstacles) -> bool:
    """Can a batch of this route be claimed at all?"""
    return bool(probes(choice, obstacles)) or bool(_usable(choice, route, obstacles))


def probes(choice: Choice, obstacles: Obstacles) -> Collection[int]:
    """The transports that a batch with this choice may be used to try."""
    return sorted(obstacles.probes_due.intersection(choice))


def choose(
    choice: Choice, route: int, obstacles: Obstacles, *, stays_with: int | None, draw: str
) -> int | None:
    """The transport to use; None: every one is held.

    A batch stays with the transport it was tried through, since a server that turns strangers away
    once (R-03) must see the same one again. Else `draw` decides, the same for the same text.
    """
    usable = _usable(choice, route, obstacles)
    if not usable:
        return None
    if stays_with in usable:
        return stays_with
    weights = {each: choice[each] for each in usable if choice[each]} or dict.fromkeys(usable, 1)
    place = zlib.crc32(draw.encode()) % sum(weights.values())
    for transport_id, weight in weights.items():
        place -= weight
        if place < 0:
            return transport_id
    raise AssertionError  # the weights add up to more than the place


def _usable(choice: Choice, route: int, obstacles: Obstacles) -> list[int]:
    return sorted(
        transport_id
        for transport_id in choice
        if transport_id not in obstacles.down and (transport_id, route) not in obstacles.routes
    )


def _may_probe(hold: Hold, now: datetime) -> bool:
    return (
        hold.probe_at is not None
        and hold.probe_at <= now
        and (hold.probing_until is None or hold.probing_until <= now)
    )
