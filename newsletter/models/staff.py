"""Members of staff: their accounts and rights, how they sign in, and what they did."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    BigInteger,
    ForeignKey,
    Identity,
    Index,
    LargeBinary,
    SmallInteger,
    String,
    Text,
    false,
    true,
)
from sqlalchemy.orm import Mapped, mapped_column

from newsletter.db import BigId, Json, Model

TOKEN_HASH_BYTES = 32
LONGEST_ACTOR = 120
LONGEST_ACTION = 60
LONGEST_SUBJECT = 200


class Role(StrEnum):
    """Each includes those before it."""

    VIEWER = "viewer"
    WRITER = "writer"
    EDITOR = "editor"
    ADMIN = "admin"

    def includes(self, other: "Role") -> bool:
        ranks = list(Role)
        return ranks.index(self) >= ranks.index(other)


class Account(Model):
    """Somebody with access. It is disabled, never deleted: the audit log names it."""

    __tablename__ = "account"

    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(String(254))
    email_key: Mapped[str] = mapped_column(String(254), unique=True)
    """What makes two spellings the same address."""
    name: Mapped[str] = mapped_column(String(100))
    time_zone: Mapped[str] = mapped_column(String(64), default="UTC")
    role: Mapped[Role]
    """On every list; of a narrowed one the highest that it has on any."""
    is_narrowed: Mapped[bool] = mapped_column(default=False, server_default=false())
    """Whether it is for the lists of `account_list` alone, with the roles that stand there."""
    password_hash: Mapped[str | None] = mapped_column(Text)
    """Argon2id, with its parameters. None: no password can be right."""
    totp_sealed: Mapped[bytes | None] = mapped_column(LargeBinary)
    totp_since: Mapped[datetime | None]
    """When a first code proved that the app has the seed; None: no code is asked for."""
    totp_step: Mapped[int | None] = mapped_column(BigInteger)
    """The last thirty seconds whose code was used: neither it nor an older one is good again."""
    wants_review_mail: Mapped[bool] = mapped_column(default=True, server_default=true())
    """Whether they are mailed when a review is asked for, and when one that they asked for ends."""
    created_at: Mapped[datetime]
    created_by: Mapped[str] = mapped_column(String(120))
    joined_at: Mapped[datetime | None]
    """When its owner chose a password or a passkey; None: invited only."""
    signed_in_at: Mapped[datetime | None]
    disabled_at: Mapped[datetime | None]


class AccountList(Model):
    """The role of a narrowed account on one list."""

    __tablename__ = "account_list"

    account_id: Mapped[int] = mapped_column(
        ForeignKey("account.id", ondelete="CASCADE"), primary_key=True
    )
    list_id: Mapped[int] = mapped_column(
        ForeignKey("list.id", ondelete="CASCADE"), primary_key=True, index=True
    )
    role: Mapped[Role]


class StaffSession(Model):
    """A browser that is signed in. Ending it is deleting it."""

    __tablename__ = "staff_session"

    id: Mapped[int] = mapped_column(primary_key=True)
    token_hash: Mapped[bytes] = mapped_column(LargeBinary(TOKEN_HASH_BYTES), unique=True)
    account_id: Mapped[int] = mapped_column(
        ForeignKey("account.id", ondelete="CASCADE"), index=True
    )
    is_finished: Mapped[bool] = mapped_column(default=True, server_default=true())
    """False: the password was right, and a second factor is to be shown, or set up, before all else."""
    user_agent: Mapped[str] = mapped_column(String(200), default="")
    created_at: Mapped[datetime]
    seen_at: Mapped[datetime]
    """To within five minutes."""
    confirmed_at: Mapped[datetime]
    """When its owner last showed a password or a passkey."""


class PasskeyChallenge(Model):
    """What a passkey has to sign, once, for the browser that asked."""

    __tablename__ = "passkey_challenge"

    challenge: Mapped[bytes] = mapped_column(LargeBinary(64), primary_key=True)
    holder: Mapped[bytes] = mapped_column(LargeBinary(TOKEN_HASH_BYTES))
    """The hash of the cookie of that browser."""
    created_at: Mapped[datetime] = mapped_column(index=True)


class SignInFailures(Model):
    """How often somebody failed to sign in to an account, or from a network."""

    __tablename__ = "sign_in_failures"

    subject: Mapped[bytes] = mapped_column(LargeBinary(TOKEN_HASH_BYTES), primary_key=True)
    """A hash of what it is about: also of addresses that belong to nobody."""
    failures: Mapped[int] = mapped_column(SmallInteger)
    until: Mapped[datetime]
    """No try counts before."""
    last_at: Mapped[datetime] = mapped_column(index=True)


class RecoveryCode(Model):
    __tablename__ = "recovery_code"

    code_hash: Mapped[bytes] = mapped_column(LargeBinary(TOKEN_HASH_BYTES), primary_key=True)
    account_id: Mapped[int] = mapped_column(
        ForeignKey("account.id", ondelete="CASCADE"), index=True
    )
    used_at: Mapped[datetime | None]


class Passkey(Model):
    """A WebAuthn credential."""

    __tablename__ = "passkey"

    id: Mapped[int] = mapped_column(primary_key=True)
    account_id: Mapped[int] = mapped_column(
        ForeignKey("account.id", ondelete="CASCADE"), index=True
    )
    name: Mapped[str] = mapped_column(String(100))
    credential_id: Mapped[bytes] = mapped_column(LargeBinary(1023), unique=True)
    public_key: Mapped[bytes] = mapped_column(LargeBinary)
    sign_count: Mapped[int] = mapped_column(BigInteger, default=0)
    transports: Mapped[list[str]] = mapped_column(Json, default=list)
    created_at: Mapped[datetime]
    used_at: Mapped[datetime | None]


class LinkPurpose(StrEnum):
    INVITATION = "invitation"
    RESET = "reset"
    SIGN_IN = "sign-in"


class AccountLink(Model):
    """A link that is good once, for whoever has it."""

    __tablename__ = "account_link"

    token_hash: Mapped[bytes] = mapped_column(LargeBinary(TOKEN_HASH_BYTES), primary_key=True)
    account_id: Mapped[int] = mapped_column(
        ForeignKey("account.id", ondelete="CASCADE"), index=True
    )
    purpose: Mapped[LinkPurpose]
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime] = mapped_column(index=True)


class AuditEntry(Model):
    """What somebody did. Rows are added; only age takes them away."""

    __tablename__ = "audit_entry"

    id: Mapped[int] = mapped_column(BigId, Identity(), primary_key=True)
    at: Mapped[datetime] = mapped_column(index=True)
    account_id: Mapped[int | None] = mapped_column(ForeignKey("account.id"))
    """None: a command, a key, the system itself, or somebody who is not signed in."""
    actor: Mapped[str] = mapped_column(String(LONGEST_ACTOR))
    action: Mapped[str] = mapped_column(String(LONGEST_ACTION))
    subject: Mapped[str] = mapped_column(String(LONGEST_SUBJECT), default="")
    details: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)
    network: Mapped[str | None] = mapped_column(String(50))
    """The IP address that it was done from; None: not over the network."""

    __table_args__ = (
        # What the page reads when it is asked for one person, or for one action: newest first.
        Index("ix_audit_entry_account_id_id", "account_id", "id"),
        Index("ix_audit_entry_action_id", "action", "id"),
    )


class InstallationSetting(Model):
    """What an admin set for the whole installation; what has no row has its default."""

    __tablename__ = "installation_setting"

    name: Mapped[str] = mapped_column(String(60), primary_key=True)
    value: Mapped[Any] = mapped_column(Json)
    changed_at: Mapped[datetime]
    changed_by: Mapped[str] = mapped_column(String(120))
