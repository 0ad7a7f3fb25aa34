"""On whose behalf a transaction works: a name may change or be somebody else's too, an account cannot."""

from sqlalchemy.orm import Session

from newsletter.accounts.roles import Identity

_KEY = "newsletter.acting"


def act_as(session: Session, identity: Identity) -> None:
    """Whatever this session writes, they do."""
    session.info[_KEY] = identity


def acting(session: Session) -> Identity | None:
    """None: a command, or a key that nobody with an account made."""
    identity: Identity | None = session.info.get(_KEY)
    return identity


def acting_account(session: Session) -> int | None:
    identity = acting(session)
    return None if identity is None else identity.account_id
