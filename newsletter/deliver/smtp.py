"""Our SMTP client: one connection that carries many messages, commands pipelined where offered.

The caller learns for every message the one thing that counts: the reply that settled it, or that
the connection was lost before any content went out, or that it was lost afterwards.

With PIPELINING (RFC 2920) the next message's envelope rides behind a message's content, so that a
message costs one round trip. Its content still waits for the answers to its envelope: never is more
than one message of a connection in doubt.
"""

import asyncio
import base64
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Self

from newsletter.deliver.outcome import Reply
from newsletter.deliver.reply_reader import ReplyReader
from newsletter.errors import NewsletterError
from newsletter.models import Security

# RFC 5321 section 4.5.3.2; the final dot's own time-out is a setting.
CONNECT_SECONDS = 30.0
COMMAND_SECONDS = 300.0
DATA_SECONDS = 120.0
_XTEXT = str.maketrans({"+": "+2B", "=": "+3D"})
ENVELOPE_SECONDS = (COMMAND_SECONDS, COMMAND_SECONDS, DATA_SECONDS)
QUIT_SECONDS = 5.0


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

    @property
    def needs_smtputf8(self) -> bool:
        return not (self.rcpt_to.isascii() and self.mail_from.isascii())


@dataclass(frozen=True, slots=True)
class Parcel:
    """One message to one recipient.

    `content` has CRLF line ends, a final CRLF, and no line that begins with a dot unless it is
    stuffed (RFC 5321 section 4.5.2); what the assembler makes is so from the start.
    """

    envelope: Envelope
    content: bytes


