"""Codes of an app and recovery codes: each good once (S-06, S-25)."""

from datetime import timedelta

import pyotp
import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from newsletter.accounts.installation import InstallationSettings, change_installation_settings
from newsletter.accounts.second_factors import (
    RECOVERY_CODES,
    begin_totp,
    confirm_totp,
    drop_totp,
    is_totp,
    must_have_second_factor,
    new_recovery_codes,
    recovery_codes_left,
    totp_seed,
    totp_uri,
    use_recovery_code,
)
from newsletter.accounts.sessions import has_second_factor
from newsletter.errors import StateError
from newsletter.models import Account, RecoveryCode, Role
from tests.accounts.staff import NOW, an_account

pytestmark = pytest.mark.parametrize("store", ["sqlite"])

STEP = timedelta(seconds=30)


def code_of(account: Account, steps: int = 0) -> str:
    return pyotp.TOTP(totp_seed(account)).at(NOW, counter_offset=steps)


def with_app(session: Session) -> Account:
    account = an_account(session)
    begin_totp(session, account)
    assert confirm_totp(session, account, code_of(account), now=NOW)
    return account


def test_a_seed_counts_for_nothing_until_the_app_has_shown_a_code_of_it(
    session: Session,
) -> None:
    account = an_account(session)

    begin_totp(session, account)
    assert not has_second_factor(session, account)
    assert not confirm_totp(session, account, "000000", now=NOW)
    assert confirm_totp(session, account, code_of(account), now=NOW)

    assert has_second_factor(session, account)


def test_the_seed_is_sealed_in_the_database(session: Session) -> None:
    """S-25."""
    account = with_app(session)

    seed = totp_seed(account)

    assert account.totp_sealed is not None
    assert seed.encode() not in account.totp_sealed
    assert f"secret={seed}" in totp_uri(account, issuer="Harbour News")
    assert "Harbour%20News:edda%40harbour.example" in totp_uri(account, issuer="Harbour News")


@pytest.mark.parametrize(
    ("steps", "is_good"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)]
)
def test_a_phone_may_be_half_a_minute_off(session: Session, steps: int, is_good: bool) -> None:
    account = with_app(session)
    account.totp_step = None
    session.flush()

    assert is_totp(session, account, code_of(account, steps), now=NOW) is is_good


def test_a_code_is_good_once_and_so_is_none_before_it(session: Session) -> None:
    account = with_app(session)
    next_code, this_code = code_of(account, 1), code_of(account)

    assert not is_totp(session, account, this_code, now=NOW)
    assert is_totp(session, account, next_code, now=NOW + STEP)
    assert not is_totp(session, account, next_code, now=NOW + STEP)
    assert not is_totp(session, account, this_code, now=NOW + STEP)


@pytest.mark.parametrize("code", ["", "12345", "abcdef", "１２３４５６", "0" * 500])
def test_what_is_no_code_is_refused(session: Session, code: str) -> None:
    assert not is_totp(session, with_app(session), code, now=NOW)


def test_a_code_may_be_typed_in_two_groups(session: Session) -> None:
    account = with_app(session)
    code = code_of(account, 1)

    assert is_totp(session, account, f" {code[:3]} {code[3:]} ", now=NOW)


def test_a_second_app_does_not_silently_replace_the_first(session: Session) -> None:
    with pytest.raises(StateError, match="already"):
        begin_totp(session, with_app(session))


def test_each_recovery_code_is_good_once_however_it_is_typed(session: Session) -> None:
    account = with_app(session)
    codes = new_recovery_codes(session, account.id)

    assert len(set(codes)) == RECOVERY_CODES == 10
    assert use_recovery_code(session, account, codes[0], now=NOW)
    assert not use_recovery_code(session, account, codes[0], now=NOW)
    assert use_recovery_code(session, account, codes[1].replace("-", " ").upper(), now=NOW)
    assert recovery_codes_left(session, account.id) == 8
    stored = session.scalars(select(RecoveryCode.code_hash)).all()
    assert all(code.encode() not in each for each in stored for code in codes)


def test_a_recovery_code_is_its_owners_alone_and_gone_with_new_ones(session: Session) -> None:
    account = with_app(session)
    other = an_account(session, "bo@harbour.example", "Bo", totp_since=NOW)
    first = new_recovery_codes(session, account.id)

    assert not use_recovery_code(session, other, first[0], now=NOW)
    new_recovery_codes(session, account.id)
    assert not use_recovery_code(session, account, first[1], now=NOW)


def test_the_last_factor_that_a_role_has_to_have_stays(session: Session) -> None:
    account = with_app(session)
    wanted = InstallationSettings(second_factor_roles=frozenset({Role.EDITOR}))
    change_installation_settings(session, wanted, by="Ada", now=NOW)

    assert must_have_second_factor(session, account)
    with pytest.raises(StateError, match="another one first"):
        drop_totp(session, account)


def test_without_an_app_the_recovery_codes_are_gone_too(session: Session) -> None:
    account = with_app(session)
    codes = new_recovery_codes(session, account.id)

    drop_totp(session, account)

    assert not has_second_factor(session, account)
    assert recovery_codes_left(session, account.id) == 0
    assert not use_recovery_code(session, account, codes[0], now=NOW)
