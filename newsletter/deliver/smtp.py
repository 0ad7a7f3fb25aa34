"""Our SMTP client: one connection that carries many messages, commands pipelined where offered.

The caller learns for every message the one thing that counts: the reply that settled it, or that
the connection was lost before any content went out, or that it was lost afterwards.
"""

import asyncio
import base64
import re
import ssl
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Self, SupportsIndex

from newsletter.deliver.outcome import Reply
from newsletter.errors import NewsletterError
from newsletter.models import Security

# RFC 5321 section 4.5.3.2; the final dot's own time-out is a setting.
CONNECT_SECONDS = 30.0
COMMAND_SECONDS = 300.0
DATA_SECONDS = 120.0
BLOCK_SECONDS = 180.0
QUIT_SECONDS = 5.0

LONGEST_LINE = 4096
MOST_LINES = 100
_REPLY_CODE = re.compile(rb"[2-5][0-9]{2}(?![0-9])")


class Phase(StrEnum):
    GREETING = "greeting"
    EHLO = "EHLO"
    STARTTLS = "STARTTLS"
    AUTH = "AUTH"
    MAIL = "MAIL FROM"


class SmtpError(NewsletterError):
    """Base of what can go wrong on the wire."""


class ConnectionLost(SmtpError):  # noqa: N818  it is a state of the wire, as the RFC speaks of it
    """The connection ended, or never was, and no content of this message had gone out."""


class AnswerLost(SmtpError):  # noqa: N818
    """The content went out and no answer came: nobody knows (RFC 1047)."""


