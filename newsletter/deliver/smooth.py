"""A window in which everybody was accepted, written to PostgreSQL by one statement.

Nearly all windows are such. What `ledger` does for any window in a transaction of nine round trips
is one here, and as safe: the database does all of it or nothing, and nothing without the lease.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import (
    BigInteger,
    Connection,
    Engine,
    String,
    and_,
    bindparam,
    case,
    exists,
    func,
    or_,
    select,
    update,
)

from newsletter.db import among_given, given
from newsletter.deliver.ledger import HELD, Lease, held_by, taken_over
from newsletter.models import Batch, Delivery, DeliveryState, Edition, EditionState

_held = select(Batch.edition_id).where(*HELD).with_for_update().cte("held")
_marked = (
    update(Delivery)
    .where(
        Delivery.edition_id == bindparam("the_edition"),
        Delivery.batch == bindparam("the_batch"),
        Delivery.state == DeliveryState.WAITING,
        among_given("postgresql", Delivery.subscriber_id, bindparam("whom", type_=String)),
        # Locked first: whoever was fenced marks nobody.
        exists(select(_held.c.edition_id)),
    )
    .values(
        state=DeliveryState.SENT,
        attempts=Delivery.attempts + 1,
        code=bindparam("answer"),
        reason=None,
        revision=bindparam("carried"),
        sent_at=bindparam("now"),
    )
    .returning(Delivery.subscriber_id)
    .cte("marked")
)
_may_go_on = and_(
    or_(Batch.deadline_at.is_(None), Batch.deadline_at > bindparam("now")),
    exists().where(Edition.id == Batch.edition_id, Edition.state == EditionState.SENDING),
)
_STATEMENT = (
    update(Batch)
    .where(*HELD)
    .values(
        intent_upto=case(
            (
                and_(_may_go_on, Batch.intent_upto < bindparam("upto")),
                bindparam("upto", type_=BigInteger),
            ),
            else_=Batch.intent_upto,
        ),
        lease_until=bindparam("until"),
        sent=Batch.sent + select(func.count()).select_from(_marked).scalar_subquery(),
    )
    .returning(_may_go_on)
)


class SmoothWindows:
    """Of one batch; keeps a connection of its own until `close`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._connection: Connection | None = None

    def advance(
        self,
        lease: Lease,
        accepted: Sequence[int],
        *,
        code: int,
        revision: int,
        upto: int,
        now: datetime,
        extend: timedelta,
    ) -> bool:
        """What `ledger.intend` does, and `ledger.record` of people whom `code` settled as sent.

        False as there. Raises `FencedError`.
        """
        if self._connection is None:
            # One statement is a transaction: BEGIN and COMMIT would be two round trips more.
            self._connection = self._engine.connect().execution_options(
                isolation_level="AUTOCOMMIT"
            )
        values = held_by(lease) | {
            "whom": given("postgresql", accepted),
            "answer": code,
            "carried": revision,
            "upto": upto,
            "now": now,
            "until": now + extend,
        }
        may_go_on: bool | None = self._connection.execute(_STATEMENT, values).scalar_one_or_none()
        if may_go_on is None:
            raise taken_over(lease)
        return may_go_on

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
