"""Leases, at Redis, what this process may use of things that all processes use together.

A lease that is not renewed runs out. While Redis is away a process goes on with its part of each
limit: at once if it had more, and after the leases of the others have run out if it had none.
"""

import logging
import os
import secrets
import socket
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import redis
from redis.exceptions import RedisError

from newsletter.deliver.meter import Meter
from newsletter.redis import PREFIX

logger = logging.getLogger(__name__)

LEAST_PART = 20
"""Of a limit: what is asked for at least, so that a process that was slow can be fast at once."""
GROWTH = 1.5
SHORTEST_PAUSE_SECONDS = 0.05
"""Between messages: who waits for less need not be told."""

_KEYS = PREFIX + "throttle:"
_PROCESSES = PREFIX + "throttling"


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a meter said when it was last asked for."""

    at: float
    admitted: int
    refusals: int


class Leases:
    def __init__(
        self,
        client: "redis.Redis",
        *,
        processes: int,
        seconds: float,
        clock: Callable[[], float],
    ) -> None:
        """`processes` counts only until Redis has said how many there are."""
        self._script = client.register_script(
            Path(__file__).with_name("leases.lua").read_text(encoding="utf-8")
        )
        self._process = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        self._processes = processes
        self._seconds = seconds
        self._clock = clock
        self._asked: dict[Meter, _Asked] = {}
        self._away_since: float | None = None

    def renew(self, meters: Collection[Meter]) -> None:
        """Ask for what each meter needs, and give up what is held for those that need nothing."""
        now = self._clock()
        arguments: list[str | int | float] = [self._process, int(self._seconds * 1000)]
        for meter in meters:
            arguments += self._wish(meter, now)
        keys = [_PROCESSES, *(_KEYS + meter.key for meter in meters)]
        try:
            answer = cast("list[int | bytes]", self._script(keys, arguments))
        except RedisError as error:
            self._go_on_alone(meters, now, error)
            return
        self._away_since = None
        self._processes = int(answer[0])
        for number, meter in enumerate(meters):
            slots, share, wait_ms = answer[1 + 3 * number : 4 + 3 * number]
            meter.slots, meter.share = int(slots), float(share)
            meter.lapses_at = now + self._seconds
            meter.next_at = (
                max(meter.next_at, now + int(wait_ms) / 1000) if wait_ms else meter.next_at
            )
            self._note(meter, now)

    def _wish(self, meter: Meter, now: float) -> tuple[int | float, ...]:
        used = (
            meter.connections_used
            if now >= meter.lapses_at
            else max(meter.slots, meter.connections_used)
        )
        pause = meter.next_at - now
        busy_ms = int(pause * 1000) if pause >= SHORTEST_PAUSE_SECONDS else 0
        if not meter.people:
            return meter.connections, meter.idle, meter.idle, meter.per_second, 0, busy_ms
        wanted = min(meter.connections, meter.lanes, meter.people)
        return (
            meter.connections,
            wanted,
            used,
            meter.per_second,
            self._wanted_rate(meter, now),
            busy_ms,
        )

    def _wanted_rate(self, meter: Meter, now: float) -> float:
        before = self._asked.get(meter)
        if before is None or meter.refusals > before.refusals or now <= before.at:
            return meter.per_second
        used = (meter.admitted - before.admitted) / (now - before.at)
        return min(meter.per_second, max(meter.per_second / LEAST_PART, GROWTH * used))

    def _note(self, meter: Meter, now: float) -> None:
        if meter.people:
            self._asked[meter] = _Asked(now, meter.admitted, meter.refusals)
        else:
            self._asked.pop(meter, None)

    def _go_on_alone(self, meters: Collection[Meter], now: float, error: RedisError) -> None:
        if self._away_since is None:
            self._away_since = now
            logger.warning("throttle goes on alone", extra={"error": type(error).__name__})
        others_lapsed = now - self._away_since >= self._seconds
        for meter in meters:
            holds = now < meter.lapses_at and meter.share > 0
            if not holds and not others_lapsed:
                continue
            share = meter.per_second / self._processes
            slots = max(1, meter.connections // self._processes)
            meter.share = min(meter.share, share) if holds else share
            meter.slots = min(meter.slots, slots) if holds else slots
            meter.lapses_at = now + self._seconds
