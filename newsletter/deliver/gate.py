"""Who of a claimed batch may go on the wire at this moment: asked for every reader, so it must cost
nothing; whatever has to be looked up was looked up when the batch was claimed.
"""

from typing import Protocol

from newsletter.deliver.claims import Reader
from newsletter.deliver.outcome import Reply
from newsletter.deliver.smtp import SmtpError


class Gate(Protocol):
    """Made for one batch and used on the event loop of its process.

    `lanes` is how many connections the batch may use now, at least one. `is_shut`: nothing more of
    this batch may begin, whatever `admits` said before; what is on the wire is still awaited.
    """

    @property
    def lanes(self) -> int: ...

    @property
    def is_shut(self) -> bool: ...

    def admits(self, reader: Reader) -> bool:
        """May this reader's envelope go out now? Yes takes what it costs until `leaves`."""

    def leaves(self, reader: Reader, reply: Reply | None) -> None:
        """An admitted reader was settled by `reply`; None: not settled, the connection ended."""

    def failed(self, trouble: SmtpError) -> None:
        """A connection was refused, was lost before content, or the server refuses us."""

    def wait_seconds(self) -> float:
        """How long until somebody who was not admitted may be."""


class OpenGate:
    """Nothing is limited: every reader may go, over `lanes` connections."""

    def __init__(self, lanes: int) -> None:
        self.lanes = lanes
        self.is_shut = False

    def admits(self, reader: Reader) -> bool:
        return True

    def leaves(self, reader: Reader, reply: Reply | None) -> None:
        pass

    def failed(self, trouble: SmtpError) -> None:
        pass

    def wait_seconds(self) -> float:
        return 0.0
