"""What one try came to, and how a server's reply is read."""

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from newsletter.models import DeliveryState, Reason


@dataclass(frozen=True, slots=True)
class Reply:
    """A server's answer; `enhanced` is its RFC 3463 status code, None when it gave none."""

    code: int
    enhanced: str | None
    text: str

    @property
    def is_positive(self) -> bool:
        return 200 <= self.code < 300

    @property
    def is_intermediate(self) -> bool:
        """The server wants more before it judges: an answer to DATA and AUTH, and to nothing else."""
        return 300 <= self.code < 400

    @property
    def is_permanent(self) -> bool:
        return self.code >= 500

    @property
    def ends_connection(self) -> bool:
        return self.code == 421


class Outcome(NamedTuple):
    """A tuple because one is made per message.

    `reply` is None when no answer came, `date` when the message's Date is not known.
    """

    subscriber_id: int
    state: DeliveryState
    reason: Reason | None = None
    reply: Reply | None = None
    date: datetime | None = None


def outcome_of(subscriber_id: int, reply: Reply, *, date: datetime | None = None) -> Outcome:
    """Read the reply that settled one recipient: to RCPT, to DATA or to the final dot.

    The first digit decides, never the words (RFC 5321 section 4.2.1).
    """
    if reply.is_positive:
        return Outcome(subscriber_id, DeliveryState.SENT, None, reply, date)
    if reply.is_permanent:
        return Outcome(subscriber_id, DeliveryState.FAILED, Reason.REFUSED, reply, date)
    return Outcome(subscriber_id, DeliveryState.DEFERRED, Reason.BUSY, reply, date)
