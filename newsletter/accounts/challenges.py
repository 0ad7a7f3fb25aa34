"""What a passkey has to sign: given to one browser, good once and for five minutes.

Apart from `passkeys`, so that a worker which clears them away does not load all of WebAuthn.
"""

import secrets
from datetime import datetime, timedelta

from sqlalchemy import delete
from sqlalchemy.orm import Session

from newsletter.accounts.sessions import hash_of
from newsletter.errors import InputError
from newsletter.models import PasskeyChallenge

GOOD_FOR = timedelta(minutes=5)
CHALLENGE_BYTES = 64
"""WebAuthn level 3, section 13.4.3, asks for sixteen at the least."""


def new_challenge(session: Session, holder: str, *, now: datetime) -> bytes:
    """`holder` is the cookie of the browser that may answer."""
    challenge = secrets.token_bytes(CHALLENGE_BYTES)
    session.add(PasskeyChallenge(challenge=challenge, holder=hash_of(holder), created_at=now))
    session.flush()
    return challenge


def take_challenge(session: Session, told: bytes, holder: str, *, now: datetime) -> bytes:
    """The one that was given to this browser, which nobody can answer again.

    Raises `InputError` when `told` is no such one, or none any more.
    """
    challenge: bytes | None = session.scalar(
        delete(PasskeyChallenge)
        .where(
            PasskeyChallenge.challenge == told,
            PasskeyChallenge.holder == hash_of(holder),
            PasskeyChallenge.created_at >= now - GOOD_FOR,
        )
        .returning(PasskeyChallenge.challenge)
    )
    if challenge is None:
        raise InputError("that took too long; try again", field="passkey")
    return challenge


def forget_challenges(session: Session, *, now: datetime) -> None:
    session.execute(delete(PasskeyChallenge).where(PasskeyChallenge.created_at < now - GOOD_FOR))