class TransportRefused(SmtpError):  # noqa: N818
    """The server refuses us, not a recipient: at greeting, TLS, sign-in or MAIL FROM."""

    def __init__(self, phase: Phase, reply: Reply) -> None:
        super().__init__(f"{phase}: {reply.code} {reply.text}")
        self.phase = phase
        self.reply = reply


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where to connect and as whom. `password` never appears in a log or an error."""

    host: str
    port: int
    security: Security
    ehlo_name: str
    username: str | None = None
    password: str | None = None
    dot_seconds: float = 600.0

    def __repr__(self) -> str:
        return f"Endpoint({self.host}:{self.port}, {self.security})"


@dataclass(frozen=True, slots=True)
class Envelope:
    """`mail_from` and `rcpt_to` were parsed by `newsletter.addresses`; nothing else goes in."""

    mail_from: str
    rcpt_to: str


class _Reader(asyncio.StreamReader):
    """Knows whether octets have come that nobody has read."""

    unread = 0

    def feed_data(self, data: Iterable[SupportsIndex]) -> None:
        octets = bytes(data)
        self.unread += len(octets)
        super().feed_data(octets)

    async def line(self) -> bytes:
        line = await self.readuntil(b"\n")
        self.unread -= len(line)
        return line


class SmtpConnection:
    def __init__(self, reader: _Reader, writer: asyncio.StreamWriter, endpoint: Endpoint) -> None:
        self._reader = reader
        self._writer = writer
        self.endpoint = endpoint
        self._extensions: dict[str, str] = {}
        self.messages = 0
        self.is_usable = True

    @classmethod
    async def open(cls, endpoint: Endpoint) -> Self:
        """Connect, greet, secure, sign in.

        Raises `ConnectionLost`, or `TransportRefused` when the server says no.
        """
        context = _tls_context() if endpoint.security is Security.TLS else None
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                reader, writer = await _connect(endpoint, context)
        except (OSError, TimeoutError, UnicodeError) as error:
            message = f"cannot connect to {endpoint.host}:{endpoint.port}: {error}"
            raise ConnectionLost(message) from error
        connection = cls(reader, writer, endpoint)
        try:
            await connection._greet()
        except BaseException:
            connection.abort()
            raise
        return connection

    async def send(
        self, envelope: Envelope, content: bytes, *, before_content: Callable[[], None]
    ) -> Reply:
        """Send one message to one recipient and return the reply that settles that recipient.

        `content` has CRLF line ends and a final CRLF. `before_content` is called when the next
        thing written is the content; if it raises, no content goes out. Raises `ConnectionLost`,
        `AnswerLost` or `TransportRefused`.
        """
        settled = await self._open_transaction(envelope)
        if settled is not None:
            return settled
        try:
            before_content()
        except BaseException:
            self.abort()  # the server waits for content that will not come
            raise
        self.messages += 1
        try:
            self._writer.write(_dot_stuffed(content) + b".\r\n")
            async with asyncio.timeout(BLOCK_SECONDS):
                await self._writer.drain()
            reply = await self._reply(self.endpoint.dot_seconds)
        except (ConnectionLost, OSError, TimeoutError) as error:
            self.abort()
            message = f"no answer to the final dot: {error}"
            raise AnswerLost(message) from error
        if reply.is_intermediate:
            self.abort()
            message = f"no answer to the final dot but {reply.code}"
            raise AnswerLost(message)
        if reply.ends_connection:
            self.abort()
        return reply

    @property
    def extensions(self) -> frozenset[str]:
        """What the server announced last, in capitals."""
        return frozenset(self._extensions)

    def is_alive(self) -> bool:
        """False when the server closed the connection, or spoke, while nobody was asking."""
        return (
            self.is_usable
            and not self._reader.unread
            and not self._reader.at_eof()
            and not self._writer.is_closing()
        )

    async def quit(self) -> None:
        """Say goodbye, briefly, and close."""
        try:
            self._write("QUIT\r\n")
            await self._reply(QUIT_SECONDS)
        except SmtpError:
            pass
        finally:
            self.abort()

    def abort(self) -> None:
        self.is_usable = False
        self._writer.transport.abort()

    async def _greet(self) -> None:
        _require(await self._reply(COMMAND_SECONDS), Phase.GREETING)
        await self._ehlo()
        if self.endpoint.security is Security.STARTTLS:
            await self._start_tls()
        if self.endpoint.username is not None:
            await self._sign_in()

    async def _ehlo(self) -> None:
        reply = await self._command(f"EHLO {self.endpoint.ehlo_name}")
        _require(reply, Phase.EHLO)
        self._extensions = {}
        for line in reply.text.split("\n")[1:]:
            keyword, _, parameters = line.partition(" ")
            self._extensions[keyword.upper()] = parameters

    async def _start_tls(self) -> None:
        if "STARTTLS" not in self._extensions:
            # H-15: a stripped STARTTLS is trouble, never a reason to send in the clear.
            raise TransportRefused(Phase.STARTTLS, Reply(454, None, "not offered"))
        _require(await self._command("STARTTLS"), Phase.STARTTLS)
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await self._writer.start_tls(_tls_context(), server_hostname=self.endpoint.host)
        except (OSError, TimeoutError) as error:
            message = f"TLS with {self.endpoint.host} failed: {error}"
            raise ConnectionLost(message) from error
        # Octets behind the answer to STARTTLS came in the clear and would be read as secured.
        self._refuse_unasked()
        # What was announced in the clear may have been forged: ask again.
        await self._ehlo()

    def _refuse_unasked(self) -> None:
        """An answer that nobody asked for would be taken for the answer to the next question."""
        if self._reader.unread:
            why = "the server spoke out of turn"
            raise self._lost(why)

    async def _sign_in(self) -> None:
        username, password = self.endpoint.username or "", self.endpoint.password or ""
        offered = self._extensions.get("AUTH", "").upper().split()
        if "PLAIN" in offered or "LOGIN" not in offered:
            reply = await self._command("AUTH PLAIN " + _base64(f"\0{username}\0{password}"))
        else:
            reply = await self._command("AUTH LOGIN")
            for answer in (username, password):
                if reply.code == 334:
                    reply = await self._command(_base64(answer))
        _require(reply, Phase.AUTH)

    async def _open_transaction(self, envelope: Envelope) -> Reply | None:
        """MAIL, RCPT and DATA; None when the server waits for content, else the recipient's reply."""
        needs_utf8 = not (envelope.rcpt_to.isascii() and envelope.mail_from.isascii())
        if needs_utf8 and "SMTPUTF8" not in self._extensions:
            return Reply(550, "5.6.7", "this server takes no addresses outside ASCII (RFC 6531)")
        self._refuse_unasked()
        option = " SMTPUTF8" if needs_utf8 else ""
        commands = (
            f"MAIL FROM:<{envelope.mail_from}>{option}",
            f"RCPT TO:<{envelope.rcpt_to}>",
            "DATA",
        )
        if "PIPELINING" in self._extensions:
            mail, rcpt, data = await self._pipelined(commands)
        else:
            mail = await self._command(commands[0])
            rcpt = await self._command(commands[1]) if mail.is_positive else mail
            data = await self._command(commands[2]) if rcpt.is_positive else rcpt
        if data.code == 354 and rcpt.is_positive and mail.is_positive:
            self._refuse_unasked()
            return None
        return await self._refused(mail, rcpt, data)

    async def _refused(self, mail: Reply, rcpt: Reply, data: Reply) -> Reply:
        if any(reply.ends_connection for reply in (mail, rcpt, data)):
            # the connection is over, the recipient was not judged.
            self.abort()
            message = "the server closed the connection with 421"
            raise ConnectionLost(message)
        verdict = next((reply for reply in (mail, rcpt, data) if not reply.is_positive), data)
        if verdict.is_intermediate or verdict.is_positive:
            why = f"{verdict.code} is no answer to DATA or what came before it"
            raise self._lost(why)
        await self._start_over(wants_content=data.code == 354)
        if verdict is mail:
            raise TransportRefused(Phase.MAIL, mail)
        return verdict

    async def _start_over(self, *, wants_content: bool) -> None:
        """Make ready for the next message; a connection lost at this takes no verdict back."""
        try:
            if wants_content:
                # For nobody: it gets an empty body (RFC 2920 section 3.1).
                await self._command(".")
            reply = await self._command("RSET")
        except ConnectionLost:
            return
        if not reply.is_positive:
            self.abort()

    async def _pipelined(self, commands: tuple[str, str, str]) -> tuple[Reply, Reply, Reply]:
        """RFC 2920: one write, then the replies in the order of the commands."""
        self._write("".join(command + "\r\n" for command in commands))
        mail = await self._reply(COMMAND_SECONDS)
        if mail.ends_connection:
            return mail, mail, mail
        rcpt = await self._reply(COMMAND_SECONDS)
        if rcpt.ends_connection:
            return mail, rcpt, rcpt
        try:
            data = await self._reply(DATA_SECONDS)
        except ConnectionLost:
            if rcpt.is_positive:
                raise
            data = rcpt  # the recipient was judged, whatever became of the connection
        return mail, rcpt, data

    async def _command(self, line: str) -> Reply:
        self._write(line + "\r\n")
        return await self._reply(COMMAND_SECONDS)

    def _write(self, text: str) -> None:
        if self._writer.is_closing():
            why = "it is closed"
            raise self._lost(why)
        self._writer.write(text.encode())

    async def _reply(self, seconds: float) -> Reply:
        """One whole reply. Raises `ConnectionLost` for silence, an end, or what is no SMTP."""
        lines = []
        try:
            async with asyncio.timeout(seconds):
                while True:
                    line = await self._reader.line()
                    lines.append(line)
                    if line[3:4] != b"-" or len(lines) == MOST_LINES:
                        break
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
            raise self._lost(error) from error
        last = lines[-1]
        if not _REPLY_CODE.match(last) or last[3:4] == b"-":
            raise self._lost(last)
        texts = [_printable(line[4:]) for line in lines]
        enhanced, text = _split_enhanced("\n".join(texts))
        return Reply(int(last[:3]), enhanced, text)

    def _lost(self, why: object) -> ConnectionLost:
        self.abort()
        return ConnectionLost(f"connection to {self.endpoint.host} lost: {why!r}")


