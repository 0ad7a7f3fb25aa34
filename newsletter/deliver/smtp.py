"""Our SMTP client: one connection that carries many messages, commands pipelined where offered.

Opening it, signing in and saying goodbye are coroutines; letters are carried by a `Lane`, which
costs no task, no future and no timer for each of them.
"""

import asyncio
import ssl
from collections.abc import Callable
from functools import cache
from typing import Any, Self

from newsletter.deliver.lane import COMMAND_SECONDS, Lane
from newsletter.deliver.offer import Offer, read_offer
from newsletter.deliver.outcome import Reply
from newsletter.deliver.reply_reader import ReplyReader
from newsletter.deliver.sign_in import sign_in
from newsletter.deliver.single import send_single
from newsletter.deliver.wire import (
    AnswerLost,
    ConnectionLost,
    Endpoint,
    Envelope,
    Parcel,
    Phase,
    Post,
    SmtpError,
    TransportRefused,
    lost,
    parcel_of,
    unreachable,
)
from newsletter.models import Security

__all__ = [
    "AnswerLost",
    "ConnectionLost",
    "Endpoint",
    "Envelope",
    "Parcel",
    "Phase",
    "SmtpConnection",
    "SmtpError",
    "TransportRefused",
]

CONNECT_SECONDS = 30.0
QUIT_SECONDS = 5.0


class SmtpConnection:
    def __init__(self, reader: ReplyReader, endpoint: Endpoint) -> None:
        self._reader = reader
        self.endpoint = endpoint
        self._offer = Offer({})
        self.messages = 0

    @classmethod
    async def open(cls, endpoint: Endpoint) -> Self:
        """Connect, greet, secure, sign in.

        Raises `ConnectionLost`, or `TransportRefused` when the server says no.
        """
        context = tls_context() if endpoint.security is Security.TLS else None
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                _, reader = await loop.create_connection(
                    ReplyReader, endpoint.host, endpoint.port, ssl=context
                )
        except (OSError, TimeoutError, UnicodeError) as error:
            raise unreachable(endpoint, error) from error
        connection = cls(reader, endpoint)
        try:
            await connection._greet()
        except BaseException:
            connection.abort()
            raise
        return connection

    @property
    def is_usable(self) -> bool:
        return self._reader.ended is None

    @property
    def extensions(self) -> frozenset[str]:
        """What the server announced last, in capitals."""
        return self._offer.extensions

    def is_alive(self) -> bool:
        """False when the server closed the connection, or spoke, while nobody was asking."""
        return self.is_usable and not self._reader.has_unread

    async def carry(self, post: Post[Any]) -> None:
        """Carry the post's letters until it has none, or the connection ends after content.

        Raises `ConnectionLost` or `TransportRefused`, after the post was told of every letter.
        """
        lane = Lane(self, self._reader, self._offer, post)
        lane.start()
        try:
            await lane.done
        except asyncio.CancelledError:
            self.abort()
            raise

    async def send(
        self, envelope: Envelope, content: bytes, *, before_content: Callable[[], None]
    ) -> Reply:
        """Send one message alone and return the reply that settles its recipient.

        `before_content` is called when the next thing written is the content; if it raises, no
        content goes out. Raises `ConnectionLost`, `AnswerLost` or `TransportRefused`.
        """
        parcel = parcel_of(envelope, content)
        return await send_single(self, parcel, before_content=before_content)

    async def quit(self) -> None:
        """Say goodbye, briefly, and close."""
        if self.is_usable:
            self._write("QUIT")
            await self._reader.reply(QUIT_SECONDS)
        self.abort()

    def abort(self) -> None:
        self._reader.end("we closed it")

    async def _greet(self) -> None:
        _require(await self._asked(), Phase.GREETING)
        await self._ehlo()
        if self.endpoint.security is Security.STARTTLS:
            await self._start_tls()
        if self.endpoint.username is not None:
            await self._sign_in()

    async def _ehlo(self) -> None:
        reply = await self._command(f"EHLO {self.endpoint.ehlo_name}")
        _require(reply, Phase.EHLO)
        self._offer = read_offer(reply.text)

    async def _start_tls(self) -> None:
        if "STARTTLS" not in self.extensions:
            # H-15: a stripped STARTTLS is trouble, never a reason to send in the clear.
            raise TransportRefused(Phase.STARTTLS, Reply(454, None, "not offered"))
        _require(await self._command("STARTTLS"), Phase.STARTTLS)
        # Octets behind the answer to STARTTLS came in the clear and would be read as secured.
        if self._reader.has_unread:
            why = "the server spoke out of turn"
            raise self._lost(why)
        loop, plain = asyncio.get_running_loop(), self._reader.transport
        assert plain is not None
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                secured = await loop.start_tls(
                    plain, self._reader, tls_context(), server_hostname=self.endpoint.host
                )
        except (OSError, TimeoutError) as error:
            raise ConnectionLost(
                "TLS with {host} failed: {error}", host=self.endpoint.host, error=error
            ) from error
        assert secured is not None
        self._reader.transport = secured
        # What was announced in the clear may have been forged: ask again.
        await self._ehlo()

    async def _sign_in(self) -> None:
        talk = sign_in(self.endpoint, self._offer.sign_in)
        line = next(talk)
        while True:
            reply = await self._command(line)
            try:
                line = talk.send(reply)
            except StopIteration as end:
                _require(end.value, Phase.AUTH)
                return

    async def _command(self, line: str) -> Reply:
        self._write(line)
        return await self._asked()

    async def _asked(self) -> Reply:
        reply = await self._reader.reply(COMMAND_SECONDS)
        if reply is None:
            raise self._lost(self._reader.ended or "no answer in time")
        return reply

    def _write(self, line: str) -> None:
        if self.is_usable and self._reader.transport is not None:
            self._reader.transport.write(f"{line}\r\n".encode())

    def _lost(self, why: str) -> ConnectionLost:
        self.abort()
        return lost(self.endpoint, why)


def _require(reply: Reply, phase: Phase) -> None:
    if not reply.is_positive:
        raise TransportRefused(phase, reply)


@cache  # reading all of the system's certificates holds up every other connection
def tls_context() -> ssl.SSLContext:
    return ssl.create_default_context()
