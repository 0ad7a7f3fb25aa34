"""One accepted message with its envelope, as it came over the wire."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Received:
    mail_from: str
    """Empty for the null return path."""
    rcpt_to: tuple[str, ...]
    content: bytes
    """Header and body with CRLF line ends, dots unstuffed, nothing added."""
    connection: int
    """Counts the server's connections from 1."""
    at: datetime
    mail_parameters: tuple[str, ...] = ()
    """What stood behind MAIL FROM, in capitals: `SIZE=43008`, `BODY=8BITMIME` …"""


Sink = Callable[[Received], None]
