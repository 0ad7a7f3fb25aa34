"""How one process stands with the servers it mails through, since they last judged a message."""

import ssl
from collections import Counter, defaultdict

from newsletter.deliver import breakers
from newsletter.deliver.wire import Phase, SmtpError, TransportRefused


class TransportHealth:
    def __init__(self) -> None:
        self._failures = 0
        self._refused_senders = 0

    def judged(self) -> None:
        """A recipient or a message was accepted or refused: the transport itself is well."""
        self._failures = 0
        self._refused_senders = 0

    def failed(self, trouble: SmtpError) -> str | None:
        """R-43: why nothing more should go through it; None while there is hope."""
        if isinstance(trouble, TransportRefused) and trouble.reply.is_permanent:
            if trouble.phase is not Phase.MAIL:
                return f"it refuses us at {trouble.phase}"
            self._refused_senders += 1
            if self._refused_senders >= breakers.REFUSED_SENDERS_TO_OPEN:
                return f"it refused our return path {self._refused_senders} times in a row"
        if isinstance(trouble, TransportRefused) and trouble.phase is Phase.STARTTLS:
            return "it offers no TLS"
        if isinstance(trouble.__cause__, ssl.SSLError):
            return "TLS with it failed"
        self._failures += (
            breakers.FAILURES_OF_A_REFUSED_CONNECTION
            if isinstance(trouble.__cause__, ConnectionRefusedError)
            else 1
        )
        if self._failures >= breakers.FAILURES_TO_OPEN:
            return "connection after connection fails"
        return None


class Standing:
    """One for each process that sends."""

    def __init__(self) -> None:
        self._transports: defaultdict[int, TransportHealth] = defaultdict(TransportHealth)
        self._unauthentic: Counter[str] = Counter()

    def transport(self, transport_id: int) -> TransportHealth:
        return self._transports[transport_id]

    def accepted(self, sender_domain: str) -> None:
        if self._unauthentic:
            self._unauthentic.pop(sender_domain, None)

    def is_unauthentic(self, sender_domain: str) -> bool:
        """R-42: one more reply says that the mail is not from this domain; were there too many?"""
        self._unauthentic[sender_domain] += 1
        if self._unauthentic[sender_domain] < breakers.MOST_UNAUTHENTIC:
            return False
        del self._unauthentic[sender_domain]
        return True