class SmtpConnection:
    """For each parcel: `begin`, then `verdict`, then, if that is None, `put` and `answer`."""

    def __init__(self, reader: ReplyReader, endpoint: Endpoint) -> None:
        self._reader = reader
        self.endpoint = endpoint
        self._extensions: dict[str, str] = {}
        self._begun: Parcel | None = None
        self.messages = 0

    @classmethod
    async def open(cls, endpoint: Endpoint) -> Self:
        """Connect, greet, secure, sign in.

        Raises `ConnectionLost`, or `TransportRefused` when the server says no.
        """
        context = _tls_context() if endpoint.security is Security.TLS else None
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                _, reader = await loop.create_connection(
                    ReplyReader, endpoint.host, endpoint.port, ssl=context
                )
        except (OSError, TimeoutError, UnicodeError) as error:
            message = f"cannot connect to {endpoint.host}:{endpoint.port}: {error}"
            raise ConnectionLost(message) from error
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

    async def send(
        self, envelope: Envelope, content: bytes, *, before_content: Callable[[], None]
    ) -> Reply:
        """Send one message alone and return the reply that settles its recipient.

        `before_content` is called when the next thing written is the content; if it raises, no
        content goes out. Raises `ConnectionLost`, `AnswerLost` or `TransportRefused`.
        """
        parcel = Parcel(envelope, _dot_stuffed(content))
        self._refuse_unasked()
        self.begin(parcel)
        verdict = await self.verdict()
        if verdict is not None:
            return verdict
        try:
            before_content()
        except BaseException:
            self.abort()  # the server waits for content that will not come
            raise
        self.put(parcel)
        return await self.answer()

    def begin(self, parcel: Parcel) -> None:
        """Write the parcel's envelope, as far as nothing has to be waited for."""
        self._write_octets(self._begin(parcel))

    def _begin(self, parcel: Parcel) -> bytes:
        """What can be written of the parcel's envelope without waiting for anything."""
        self._begun = parcel
        if not self._is_pipelining or self._cannot_take(parcel):
            return b""
        return "\r\n".join((*self._envelope(parcel), "")).encode()

    async def verdict(self) -> Reply | None:
        """What the server says to the envelope that was begun; None: it waits for the content."""
        parcel = self._begun
        assert parcel is not None
        self._begun = None
        if self._cannot_take(parcel):
            return Reply(550, "5.6.7", "this server takes no addresses outside ASCII (RFC 6531)")
        replies = await self._envelope_replies(parcel)
        if (
            len(replies) == 3
            and all(each.is_positive for each in replies[:2])
            and replies[2].code == 354
        ):
            self._refuse_unasked()
            return None
        return await self._refused(replies)

    def put(self, parcel: Parcel, *, then: Parcel | None = None) -> None:
        """Write the parcel's content, and behind it the next one's envelope."""
        self.messages += 1
        behind = b".\r\n" if then is None else b".\r\n" + self._begin(then)
        self._write_octets(parcel.content, behind)

    async def answer(self) -> Reply:
        """The reply to the content that was put. Raises `AnswerLost`."""
        reply = await self._reader.reply(self.endpoint.dot_seconds)
        if reply is None or reply.is_intermediate:
            self.abort()
            why = self._reader.ended if reply is None else f"{reply.code} {reply.text}"
            message = f"no answer to the content: {why}"
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
        return self.is_usable and not self._reader.has_unread

    async def quit(self) -> None:
        """Say goodbye, briefly, and close."""
        if self.is_usable:
            self._write("QUIT\r\n")
            await self._reader.reply(QUIT_SECONDS)
        self.abort()

    def abort(self) -> None:
        self._reader.end("we closed it")

    @property
    def _is_pipelining(self) -> bool:
        return "PIPELINING" in self._extensions

    def _cannot_take(self, parcel: Parcel) -> bool:
        return parcel.envelope.needs_smtputf8 and "SMTPUTF8" not in self._extensions

    def _envelope(self, parcel: Parcel) -> tuple[str, str, str]:
        envelope = parcel.envelope
        options = [f" SIZE={len(parcel.content)}"] if "SIZE" in self._extensions else []
        if envelope.needs_smtputf8:
            options += [" BODY=8BITMIME"] if "8BITMIME" in self._extensions else []
            options += [" SMTPUTF8"]
        notify = ""
        if "DSN" in self._extensions and envelope.rcpt_to.isascii():
            # RFC 3461: headers are enough, the return path names the delivery.
            options.append(" RET=HDRS")
            notify = f" NOTIFY=FAILURE,DELAY ORCPT=rfc822;{_xtext(envelope.rcpt_to)}"
        return (
            f"MAIL FROM:<{envelope.mail_from}>{''.join(options)}",
            f"RCPT TO:<{envelope.rcpt_to}>{notify}",
            "DATA",
        )

    async def _envelope_replies(self, parcel: Parcel) -> list[Reply]:
        """The replies to the envelope's commands, up to the one that ends it."""
        unwritten = () if self._is_pipelining else self._envelope(parcel)
        replies: list[Reply] = []
        for place, seconds in enumerate(ENVELOPE_SECONDS):
            if unwritten:
                self._refuse_unasked()
                self._write(unwritten[place] + "\r\n")
            reply = await self._reader.reply(seconds)
            if reply is None:
                if len(replies) == 2 and replies[0].is_positive and not replies[1].is_positive:
                    break  # the recipient was judged, whatever became of the connection
                raise self._lost(self._reader.ended or "no answer in time")
            replies.append(reply)
            if reply.ends_connection or (unwritten and not reply.is_positive):
                break
        return replies

    async def _refused(self, replies: list[Reply]) -> Reply:
        if any(reply.ends_connection for reply in replies):
            # the connection is over, the recipient was not judged.
            why = "the server closed the connection with 421"
            raise self._lost(why)
        verdict = next((reply for reply in replies if not reply.is_positive), replies[-1])
        if verdict.is_intermediate or verdict.is_positive:
            why = f"{verdict.code} is no answer to an envelope"
            raise self._lost(why)
        await self._start_over(wants_content=replies[-1].code == 354)
        if verdict is replies[0]:
            raise TransportRefused(Phase.MAIL, verdict)
        return verdict

    async def _start_over(self, *, wants_content: bool) -> None:
        """Make ready for the next message; a connection lost at this takes no verdict back."""
        # Content wanted for nobody: it gets an empty body (RFC 2920 section 3.1).
        for command in (".", "RSET") if wants_content else ("RSET",):
            if not self.is_usable:
                return
            self._write(command + "\r\n")
            reply = await self._reader.reply(COMMAND_SECONDS)
        if reply is None or not reply.is_positive:
            self.abort()

    async def _greet(self) -> None:
        _require(await self._asked(COMMAND_SECONDS), Phase.GREETING)
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
        # Octets behind the answer to STARTTLS came in the clear and would be read as secured.
        self._refuse_unasked()
        loop, plain = asyncio.get_running_loop(), self._reader.transport
        assert plain is not None
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                secured = await loop.start_tls(
                    plain, self._reader, _tls_context(), server_hostname=self.endpoint.host
                )
        except (OSError, TimeoutError) as error:
            message = f"TLS with {self.endpoint.host} failed: {error}"
            raise ConnectionLost(message) from error
        assert secured is not None
        self._reader.transport = secured
        # What was announced in the clear may have been forged: ask again.
        await self._ehlo()

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

    async def _command(self, line: str) -> Reply:
        self._write(line + "\r\n")
        return await self._asked(COMMAND_SECONDS)

    async def _asked(self, seconds: float) -> Reply:
        reply = await self._reader.reply(seconds)
        if reply is None:
            raise self._lost(self._reader.ended or "no answer in time")
        return reply

    def _refuse_unasked(self) -> None:
        """An answer that nobody asked for would be taken for the answer to the next question."""
        if self._reader.has_unread:
            why = "the server spoke out of turn"
            raise self._lost(why)

    def _write(self, text: str) -> None:
        self._write_octets(text.encode())

    def _write_octets(self, *octets: bytes) -> None:
        if self.is_usable and self._reader.transport is not None:
            self._reader.transport.writelines(octets)

    def _lost(self, why: str) -> ConnectionLost:
        self.abort()
        return ConnectionLost(f"connection to {self.endpoint.host} lost: {why}")


def _require(reply: Reply, phase: Phase) -> None:
    if not reply.is_positive:
        raise TransportRefused(phase, reply)


def _xtext(address: str) -> str:
    """RFC 3461 section 4, for an address without blanks and controls."""
    return address.translate(_XTEXT)


def _dot_stuffed(content: bytes) -> bytes:
    if content.startswith(b".") or b"\r\n." in content:
        content = (b"\r\n" + content).replace(b"\r\n.", b"\r\n..")[2:]
    return content


@cache  # reading all of the system's certificates holds up every other connection
def _tls_context() -> ssl.SSLContext:
    return ssl.create_default_context()


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
