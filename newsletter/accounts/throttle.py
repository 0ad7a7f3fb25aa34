"""Slows down whoever guesses: by account and by network, over every web process, never for good.

A try is counted before it is looked at, so that many at once gain nothing; one that was right is
taken back. While somebody has to wait, nothing is looked at and nothing is counted: the wait ends,
whoever goes on knocking (S-06).
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from newsletter.accounts.networks import network_of
from newsletter.db import insert_or_ignore
from newsletter.models import SignInFailures

FREE_OF_ACCOUNT = 5
FREE_OF_NETWORK = 20
"""A newsroom behind one address mistypes more often than one person."""
FIRST_WAIT = timedelta(seconds=2)
LONGEST_WAIT = timedelta(minutes=5)
FORGOTTEN_AFTER = timedelta(days=1)

_MOST_COUNTED = 1_000


@dataclass(frozen=True, slots=True)
class Try:
    """What a guess counts against; `account` is an address or a number, also one that nobody has."""

    account: str
    ip: str

    @property
    def subjects(self) -> tuple[tuple[bytes, int], ...]:
        """With how many failures are free; in one order, so that two never wait for each other."""
        return (
            (_subject("network", network_of(self.ip)), FREE_OF_NETWORK),
            (_subject("account", self.account), FREE_OF_ACCOUNT),
        )


def begin_try(session: Session, attempt: Try, *, now: datetime) -> datetime | None:
    """None: it may be looked at, and counts as failed until `forgive`. Else when the next one may."""
    rows = [(_locked(session, subject, now), free) for subject, free in attempt.subjects]
    until = max(row.until for row, _ in rows)
    if until > now:
        return until
    for row, free in rows:
        if now - row.last_at > FORGOTTEN_AFTER:
            row.failures = 0
        row.failures = min(row.failures + 1, _MOST_COUNTED)
        row.last_at = now
        row.until = now + wait_after(row.failures, free=free)
    session.flush()
    return None


def forgive(session: Session, attempt: Try) -> None:
    """It was right. The account starts anew; of the network only this one try is taken back, since
    a guesser may well have one account of their own there.
    """
    (network, free), (account, _) = attempt.subjects
    session.execute(delete(SignInFailures).where(SignInFailures.subject == account))
    row = session.get(SignInFailures, network)
    if row is not None:
        row.failures = max(row.failures - 1, 0)
        row.until = row.last_at + wait_after(row.failures - 1, free=free)
    session.flush()


def wait_after(failures: int, *, free: int) -> timedelta:
    if failures < free:
        return timedelta()
    # The exponent has a bound of its own: a date cannot hold what comes of a thousand failures.
    doubled: int = 1 << min(failures - free, 20)
    return min(FIRST_WAIT * doubled, LONGEST_WAIT)


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


def _subject(kind: str, name: str) -> bytes:
    return hashlib.sha256(f"{kind}:{name}".encode()).digest()
