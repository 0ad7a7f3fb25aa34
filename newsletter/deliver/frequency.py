"""How often one person is mailed: a list may leave out who got enough today, from whatever list (R-08)."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from newsletter.db import among
from newsletter.models import Batch, BatchState, Delivery, DeliveryState, Edition, MailingList

A_DAY = timedelta(hours=20)
"""Less than a whole one: what comes every morning may come a little earlier than the day before."""


def caps(session: Session) -> dict[int, int]:
    """The lists that leave anybody out, each with how many editions a day are enough."""
    rows = session.execute(
        select(MailingList.id, MailingList.most_a_day).where(MailingList.most_a_day.is_not(None))
    )
    return {list_id: most for list_id, most in rows if most is not None}


def had_enough(
    session: Session,
    edition_id: int,
    readers: Sequence[tuple[int, int]],
    most: Mapping[int, int],
    *,
    now: datetime,
) -> Iterator[int]:
    """Who of the readers, each a subscriber and a list, was sent enough of other editions already.

    `most` is what `caps` returns. What is in doubt, or on its way at this moment, counts as sent.
    """
    capped = {subscriber_id: list_id for subscriber_id, list_id in readers if list_id in most}
    if not capped:
        return
    for subscriber_id, editions in _mailed_lately(session, edition_id, list(capped), now).items():
        if editions >= most[capped[subscriber_id]]:
            yield subscriber_id


def _mailed_lately(
    session: Session, but_for: int, people: Sequence[int], now: datetime
) -> dict[int, int]:
    """How many editions each was sent; whoever was sent none is missing."""
    since = now - A_DAY
    editions = session.scalars(
        select(Edition.id).where(
            Edition.id != but_for,
            Edition.started_at.is_not(None),
            or_(Edition.finished_at.is_(None), Edition.finished_at > since),
        )
    ).all()
    is_on_its_way = (Delivery.state == DeliveryState.WAITING) & (Batch.state == BatchState.CLAIMED)
    rows = session.execute(
        select(Delivery.subscriber_id, func.count())
        .join(Batch, (Batch.edition_id == Delivery.edition_id) & (Batch.number == Delivery.batch))
        .where(
            Delivery.edition_id.in_(editions),
            among(session, Delivery.subscriber_id, people),
            or_(
                (Delivery.state == DeliveryState.SENT) & (Delivery.sent_at > since),
                Delivery.state == DeliveryState.UNCERTAIN,
                is_on_its_way,
            ),
        )
        .group_by(Delivery.subscriber_id)
    )
    return dict(rows.all())
