"""Links that are good once: to an invitation, to a new password, to sign in without one."""

import secrets
from datetime import datetime, timedelta

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from newsletter.accounts.sessions import hash_of
from newsletter.errors import NotFoundError
from newsletter.models import Account, AccountLink, LinkPurpose
from newsletter.words import Words

LASTS = {
    LinkPurpose.INVITATION: timedelta(days=7),
    LinkPurpose.RESET: timedelta(hours=1),
    LinkPurpose.SIGN_IN: timedelta(hours=1),
}
PATHS = {
    LinkPurpose.INVITATION: "/invitation/",
    LinkPurpose.RESET: "/reset/",
    LinkPurpose.SIGN_IN: "/sign-in/link/",
}
TOO_OLD = Words("This link was used already, or is too old. Ask for a new one.")

_TOKEN_BYTES = 32


def make_link(
    session: Session, account_id: int, purpose: LinkPurpose, *, base_url: str, now: datetime
) -> str:
    """The whole link, which is stored nowhere. It replaces earlier ones of the same purpose."""
    session.execute(
        delete(AccountLink).where(
            AccountLink.account_id == account_id, AccountLink.purpose == purpose
        )
    )
    token = secrets.token_urlsafe(_TOKEN_BYTES)
    session.add(
        AccountLink(
            token_hash=hash_of(token),
            account_id=account_id,
            purpose=purpose,
            created_at=now,
            expires_at=now + LASTS[purpose],
        )
    )
    session.flush()
    return f"{base_url}{PATHS[purpose]}{token}"


def account_of_link(
    session: Session, token: str, purpose: LinkPurpose, *, now: datetime
) -> Account:
    """Whose link it is, which stays good. Raises `NotFoundError`."""
    account = session.scalar(
        select(Account)
        .join(AccountLink, AccountLink.account_id == Account.id)
        .where(
            AccountLink.token_hash == hash_of(token),
            AccountLink.purpose == purpose,
            AccountLink.expires_at > now,
            Account.disabled_at.is_(None),
        )
    )
    if account is None:
        raise NotFoundError(TOO_OLD)
    return account


def use_link(session: Session, token: str, purpose: LinkPurpose, *, now: datetime) -> Account:
    """The same, for the last time. Raises `NotFoundError`."""
    account = account_of_link(session, token, purpose, now=now)
    gone = session.scalar(
        delete(AccountLink)
        .where(AccountLink.token_hash == hash_of(token))
        .returning(AccountLink.account_id)
    )
    if gone is None:  # somebody was quicker
        raise NotFoundError(TOO_OLD)
    return account


def drop_links(session: Session, account_id: int) -> None:
    session.execute(delete(AccountLink).where(AccountLink.account_id == account_id))


def forget_links(session: Session, *, now: datetime) -> None:
    session.execute(delete(AccountLink).where(AccountLink.expires_at <= now))
