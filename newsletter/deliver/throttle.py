"""Keeps all worker processes together within the limits of providers, transports and the installation.

A process leases what it may use, connections and a share of the rate, for all that a batch touches
in one step at Redis, and asks again every second; in between a message costs some arithmetic. Leases
run out, so a process that is killed holds nothing for long.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import redis
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from newsletter.clock import utc_now
from newsletter.db import reading, transaction
from newsletter.deliver.adaptive import first_speed, learn, speeds
from newsletter.deliver.claims import Reader
from newsletter.deliver.destinations import Destinations, lowered
from newsletter.deliver.gate import Gate, OpenGate
from newsletter.deliver.leases import Leases
from newsletter.deliver.meter import Meter, Way
from newsletter.deliver.outcome import Reply
from newsletter.deliver.smtp import SmtpError
from newsletter.models import Pacing, Transport
from newsletter.plan.rates import Rate

logger = logging.getLogger(__name__)

LEASE_SECONDS = 10.0
"""How long the share of a killed process is lost to the others."""
TICK_SECONDS = 1.0
LONGEST_HELD_SECONDS = 2.0
"""A batch whose people all have to wait for longer is given back."""


class BatchThrottle:
    """The gate of one batch; see `newsletter.deliver.gate`."""

    is_shut = False

    def __init__(
        self,
        paths: Mapping[int, tuple[Meter, ...]],
        *,
        connections: int,
        clock: Callable[[], float],
        on_crowded: Callable[[float], None],
    ) -> None:
        """`paths` has the meters that a message to each domain goes through, by the domain's id.

        `on_crowded` is told for how long nobody of the batch's route can be admitted.
        """
        self._paths = paths
        self._connections = connections
        self._clock = clock
        self._on_crowded = on_crowded
        self._refused_by: dict[Meter, None] = {}
        self._only = _only_way(paths)

    @property
    def lanes(self) -> int:
        if self._only is None:
            return self._connections
        return max(1, min(self._connections, self._only.slots))

    def admits(self, reader: Reader) -> bool:
        path = self._paths[reader.domain_id]
        now = self._clock()
        for meter in path:
            if meter.wait(now) > 0:
                meter.refusals += 1
                self._refused_by[meter] = None
                return False
        for meter in path:
            meter.take(now)
        return True

    def leaves(self, reader: Reader, reply: Reply | None) -> None:
        for meter in self._paths[reader.domain_id]:
            meter.leave(reply)

    def failed(self, trouble: SmtpError) -> None:
        pass

    def wait_seconds(self) -> float:
        now = self._clock()
        seconds = min((meter.wait(now) for meter in self._refused_by), default=0.0)
        self._refused_by.clear()
        if self._only is not None and seconds > LONGEST_HELD_SECONDS:
            self._on_crowded(seconds)
        return seconds


def _only_way(paths: Mapping[int, tuple[Meter, ...]]) -> Meter | None:
    """The one provider that everybody goes to; None: there are several, or none is limited."""
    ways = {path[0] for path in paths.values() if path[0].way is not None}
    return ways.pop() if len(ways) == 1 else None


class Throttle:
    """One for each process that sends; `open` makes the gate of a batch."""

    def __init__(
        self,
        engine: Engine,
        client: "redis.Redis",
        *,
        messages_per_second: float | None,
        deliver_processes: int,
        lease_seconds: float = LEASE_SECONDS,
        tick_seconds: float = TICK_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`deliver_processes` counts only until Redis has said how many there are."""
        self._engine = engine
        self._per_second = messages_per_second
        self._tick_seconds = tick_seconds
        self._clock = clock
        self._leases = Leases(
            client, processes=deliver_processes, seconds=lease_seconds, clock=clock
        )
        self._destinations = Destinations(engine, clock)
        self._meters: dict[str, Meter] = {}
        self._lingering: dict[int, tuple[Meter, Callable[[], int]]] = {}
        """By transport: what its idle connections were last used for, and how many there are."""
        self._crowded: dict[tuple[int, int], float] = {}
        self._lock = threading.Lock()
        self._is_over = threading.Event()
        self._ticker = threading.Thread(target=self._tick, name="throttle", daemon=True)
        self._ticker.start()

    @contextmanager
    def open(
        self,
        transport: Transport,
        *,
        route: int,
        readers: Sequence[Reader],
        lanes: int | None = None,
        connections: int | None = None,
        rate: Rate | None = None,
        idle: Callable[[], int] = int,
    ) -> Iterator[Gate]:
        """The gate of a batch as long as the block lasts; never to be opened inside a transaction.

        `lanes` is how many connections this process may use, the transport's own number by default.
        `connections` and `rate` bring the providers' limits down further. `idle` says at any time
        how many connections were left open: a provider's count as its own until they are used for
        another batch, or closed.
        """
        lanes = lanes or transport.connections
        with self._lock:
            paths = self._paths(transport, route, readers, connections=connections, rate=rate)
        if not paths:
            yield OpenGate(lanes)
            return
        try:
            with self._lock:
                self._begin(paths, transport.id, readers, lanes=lanes)
            yield BatchThrottle(
                paths,
                connections=lanes,
                clock=self._clock,
                on_crowded=lambda seconds: self._leave_alone(transport.id, route, seconds),
            )
        finally:
            with self._lock:
                for meter in {meter for path in paths.values() for meter in path}:
                    meter.end()
                only = _only_way(paths)
                if only is not None:
                    self._lingering[transport.id] = only, idle

    def messages_per_connection(self, transport: Transport, route: int) -> int:
        """After how many a new connection is made."""
        most = transport.messages_per_connection
        if transport.pacing is Pacing.RELAY:
            return most
        return min(most, self._destinations.provider(route).limit.messages_per_connection)

    def crowded(self, transport_id: int) -> frozenset[int]:
        """The routes to which this process can send nothing now: others are to be claimed."""
        now = self._clock()
        return frozenset(
            route
            for (transport, route), until in self._crowded.items()
            if transport == transport_id and until > now
        )

    def close(self) -> None:
        """Give up every lease."""
        self._is_over.set()
        self._ticker.join()
        with self._lock:
            self._lingering.clear()
            for meter in self._meters.values():
                meter.end()
            self._renew()

    def _paths(
        self,
        transport: Transport,
        route: int,
        readers: Sequence[Reader],
        *,
        connections: int | None,
        rate: Rate | None,
    ) -> dict[int, tuple[Meter, ...]]:
        """The meters of each domain, its provider's first; none when nothing is limited."""
        shared = self._shared_meters(transport)
        domain_ids = {reader.domain_id for reader in readers}
        if transport.pacing is Pacing.RELAY:
            return dict.fromkeys(domain_ids, shared) if shared else {}
        ways = self._destinations.ways(transport.id, route, domain_ids)
        return {
            domain_id: (self._of_way(lowered(way, connections=connections, rate=rate)), *shared)
            for domain_id, way in ways.items()
        }

    def _shared_meters(self, transport: Transport) -> tuple[Meter, ...]:
        limits = {
            f"{transport.id}": Rate.parse(transport.rate).per_second if transport.rate else None,
            "all": self._per_second,
        }
        meters = []
        for key, per_second in limits.items():
            if per_second is not None:
                meter = self._meters.setdefault(key, Meter(key, per_second))
                meter.per_second = per_second
                meters.append(meter)
        return tuple(meters)

    def _of_way(self, way: Way) -> Meter:
        key = f"{way.transport_id}:{way.key}"
        meter = self._meters.setdefault(key, Meter(key, 0.0))
        meter.way = way
        return meter

    def _begin(
        self,
        paths: Mapping[int, tuple[Meter, ...]],
        transport_id: int,
        readers: Sequence[Reader],
        *,
        lanes: int,
    ) -> None:
        self._lingering.pop(transport_id, None)
        depth = 1 if _only_way(paths) is None else 2
        for path in paths.values():
            for meter in path:
                meter.depth, meter.lanes = depth, lanes
        for reader in readers:
            for meter in paths[reader.domain_id]:
                meter.people += 1
        self._keep_to_what_is_known()
        self._renew()

    def _tick(self) -> None:
        while not self._is_over.wait(self._tick_seconds):
            with self._lock:
                if not self._meters:
                    continue
                # First, since a lease does not wait for a slow database.
                self._renew()
                try:
                    self._learn()
                    self._keep_to_what_is_known()
                except SQLAlchemyError as error:
                    logger.warning("speeds not kept", extra={"error": type(error).__name__})

    def _renew(self) -> None:
        idle = {meter: count() for meter, count in self._lingering.values()}
        for meter in self._meters.values():
            meter.idle = idle.get(meter, 0)
        if self._meters:
            self._leases.renew(tuple(self._meters.values()))
        self._meters = {
            key: meter for key, meter in self._meters.items() if meter.people or meter.idle
        }

    def _learn(self) -> None:
        """Hand on what the providers' answers have taught this process since the last time."""
        for meter in tuple(self._meters.values()):
            steps, slowings = meter.steps, meter.slowings
            is_slowed = slowings > meter.slowings_learnt
            if meter.way is None or not (is_slowed or steps > meter.steps_learnt):
                continue
            if is_slowed or not meter.is_full:
                with transaction(self._engine) as session:
                    learn(
                        session,
                        meter.way.transport_id,
                        meter.way.key,
                        limit=meter.way.limit,
                        steps=steps - meter.steps_learnt,
                        is_slowed=is_slowed,
                        now=utc_now(),
                    )
            meter.steps_learnt, meter.slowings_learnt = steps, slowings

    def _keep_to_what_is_known(self) -> None:
        by_transport: dict[int, list[Meter]] = {}
        for meter in self._meters.values():
            if meter.way is not None and meter.people:
                by_transport.setdefault(meter.way.transport_id, []).append(meter)
        if not by_transport:
            return
        with reading(self._engine) as session:
            for transport_id, meters in by_transport.items():
                keys = {meter.way.key for meter in meters if meter.way is not None}
                known = speeds(session, transport_id, keys)
                for meter in meters:
                    assert meter.way is not None
                    meter.keep_to(known.get(meter.way.key) or first_speed(meter.way.limit))

    def _leave_alone(self, transport_id: int, route: int, seconds: float) -> None:
        self._crowded[transport_id, route] = self._clock() + seconds
