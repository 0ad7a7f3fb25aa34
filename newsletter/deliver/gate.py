"""Who of a claimed batch may go on the wire at this moment: asked for every reader, so it must cost
nothing; whatever has to be looked up was looked up when the batch was claimed.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from sqlalchemy.orm import Session

from newsletter.deliver.claims import Reader
from newsletter.deliver.outcome import Outcome, Reply
from newsletter.deliver.wire import SmtpError


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
        """The server refuses us, or took or kept no connection for us.

        One that ends after it has carried messages is none, unless the server said that we are too
        many or too fast (4.7.x); `trouble.reply` has its words, if it had any.
        """

    def wait_seconds(self) -> float:
        """How long until somebody may be admitted who was not since this was asked last."""


class WatchedGate(Gate, Protocol):
    """A gate that is told what is recorded; all of this is called from the committer's thread."""

    def is_quiet(self) -> bool:
        """It has nothing to write, and nothing to look up, before the next window."""

    def accepted(self, outcomes: Sequence[Outcome]) -> None:
        """What `observe` does, for a window in which everybody was accepted, while it is quiet."""

    def observe(self, session: Session, outcomes: Sequence[Outcome], *, now: datetime) -> None:
        """A window's outcomes, in the transaction that has recorded them."""

    def close(self, session: Session, *, now: datetime) -> None:
        """The batch is over, and given back in this transaction."""


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

    def is_quiet(self) -> bool:
        return True

    def accepted(self, outcomes: Sequence[Outcome]) -> None:
        pass

    def observe(self, session: Session, outcomes: Sequence[Outcome], *, now: datetime) -> None:
        pass

    def close(self, session: Session, *, now: datetime) -> None:
        pass
