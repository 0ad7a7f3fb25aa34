"""What a server announced in its answer to EHLO, and the envelopes that follow from it."""

from collections.abc import Mapping

from newsletter.deliver.outcome import Reply
from newsletter.deliver.wire import Parcel

_XTEXT = str.maketrans({"+": "+2B", "=": "+3D"})


class Offer:
    """Read once for each connection, then asked for every message."""

    def __init__(self, extensions: Mapping[str, str]) -> None:
        """`extensions` are the keywords in capitals, each with its parameters."""
        self.extensions = frozenset(extensions)
        self.sign_in = extensions.get("AUTH", "")
        self.is_pipelining = "PIPELINING" in extensions
        # Without DATA's 354 between them, only enhanced codes tell the answer to a content from one
        # to an envelope; see `Lane`.
        self.is_chunking = {"CHUNKING", "ENHANCEDSTATUSCODES"} <= self.extensions
        self._has_size = "SIZE" in extensions
        self._most_octets = _number(extensions.get("SIZE", ""))
        self._has_smtputf8 = "SMTPUTF8" in extensions
        self._beyond_ascii = " BODY=8BITMIME SMTPUTF8"
        if "8BITMIME" not in extensions:
            self._beyond_ascii = " SMTPUTF8"
        self._has_dsn = "DSN" in extensions

    def objection(self, parcel: Parcel) -> Reply | None:
        """What the server would say to a parcel that it has announced it cannot take."""
        if not self._has_smtputf8 and parcel.envelope.needs_smtputf8:
            return Reply(550, "5.6.7", "this server takes no addresses outside ASCII (RFC 6531)")
        if self._most_octets and parcel.octets > self._most_octets:
            return Reply(552, "5.3.4", f"this server takes {self._most_octets} octets at the most")
        return None

    def mail(self, parcel: Parcel) -> bytes:
        envelope = parcel.envelope
        size = f" SIZE={parcel.octets}" if self._has_size else ""
        is_ascii = envelope.rcpt_to.isascii()
        extra = "" if is_ascii and envelope.mail_from.isascii() else self._beyond_ascii
        # RFC 3461: headers are enough, the return path names the delivery.
        returned = " RET=HDRS" if self._has_dsn and is_ascii else ""
        return f"MAIL FROM:<{envelope.mail_from}>{size}{extra}{returned}\r\n".encode()

    def rcpt(self, parcel: Parcel) -> bytes:
        address = parcel.envelope.rcpt_to
        if not self._has_dsn or not address.isascii():
            return f"RCPT TO:<{address}>\r\n".encode()
        # RFC 3461 section 4, xtext, of an address without blanks and controls.
        original = address.translate(_XTEXT) if "+" in address or "=" in address else address
        return f"RCPT TO:<{address}> NOTIFY=FAILURE,DELAY ORCPT=rfc822;{original}\r\n".encode()


def read_offer(text: str) -> Offer:
    """From the text of the answer to EHLO, whose first line names the server."""
    extensions = {}
    for line in text.split("\n")[1:]:
        keyword, _, parameters = line.partition(" ")
        extensions[keyword.upper()] = parameters
    return Offer(extensions)


def _number(text: str) -> int:
    """0, which RFC 1870 has mean no limit, for what is no number."""
    return int(text) if text.isascii() and text.isdecimal() else 0
