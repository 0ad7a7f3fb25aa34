"""API keys: makes them, knows them again by a hash, and revokes them."""

import hashlib
import hmac
import re
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from newsletter.accounts.scopes import ACROSS_LISTS, Scope
from newsletter.errors import InputError, NotFoundError
from newsletter.models import ApiKey

LONGEST_NAME = 100
SCHEME = "nlk"
"""What every key begins with, so that scanners for leaked secrets find it."""
USE_IS_NOTED_EVERY = timedelta(minutes=10)

_PREFIX_BYTES = 6
_SECRET_BYTES = 32
_TOKEN = re.compile(rf"{SCHEME}_([0-9a-f]{{12}})_[A-Za-z0-9_-]{{43}}", re.ASCII)
_NOBODY = hashlib.sha256().digest()


@dataclass(frozen=True, slots=True)
class NewApiKey:
    row: ApiKey
    token: str
    """The key itself. Whoever made it sees it now and never again."""


def create_api_key(
    session: Session,
    name: str,
    scopes: Collection[Scope],
    *,
    list_ids: Collection[int] | None,
    by: str,
    by_account: int | None = None,
    expires_at: datetime,
    now: datetime,
) -> NewApiKey:
    """A key for these lists alone; with None for every list. It ends with the rights of
    `by_account`. Raises `InputError`.
    """
    wide = sorted(set(scopes) & ACROSS_LISTS)
    if list_ids is not None and wide:
        raise InputError(
            "{scope} is about the people of every list; leave it out, or the lists",
            field="scope",
            scope=wide[0],
        )
    prefix = secrets.token_hex(_PREFIX_BYTES)
    token = f"{SCHEME}_{prefix}_{secrets.token_urlsafe(_SECRET_BYTES)}"
    row = ApiKey(
        name=_read_name(name),
        prefix=prefix,
        key_hash=_hash(token),
        scopes=sorted(set(scopes)),
        is_narrowed=list_ids is not None,
        list_ids=sorted(set(list_ids or ())),
        created_at=now,
        created_by=by,
        created_by_account=by_account,
        expires_at=expires_at,
    )
    session.add(row)
    session.flush()
    return NewApiKey(row, token)


def find_api_key(session: Session, token: str, *, now: datetime) -> ApiKey | None:
    """The key whose token this is, if it may still be used."""
    shape = _TOKEN.fullmatch(token)
    if shape is None:
        return None
    row = session.scalar(select(ApiKey).where(ApiKey.prefix == shape[1]))
    # Compared also when there is none, so that the time tells nobody which prefixes there are.
    is_right = hmac.compare_digest(_hash(token), row.key_hash if row is not None else _NOBODY)
    if row is None or not is_right or row.revoked_at is not None or row.expires_at <= now:
        return None
    return row


def is_use_due(row: ApiKey, *, now: datetime) -> bool:
    """Whether `note_use` would tell anything new: writing at every request would be too much."""
    return row.last_used_at is None or now - row.last_used_at >= USE_IS_NOTED_EVERY


def note_use(session: Session, key_id: int, *, now: datetime) -> None:
    session.execute(update(ApiKey).where(ApiKey.id == key_id).values(last_used_at=now))


def all_api_keys(session: Session) -> list[ApiKey]:
    """Oldest first; the revoked and the expired ones too."""
    return list(session.scalars(select(ApiKey).order_by(ApiKey.id)))


def revoke_api_key(session: Session, prefix: str, *, now: datetime) -> ApiKey:
    """From now on nobody gets in with it. Raises `NotFoundError`."""
    row = session.scalar(select(ApiKey).where(ApiKey.prefix == prefix).with_for_update())
    if row is None:
        raise NotFoundError(
            "there is no API key {prefix!r}; see them with: newsletter api-key list", prefix=prefix
        )
    if row.revoked_at is None:
        row.revoked_at = now
        session.flush()
    return row


def _hash(token: str) -> bytes:
    # The key is 32 random bytes: there is nothing to guess that a slow hash would have to slow down.
    return hashlib.sha256(token.encode()).digest()


def _read_name(text: str) -> str:
    name = " ".join(text.split())
    if not name or len(name) > LONGEST_NAME or not name.isprintable():
        raise InputError(
            "write what uses the key, on one line of at most {longest} characters",
            field="name",
            longest=LONGEST_NAME,
        )
    return name
