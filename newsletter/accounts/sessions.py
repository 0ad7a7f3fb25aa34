"""Sessions: who is signed in from which browser, since when, and until when."""

import hashlib
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, delete, exists, or_, select, update
from sqlalchemy.orm import Session

from newsletter.accounts.roles import Identity, Role
from newsletter.models import Account, AccountList, Passkey, StaffSession

IDLE = timedelta(hours=8)
LONGEST = timedelta(days=7)
UNFINISHED = timedelta(minutes=15)
"""How long somebody may take between their password and the second factor."""
FRESH = timedelta(minutes=10)
"""How long after showing who they are somebody may do what is dangerous."""
USE_IS_NOTED_EVERY = timedelta(minutes=5)
LONGEST_USER_AGENT = 200
SHOW_SECOND = "/sign-in/second"
SET_UP_SECOND = "/account/second-factor"

_TOKEN_BYTES = 32


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A browser that showed the token of a session that is good still."""

    identity: Identity
    session_id: int
    csrf: str
    """What its forms have to carry: made from the token, which no page tells."""
    way: str | None
    """The page that their owner must go through first; None once they are signed in for good."""
    seen_at: datetime
    confirmed_at: datetime


def begin_session(
    session: Session,
    account_id: int,
    *,
    user_agent: str,
    is_finished: bool = True,
    now: datetime,
) -> str:
    """The new session's token, which is stored nowhere."""
    token = secrets.token_urlsafe(_TOKEN_BYTES)
    session.add(
        StaffSession(
            token_hash=hash_of(token),
            account_id=account_id,
            is_finished=is_finished,
            user_agent=_printable(user_agent)[:LONGEST_USER_AGENT],
            created_at=now,
            seen_at=now,
            confirmed_at=now,
        )
    )
    if is_finished:
        session.get_one(Account, account_id).signed_in_at = now
    session.flush()
    return token


def find_session(session: Session, token: str, *, now: datetime) -> SignedIn | None:
    """None: nobody is signed in with this token, or not any more."""
    found = session.execute(
        select(StaffSession, Account)
        .join(Account, Account.id == StaffSession.account_id)
        .where(
            StaffSession.token_hash == hash_of(token), _is_good(now), Account.disabled_at.is_(None)
        )
    ).one_or_none()
    if found is None:
        return None
    row, account = found
    return SignedIn(
        identity=identity_of(session, account),
        session_id=row.id,
        csrf=csrf_of(token),
        way=None if row.is_finished else _way_of(session, account),
        seen_at=row.seen_at,
        confirmed_at=row.confirmed_at,
    )


def identity_of(session: Session, account: Account) -> Identity:
    list_roles = None
    if account.is_narrowed:
        rows = session.scalars(select(AccountList).where(AccountList.account_id == account.id))
        list_roles = {row.list_id: row.role for row in rows}
    return Identity(
        account_id=account.id,
        name=account.name,
        email=account.email,
        time_zone=account.time_zone,
        role=account.role,
        list_roles=list_roles,
    )


def is_use_due(signed_in: SignedIn, *, now: datetime) -> bool:
    """Whether `note_use` would tell anything new: writing at every request would be too much."""
    return now - signed_in.seen_at >= USE_IS_NOTED_EVERY


def note_use(session: Session, session_id: int, *, now: datetime) -> None:
    session.execute(update(StaffSession).where(StaffSession.id == session_id).values(seen_at=now))


def is_fresh(signed_in: SignedIn, *, now: datetime) -> bool:
    """Whether they showed who they are just now, as what is dangerous asks for (S-31)."""
    return signed_in.way is None and now - signed_in.confirmed_at <= FRESH


def confirm_session(session: Session, session_id: int, *, now: datetime) -> None:
    session.execute(
        update(StaffSession).where(StaffSession.id == session_id).values(confirmed_at=now)
    )


def sessions_of(session: Session, account_id: int, *, now: datetime) -> list[StaffSession]:
    """Those that are good still, the one that was used last first."""
    return list(
        session.scalars(
            select(StaffSession)
            .where(
                StaffSession.account_id == account_id,
                StaffSession.is_finished.is_(True),
                _is_good(now),
            )
            .order_by(StaffSession.seen_at.desc(), StaffSession.id.desc())
        )
    )


def end_session(session: Session, session_id: int) -> None:
    session.execute(delete(StaffSession).where(StaffSession.id == session_id))


def end_sessions_of(
    session: Session, account_ids: Collection[int], *, but: int | None = None
) -> None:
    """Sign these accounts out everywhere, `but` for the session with that id."""
    session.execute(
        delete(StaffSession).where(
            StaffSession.account_id.in_(account_ids), StaffSession.id != (but or 0)
        )
    )


def end_sessions_without_second_factor(session: Session, roles: Collection[Role]) -> None:
    """Who has to have one by now sets it up when they sign in again."""
    lacking = select(Account.id).where(
        Account.role.in_(roles),
        Account.totp_since.is_(None),
        ~exists().where(Passkey.account_id == Account.id),
    )
    session.execute(delete(StaffSession).where(StaffSession.account_id.in_(lacking)))


def forget_sessions(session: Session, *, now: datetime) -> None:
    """Delete those that are over."""
    session.execute(delete(StaffSession).where(~_is_good(now)))


def hash_of(token: str) -> bytes:
    # A token is 32 random bytes: there is nothing to guess that a slow hash would have to slow down.
    return hashlib.sha256(token.encode()).digest()


def csrf_of(token: str) -> str:
    """43 characters that say nothing of the token."""
    return hashlib.sha256(b"csrf:" + token.encode()).hexdigest()[:43]


def has_second_factor(session: Session, account: Account) -> bool:
    is_with_passkey = session.scalar(select(exists().where(Passkey.account_id == account.id)))
    return account.totp_since is not None or bool(is_with_passkey)


def _way_of(session: Session, account: Account) -> str:
    return SHOW_SECOND if has_second_factor(session, account) else SET_UP_SECOND


def _is_good(now: datetime) -> ColumnElement[bool]:
    begun = StaffSession.created_at
    return (
        (begun > now - LONGEST)
        & (StaffSession.seen_at > now - IDLE)
        & or_(StaffSession.is_finished.is_(True), begun > now - UNFINISHED)
    )


def _printable(text: str) -> str:
    return "".join(each for each in text if each.isprintable())
