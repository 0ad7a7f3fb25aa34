"""Accounts: made, changed and shut out, and always one admin left (S-09)."""

from collections.abc import Callable
from itertools import count

import pytest
from sqlalchemy.orm import Session

from newsletter.accounts.people import (
    Rights,
    account_by_email,
    account_by_id,
    all_accounts,
    change_rights,
    create_account,
    disable_account,
    drop_second_factors,
    enable_account,
    rights_of,
    set_password,
)
from newsletter.accounts.second_factors import begin_totp, new_recovery_codes, recovery_codes_left
from newsletter.accounts.sessions import has_second_factor, identity_of
from newsletter.errors import AddressError, InputError, NotFoundError, StateError
from newsletter.models import Account, Role
from tests.accounts.staff import NOW, a_list, an_account, an_admin

pytestmark = pytest.mark.parametrize("store", ["sqlite"])

_numbers = count(1)


def make(session: Session, **changes: object) -> Account:
    fields: dict[str, object] = {
        "email": "New@Harbour.example",
        "name": "  Nia   Newcomer ",
        "rights": Rights(Role.WRITER),
        "time_zone": "Europe/Berlin",
    }
    fields |= changes
    return create_account(
        session,
        str(fields["email"]),
        str(fields["name"]),
        fields["rights"],  # type: ignore[arg-type]
        time_zone=str(fields["time_zone"]),
        by="Ada",
        now=NOW,
    )


def test_a_new_account_lets_nobody_in_yet(session: Session) -> None:
    account = make(session)

    assert account.name == "Nia Newcomer"
    assert account.password_hash is None
    assert account.joined_at is None
    assert account_by_email(session, "new@HARBOUR.example") is account


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"email": "NEW@harbour.example"}, "account already"),
        ({"email": "x@y.example", "name": ""}, "name:"),
        ({"email": "x@y.example", "name": "x" * 101}, "name:"),
        ({"email": "x@y.example", "name": "a\x00b"}, "name:"),
        ({"email": "x@y.example", "time_zone": "Mars/Base"}, "time zone:"),
        ({"email": "x@y.example", "rights": Rights(list_roles={})}, "lists:"),
        ({"email": "x@y.example", "rights": Rights(list_roles={999: Role.ADMIN})}, "lists:"),
    ],
)
def test_what_is_wrong_with_a_new_account_is_said(
    session: Session, changes: dict[str, object], why: str
) -> None:
    make(session)

    with pytest.raises(InputError, match=why):
        make(session, **changes)


def test_what_is_no_address_is_nobodys(session: Session) -> None:
    with pytest.raises(AddressError):
        make(session, email="nobody")
    with pytest.raises(NotFoundError):
        account_by_email(session, "nobody@harbour.example")
    with pytest.raises(NotFoundError):
        account_by_id(session, 999)


def test_a_narrowed_account_has_its_roles_and_no_others(session: Session) -> None:
    morning, evening = a_list(session, "morning"), a_list(session, "evening")
    rights = Rights(list_roles={morning: Role.EDITOR, evening: Role.VIEWER})

    account = make(session, rights=rights)

    assert rights_of(session, account) == rights
    identity = identity_of(session, account)
    assert identity.role is Role.EDITOR
    assert identity.role_on(evening) is Role.VIEWER
    change_rights(session, account.id, Rights(Role.VIEWER), now=NOW)
    assert identity_of(session, account).list_ids is None
    assert rights_of(session, account) == Rights(Role.VIEWER)


def be_disabled(session: Session, account: Account) -> None:
    disable_account(session, account.id, now=NOW)


def be_an_editor(session: Session, account: Account) -> None:
    change_rights(session, account.id, Rights(Role.EDITOR), now=NOW)


def be_narrowed(session: Session, account: Account) -> None:
    rights = Rights(list_roles={a_list(session, f"list-{next(_numbers)}"): Role.ADMIN})
    change_rights(session, account.id, rights, now=NOW)


@pytest.mark.parametrize("change", [be_disabled, be_an_editor, be_narrowed])
def test_the_last_admin_who_can_sign_in_stays_one(
    session: Session, change: Callable[[Session, Account], None]
) -> None:
    ada = an_admin(session)
    make(session, rights=Rights(Role.ADMIN))  # invited, and never came

    with pytest.raises(StateError, match="only admin"):
        change(session, ada)

    an_account(session, "zoe@harbour.example", "Zoe", Rights(Role.ADMIN))
    change(session, ada)


def test_who_is_disabled_stands_last_and_can_be_let_in_again(session: Session) -> None:
    bo = an_account(session, "bo@harbour.example", "Bo")
    edda = an_account(session)

    disable_account(session, bo.id, now=NOW)
    disable_account(session, bo.id, now=NOW)

    assert all_accounts(session) == [edda, bo]
    enable_account(session, bo.id)
    assert all_accounts(session) == [bo, edda]


def test_a_new_password_follows_the_rules_and_joins(session: Session) -> None:
    account = make(session)

    with pytest.raises(InputError, match="password:"):
        set_password(session, account, "too short", now=NOW)
    assert account.joined_at is None
    set_password(session, account, "rain on tuesday again", now=NOW)

    assert account.joined_at == NOW


def test_whoever_lost_their_second_factors_begins_anew(session: Session) -> None:
    account = an_account(session, totp_since=None)
    begin_totp(session, account)
    account.totp_since = NOW
    new_recovery_codes(session, account.id)

    drop_second_factors(session, account)

    assert not has_second_factor(session, account)
    assert recovery_codes_left(session, account.id) == 0
