"""The other SMTP client: the standard library's, one command at a time, each connection a thread.

It is plain on purpose. An operator who distrusts ours, or wants to compare, chooses it with a
setting; the tests hold both against the same servers. It does not pipeline and knows no BDAT. Its
time-outs count the silence between two octets, not the whole of an answer.
"""

import asyncio
import select
import smtplib
import ssl
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Any, Self, TypeVar

from newsletter.deliver.lane import COMMAND_SECONDS, DATA_SECONDS, ends_connection
from newsletter.deliver.offer import Offer, read_offer
from newsletter.deliver.outcome import Reply
from newsletter.deliver.reply_reader import LONGEST_LINE, MOST_LINES, is_of_reply, reply_of
from newsletter.deliver.sign_in import sign_in
from newsletter.deliver.smtp import CONNECT_SECONDS, QUIT_SECONDS, tls_context
from newsletter.deliver.wire import (
    ConnectionLost,
    Endpoint,
    Letter,
    Parcel,
    Phase,
    Post,
    TransportRefused,
    lost,
    unreachable,
)
from newsletter.models import Security

T = TypeVar("T")


class ReferenceConnection:
    """What `SmtpConnection` is, slowly."""

    def __init__(
        self, session: "_Session", endpoint: Endpoint, offer: Offer, thread: ThreadPoolExecutor
    ) -> None:
        self._session = session
        self.endpoint = endpoint
        self._offer = offer
        # Its own thread: those of the loop are for the database, and few.
        self._thread = thread
        self.messages = 0

    @classmethod
    async def open(cls, endpoint: Endpoint) -> Self:
        """Connect, greet, secure, sign in.

        Raises `ConnectionLost`, or `TransportRefused` when the server says no.
        """
        thread = ThreadPoolExecutor(1, thread_name_prefix="smtplib")
        loop = asyncio.get_running_loop()
        try:
            session, offer = await loop.run_in_executor(thread, _open, endpoint)
        except BaseException:
            thread.shutdown(wait=False)
            raise
        return cls(session, endpoint, offer, thread)

    @property
    def is_usable(self) -> bool:
        return self._session.sock is not None

    def is_alive(self) -> bool:
        """False when the server closed the connection, or spoke, while nobody was asking."""
        return self.is_usable and not self._session.has_unread()

    async def carry(self, post: Post[Any]) -> None:
        """Carry the post's letters until it has none, or the connection ends after content.

        Raises `ConnectionLost` or `TransportRefused`, after the post was told of every letter.
        """
        if not self.is_alive():
            self.abort()
            why = "the server closed it, or spoke out of turn"
            raise self._lost(why)
        while self.is_usable:
            letter = post.next_letter(self)
            if letter is None:
                return
            objection = self._offer.objection(letter.parcel)
            if objection is not None:
                post.settled(letter, objection)
                continue
            try:
                await self._carry_one(letter, post)
            except (ConnectionLost, TransportRefused):
                raise
            except BaseException:
                self.abort()  # nobody knows what it is in the middle of
                raise

    async def quit(self) -> None:
        """Say goodbye, briefly, and close."""
        if self.is_usable:
            await self._in_thread(lambda: self._session.ask(b"QUIT\r\n", QUIT_SECONDS))
        self.abort()

    def abort(self) -> None:
        self._session.close()
        self._thread.shutdown(wait=False)

    async def _carry_one(self, letter: Letter, post: Post[Any]) -> None:
        replies = await self._in_thread(lambda: self._give_envelope(letter.parcel))
        last = replies[-1]
        if last is None or ends_connection(last) or self._session.has_unread():
            self.abort()
            # Before RCPT the server does not know whom the message is for.
            tell = post.put_back if len(replies) == 1 and last is not None else post.broke_off
            tell(letter)
            raise self._lost("no answer, or one too many" if last is None else last.text, last)
        if last.code == 354 and len(replies) == 3:
            await self._carry_content(letter, post)
        elif last.is_positive or last.is_intermediate:
            self.abort()
            post.broke_off(letter)
            why = f"{last.code} is no answer to an envelope"
            raise self._lost(why)
        elif len(replies) == 1:
            post.put_back(letter)
            await self._start_over()
            raise TransportRefused(Phase.MAIL, last)
        else:
            post.settled(letter, last)
            await self._start_over()

    def _give_envelope(self, parcel: Parcel) -> list[Reply | None]:
        """The replies up to the first that is none or negative."""
        commands = (self._offer.mail(parcel), self._offer.rcpt(parcel), b"DATA\r\n")
        replies: list[Reply | None] = []
        for command, seconds in zip(
            commands, (COMMAND_SECONDS, COMMAND_SECONDS, DATA_SECONDS), strict=True
        ):
            reply = self._session.ask(command, seconds)
            replies.append(reply)
            if reply is None or not reply.is_positive:
                break
        return replies

    async def _carry_content(self, letter: Letter, post: Post[Any]) -> None:
        if not _may_go(letter, post):
            self.abort()
            return
        self.messages += 1
        content = b"".join((*letter.parcel.for_data, b".\r\n"))
        seconds = self.endpoint.dot_seconds
        reply = await self._in_thread(lambda: self._session.ask(content, seconds))
        if reply is None or reply.is_intermediate:
            self.abort()
            post.uncertain(letter)
            return
        if reply.ends_connection:
            self.abort()
        post.settled(letter, reply)

    async def _start_over(self) -> None:
        reply = await self._in_thread(lambda: self._session.ask(b"RSET\r\n", COMMAND_SECONDS))
        if reply is None or not reply.is_positive:
            self.abort()

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _lost(self, why: str, reply: Reply | None = None) -> ConnectionLost:
        return lost(self.endpoint, why, reply)


