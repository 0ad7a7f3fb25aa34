"""Slows down whoever guesses: by account and by network, over every web process, never for good.

A try is counted before it is looked at, so that many at once gain nothing; one that was right is
taken back. While somebody has to wait, nothing is looked at and nothing is counted: the wait ends,
whoever goes on knocking (S-06).
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from newsletter.accounts.networks import network_of
from newsletter.db import insert_or_ignore
from newsletter.models import SignInFailures

FORGOTTEN_AFTER = timedelta(days=1)

_MOST_COUNTED = 1_000


@dataclass(frozen=True, slots=True)
class Limits:
    """How many tries are free, and how the wait grows after them: it doubles each time.

    `of_account` None: whose account it is shows only afterwards, and the network alone counts.
    """

    name: str
    of_account: int | None
    of_network: int
    first_wait: timedelta
    longest_wait: timedelta


# A newsroom behind one address mistypes more often than one person.
SIGN_INS = Limits("sign-in", 5, 20, timedelta(seconds=2), timedelta(minutes=5))
# Each of these is a mail that somebody gets.
RESETS = Limits("reset", 3, 20, timedelta(minutes=5), timedelta(hours=6))
# Each of these is a row for five minutes; a newsroom's morning is a few dozen.
PASSKEYS = Limits("passkey", None, 60, timedelta(seconds=1), timedelta(minutes=1))


@dataclass(frozen=True, slots=True)
class Try:
    """What a guess counts against; `account` is an address or a number, also one that nobody has, and
    empty where nobody's is asked for.
    """

    account: str
    ip: str
    limits: Limits = SIGN_INS

    @property
    def network(self) -> bytes:
        return _subject(self.limits.name, "network", network_of(self.ip))

    @property
    def person(self) -> bytes:
        return _subject(self.limits.name, "account", self.account)

    @property
    def subjects(self) -> Iterator[tuple[bytes, int]]:
        """With how many tries each has free; always in one order, so that two never wait for each other."""
        yield self.network, self.limits.of_network
        if self.limits.of_account is not None:
            yield self.person, self.limits.of_account


def begin_try(session: Session, attempt: Try, *, now: datetime) -> datetime | None:
    """None: it may be looked at, and counts as failed until `forgive`. Else when the next one may."""
    limits = attempt.limits
    rows = [(_locked(session, subject, now), free) for subject, free in attempt.subjects]
    until = max(row.until for row, _ in rows)
    if until > now:
        return until
    for row, free in rows:
        if now - row.last_at > FORGOTTEN_AFTER:
            row.failures = 0
        row.failures = min(row.failures + 1, _MOST_COUNTED)
        row.last_at = now
        row.until = now + wait_after(row.failures, free=free, limits=limits)
    session.flush()
    return None


def forgive(session: Session, attempt: Try) -> None:
    """It was right. The account starts anew; of the network only this one try is taken back, since
    a guesser may well have one account of their own there.
    """
    session.execute(delete(SignInFailures).where(SignInFailures.subject == attempt.person))
    row = session.get(SignInFailures, attempt.network)
    if row is not None:
        row.failures = max(row.failures - 1, 0)
        row.until = row.last_at
    session.flush()


def wait_after(failures: int, *, free: int, limits: Limits) -> timedelta:
    if failures < free:
        return timedelta()
    # The exponent has a bound of its own: a date cannot hold what comes of a thousand failures.
    doubled: int = 1 << min(failures - free, 20)
    return min(limits.first_wait * doubled, limits.longest_wait)


def forget_failures(session: Session, *, now: datetime) -> None:
    session.execute(delete(SignInFailures).where(SignInFailures.last_at < now - FORGOTTEN_AFTER))


def _locked(session: Session, subject: bytes, now: datetime) -> SignInFailures:
    """Its row, made if need be; whoever else tries the same now waits for this transaction."""
    session.execute(
        insert_or_ignore(session, SignInFailures).values(
            subject=subject, failures=0, until=now, last_at=now
        )
    )
    return session.scalars(
        select(SignInFailures)
        .where(SignInFailures.subject == subject)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).one()


def _subject(*names: str) -> bytes:
    return hashlib.sha256(":".join(names).encode()).digest()
