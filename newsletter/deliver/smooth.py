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
    and_,
    bindparam,
    case,
    exists,
    func,
    select,
    update,
)

from newsletter.deliver.ledger import (
    HELD,
    MAY_GO_ON,
    Lease,
    held_by,
    mark_sent,
    sent_values,
    taken_over,
)
from newsletter.models import Batch, Delivery

_held = select(Batch.edition_id).where(*HELD).with_for_update().cte("held")
_marked = (
    mark_sent("postgresql")
    # Locked first: whoever was fenced marks nobody.
    .where(exists(select(_held.c.edition_id)))
    .returning(Delivery.subscriber_id)
    .cte("marked")
)
_STATEMENT = (
    update(Batch)
    .where(*HELD)
    .values(
        intent_upto=case(
            (
                and_(MAY_GO_ON, Batch.intent_upto < bindparam("upto")),
                bindparam("upto", type_=BigInteger),
            ),
            else_=Batch.intent_upto,
        ),
        lease_until=bindparam("until"),
        sent=Batch.sent + select(func.count()).select_from(_marked).scalar_subquery(),
    )
    .returning(MAY_GO_ON)
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
        values = held_by(lease) | {"upto": upto, "now": now, "until": now + extend}
        values |= sent_values("postgresql", accepted, code=code, revision=revision, at=now)
        may_go_on: bool | None = self._connection.execute(_STATEMENT, values).scalar_one_or_none()
        if may_go_on is None:
            raise taken_over(lease)
        return may_go_on

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
