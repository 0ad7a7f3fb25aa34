"""Keeps all worker processes together within the limits of providers, transports and the installation.

A process leases what it may use, connections and a share of the rate, for all that a batch touches
in one step at Redis, and asks again every second; in between a message costs some arithmetic. Leases
run out, so a process that is killed holds nothing for long. While Redis is away each process goes on
with its part of the limits, and never with more.
"""

import logging
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import redis
from redis.exceptions import RedisError
from sqlalchemy import Engine, select
from sqlalchemy.exc import SQLAlchemyError

from newsletter.clock import utc_now
from newsletter.db import reading, transaction
from newsletter.deliver.adaptive import first_speed, is_full, learn, speeds, within
from newsletter.deliver.claims import Reader
from newsletter.deliver.gate import Gate, OpenGate
from newsletter.deliver.meter import Meter
from newsletter.deliver.outcome import Reply
from newsletter.deliver.providers import Limit, Provider, routes
from newsletter.deliver.smtp import SmtpError
from newsletter.models import Domain, Pacing, Transport
from newsletter.plan.rates import Rate
from newsletter.redis import PREFIX

logger = logging.getLogger(__name__)

LEASE_SECONDS = 10.0
"""How long the share of a killed process is lost to the others."""
TICK_SECONDS = 1.0
KNOWN_SECONDS = 30.0
"""How long limits, and what is known of domains, are taken as they were read."""
MOST_DOMAINS_KNOWN = 100_000
CROWDED_SECONDS = 2.5
"""How long a route is left alone whose connections others hold."""
LONGEST_HELD_SECONDS = 2.0
"""A batch that has to wait for longer is given back."""
LEAST_PART = 20
"""Of a limit: what a process asks for that has used less, so that it can begin at once."""
GROWTH = 1.5
SHORTEST_PAUSE_TOLD = 0.05

_SCRIPT = Path(__file__).with_name("throttle.lua")
_KEYS = PREFIX + "throttle:"
_PROCESSES = _KEYS + "processes"
_ALL = _KEYS + "all"


@dataclass(frozen=True, slots=True)
class _Site:
    """Who takes a domain's mail, as far as it is known."""

    route: int
    name: str


class BatchThrottle:
    """The gate of one batch; see `newsletter.deliver.gate`."""

    is_shut = False

    def __init__(
        self,
        paths: dict[int, tuple[Meter, ...]],
        *,
        connections: int,
        clock: Callable[[], float],
        on_crowded: Callable[[float], None],
    ) -> None:
        """`paths` has the meters that a message to each domain goes through.

        `on_crowded` is told how long nobody of the batch can be admitted, when that is long.
        """
        self._paths = paths
        self._connections = connections
        self._clock = clock
        self._on_crowded = on_crowded
        self._refused_by: dict[Meter, None] = {}
        ways = {path[0] for path in paths.values() if path[0].has_slots}
        self._only = ways.pop() if len(ways) == 1 else None

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
        waits = [meter.wait(now) for meter in self._refused_by]
        self._refused_by.clear()
        seconds = min(waits, default=0.0)
        if self._only is not None and seconds > LONGEST_HELD_SECONDS:
            self._on_crowded(seconds)
        return seconds


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
        """`deliver_processes` counts only as long as Redis has not said how many there are."""
        self._engine = engine
        self._client = client
        self._script = client.register_script(_SCRIPT.read_text(encoding="utf-8"))
        self._process = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        self._processes = deliver_processes
        self._most_per_second = messages_per_second
        self._lease_seconds = lease_seconds
        self._tick_seconds = tick_seconds
        self._clock = clock
        self._meters: dict[str, Meter] = {}
        self._crowded: dict[tuple[int, int], float] = {}
        self._away_since: float | None = None
        self._routes: dict[int, Provider] = {}
        self._sites: dict[int, _Site] = {}
        self._known_until = 0.0
        self._lock = threading.Lock()
        self._is_needed = threading.Event()
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
        connections: int | None = None,
        rate: Rate | None = None,
    ) -> Iterator[Gate]:
        """The gate of a batch as long as the block lasts; not to be called inside a transaction.

        `connections` and `rate` bring the providers' limits down further, for a while.
        """
        shared = self._shared_meters(transport)
        ways: dict[int, Meter] = {}
        if transport.pacing is Pacing.PROVIDERS:
            ways = self._provider_meters(transport.id, route, readers, connections, rate)
        if not shared and not ways:
            yield OpenGate(transport.connections)
            return
        paths = {
            reader.domain_id: (
                *((ways[reader.domain_id],) if ways else ()),
                *shared,
            )
            for reader in readers
        }
        for reader in readers:
            for meter in paths[reader.domain_id]:
                meter.people += 1
        gate = BatchThrottle(
            paths,
            connections=transport.connections,
            clock=self._clock,
            on_crowded=lambda seconds: self._leave_alone(transport.id, route, seconds),
        )
        with self._lock:
            self._begin(paths.values(), transport)
        try:
            yield gate
        finally:
            with self._lock:
                for meter in self._meters.values():
                    meter.end()

    def crowded(self, transport_id: int) -> frozenset[int]:
        """Routes of which this process could send nothing right now: claim others first."""
        now = self._clock()
        self._crowded = {key: until for key, until in self._crowded.items() if until > now}
        return frozenset(route for transport, route in self._crowded if transport == transport_id)

    def close(self) -> None:
        """Give up every lease."""
        self._is_over.set()
        self._is_needed.set()
        self._ticker.join()
        with self._lock:
            for meter in self._meters.values():
                meter.end()
            self._renew()

    def _leave_alone(self, transport_id: int, route: int, seconds: float) -> None:
        self._crowded[transport_id, route] = self._clock() + seconds