async def _connect(
    endpoint: Endpoint, context: ssl.SSLContext | None
) -> tuple[_Reader, asyncio.StreamWriter]:
    """As `asyncio.open_connection`, with a reader of our own."""
    loop = asyncio.get_running_loop()
    reader = _Reader(limit=LONGEST_LINE, loop=loop)
    protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
    transport, _ = await loop.create_connection(
        lambda: protocol, endpoint.host, endpoint.port, ssl=context
    )
    return reader, asyncio.StreamWriter(transport, protocol, reader, loop)


def _require(reply: Reply, phase: Phase) -> None:
    if not reply.is_positive:
        raise TransportRefused(phase, reply)


def _printable(octets: bytes) -> str:
    """Never a NUL, which PostgreSQL does not store."""
    return octets.decode("utf-8", "replace").rstrip("\r\n").replace("\0", "\ufffd")


def _split_enhanced(text: str) -> tuple[str | None, str]:
    """RFC 2034: a reply's text may begin with `5.1.1 `."""
    first, _, rest = text.partition(" ")
    parts = first.split(".")
    if len(parts) == 3 and parts[0] in {"2", "4", "5"} and all(part.isdigit() for part in parts):
        return first[:11], rest
    return None, text


def _dot_stuffed(content: bytes) -> bytes:
    if content.startswith(b".") or b"\r\n." in content:
        content = (b"\r\n" + content).replace(b"\r\n.", b"\r\n..")[2:]
    return content


@cache  # reading all of the system's certificates holds up every other connection
def _tls_context() -> ssl.SSLContext:
    return ssl.create_default_context()


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
