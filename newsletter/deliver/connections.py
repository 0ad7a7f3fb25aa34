"""The open connections of one worker process; they live from batch to batch and close when idle."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping
from weakref import WeakSet

from newsletter.deliver.reference import ReferenceConnection
from newsletter.deliver.smtp import SmtpConnection
from newsletter.deliver.wire import Endpoint, MailConnection
from newsletter.metrics import CONNECTIONS

Opener = Callable[[Endpoint], Awaitable[MailConnection]]
OPENERS: Mapping[str, Opener] = {
    "pipelined": SmtpConnection.open,
    "reference": ReferenceConnection.open,
}
"""By the setting `smtp_client`."""

IDLE_SECONDS = 20.0


class Connections:
    """Used on one event loop; at most one batch is sent at a time, so nobody else takes from it."""

    def __init__(self, open_one: Opener = SmtpConnection.open) -> None:
        self._open_one = open_one
        self._opened: WeakSet[MailConnection] = WeakSet()
        self._counted = 0
        self._idle: dict[Endpoint, list[MailConnection]] = defaultdict(list)
        self._closing: asyncio.TimerHandle | None = None
        self._goodbyes: set[asyncio.Task[None]] = set()

    async def take(self, endpoint: Endpoint) -> MailConnection:
        """An idle connection, else a new one. Raises `ConnectionLost` or `TransportRefused`."""
        self._stop_closing()
        while self._idle[endpoint]:
            connection = self._idle[endpoint].pop()
            if connection.is_alive():
                return connection
            connection.abort()
        opened = await self._open_one(endpoint)
        self._opened.add(opened)
        self._count()
        return opened

    def give_back(self, connection: MailConnection, *, most_messages: int) -> None:
        if not connection.is_usable:
            self._count()
            return
        if connection.messages >= most_messages:
            self._say_goodbye(connection)
            return
        self._idle[connection.endpoint].append(connection)
        self._stop_closing()
        loop = asyncio.get_running_loop()
        self._closing = loop.call_later(IDLE_SECONDS, self._close_idle)

    def idle(self, endpoint: Endpoint) -> int:
        """How many are open to it and carry nothing; to be asked from any thread."""
        return len(self._idle.get(endpoint, ()))

    def keep(self, endpoint: Endpoint, *, most: int) -> None:
        """Part with the idle connections to `endpoint` beyond `most`."""
        idle = self._idle[endpoint]
        while len(idle) > most:
            self._say_goodbye(idle.pop())

    async def close(self) -> None:
        self._stop_closing()
        self._close_idle()
        await asyncio.gather(*self._goodbyes, return_exceptions=True)

    def _close_idle(self) -> None:
        for connections in self._idle.values():
            for connection in connections:
                self._say_goodbye(connection)
        self._idle.clear()

    def _say_goodbye(self, connection: MailConnection) -> None:
        task = asyncio.get_running_loop().create_task(connection.quit())
        self._goodbyes.add(task)
        task.add_done_callback(self._part)

    def _part(self, goodbye: "asyncio.Task[None]") -> None:
        self._goodbyes.discard(goodbye)
        self._count()

    def _count(self) -> None:
        # Not set: a process may have several of these.
        usable = sum(connection.is_usable for connection in self._opened)
        CONNECTIONS.inc(usable - self._counted)
        self._counted = usable

    def _stop_closing(self) -> None:
        if self._closing is not None:
            self._closing.cancel()
            self._closing = None
