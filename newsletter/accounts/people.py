"""People with access: makes and invites them, changes what they may do, and shuts them out."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import available_timezones

from sqlalchemy import case, delete, exists, func, or_, select, update
from sqlalchemy.orm import Session

from newsletter.accounts.links import drop_links
from newsletter.accounts.passwords import check_password, hash_password
from newsletter.accounts.sessions import end_sessions_of
from newsletter.addresses import parse_address
from newsletter.db import locked
from newsletter.errors import InputError, NotFoundError, StateError
from newsletter.models import Account, AccountList, ApiKey, MailingList, Passkey, RecoveryCode, Role

LONGEST_NAME = 100


@dataclass(frozen=True, slots=True)
class Rights:
    """A role everywhere, or, where `list_roles` is given, one on each of certain lists."""

    role: Role = Role.VIEWER
    list_roles: Mapping[int, Role] | None = None

    @property
    def highest(self) -> Role:
        if self.list_roles is None:
            return self.role
        return max(self.list_roles.values(), key=list(Role).index)


def create_account(
    session: Session,
    email: str,
    name: str,
    rights: Rights,
    *,
    time_zone: str = "UTC",
    by: str,
    now: datetime,
) -> Account:
    """Nobody can sign in to it yet. Raises `InputError`."""
    address = parse_address(email)
    _check_lists(session, rights)
    if session.scalar(select(exists().where(Account.email_key == address.key))):
        raise InputError("{address} has an account already", field="e-mail", address=address)
    account = Account(
        email=str(address),
        email_key=address.key,
        name=read_name(name),
        time_zone=read_time_zone(time_zone),
        role=rights.highest,
        created_at=now,
        created_by=by,
    )
    session.add(account)
    session.flush()
    _grant(session, account, rights)
    return account


def account_by_id(session: Session, account_id: int) -> Account:
    """Raises `NotFoundError`."""
    account = session.get(Account, account_id)
    if account is None:
        raise NotFoundError("there is no such account")
    return account


def account_by_email(session: Session, email: str) -> Account:
    """Raises `NotFoundError`, and `AddressError` for what is no address."""
    address = parse_address(email)
    account = session.scalar(select(Account).where(Account.email_key == address.key))
    if account is None:
        raise NotFoundError(
            "nobody with the address {address} has an account; see: newsletter account list",
            address=address,
        )
    return account


def all_accounts(session: Session) -> list[Account]:
    """By name; the disabled ones last."""
    return list(
        session.scalars(
            select(Account).order_by(
                Account.disabled_at.is_not(None), func.lower(Account.name), Account.id
            )
        )
    )


def able_accounts(session: Session, role: Role, list_ids: Collection[int]) -> list[Account]:
    """Who can sign in and is at least `role` on all of these lists."""
    enough = [each for each in Role if each.includes(role)]
    held = (
        select(func.count())
        .where(
            AccountList.account_id == Account.id,
            AccountList.list_id.in_(list_ids),
            AccountList.role.in_(enough),
        )
        .scalar_subquery()
    )
    is_enough = case(
        (Account.is_narrowed, held == len(set(list_ids))), else_=Account.role.in_(enough)
    )
    return [each for each in session.scalars(select(Account).where(is_enough)) if is_able(each)]


def is_able(account: Account) -> bool:
    """Whether they can sign in: they joined, and nobody shut them out."""
    return account.joined_at is not None and account.disabled_at is None


def rights_of(session: Session, account: Account) -> Rights:
    if not account.is_narrowed:
        return Rights(account.role)
    rows = session.scalars(select(AccountList).where(AccountList.account_id == account.id))
    return Rights(list_roles={row.list_id: row.role for row in rows})


def change_rights(session: Session, account_id: int, rights: Rights, *, now: datetime) -> None:
    """Signs the account out and ends its API keys. Raises `InputError` and `StateError`."""
    account = _locked(session, account_id)
    if rights == rights_of(session, account):
        return
    _check_lists(session, rights)
    if rights.list_roles is not None or rights.role is not Role.ADMIN:
        _refuse_to_lose_the_last_admin(session, account)
    account.role = rights.highest
    _grant(session, account, rights)
    shut_out(session, account_id, now=now)


def disable_account(session: Session, account_id: int, *, now: datetime) -> None:
    """Raises `StateError` for the last admin."""
    account = _locked(session, account_id)
    if account.disabled_at is not None:
        return
    _refuse_to_lose_the_last_admin(session, account)
    account.disabled_at = now
    drop_links(session, account_id)
    shut_out(session, account_id, now=now)


def enable_account(session: Session, account_id: int) -> None:
    account = _locked(session, account_id)
    account.disabled_at = None
    session.flush()


def set_password(session: Session, account: Account, password: str, *, now: datetime) -> None:
    """Signs the account out everywhere and ends its API keys. Raises `InputError`."""
    check_password(password, name=account.name, email=account.email)
    account.password_hash = hash_password(password)
    account.joined_at = account.joined_at or now
    shut_out(session, account.id, now=now)


def drop_second_factors(session: Session, account: Account) -> None:
    """For who has lost them."""
    account.totp_sealed, account.totp_since, account.totp_step = None, None, None
    for table in (Passkey, RecoveryCode):
        session.execute(delete(table).where(table.account_id == account.id))
    session.flush()


def shut_out(session: Session, account_id: int, *, now: datetime) -> None:
    """End what lets anybody in under this account by now: sessions and API keys (S-07)."""
    end_sessions_of(session, [account_id])
    session.execute(
        update(ApiKey)
        .where(ApiKey.created_by_account == account_id, ApiKey.revoked_at.is_(None))
        .values(revoked_at=now)
    )
    session.flush()


def read_name(text: str) -> str:
    name = " ".join(text.split())
    if not name or len(name) > LONGEST_NAME or not name.isprintable():
        raise InputError(
            "write it on one line of at most {longest} characters",
            field="name",
            longest=LONGEST_NAME,
        )
    return name


def read_time_zone(text: str) -> str:
    if text not in available_timezones():
        raise InputError(
            "{text!r} is none; write one like Europe/Berlin", field="time zone", text=text
        )
    return text


def _locked(session: Session, account_id: int) -> Account:
    # With the admins, of whom one must stay, in one order: two who shut each other out at once
    # would else wait for each other.
    in_order = select(Account.id).where(or_(Account.id == account_id, Account.role == Role.ADMIN))
    session.execute(in_order.order_by(Account.id).with_for_update())
    account = locked(session, Account, account_id)
    if account is None:
        raise NotFoundError("there is no such account")
    return account


def _check_lists(session: Session, rights: Rights) -> None:
    if rights.list_roles is None:
        return
    if not rights.list_roles:
        raise InputError("choose at least one, or every list", field="lists")
    known = set(session.scalars(select(MailingList.id)))
    if not known.issuperset(rights.list_roles):
        raise InputError("one of them is not there any more; reload the page", field="lists")


def _grant(session: Session, account: Account, rights: Rights) -> None:
    session.execute(delete(AccountList).where(AccountList.account_id == account.id))
    account.is_narrowed = rights.list_roles is not None
    for list_id, role in (rights.list_roles or {}).items():
        session.add(AccountList(account_id=account.id, list_id=list_id, role=role))
    session.flush()


def _refuse_to_lose_the_last_admin(session: Session, account: Account) -> None:
    """Another one must be left who can sign in, and is for every list."""
    able = (
        select(Account.id)
        .where(
            Account.role == Role.ADMIN,
            Account.is_narrowed.is_(False),
            Account.disabled_at.is_(None),
            Account.joined_at.is_not(None),
        )
        .order_by(Account.id)
        .with_for_update()
    )
    admins = set(session.scalars(able))
    if admins == {account.id}:
        raise StateError(
            "{name} is the only admin left; make somebody else one first", name=account.name
        )
