"""The mail server: one `Session` per connection, its effects put on the wire in time."""

import asyncio
import ssl
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import assert_never, cast

from newsletter.clock import utc_now
from newsletter.devmail.received import Received, Sink
from newsletter.devmail.script import Performance, Script
from newsletter.devmail.session import (
    Drop,
    Effect,
    Envelope,
    Finish,
    Flood,
    Session,
    Terms,
    UpgradeToTls,
    Wait,
)

BACKLOG = 1_024
BUFFER_BYTES = 262_144
LINGER_SECONDS = 2.0
HANDSHAKE_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Manner:
    """How the server carries itself on the wire."""

    terms: Terms = field(default_factory=Terms)
    tls: ssl.SSLContext | None = None
    is_implicit_tls: bool = False
    """TLS from the first octet; otherwise `tls` is for STARTTLS."""
    round_trip_seconds: float = 0.0
    """Every answer leaves this much later; connections do not wait for each other."""


class SmtpServer:
    def __init__(
        self,
        *,
        sinks: Sequence[Sink] = (),
        script: Script | None = None,
        manner: Manner | None = None,
    ) -> None:
        self.manner = manner or Manner()
        self.connections = 0
        self.received = 0
        self._sinks = tuple(sinks)
        self._performance = Performance(script or Script())
        self._open: set[_Connection] = set()
        self._server: asyncio.Server | None = None
        # Read and consumed within one callback, so all connections can share it.
        self._buffer = memoryview(bytearray(BUFFER_BYTES))

    @property
    def script(self) -> Script:
        return self._performance.script

    @script.setter
    def script(self, script: Script) -> None:
        """Also from another thread; counts begin anew."""
        self._performance = Performance(script)

    async def start(self, host: str, port: int) -> int:
        """Listen and return the port, which the system chooses if it is 0."""
        loop = asyncio.get_running_loop()
        implicit = self.manner.tls if self.manner.is_implicit_tls else None
        self._server = await loop.create_server(
            lambda: _Connection(self, self._buffer), host, port, backlog=BACKLOG, ssl=implicit
        )
        chosen: int = self._server.sockets[0].getsockname()[1]
        return chosen

    async def close(self) -> None:
        if self._server is None:
            return
        self._server.close()
        for connection in tuple(self._open):
            connection.abort()
        await self._server.wait_closed()

    def admit(self, connection: "_Connection") -> tuple[Session, bool]:
        self.connections += 1
        number = self.connections

        def deliver(envelope: Envelope, content: bytes) -> None:
            self._take(envelope, content, number)

        session = Session(
            self.manner.terms,
            lambda: self._performance,
            deliver,
            connection=number,
            is_secure=self.manner.is_implicit_tls,
        )
        self._open.add(connection)
        return session, len(self._open) <= self.manner.terms.limits.connections

    def dismiss(self, connection: "_Connection", session: Session) -> None:
        self._open.discard(connection)
        self._performance.forget(session.connection)

    def _take(self, envelope: Envelope, content: bytes, connection: int) -> None:
        self.received += 1
        received = Received(
            mail_from=envelope.mail_from,
            rcpt_to=envelope.rcpt_to,
            content=content,
            connection=connection,
            at=utc_now(),
            mail_parameters=envelope.mail_parameters,
        )
        for sink in self._sinks:
            sink(received)


class _Connection(asyncio.BufferedProtocol):
    def __init__(self, server: SmtpServer, buffer: memoryview) -> None:
        self._server = server
        self._loop = asyncio.get_running_loop()
        self._buffer = buffer
        self._round_trip = server.manner.round_trip_seconds
        self._queue: deque[tuple[float, Effect]] = deque()
        self._earliest = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._flood = b""
        self._is_writable = True
        self._upgrade: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._session, is_welcome = self._server.admit(self)
        self._perform(self._session.open() if is_welcome else self._session.refuse())

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        self._perform(self._session.receive(self._buffer[:nbytes]))

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer:
            self._timer.cancel()
        self._queue.clear()
        self._flood = b""
        self._server.dismiss(self, self._session)

    def pause_writing(self) -> None:
        # A client that sends and never reads must not fill our memory with answers.
        self._is_writable = False
        if not self._transport.is_closing():
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        self._is_writable = True
        if not self._transport.is_closing():
            self._transport.resume_reading()
        if self._flood:
            self._pour()

    def abort(self) -> None:
        if self._upgrade:
            self._upgrade.cancel()
        self._transport.abort()

    def _perform(self, effects: list[Effect]) -> None:
        for effect in effects:
            if self._round_trip or self._queue or isinstance(effect, Wait):
                self._enqueue(effect)
            else:
                self._act(effect)

    def _enqueue(self, effect: Effect) -> None:
        self._earliest = max(self._earliest, self._loop.time() + self._round_trip)
        if isinstance(effect, Wait):
            self._earliest += effect.seconds
        self._queue.append((self._earliest, effect))
        if self._timer is None:
            self._timer = self._loop.call_at(self._queue[0][0], self._work_off)

    def _work_off(self) -> None:
        self._timer = None
        now = self._loop.time()
        while self._queue and self._queue[0][0] <= now:
            self._act(self._queue.popleft()[1])
        if self._queue:
            self._timer = self._loop.call_at(self._queue[0][0], self._work_off)

    def _act(self, effect: Effect) -> None:
        if self._transport.is_closing():
            return
        match effect:
            case bytes():
                self._transport.write(effect)
            case Wait():
                pass  # Its time is in the places of those behind it.
            case Flood():
                self._flood = effect.line * max(1, BUFFER_BYTES // len(effect.line))
                self._pour()
            case Finish():
                self._finish()
            case Drop():
                self._transport.close()
            case UpgradeToTls():
                self._upgrade = self._loop.create_task(self._shake_hands())
            case _:
                assert_never(effect)

    def _finish(self) -> None:
        # Closing with unread octets in the socket would reset the connection, and the client
        # would lose our last words; so say that we are done and let it close first.
        if not self._transport.can_write_eof():
            self._transport.close()
            return
        self._transport.write_eof()
        self._queue.clear()
        if self._timer:
            self._timer.cancel()
        self._timer = self._loop.call_later(LINGER_SECONDS, self._transport.close)

    def _pour(self) -> None:
        while self._is_writable and not self._transport.is_closing():
            self._transport.write(self._flood)

    async def _shake_hands(self) -> None:
        context = self._server.manner.tls
        if context is None:
            self._transport.close()
            return
        try:
            transport = await self._loop.start_tls(
                self._transport,
                self,
                context,
                server_side=True,
                ssl_handshake_timeout=HANDSHAKE_SECONDS,
            )
        except OSError:
            self._transport.abort()
            return
        if transport is None:
            return
        self._transport = transport
        self._session.tls_started()
