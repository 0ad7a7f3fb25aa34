import pytest

from newsletter.deliver.outcome import Outcome, Reply, outcome_of
from newsletter.models import DeliveryState, Reason


@pytest.mark.parametrize(
    ("code", "state", "reason"),
    [
        (250, DeliveryState.SENT, None),
        (251, DeliveryState.SENT, None),
        (299, DeliveryState.SENT, None),
        (354, DeliveryState.DEFERRED, Reason.BUSY),
        (421, DeliveryState.DEFERRED, Reason.BUSY),
        (450, DeliveryState.DEFERRED, Reason.BUSY),
        (499, DeliveryState.DEFERRED, Reason.BUSY),
        (500, DeliveryState.FAILED, Reason.REFUSED),
        (550, DeliveryState.FAILED, Reason.REFUSED),
        (599, DeliveryState.FAILED, Reason.REFUSED),
    ],
)
def test_the_first_digit_decides(code: int, state: DeliveryState, reason: Reason | None) -> None:
    """RFC 5321 section 4.2.1: whatever the words say."""
    reply = Reply(code, "5.1.1", "mailbox full, try again, unknown user")

    assert outcome_of(7, reply) == Outcome(7, state, reason, reply)
