"""Signing in: the password or a link, then the second factor; or a passkey, which is both.

What did not succeed is a value, not an error, since that it was tried has to be kept.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from newsletter.accounts import audit, throttle
from newsletter.accounts.links import use_link
from newsletter.accounts.passkeys import Shown
from newsletter.accounts.passwords import hash_password, is_password, needs_rehash
from newsletter.accounts.second_factors import (
    is_totp,
    must_have_second_factor,
    use_recovery_code,
)
from newsletter.accounts.sessions import (
    SignedIn,
    begin_session,
    confirm_session,
    end_session,
    has_second_factor,
)
from newsletter.addresses import parse_address
from newsletter.errors import AddressError
from newsletter.models import Account, LinkPurpose


@dataclass(frozen=True, slots=True)
class Browser:
    """Where somebody signs in from."""

    ip: str
    user_agent: str


@dataclass(frozen=True, slots=True)
class Entered:
    """They are in; `token` is their browser's from now on."""

    account_id: int
    token: str
    is_finished: bool
    """False: the second factor comes next."""


@dataclass(frozen=True, slots=True)
class Refused:
    until: datetime | None = None
    """When they may try again; None: at once."""


def sign_in_with_password(
    session: Session, email: str, password: str, *, browser: Browser, now: datetime
) -> Entered | Refused:
    """It takes as long, and is refused alike, for an address that has no account."""
    key = _key_of(email)
    attempt = throttle.Try(key, browser.ip)
    if (until := throttle.begin_try(session, attempt, now=now)) is not None:
        return Refused(until)
    account = session.scalar(
        select(Account).where(Account.email_key == key, Account.disabled_at.is_(None))
    )
    if not is_password(account.password_hash if account else None, password) or account is None:
        _note_failure(session, account, "password", browser, now)
        return Refused()
    throttle.forgive(session, attempt)
    if account.password_hash is not None and needs_rehash(account.password_hash):
        account.password_hash = hash_password(password)
    return enter(session, account, how="password", browser=browser, now=now)


def sign_in_with_link(session: Session, token: str, *, browser: Browser, now: datetime) -> Entered:
    """In place of the password. Raises `NotFoundError` for a link that is used or too old."""
    account = use_link(session, token, LinkPurpose.SIGN_IN, now=now)
    account.joined_at = account.joined_at or now
    return enter(session, account, how="one-time link", browser=browser, now=now)


def sign_in_with_passkey(
    session: Session, shown: Shown, *, browser: Browser, now: datetime
) -> Entered | Refused:
    """On its own it has to be two factors: a device, and the person that it asked."""
    if not shown.is_person_verified:
        return Refused()
    return _finish(session, shown.account, how="passkey", browser=browser, now=now)


def enter(
    session: Session, account: Account, *, how: str, browser: Browser, now: datetime
) -> Entered:
    """After the first factor: in, or on to the second."""
    if has_second_factor(session, account) or must_have_second_factor(session, account):
        token = begin_session(
            session, account.id, user_agent=browser.user_agent, is_finished=False, now=now
        )
        return Entered(account.id, token, is_finished=False)
    return _finish(session, account, how=how, browser=browser, now=now)


def enter_again(session: Session, account: Account, *, browser: Browser, now: datetime) -> Entered:
    """With a new token, for who was in and has just been signed out everywhere by their own doing."""
    token = begin_session(session, account.id, user_agent=browser.user_agent, now=now)
    return Entered(account.id, token, is_finished=True)


def finish_with_code(
    session: Session, signed_in: SignedIn, code: str, *, browser: Browser, now: datetime
) -> Entered | Refused:
    """A code of the app, or a recovery code."""
    account = session.get_one(Account, signed_in.identity.account_id)
    attempt = throttle.Try(f"second:{account.id}", browser.ip)
    if (until := throttle.begin_try(session, attempt, now=now)) is not None:
        return Refused(until)
    if is_totp(session, account, code, now=now):
        how = "authenticator app"
    elif use_recovery_code(session, account, code, now=now):
        how = "recovery code"
    else:
        _note_failure(session, account, "second factor", browser, now)
        return Refused()
    throttle.forgive(session, attempt)
    return finish(session, signed_in, how=how, browser=browser, now=now)


def finish_with_passkey(
    session: Session, signed_in: SignedIn, shown: Shown, *, browser: Browser, now: datetime
) -> Entered | Refused:
    if shown.account.id != signed_in.identity.account_id:
        return Refused()
    return finish(session, signed_in, how="passkey", browser=browser, now=now)


def finish(
    session: Session, signed_in: SignedIn, *, how: str, browser: Browser, now: datetime
) -> Entered:
    """The second factor was shown or set up: a new token takes the place of the old one."""
    end_session(session, signed_in.session_id)
    account = session.get_one(Account, signed_in.identity.account_id)
    return _finish(session, account, how=how, browser=browser, now=now)


def confirm_with_password(
    session: Session, signed_in: SignedIn, password: str, *, browser: Browser, now: datetime
) -> Refused | None:
    """None: it is them, and `is_fresh` says so for ten minutes."""
    account = session.get_one(Account, signed_in.identity.account_id)
    attempt = throttle.Try(account.email_key, browser.ip)
    if (until := throttle.begin_try(session, attempt, now=now)) is not None:
        return Refused(until)
    if not is_password(account.password_hash, password):
        _note_failure(session, account, "password", browser, now)
        return Refused()
    throttle.forgive(session, attempt)
    confirm_session(session, signed_in.session_id, now=now)
    return None


def confirm_with_passkey(
    session: Session, signed_in: SignedIn, shown: Shown, *, now: datetime
) -> Refused | None:
    if shown.account.id != signed_in.identity.account_id:
        return Refused()
    confirm_session(session, signed_in.session_id, now=now)
    return None


def _finish(
    session: Session, account: Account, *, how: str, browser: Browser, now: datetime
) -> Entered:
    token = begin_session(session, account.id, user_agent=browser.user_agent, now=now)
    _note(session, account, "signed in", how, browser, now)
    return Entered(account.id, token, is_finished=True)


def _key_of(email: str) -> str:
    try:
        return parse_address(email).key
    except AddressError:
        return email.strip().casefold()


def _note_failure(
    session: Session, account: Account | None, how: str, browser: Browser, now: datetime
) -> None:
    """Only for an account that exists: strangers cannot fill the log."""
    if account is not None:
        _note(session, account, "sign-in refused", how, browser, now)


def _note(
    session: Session, account: Account, action: str, how: str, browser: Browser, now: datetime
) -> None:
    audit.record(
        session,
        actor=account.name,
        account_id=account.id,
        action=action,
        details={"with": how},
        network=browser.ip or None,
        now=now,
    )
