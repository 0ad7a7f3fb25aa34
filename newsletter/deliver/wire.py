"""The words of the wire: where to connect, what to carry, who gives it out, and what can go wrong.

Two clients speak them, ours (`smtp`) and one over the standard library (`reference`).
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple, Protocol, TypeVar

from newsletter.deliver.outcome import Reply
from newsletter.errors import AddressError, NewsletterError
from newsletter.models import Security

_UNFIT = re.compile(r"[\x00-\x20<>\x7f]")


class Phase(StrEnum):
    GREETING = "greeting"
    EHLO = "EHLO"
    STARTTLS = "STARTTLS"
    AUTH = "AUTH"
    MAIL = "MAIL FROM"


class SmtpError(NewsletterError):
    """Base of what can go wrong on the wire."""


class ConnectionLost(SmtpError):  # noqa: N818  it is a state of the wire, as the RFC speaks of it
    """The connection ended, or never was, and no content of this message had gone out.

    `reply` is what the server ended it with (421), None when it ended without a word.
    """

    def __init__(self, words: str, /, reply: Reply | None = None, **values: object) -> None:
        super().__init__(words, **values)
        self.reply = reply


def unreachable(endpoint: "Endpoint", error: Exception) -> ConnectionLost:
    return ConnectionLost(
        "cannot connect to {host}:{port}: {error}",
        host=endpoint.host,
        port=endpoint.port,
        error=error,
    )


def lost(endpoint: "Endpoint", why: str, reply: Reply | None = None) -> ConnectionLost:
    return ConnectionLost("connection to {host} lost: {why}", reply, host=endpoint.host, why=why)


class AnswerLost(SmtpError):  # noqa: N818
    """The content went out and no answer came: nobody knows (RFC 1047)."""


class TransportRefused(SmtpError):  # noqa: N818
    """The server refuses us, not a recipient: at greeting, TLS, sign-in or MAIL FROM."""

    def __init__(self, phase: Phase, reply: Reply) -> None:
        super().__init__("{phase}: {code} {text}", phase=phase, code=reply.code, text=reply.text)
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
    """With the mechanism `xoauth2` an access token."""
    dot_seconds: float = 600.0
    mechanism: str | None = None
    """How to sign in: plain, login or xoauth2; None: plain or login, as the server offers."""

    def __repr__(self) -> str:
        return f"Endpoint({self.host}:{self.port}, {self.security})"


@dataclass(frozen=True, slots=True)
class Envelope:
    """Raises `AddressError` for what would end, or begin, a command where it stands in one."""

    mail_from: str
    rcpt_to: str

    def __post_init__(self) -> None:
        if _UNFIT.search(self.mail_from + self.rcpt_to):
            raise AddressError(
                "an envelope's address holds a blank, a bracket or a control character"
            )

    @property
    def needs_smtputf8(self) -> bool:
        return not (self.rcpt_to.isascii() and self.mail_from.isascii())


class Parcel(NamedTuple):
    """One message to one recipient; a tuple because one is made per message.

    `parts` are its content, which has CRLF line ends and a final CRLF; the kernel puts them
    together. Where one of its lines begins with a dot, `stuffed` is its form for DATA (RFC 5321
    section 4.5.2); what the assembler makes needs none.
    """

    envelope: Envelope
    parts: tuple[bytes, ...]
    octets: int
    """The length of the content."""
    stuffed: tuple[bytes, ...] | None = None

    @property
    def content(self) -> bytes:
        return b"".join(self.parts)

    @property
    def for_data(self) -> tuple[bytes, ...]:
        return self.stuffed or self.parts


def parcel_of(envelope: Envelope, content: bytes) -> Parcel:
    """The parcel of content that may have lines which begin with a dot."""
    parts, stuffed = (content,), None
    if content.startswith(b".") or b"\r\n." in content:
        stuffed = ((b"\r\n" + content).replace(b"\r\n.", b"\r\n..")[2:],)
    return Parcel(envelope, parts, len(content), stuffed)


class Letter(Protocol):
    """What a post gives out: a parcel, and whatever the post knows of it besides."""

    @property
    def parcel(self) -> Parcel: ...


L = TypeVar("L", bound=Letter)


class Post(Protocol[L]):
    """Gives out letters and is told what becomes of each, exactly once.

    It is called on the loop that the connection lives on, and must never wait for anything.
    """

    def next_letter(self, connection: "MailConnection") -> L | None:
        """The next letter for this connection; None: there is none now, or it has carried enough."""

    def may_go(self, letter: L) -> bool:
        """Asked right before the content goes out: from a yes on, nobody but the server knows."""

    def settled(self, letter: L, reply: Reply) -> None:
        """The server accepted or refused the recipient, or the content."""

    def put_back(self, letter: L) -> None:
        """Nobody judged it, and it is not to blame; content that had gone out was not taken."""

    def broke_off(self, letter: L) -> None:
        """The connection ended while this letter's envelope was being judged."""

    def uncertain(self, letter: L) -> None:
        """Its content went out and no answer came."""


class MailConnection(Protocol):
    endpoint: Endpoint
    messages: int
    """How many contents it has carried."""

    @property
    def is_usable(self) -> bool: ...

    def is_alive(self) -> bool:
        """False when the server closed the connection, or spoke, while nobody was asking."""

    async def carry(self, post: Post[Any]) -> None:
        """Carry the post's letters until it has none, or the connection ends after content.

        Raises `ConnectionLost` or `TransportRefused`, after the post was told of every letter.
        """

    async def quit(self) -> None:
        """Say goodbye, briefly, and close."""

    def abort(self) -> None: ...
