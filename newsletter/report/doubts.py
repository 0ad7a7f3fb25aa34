"""Names the deliveries of which nobody knows whether they arrived."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, and_, select
from sqlalchemy.orm import Session

from newsletter.addresses import parse_address
from newsletter.errors import InputError
from newsletter.models import Attempt, Delivery, DeliveryState, Reason, Subscriber

MOST_NAMED = 1000


@dataclass(frozen=True, slots=True)
class Doubt:
    """Content went out to this person at `at`, and no answer is known, for that reason."""

    subscriber_id: int
    address: str
    reason: Reason
    at: datetime

    def to_json(self) -> dict[str, Any]:
        return {
            "address": self.address,
            "reason": self.reason.name.lower(),
            "at": self.at.isoformat(),
        }


def uncertain_deliveries(session: Session, edition_id: int) -> list[Doubt]:
    """The first thousand; read from the attempts that ended in doubt, never by a scan."""
    rows = session.execute(_in_doubt(edition_id).order_by(Attempt.id).limit(MOST_NAMED))
    doubts = {row.subscriber_id: Doubt(*row) for row in rows}
    return list(doubts.values())


def everybody_in_doubt(session: Session, edition_id: int) -> list[int]:
    people = _in_doubt(edition_id).with_only_columns(Attempt.subscriber_id).distinct()
    return sorted(session.scalars(people))


def people_in_doubt(session: Session, edition_id: int, addresses: Sequence[str]) -> list[int]:
    """Who they are. Raises `InputError` for an address whose delivery is not in doubt."""
    keys = {parse_address(address).key: address for address in addresses}
    found = session.execute(
        _in_doubt(edition_id)
        .with_only_columns(Subscriber.address_key, Attempt.subscriber_id)
        .where(Subscriber.address_key.in_(keys))
    )
    people: dict[str, int] = {row.address_key: row.subscriber_id for row in found}
    others = [address for key, address in keys.items() if key not in people]
    if others:
        raise InputError(
            "{others}: not in doubt; newsletter edition uncertain {edition} names those who are.",
            others=", ".join(others),
            edition=edition_id,
        )
    return list(people.values())


def _in_doubt(edition_id: int) -> Select[int, str, Reason, datetime]:
    return (
        select(Attempt.subscriber_id, Subscriber.address, Attempt.reason, Attempt.at)
        .join(Subscriber, Subscriber.id == Attempt.subscriber_id)
        .join(
            Delivery,
            and_(
                Delivery.edition_id == Attempt.edition_id,
                Delivery.subscriber_id == Attempt.subscriber_id,
            ),
        )
        .where(
            Attempt.edition_id == edition_id,
            Attempt.state == DeliveryState.UNCERTAIN,
            Delivery.state == DeliveryState.UNCERTAIN,
        )
    )
