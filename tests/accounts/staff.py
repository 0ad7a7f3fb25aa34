"""People with access, to test with."""

from datetime import UTC, datetime
from functools import cache
from typing import Any

from sqlalchemy.orm import Session

from newsletter.accounts.passwords import hash_password
from newsletter.accounts.people import Rights, create_account
from newsletter.accounts.sessions import SignedIn, find_session
from newsletter.accounts.signing_in import Browser
from newsletter.models import Account, MailingList, Role

NOW = datetime(2026, 11, 23, 5, 30, tzinfo=UTC)
PASSWORD = "seven gulls over the quay"
OTHER_PASSWORD = "a lighthouse keeps its own hours"
AT_HOME = Browser("198.51.100.7", "Firefox/130 (Windows)")
ELSEWHERE = Browser("203.0.113.9", "Chrome/140 (Android)")


@cache
def _password_hash() -> str:
    return hash_password(PASSWORD)


def an_account(
    session: Session,
    email: str = "edda@harbour.example",
    name: str = "Edda Editor",
    rights: Rights | None = None,
    **changes: Any,
) -> Account:
    """Somebody who has joined, with `PASSWORD`."""
    chosen = rights or Rights(Role.EDITOR)
    account = create_account(session, email, name, chosen, by="the tests", now=NOW)
    account.password_hash, account.joined_at = _password_hash(), NOW
    for field, value in changes.items():
        setattr(account, field, value)
    session.flush()
    return account


def an_admin(session: Session) -> Account:
    return an_account(session, "ada@harbour.example", "Ada Admin", Rights(Role.ADMIN))


def a_list(session: Session, slug: str) -> int:
    row = MailingList(
        slug=slug,
        name=slug.title(),
        sender_name=slug.title(),
        sender_address=f"{slug}@harbour.example",
        postal_address="1 Quay Street",
        created_at=NOW,
    )
    session.add(row)
    session.flush()
    return row.id


def signed_in(session: Session, token: str, now: datetime = NOW) -> SignedIn:
    found = find_session(session, token, now=now)
    assert found is not None
    return found
