"""The server's side of one SMTP conversation (RFC 5321), without a socket and without a clock.

Octets go in, effects come out in the order in which they must happen. An accepted message is
handed over before its 250 is among the effects.
"""

import base64
import binascii
import hmac
import io
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import assert_never

from newsletter.devmail.script import (
    Close,
    Drip,
    Endless,
    Extra,
    Half,
    Outcome,
    Performance,
    Phase,
    Reply,
    Script,
)

LONGEST_COMMAND = 2_048
LONGEST_AUTH_LINE = 12_288  # RFC 4954 section 4
LONGEST_CONTENT_LINE = 998  # RFC 5321 section 4.5.3.1.6, without its CRLF
LONGEST_PATH = 254  # RFC 5321 section 4.5.3.1.3, without the angle brackets

_DOT_LINE = b"\r\n."
_PATH = re.compile(
    rb"""(?i:FROM|TO):\ ?<(?:@[^\s:<>]+:)?      # a source route is read and ignored
    ((?:"(?:[^"\\\r\n]|\\.)*"|[^\s<>"])*)>      # a quoted local part may hold anything
    (?:\ +(.*))?""",
    re.VERBOSE,
)
_BARE_CR = re.compile(rb"\r(?!\n)")
_CONTROL = re.compile(rb"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing that follows happens before this time is over."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Flood:
    """Write this line until the client has gone."""

    line: bytes


class Hang(BaseException):
    """Never raised; the type of the two effects without a value."""


@dataclass(frozen=True, slots=True)
class Finish:
    """Everything is said: close once the client has read it."""


@dataclass(frozen=True, slots=True)
class Drop:
    """Close at once."""


@dataclass(frozen=True, slots=True)
class UpgradeToTls:
    """Shake hands; then call `tls_started`."""


Effect = bytes | Wait | Flood | Finish | Drop | UpgradeToTls


@dataclass(frozen=True, slots=True)
class Limits:
    message_bytes: int = 36_700_160
    recipients: int = 1_000
    errors: int = 20
    """Commands out of place or not understood, before the connection is closed."""
    connections: int = 2_000


@dataclass(frozen=True, slots=True)
class Credentials:
    user: str
    password: str


@dataclass(frozen=True, slots=True)
class Terms:
    """What the server offers to every client."""

    name: str = "devmail.localhost"
    limits: Limits = Limits()
    credentials: Credentials | None = None
    """If given, mail is taken only after AUTH."""
    offers_tls: bool = False


@dataclass(frozen=True, slots=True)
class Envelope:
    mail_from: str
    rcpt_to: tuple[str, ...]
    mail_parameters: tuple[str, ...]


Deliver = Callable[[Envelope, bytes], None]
