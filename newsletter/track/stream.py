"""Carries events from the web process to the Redis stream, many of them in one command.

A web process that is killed loses what came in since its last flush, a tenth of a second at most.
"""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import redis.asyncio
from redis.exceptions import RedisError

from newsletter.metrics import EVENTS_DROPPED, EVENTS_WAITING
from newsletter.redis import EVENT_STREAM
from newsletter.track.events import ReaderEvent, pack_events

logger = logging.getLogger(__name__)

FIELD = b"events"
FLUSH_SECONDS = 0.1
LARGEST_ENTRY = 500
CAPACITY = 100_000
LAST_CHANCE_SECONDS = 3.0


class EventBuffer:
    """Holds events until the next flush. `push` never waits and never fails.

    While Redis is away the newest `capacity` events are kept. After an answer that got lost the same
    events are sent again, so that a reader's second open may be counted that was none; figures of
    readers and of links do not change by that.
    """

    def __init__(self, client: redis.asyncio.Redis, *, capacity: int = CAPACITY) -> None:
        self._client = client
        self._waiting: deque[ReaderEvent] = deque()
        self._capacity = capacity
        self._dropped = 0
        self._is_away = False
        self._stopping = asyncio.Event()

    def push(self, event: ReaderEvent) -> None:
        if len(self._waiting) >= self._capacity:
            self._waiting.popleft()
            self._dropped += 1
            EVENTS_DROPPED.inc()
        self._waiting.append(event)

    @asynccontextmanager
    async def flushing(self) -> AsyncIterator[None]:
        """Flush on the running loop as long as the block lasts, and once more when it ends.

        When Redis does not answer then, the rest is given up: a stop must not wait for it.
        """
        flusher = asyncio.create_task(self._flush_regularly())
        try:
            yield
        finally:
            self._stopping.set()
            with suppress(TimeoutError):
                async with asyncio.timeout(LAST_CHANCE_SECONDS):
                    await flusher
                    await self.flush()
            if self._waiting:
                logger.error("events lost at shutdown", extra={"events": len(self._waiting)})

    async def flush(self) -> None:
        """Send what waits, in order; what Redis does not take stays for the next time."""
        while self._waiting:
            entry = [self._waiting.popleft() for _ in range(min(LARGEST_ENTRY, len(self._waiting)))]
            try:
                await self._client.xadd(EVENT_STREAM, {FIELD: pack_events(entry)})
            except RedisError as error:
                self._keep(entry)
                self._note_absence(error)
                return
            except asyncio.CancelledError:
                self._keep(entry)
                raise
            self._note_presence()

    async def _flush_regularly(self) -> None:
        while not self._stopping.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), FLUSH_SECONDS)
            await self.flush()
            EVENTS_WAITING.set(len(self._waiting))

    def _keep(self, entry: list[ReaderEvent]) -> None:
        room = max(self._capacity - len(self._waiting), 0)
        kept = entry[-room:] if room else []
        self._dropped += len(entry) - len(kept)
        EVENTS_DROPPED.inc(len(entry) - len(kept))
        self._waiting.extendleft(reversed(kept))

    def _note_absence(self, error: RedisError) -> None:
        if not self._is_away:
            logger.warning("event stream away", extra={"error": type(error).__name__})
        self._is_away = True

    def _note_presence(self) -> None:
        if self._is_away or self._dropped:
            logger.warning("event stream back", extra={"dropped": self._dropped})
        self._is_away, self._dropped = False, 0