def _may_go(letter: Letter, post: Post[Any]) -> bool:
    may_go = False
    try:
        may_go = post.may_go(letter)
    finally:
        if not may_go:
            post.put_back(letter)
    return may_go


class _Session(smtplib.SMTP):
    """With answers that are bounded, and whole or none."""

    last = Reply(0, None, "")

    def getreply(self) -> tuple[int, bytes]:
        if self.file is None and self.sock is not None:
            self.file = self.sock.makefile("rb")
        lines: list[bytes] = []
        while not lines or lines[-1][3:4] == b"-":
            line = self._line()
            if not is_of_reply(line) or len(lines) > MOST_LINES:
                self.close()
                message = "no answer in time, or none that is SMTP"
                raise smtplib.SMTPServerDisconnected(message)
            lines.append(line)
        self.last = reply_of(lines)
        return self.last.code, self.last.text.encode()

    def ask(self, octets: bytes, seconds: float) -> Reply | None:
        """None when the connection has ended."""
        if self.sock is None:
            return None
        try:
            self.sock.settimeout(seconds)
            self.send(octets)
            self.getreply()
        except OSError:
            self.close()
            return None
        return self.last

    def has_unread(self) -> bool:
        """Octets that nobody asked for, or the end."""
        if self.sock is None or self.file is None:
            return self.sock is None
        self.sock.settimeout(0)
        with suppress(ssl.SSLWantReadError):
            if self.file.peek(1):
                return True
        # What is readable and gives nothing has ended.
        return bool(select.select([self.sock], [], [], 0)[0])

    def _line(self) -> bytes:
        """Without its end; empty when there is none."""
        line = b"" if self.file is None else bytes(self.file.readline(LONGEST_LINE + 1))
        return line[:-1] if line.endswith(b"\n") else b""


class _TlsSession(_Session, smtplib.SMTP_SSL):
    pass


def _open(endpoint: Endpoint) -> tuple[_Session, Offer]:
    session: _Session | None = None
    try:
        session = _connected(endpoint)
        return session, _prepared(session, endpoint)
    except smtplib.SMTPConnectError as error:
        reply = Reply(error.smtp_code, None, _text(error.smtp_error))
        raise TransportRefused(Phase.GREETING, reply) from error
    except (OSError, UnicodeError) as error:
        _close(session)
        raise unreachable(endpoint, error) from error
    except BaseException:
        _close(session)
        raise


def _connected(endpoint: Endpoint) -> _Session:
    make: Callable[..., _Session] = _Session
    if endpoint.security is Security.TLS:
        make = partial(_TlsSession, context=tls_context())
    return make(
        endpoint.host,
        endpoint.port,
        local_hostname=endpoint.ehlo_name,
        timeout=CONNECT_SECONDS,
    )


def _prepared(session: _Session, endpoint: Endpoint) -> Offer:
    """Secured and signed in."""
    offer = _greeted(session)
    if endpoint.security is Security.STARTTLS:
        if "STARTTLS" not in offer.extensions:
            raise TransportRefused(Phase.STARTTLS, Reply(454, None, "not offered"))
        session.starttls(context=tls_context())
        _require(session.last, Phase.STARTTLS)
        offer = _greeted(session)
    if endpoint.username is not None:
        _sign_in(session, endpoint, offer)
    return offer


def _greeted(session: _Session) -> Offer:
    session.ehlo()
    _require(session.last, Phase.EHLO)
    return read_offer(session.last.text)


def _sign_in(session: _Session, endpoint: Endpoint, offer: Offer) -> None:
    talk = sign_in(endpoint, offer.sign_in)
    line = next(talk)
    while True:
        reply = session.ask(f"{line}\r\n".encode(), COMMAND_SECONDS)
        if reply is None:
            raise ConnectionLost("the server ended the connection at sign-in")
        try:
            line = talk.send(reply)
        except StopIteration as end:
            _require(end.value, Phase.AUTH)
            return


def _require(reply: Reply, phase: Phase) -> None:
    if not reply.is_positive:
        raise TransportRefused(phase, reply)


def _text(words: bytes | str) -> str:
    return words.decode("utf-8", "replace") if isinstance(words, bytes) else words


def _close(session: _Session | None) -> None:
    if session is not None:
        session.close()
