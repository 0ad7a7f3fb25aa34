"""Second factors that are typed: codes of an authenticator app (RFC 6238), and recovery codes."""

import hashlib
import hmac
import secrets
from datetime import datetime, timedelta

import pyotp
from sqlalchemy import delete, exists, func, select, update
from sqlalchemy.orm import Session

from newsletter.accounts.installation import installation_settings
from newsletter.accounts.sessions import has_second_factor
from newsletter.errors import StateError
from newsletter.models import Account, Passkey, RecoveryCode
from newsletter.sealing import seal, unseal

STEP = timedelta(seconds=30)
STEPS_OFF = 1
"""How many steps a phone's clock may be off, either way."""
RECOVERY_CODES = 10

_LETTERS = "abcdefghjkmnpqrstvwxyz23456789"
_GROUP, _GROUPS = 5, 3
_EPOCH_STEPS = int(STEP.total_seconds())


def begin_totp(session: Session, account: Account) -> None:
    """Give the account a new seed, which counts for nothing until a first code of it is shown."""
    if account.totp_since is not None:
        raise StateError("there is an authenticator app already; take it away first")
    account.totp_sealed = seal(pyotp.random_base32())
    account.totp_step = None
    session.flush()


def totp_seed(account: Account) -> str:
    """As a person types it into an app. Raises `StateError` when there is none."""
    if account.totp_sealed is None:
        raise StateError("no authenticator app is being set up")
    return unseal(account.totp_sealed)


def totp_uri(account: Account, *, issuer: str) -> str:
    """What an app reads from the QR code."""
    return pyotp.TOTP(totp_seed(account)).provisioning_uri(name=account.email, issuer_name=issuer)


def confirm_totp(session: Session, account: Account, code: str, *, now: datetime) -> bool:
    """Whether the app has the seed; from then on its codes are asked for."""
    if account.totp_since is not None or account.totp_sealed is None:
        return False
    if not _use_code(session, account, code, now=now):
        return False
    account.totp_since = now
    session.flush()
    return True


def is_totp(session: Session, account: Account, code: str, *, now: datetime) -> bool:
    """Whether it is a code of now that was not used before."""
    return account.totp_since is not None and _use_code(session, account, code, now=now)


def drop_totp(session: Session, account: Account) -> None:
    """Raises `StateError` where it is the last factor that the role has to have."""
    is_with_passkey = bool(session.scalar(select(exists().where(Passkey.account_id == account.id))))
    refuse_to_drop_the_last(session, account, is_other_left=is_with_passkey)
    account.totp_sealed, account.totp_since, account.totp_step = None, None, None
    if not is_with_passkey:
        session.execute(delete(RecoveryCode).where(RecoveryCode.account_id == account.id))
    session.flush()


def must_have_second_factor(session: Session, account: Account) -> bool:
    return account.role in installation_settings(session).second_factor_roles


def refuse_to_drop_the_last(session: Session, account: Account, *, is_other_left: bool) -> None:
    """Raises `StateError` where the role has to have a second factor and no other is left."""
    if not is_other_left and must_have_second_factor(session, account):
        raise StateError("your role needs a second factor; set up another one first")


def new_recovery_codes(session: Session, account_id: int) -> list[str]:
    """Ten codes in place of all earlier ones. They are shown now and never again."""
    session.execute(delete(RecoveryCode).where(RecoveryCode.account_id == account_id))
    codes = [_new_code() for _ in range(RECOVERY_CODES)]
    session.add_all(
        RecoveryCode(code_hash=_hash(account_id, code), account_id=account_id) for code in codes
    )
    session.flush()
    return codes


def use_recovery_code(session: Session, account: Account, code: str, *, now: datetime) -> bool:
    """Whether it was one that nobody used yet. Hyphens, blanks and capitals do not matter."""
    if not has_second_factor(session, account):
        return False
    used = session.scalar(
        update(RecoveryCode)
        .where(RecoveryCode.code_hash == _hash(account.id, code), RecoveryCode.used_at.is_(None))
        .values(used_at=now)
        .returning(RecoveryCode.account_id)
    )
    return used is not None


def recovery_codes_left(session: Session, account_id: int) -> int:
    return (
        session.scalar(
            select(func.count()).where(
                RecoveryCode.account_id == account_id, RecoveryCode.used_at.is_(None)
            )
        )
        or 0
    )


def _use_code(session: Session, account: Account, code: str, *, now: datetime) -> bool:
    """Of two who show the same code at once, one waits for the other's transaction, and is refused."""
    session.refresh(account, with_for_update=True)
    code = "".join(code.split())
    totp = pyotp.TOTP(totp_seed(account))
    this = int(now.timestamp()) // _EPOCH_STEPS
    for step in range(this - STEPS_OFF, this + STEPS_OFF + 1):
        is_right = hmac.compare_digest(totp.generate_otp(step).encode(), code.encode())
        if is_right and (account.totp_step is None or step > account.totp_step):
            account.totp_step = step
            session.flush()
            return True
    return False


def _new_code() -> str:
    return "-".join(
        "".join(secrets.choice(_LETTERS) for _ in range(_GROUP)) for _ in range(_GROUPS)
    )


def _hash(account_id: int, code: str) -> bytes:
    # 73 random bits: a fast hash is enough.
    plain = "".join(each for each in code.casefold() if each.isalnum())
    return hashlib.sha256(f"recovery:{account_id}:{plain}".encode()).digest()
