"""Who test sends may go to: the addresses and domains that an admin listed, and nobody else."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from newsletter.addresses import Address, parse_address
from newsletter.db import insert_or_ignore
from newsletter.errors import AddressError, InputError, NotFoundError
from newsletter.models import RecipientOfTests


def allow_tests(session: Session, pattern: str, *, by: str, now: datetime) -> str:
    """List an address, or a whole domain as `@example.org`; returns it as it is kept.

    Raises `InputError` for anything else.
    """
    kept = _kept(pattern)
    row = {"pattern": kept, "added_at": now, "added_by": by}
    session.execute(insert_or_ignore(session, RecipientOfTests), row)
    return kept


def disallow_tests(session: Session, pattern: str) -> str:
    """Raises `NotFoundError` when it is not on the list."""
    kept = _kept(pattern)
    removed = session.scalar(
        delete(RecipientOfTests)
        .where(RecipientOfTests.pattern == kept)
        .returning(RecipientOfTests.pattern)
    )
    if removed is None:
        raise NotFoundError(
            "{kept} is not on the list; see: newsletter test-recipient list", kept=kept
        )
    return kept


def allowed_patterns(session: Session) -> Sequence[RecipientOfTests]:
    return session.scalars(select(RecipientOfTests).order_by(RecipientOfTests.pattern)).all()


def not_allowed(
    patterns: Iterable[RecipientOfTests], addresses: Iterable[Address]
) -> list[Address]:
    """Those of `addresses` that none of `patterns` covers."""
    kept = {each.pattern for each in patterns}
    return [each for each in addresses if kept.isdisjoint((each.key, f"@{each.domain}"))]


def _kept(pattern: str) -> str:
    """In the form that addresses are compared by; domains in A-labels."""
    pattern = pattern.strip().removeprefix("*")
    try:
        if pattern.startswith("@"):
            return f"@{parse_address(f'postmaster{pattern}').domain}"
        return parse_address(pattern).key
    except AddressError as error:
        raise InputError(
            "{pattern!r} is neither an address nor @ and a domain: {error}",
            pattern=pattern,
            error=error,
        ) from error
