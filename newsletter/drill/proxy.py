"""TCP proxies between the workers and what they talk to: they cut, hold and betray connections."""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from enum import Enum, auto
from typing import Any

import uvloop

from newsletter.stack.ports import HOST

CHUNK_BYTES = 65_536
# PostgreSQL's protocol carries a query's text as it is, with a NUL behind it.
COMMIT = b"COMMIT\0"


class Betrayal(Enum):
    """What becomes of a COMMIT whose sender never hears of it."""

    COMMITTED = auto()
    LOST = auto()


class Proxy:
    """Passes connections on to `upstream` on this host, as long as nobody interferes."""

    def __init__(self, loop: asyncio.AbstractEventLoop, upstream: int) -> None:
        self.port = 0
        self._loop = loop
        self._upstream = upstream
        self._server: asyncio.Server | None = None
        self._links: set[_Link] = set()
        self._is_cut = False
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._betrayals: list[Betrayal] = []

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._accept, HOST, 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        self._end_links()
        if self._server is not None:
            self._server.close()

    def cut(self) -> None:
        """Reset all connections, and every new one, until `heal`."""
        self._do(self._cut)

    def hold(self) -> None:
        """Let nothing pass in either direction until `heal`; connections stay open."""
        self._do(self._flowing.clear)

    def heal(self) -> None:
        self._do(self._heal)

    def betray(self, *how: Betrayal) -> None:
        """End the connections on which the next COMMITs are sent before they are answered."""
        self._do(lambda: self._betrayals.extend(how))

    @property
    def is_about_to_betray(self) -> bool:
        return bool(self._betrayals)

    def take_betrayal(self) -> Betrayal | None:
        if not self._betrayals:
            return None
        return self._betrayals.pop(0)

    async def wait_until_flowing(self) -> None:
        await self._flowing.wait()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._is_cut:
            writer.transport.abort()
            return
        try:
            there = await asyncio.open_connection(HOST, self._upstream)
        except OSError:
            writer.transport.abort()
            return
        link = _Link(self, (reader, writer), there)
        self._links.add(link)
        try:
            await link.run()
        finally:
            self._links.discard(link)

    def _cut(self) -> None:
        self._is_cut = True
        self._end_links()

    def _heal(self) -> None:
        self._is_cut = False
        self._betrayals.clear()
        self._flowing.set()

    def _end_links(self) -> None:
        for link in tuple(self._links):
            link.abort()

    def _do(self, step: Callable[[], object]) -> None:
        async def on_loop() -> None:
            step()

        asyncio.run_coroutine_threadsafe(on_loop(), self._loop).result()


_End = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class _Link:
    """One connection on its way through."""

    def __init__(self, proxy: Proxy, here: _End, there: _End) -> None:
        self._proxy = proxy
        self._here = here
        self._there = there
        self._is_betrayed = False

    async def run(self) -> None:
        (here_in, here_out), (there_in, there_out) = self._here, self._there
        ways = [
            asyncio.ensure_future(self._pass_on(here_in, there_out)),
            asyncio.ensure_future(self._pass_back(there_in, here_out)),
        ]
        # An end on one side is an end on both; what was read by then is still written out.
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)
        for writer in (here_out, there_out):
            writer.close()

    def abort(self) -> None:
        for _, writer in (self._here, self._there):
            writer.transport.abort()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(CHUNK_BYTES):
            await self._proxy.wait_until_flowing()
            if COMMIT in data and (how := self._proxy.take_betrayal()):
                if how is Betrayal.LOST:
                    self.abort()
                    return
                self._is_betrayed = True
            writer.write(data)
            await writer.drain()

    async def _pass_back(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(CHUNK_BYTES):
            await self._proxy.wait_until_flowing()
            if self._is_betrayed:  # it is committed, and nobody is told
                self.abort()
                return
            writer.write(data)
            await writer.drain()


class Wiring:
    """The proxies of one system, on a thread of their own."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.proxies: list[Proxy] = []

    def to(self, upstream: int) -> Proxy:
        """A new proxy; the server behind it need not run yet."""
        proxy = Proxy(self._loop, upstream)
        self.run(proxy.start())
        self.proxies.append(proxy)
        return proxy

    def heal(self) -> None:
        for proxy in self.proxies:
            proxy.heal()

    def run(self, coroutine: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()


@contextmanager
def running_wiring() -> Iterator[Wiring]:
    loop = uvloop.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="proxies", daemon=True)
    thread.start()
    wiring = Wiring(loop)
    try:
        yield wiring
        for proxy in wiring.proxies:
            wiring.run(proxy.close())
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
