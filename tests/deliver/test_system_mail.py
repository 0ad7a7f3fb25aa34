"""The outbox's rows, with a clock of the test's own."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from newsletter.addresses import parse_address
from newsletter.db import reading, transaction
from newsletter.deliver.outcome import Reply
from newsletter.deliver.system_mail import (
    DELAYS,
    PATIENCE,
    PATIENCE_WITH_TESTS,
    RETENTION,
    TROUBLE_PAUSE,
    Held,
    claim,
    forget_old,
    renew,
    settle_answered,
    settle_in_doubt,
    settle_not_carried,
    settle_unfit,
)
from newsletter.models import SystemMail, SystemMailKind, SystemMailState
from newsletter.outbox import post

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
LEASE = timedelta(seconds=60)
SECOND = timedelta(seconds=1)
OK = Reply(250, "2.0.0", "taken")
BUSY = Reply(451, "4.7.1", "come back later")
NO = Reply(550, "5.1.1", "nobody here")

Settle = Callable[[Session, Held, datetime], None]


def posted(engine: Engine, kind: SystemMailKind = SystemMailKind.ALARM, *, name: str = "ed") -> int:
    with transaction(engine) as session:
        address = parse_address(f"{name}@desk.example")
        mail_id = post(session, kind, to=address, data={}, now=NOON)
    assert mail_id is not None
    return mail_id


def claimed(engine: Engine, now: datetime = NOON) -> Held | None:
    with transaction(engine) as session:
        mail = claim(session, now=now, lease=LEASE)
        return None if mail is None else Held(mail.id, mail.lease_token)


def settled(engine: Engine, held: Held, settle: Settle, now: datetime) -> SystemMail:
    with transaction(engine) as session:
        settle(session, held, now)
    return mail_of(engine, held.mail_id)


def mail_of(engine: Engine, mail_id: int) -> SystemMail:
    with reading(engine) as session:
        return session.get_one(SystemMail, mail_id)


def answered(reply: Reply) -> Settle:
    return lambda session, held, now: settle_answered(session, held, reply, now)


def lost(session: Session, held: Held, now: datetime) -> None:
    settle_in_doubt(session, held, "no answer to the content", now)


def refused(session: Session, held: Held, now: datetime) -> None:
    settle_not_carried(session, held, "AUTH: 535 who are you", now)


def unfit(session: Session, held: Held, now: datetime) -> None:
    settle_unfit(session, held, "the template lacks a name", now)


ALARM, TEST = SystemMailKind.ALARM, SystemMailKind.TEST
WAITING, SENT = SystemMailState.WAITING, SystemMailState.SENT
FAILED, UNCERTAIN = SystemMailState.FAILED, SystemMailState.UNCERTAIN


@pytest.mark.parametrize(
    ("kind", "settle", "state", "reply", "next_in"),
    [
        (ALARM, answered(OK), SENT, "250 2.0.0 taken", None),
        (ALARM, answered(NO), FAILED, "550 5.1.1 nobody here", None),
        (ALARM, answered(BUSY), WAITING, "451 4.7.1 come back later", DELAYS[0]),
        (ALARM, lost, WAITING, "no answer to the content", DELAYS[0]),
        (TEST, lost, UNCERTAIN, "no answer to the content", None),
        (ALARM, refused, WAITING, "AUTH: 535 who are you", TROUBLE_PAUSE),
        (TEST, refused, WAITING, "AUTH: 535 who are you", TROUBLE_PAUSE),
        (ALARM, unfit, FAILED, "the template lacks a name", None),
    ],
)
@pytest.mark.parametrize("store", ["sqlite"])
def test_what_came_of_a_try_decides_what_becomes_of_the_mail(
    engine: Engine,
    kind: SystemMailKind,
    settle: Settle,
    state: SystemMailState,
    reply: str,
    next_in: timedelta | None,
) -> None:
    posted(engine, kind)
    held = claimed(engine)
    assert held is not None

    mail = settled(engine, held, settle, NOON + SECOND)

    assert (mail.state, mail.reply) == (state, reply)
    assert mail.ended_at == (None if next_in else NOON + SECOND)
    assert next_in is None or mail.next_at == NOON + SECOND + next_in


def test_the_mail_that_is_due_longest_is_claimed_and_by_one_worker_only(engine: Engine) -> None:
    first, second = posted(engine, name="ed"), posted(engine, name="flo")

    claims = [claimed(engine), claimed(engine), claimed(engine)]

    assert claims == [Held(first, 1), Held(second, 1), None]


def test_a_mail_that_is_not_due_yet_waits(engine: Engine) -> None:
    posted(engine)
    held = claimed(engine)
    assert held is not None

    settled(engine, held, answered(BUSY), NOON)

    assert claimed(engine, NOON + DELAYS[0] - SECOND) is None
    assert claimed(engine, NOON + DELAYS[0]) == Held(held.mail_id, 2)


@pytest.mark.parametrize("store", ["sqlite"])
@pytest.mark.parametrize(("kind", "patience"), [(ALARM, PATIENCE), (TEST, PATIENCE_WITH_TESTS)])
def test_a_busy_server_is_asked_again_until_patience_is_over(
    engine: Engine, kind: SystemMailKind, patience: timedelta
) -> None:
    mail_id = posted(engine, kind)
    now, tries = NOON, 0

    while (held := claimed(engine, now)) is not None:
        tries += 1
        now = settled(engine, held, answered(BUSY), now).next_at

    mail = mail_of(engine, mail_id)
    assert mail.state is FAILED
    assert mail.attempts == tries > 3
    assert mail.ended_at is not None
    assert patience - DELAYS[-1] <= mail.ended_at - NOON <= patience


@pytest.mark.parametrize(("kind", "patience"), [(ALARM, PATIENCE), (TEST, PATIENCE_WITH_TESTS)])
def test_a_mail_that_nobody_sent_in_time_is_not_sent_any_more(
    engine: Engine, kind: SystemMailKind, patience: timedelta
) -> None:
    late = posted(engine, kind)

    held = claimed(engine, NOON + patience + SECOND)

    assert held is None
    assert (mail_of(engine, late).state, mail_of(engine, late).attempts) == (FAILED, 0)


def test_trouble_with_the_transport_is_no_try_of_the_mail(engine: Engine) -> None:
    """R-04, R-05."""
    posted(engine)
    held = claimed(engine)
    assert held is not None

    mail = settled(engine, held, refused, NOON)

    assert mail.attempts == 0


def test_a_dead_workers_alarm_is_sent_again(engine: Engine) -> None:
    """F-04: a second copy of it does no harm."""
    mail_id = posted(engine)
    claimed(engine)

    found_dead = NOON + LEASE

    assert claimed(engine, found_dead) is None
    assert claimed(engine, found_dead + DELAYS[0]) == Held(mail_id, 2)


def test_a_dead_workers_test_send_is_held_and_named_uncertain(engine: Engine) -> None:
    """F-03."""
    mail_id = posted(engine, TEST)
    claimed(engine)

    assert claimed(engine, NOON + LEASE) is None

    mail = mail_of(engine, mail_id)
    assert mail.state is UNCERTAIN
    assert mail.reply == "the worker died while sending it"


def test_a_sign_of_life_keeps_a_mail(engine: Engine) -> None:
    posted(engine)
    held = claimed(engine)
    assert held is not None

    with transaction(engine) as session:
        renew(session, held, until=NOON + 3 * LEASE)

    assert claimed(engine, NOON + 2 * LEASE) is None
    assert mail_of(engine, held.mail_id).state is SystemMailState.CLAIMED


def test_who_was_replaced_writes_nothing(engine: Engine) -> None:
    posted(engine)
    old = claimed(engine)
    assert old is not None
    claimed(engine, NOON + LEASE)
    new = claimed(engine, NOON + LEASE + DELAYS[0])
    assert new is not None

    mail = settled(engine, old, answered(NO), NOON + LEASE + DELAYS[0] + SECOND)

    assert mail.state is SystemMailState.CLAIMED
    assert settled(engine, new, answered(OK), NOON + 2 * LEASE + DELAYS[0]).state is SENT


def test_an_answer_that_comes_after_all_settles_the_doubt(engine: Engine) -> None:
    posted(engine, TEST)
    held = claimed(engine)
    assert held is not None
    claimed(engine, NOON + LEASE)

    mail = settled(engine, held, answered(OK), NOON + LEASE + SECOND)

    assert mail.state is SENT


def test_mail_that_ended_is_forgotten_after_days_with_all_that_it_said(engine: Engine) -> None:
    old, open_ = posted(engine, name="ed"), posted(engine, name="flo")
    held = claimed(engine)
    assert held is not None
    settled(engine, held, answered(OK), NOON)

    too_early = forget_old(engine, now=NOON + RETENTION)
    forgotten = forget_old(engine, now=NOON + RETENTION + SECOND)

    assert (too_early, forgotten) == (0, 1)
    with reading(engine) as session:
        assert session.scalars(select(SystemMail.id)).all() == [open_]
    assert old != open_
