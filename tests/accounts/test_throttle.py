"""Whoever guesses waits longer and longer, but never for good (S-06)."""

from datetime import datetime, timedelta
from threading import Barrier, Thread

import pytest
from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session

from newsletter.accounts.throttle import (
    FORGOTTEN_AFTER,
    PASSKEYS,
    RESETS,
    SIGN_INS,
    Try,
    begin_try,
    forget_failures,
    forgive,
    wait_after,
)
from newsletter.db import transaction
from newsletter.models import SignInFailures
from tests.accounts.staff import NOW

ADA = Try("ada@harbour.example", "198.51.100.7")


def knock(session: Session, attempt: Try, times: int, *, at: datetime = NOW) -> int:
    """How many of so many tries at once were looked at."""
    return sum(begin_try(session, attempt, now=at) is None for _ in range(times))


def test_five_tries_are_free_and_then_somebody_waits(session: Session) -> None:
    assert knock(session, ADA, 8) == 5

    until = begin_try(session, ADA, now=NOW)

    assert until == NOW + timedelta(seconds=2)


def test_the_wait_doubles_up_to_five_minutes() -> None:
    waits = [wait_after(failures, free=5, limits=SIGN_INS) for failures in range(1, 16)]

    assert [wait.total_seconds() for wait in waits] == [
        *[0] * 4,
        *(2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300),
    ]
    assert wait_after(1_000_000, free=5, limits=SIGN_INS) == timedelta(minutes=5)


def test_who_keeps_knocking_while_waiting_makes_it_no_longer(session: Session) -> None:
    knock(session, ADA, 5)
    knock(session, ADA, 100, at=NOW + timedelta(seconds=1))

    assert begin_try(session, ADA, now=NOW + timedelta(seconds=2)) is None


def test_an_account_is_slowed_down_whatever_network_it_is_tried_from(session: Session) -> None:
    tries = [Try("ada@harbour.example", f"203.0.{number}.9") for number in range(9)]

    assert sum(begin_try(session, each, now=NOW) is None for each in tries) == 5


def test_a_network_is_slowed_down_whatever_account_it_tries(session: Session) -> None:
    tries = [Try(f"somebody{number}@harbour.example", "2001:db8::1") for number in range(30)]

    assert sum(begin_try(session, each, now=NOW) is None for each in tries) == 20
    assert begin_try(session, Try("ada@harbour.example", "2001:db8::ffff"), now=NOW) is not None
    assert begin_try(session, Try("ada@harbour.example", "2001:db8:1::1"), now=NOW) is None


def test_questions_for_passkeys_count_for_their_network_alone(session: Session) -> None:
    here, elsewhere = (Try("", ip, PASSKEYS) for ip in ("198.51.100.7", "203.0.113.9"))

    assert knock(session, here, 70) == 60
    assert knock(session, elsewhere, 1) == 1
    assert knock(session, ADA, 1) == 1, "passwords have limits of their own"


def test_what_was_right_gives_the_account_all_its_tries_back(session: Session) -> None:
    knock(session, ADA, 4)

    begin_try(session, ADA, now=NOW)
    forgive(session, ADA)

    assert knock(session, ADA, 8) == 5


def test_an_own_account_does_not_free_the_network_of_a_guesser(session: Session) -> None:
    own = Try("mallory@harbour.example", ADA.ip)

    looked_at = 0
    for number in range(40):
        looked_at += begin_try(session, Try(f"victim{number}@x.example", ADA.ip), now=NOW) is None
        if begin_try(session, own, now=NOW) is None:
            forgive(session, own)

    assert looked_at <= 20


def test_links_to_new_passwords_are_counted_apart_and_mailed_seldom(session: Session) -> None:
    reset = Try(ADA.account, ADA.ip, RESETS)

    assert knock(session, reset, 10) == 3
    assert begin_try(session, reset, now=NOW + timedelta(minutes=4)) is not None
    assert begin_try(session, ADA, now=NOW) is None


def test_after_a_day_all_is_forgotten(session: Session) -> None:
    knock(session, ADA, 5)
    later = NOW + FORGOTTEN_AFTER + timedelta(seconds=1)

    assert knock(session, ADA, 8, at=later) == 5
    forget_failures(session, now=later + FORGOTTEN_AFTER + timedelta(seconds=1))
    assert session.scalar(select(func.count()).select_from(SignInFailures)) == 0


def test_the_table_names_nobody(session: Session) -> None:
    begin_try(session, ADA, now=NOW)

    subjects = session.scalars(select(SignInFailures.subject)).all()

    assert all(len(each) == 32 and b"ada" not in each for each in subjects)


@pytest.mark.timeout(60)
def test_many_at_once_gain_nothing(engine: Engine) -> None:
    """S-06: over all processes, since the rows decide."""
    looked_at: list[bool] = []
    ready = Barrier(10)

    def guess() -> None:
        ready.wait()
        with transaction(engine) as session:
            looked_at.append(begin_try(session, ADA, now=NOW) is None)

    threads = [Thread(target=guess) for _ in range(10)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()

    assert sum(looked_at) == 5
