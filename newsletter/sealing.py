"""Keeps secrets that live in the database unreadable without the operator's keys (S-25)."""

import base64
import hashlib

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from newsletter.errors import SettingError
from newsletter.settings import get_settings


def seal(secret: str) -> bytes:
    """Encrypt with the newest of the secret keys."""
    return _keys().encrypt(secret.encode())


def unseal(sealed: bytes) -> str:
    """Raises `SettingError` when none of the configured secret keys made it."""
    try:
        return _keys().decrypt(sealed).decode()
    except InvalidToken as error:
        raise SettingError(
            "A stored secret cannot be read with the keys in NEWSLETTER_SECRET_KEYS; "
            "put the key it was sealed with back into the list."
        ) from error


def _keys() -> MultiFernet:
    return MultiFernet([_fernet(secret) for _, secret in get_settings().secret_keys])


def _fernet(secret: str) -> Fernet:
    return Fernet(base64.urlsafe_b64encode(hashlib.sha256(b"seal:" + secret.encode()).digest()))
