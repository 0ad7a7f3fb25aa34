"""What one edition left behind: the mail server's own log, and the books of the system."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import Engine, delete, func, select
from sqlalchemy.orm import Session

from newsletter.db import reading, transaction
from newsletter.models import (
    EVERYWHERE,
    Batch,
    Delivery,
    DeliveryState,
    Edition,
    Hold,
    Subscriber,
    Subscription,
    SubscriptionStatus,
    Suppression,
    Traffic,
)
from newsletter.report.editions import EditionStatus, edition_status


@dataclass(frozen=True, slots=True)
class Person:
    address: str
    may_be_mailed: bool
    """When the edition was about to be sent: a confirmed subscription, and no suppression."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """One message that the mail server took, as its witness log has it."""

    order: int
    at: datetime
    address: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Row:
    state: DeliveryState
    batch: int
    list_id: int


@dataclass(frozen=True, slots=True)
class Books:
    """What the system says of one edition."""

    is_over: bool
    rows: Mapping[int, Row]
    """By subscriber."""
    batches: Mapping[int, Mapping[DeliveryState, int]]
    """The counters of each batch, people who still wait included."""
    status: EditionStatus


def audience(engine: Engine, lists: tuple[int, ...]) -> dict[int, Person]:
    """Everybody on these lists by subscriber id, judged one by one and not as the planner does."""
    with reading(engine) as session:
        suppressed = {
            (bytes(hashed), list_id)
            for hashed, list_id in session.execute(
                select(Suppression.address_hash, Suppression.list_id)
            )
        }
        people: dict[int, Person] = {}
        for subscriber_id, address, hashed, list_id, status in session.execute(
            select(
                Subscriber.id,
                Subscriber.address,
                Subscriber.address_hash,
                Subscription.list_id,
                Subscription.status,
            )
            .join(Subscription, Subscription.subscriber_id == Subscriber.id)
            .where(Subscription.list_id.in_(lists))
        ):
            is_suppressed = bool({(hashed, list_id), (hashed, EVERYWHERE)} & suppressed)
            may_be_mailed = status is SubscriptionStatus.CONFIRMED and not is_suppressed
            if subscriber_id in people:
                may_be_mailed = may_be_mailed or people[subscriber_id].may_be_mailed
            people[subscriber_id] = Person(address, may_be_mailed)
        return people


def read_witness(path: Path) -> list[Accepted]:
    return list(_lines(path)) if path.exists() else []


def count_witnessed(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0


def read_books(engine: Engine, edition_id: int) -> Books:
    with reading(engine) as session:
        return Books(
            is_over=session.get_one(Edition, edition_id).finished_at is not None,
            rows={
                subscriber_id: Row(state, batch, list_id)
                for subscriber_id, state, batch, list_id in session.execute(
                    select(
                        Delivery.subscriber_id, Delivery.state, Delivery.batch, Delivery.list_id
                    ).where(Delivery.edition_id == edition_id)
                )
            },
            batches={
                batch.number: _counters(batch)
                for batch in session.scalars(select(Batch).where(Batch.edition_id == edition_id))
            },
            status=edition_status(session, edition_id),
        )


def count_rows(session: Session, edition_id: int, state: DeliveryState) -> int:
    counted = session.scalar(
        select(func.count()).where(Delivery.edition_id == edition_id, Delivery.state == state)
    )
    return counted or 0


def forget_holds(engine: Engine) -> None:
    """Let the breakers judge the next edition by itself, as if it were hours later."""
    with transaction(engine) as session:
        session.execute(delete(Hold))
        session.execute(delete(Traffic))


def rules_that_held(engine: Engine) -> frozenset[str]:
    """By which anything is held or was: the rows stay when somebody lifts it."""
    with reading(engine) as session:
        return frozenset(session.scalars(select(Hold.rule)))


def _counters(batch: Batch) -> dict[DeliveryState, int]:
    counters = {
        state: getattr(batch, state.name.lower())
        for state in DeliveryState
        if state is not DeliveryState.WAITING
    }
    return counters | {DeliveryState.WAITING: batch.people - sum(counters.values())}


def _lines(path: Path) -> Iterator[Accepted]:
    with path.open("rb") as log:
        for line in log:
            noted = json.loads(line)
            for address in noted["rcpt_to"]:
                yield Accepted(
                    order=noted["order"],
                    at=datetime.fromisoformat(noted["at"]),
                    address=address,
                    sha256=noted["sha256"],
                )
