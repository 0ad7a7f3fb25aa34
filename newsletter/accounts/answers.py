"""Remembers what writes of the API were answered, so that a repeated one has no second effect."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Engine, delete
from sqlalchemy.orm import Session

from newsletter.db import insert_or_ignore, transaction
from newsletter.models import ApiAnswer

KEPT_FOR = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Repeatable:
    """A write that its sender may send again."""

    api_key_id: int
    idempotency_key: str
    request_hash: bytes


def begin_once(session: Session, write: Repeatable, *, now: datetime) -> ApiAnswer | None:
    """None: it is new, and to be done in this transaction. Otherwise what it was answered.

    Waits for a transaction that is just doing the same write.
    """
    key = (write.api_key_id, write.idempotency_key)
    stale = session.get(ApiAnswer, key)
    if stale is not None and stale.created_at <= now - KEPT_FOR:
        session.delete(stale)
        session.flush()
    made = session.scalar(
        insert_or_ignore(session, ApiAnswer)
        .values(
            api_key_id=write.api_key_id,
            idempotency_key=write.idempotency_key,
            request_hash=write.request_hash,
            body=b"",
            created_at=now,
        )
        .returning(ApiAnswer.api_key_id)
    )
    return None if made is not None else find_answer(session, write)


def find_answer(session: Session, write: Repeatable) -> ApiAnswer | None:
    return session.get(ApiAnswer, (write.api_key_id, write.idempotency_key), populate_existing=True)


def keep_answer(
    session: Session,
    write: Repeatable,
    *,
    status: int,
    body: bytes,
    location: str | None,
    subscriber_id: int | None,
) -> None:
    """After `begin_once`, in the same transaction."""
    row = session.get_one(ApiAnswer, (write.api_key_id, write.idempotency_key))
    row.status, row.body, row.location, row.subscriber_id = status, body, location, subscriber_id
    session.flush()


def forget_answers(engine: Engine, *, now: datetime) -> int:
    """Delete those that are a day old; returns how many."""
    with transaction(engine) as session:
        gone = session.scalars(
            delete(ApiAnswer)
            .where(ApiAnswer.created_at <= now - KEPT_FOR)
            .returning(ApiAnswer.api_key_id)
        )
        return len(gone.all())
