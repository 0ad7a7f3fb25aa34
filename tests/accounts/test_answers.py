"""What a write was answered is remembered for a day, and no longer than the person it tells of."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine, delete, func, select
from sqlalchemy.orm import Session

from newsletter.accounts.answers import (
    KEPT_FOR,
    Repeatable,
    begin_once,
    find_answer,
    forget_answers,
    keep_answer,
)
from newsletter.accounts.api_keys import create_api_key
from newsletter.accounts.scopes import Scope
from newsletter.db import reading, transaction
from newsletter.models import ApiAnswer, Subscriber
from tests.audience.people import ada

NOW = datetime(2026, 11, 23, 6, tzinfo=UTC)


@pytest.fixture
def write(engine: Engine) -> Repeatable:
    with transaction(engine) as session:
        made = create_api_key(
            session,
            "shop",
            [Scope.LISTS_READ],
            list_ids=None,
            by="ed",
            expires_at=NOW + timedelta(days=1),
            now=NOW,
        )
        return Repeatable(made.row.id, "order-4711", b"h" * 32)


def answer(session: Session, write: Repeatable, *, subscriber_id: int | None = None) -> None:
    assert begin_once(session, write, now=NOW) is None
    keep_answer(session, write, status=201, body=b"{}", location="/x", subscriber_id=subscriber_id)


def answers(engine: Engine) -> int:
    with reading(engine) as session:
        return session.scalar(select(func.count()).select_from(ApiAnswer)) or 0


def test_a_write_that_was_answered_is_not_begun_again(engine: Engine, write: Repeatable) -> None:
    with transaction(engine) as session:
        answer(session, write)

    with transaction(engine) as session:
        before = begin_once(session, write, now=NOW + timedelta(hours=23))

    assert before is not None
    assert (before.status, before.body, before.location) == (201, b"{}", "/x")


def test_a_write_that_failed_is_forgotten_with_its_transaction(
    engine: Engine, write: Repeatable
) -> None:
    with transaction(engine) as session:
        answer(session, write)
        session.rollback()

    with reading(engine) as session:
        assert find_answer(session, write) is None


def test_after_a_day_the_key_is_free_again(engine: Engine, write: Repeatable) -> None:
    with transaction(engine) as session:
        answer(session, write)

    with transaction(engine) as session:
        assert begin_once(session, write, now=NOW + KEPT_FOR) is None


def test_what_is_a_day_old_is_deleted(engine: Engine, write: Repeatable) -> None:
    with transaction(engine) as session:
        answer(session, write)

    assert forget_answers(engine, now=NOW + KEPT_FOR - timedelta(seconds=1)) == 0
    assert forget_answers(engine, now=NOW + KEPT_FOR) == 1
    assert answers(engine) == 0


def test_an_answer_that_tells_of_somebody_goes_with_them(engine: Engine, write: Repeatable) -> None:
    """T-33."""
    with transaction(engine) as session:
        person = ada(session)
        answer(session, write, subscriber_id=person.id)

    with transaction(engine) as session:
        session.execute(delete(Subscriber))

    assert answers(engine) == 0
