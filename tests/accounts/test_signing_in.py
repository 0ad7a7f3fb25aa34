"""The steps of signing in: none can be left out, and nobody learns who has an account (S-06)."""

from datetime import timedelta

import pyotp
import pytest
from argon2 import PasswordHasher
from sqlalchemy import select
from sqlalchemy.orm import Session

from newsletter.accounts.installation import InstallationSettings, change_installation_settings
from newsletter.accounts.links import LASTS, account_of_link, make_link
from newsletter.accounts.passkeys import Shown
from newsletter.accounts.passwords import needs_rehash
from newsletter.accounts.second_factors import (
    begin_totp,
    confirm_totp,
    new_recovery_codes,
    totp_seed,
)
from newsletter.accounts.sessions import find_session, is_fresh
from newsletter.accounts.signing_in import (
    Browser,
    Entered,
    Refused,
    confirm_with_passkey,
    confirm_with_password,
    finish_with_code,
    finish_with_passkey,
    sign_in_with_link,
    sign_in_with_passkey,
    sign_in_with_password,
)
from newsletter.errors import NotFoundError
from newsletter.models import Account, AuditEntry, LinkPurpose, Role
from tests.accounts.staff import AT_HOME, ELSEWHERE, NOW, PASSWORD, an_account, signed_in

LATER = NOW + timedelta(minutes=1)


def sign_in(
    session: Session,
    password: str = PASSWORD,
    email: str = "edda@harbour.example",
    browser: Browser = AT_HOME,
) -> Entered | Refused:
    return sign_in_with_password(session, email, password, browser=browser, now=NOW)


def entered(came: Entered | Refused) -> Entered:
    assert isinstance(came, Entered)
    return came


def with_app(session: Session) -> Account:
    account = an_account(session)
    begin_totp(session, account)
    code = pyotp.TOTP(totp_seed(account)).at(NOW)
    assert confirm_totp(session, account, code, now=NOW)
    return account


def next_code(account: Account) -> str:
    return pyotp.TOTP(totp_seed(account)).at(NOW, counter_offset=1)


def actions(session: Session) -> list[str]:
    return list(session.scalars(select(AuditEntry.action).order_by(AuditEntry.id)))


@pytest.mark.parametrize("email", ["edda@harbour.example", " EDDA@Harbour.example "])
def test_the_right_password_signs_in(session: Session, email: str) -> None:
    account = an_account(session)

    came = entered(sign_in(session, email=email))

    assert came.is_finished
    assert signed_in(session, came.token).identity.account_id == account.id
    assert actions(session) == ["signed in"]
    assert account.signed_in_at == NOW


@pytest.mark.parametrize(
    ("email", "password"),
    [
        ("edda@harbour.example", "another one altogether"),
        ("edda@harbour.example", ""),
        ("edda@harbour.example", PASSWORD + " "),
        ("nobody@harbour.example", PASSWORD),
        ("no address at all", PASSWORD),
        ("", ""),
        ("new@harbour.example", ""),
        ("gone@harbour.example", PASSWORD),
    ],
)
def test_everything_else_is_refused_alike(session: Session, email: str, password: str) -> None:
    an_account(session)
    an_account(session, "new@harbour.example", "New", password_hash=None, joined_at=None)
    an_account(session, "gone@harbour.example", "Gone", disabled_at=NOW)

    assert sign_in(session, password, email) == Refused()


def test_after_five_wrong_ones_the_right_one_has_to_wait_too_and_then_is_good(
    session: Session,
) -> None:
    an_account(session)
    for _ in range(5):
        sign_in(session, "wrong")

    refused = sign_in(session)

    assert isinstance(refused, Refused)
    assert refused.until == NOW + timedelta(seconds=2)
    came = sign_in_with_password(
        session, "edda@harbour.example", PASSWORD, browser=ELSEWHERE, now=LATER
    )
    assert entered(came).is_finished


def test_strangers_fill_no_log_and_failures_of_members_are_kept(session: Session) -> None:
    """S-35."""
    an_account(session)

    sign_in(session, "wrong", "nobody@harbour.example")
    sign_in(session, "wrong")

    assert actions(session) == ["sign-in refused"]


def test_a_hash_of_weaker_days_is_made_anew(session: Session) -> None:
    weak = PasswordHasher(time_cost=1, memory_cost=1024, parallelism=1).hash(PASSWORD)
    account = an_account(session, password_hash=weak)

    entered(sign_in(session))

    assert account.password_hash is not None
    assert not needs_rehash(account.password_hash)


def test_with_an_app_the_password_alone_opens_nothing(session: Session) -> None:
    account = with_app(session)

    half = entered(sign_in(session))

    assert not half.is_finished
    assert signed_in(session, half.token).way == "/sign-in/second"
    came = entered(
        finish_with_code(
            session,
            signed_in(session, half.token),
            next_code(account),
            browser=AT_HOME,
            now=NOW,
        )
    )
    assert came.token != half.token
    assert find_session(session, half.token, now=NOW) is None
    assert signed_in(session, came.token).way is None


def test_a_recovery_code_takes_the_place_of_the_app_once(session: Session) -> None:
    account = with_app(session)
    code = new_recovery_codes(session, account.id)[0]

    for is_first in (True, False):
        half = signed_in(session, entered(sign_in(session)).token)
        came = finish_with_code(session, half, code, browser=AT_HOME, now=NOW)
        assert isinstance(came, Entered) is is_first


def test_codes_are_guessed_no_faster_than_passwords(session: Session) -> None:
    account = with_app(session)
    half = signed_in(session, entered(sign_in(session)).token)

    answers = [
        finish_with_code(session, half, "000000", browser=AT_HOME, now=NOW) for _ in range(5)
    ]
    late = finish_with_code(session, half, next_code(account), browser=ELSEWHERE, now=NOW)

    assert answers == [Refused()] * 5
    assert isinstance(late, Refused)
    assert late.until is not None


def test_a_new_sign_in_does_not_bring_the_tries_at_the_code_back(session: Session) -> None:
    with_app(session)

    looked_at = 0
    for _ in range(12):
        half = signed_in(session, entered(sign_in(session)).token)
        came = finish_with_code(session, half, "000000", browser=ELSEWHERE, now=NOW)
        looked_at += came == Refused()

    assert looked_at == 5


def test_a_passkey_of_somebody_else_is_no_second_factor(session: Session) -> None:
    with_app(session)
    other = an_account(session, "bo@harbour.example", "Bo")
    half = signed_in(session, entered(sign_in(session)).token)

    came = finish_with_passkey(
        session, half, Shown(other, is_person_verified=True), browser=AT_HOME, now=NOW
    )

    assert came == Refused()
    assert confirm_with_passkey(session, half, Shown(other, True), now=NOW) == Refused()


def test_a_passkey_alone_signs_in_only_where_the_device_knew_its_owner(session: Session) -> None:
    account = with_app(session)

    bare = sign_in_with_passkey(session, Shown(account, False), browser=AT_HOME, now=NOW)
    known = sign_in_with_passkey(session, Shown(account, True), browser=AT_HOME, now=NOW)

    assert bare == Refused()
    assert entered(known).is_finished


def test_who_must_have_a_second_factor_and_has_none_sets_one_up_first(session: Session) -> None:
    an_account(session)
    wanted = InstallationSettings(second_factor_roles=frozenset({Role.EDITOR}))
    change_installation_settings(session, wanted, by="Ada", now=NOW)

    half = entered(sign_in(session))

    assert signed_in(session, half.token).way == "/account/second-factor"


def test_a_link_signs_in_once_and_spares_nobody_the_second_factor(session: Session) -> None:
    account = with_app(session)
    link = make_link(
        session, account.id, LinkPurpose.SIGN_IN, base_url="https://news.example", now=NOW
    )
    token = link.removeprefix("https://news.example/sign-in/link/")

    came = sign_in_with_link(session, token, browser=AT_HOME, now=NOW)

    assert not came.is_finished
    with pytest.raises(NotFoundError, match="used already"):
        sign_in_with_link(session, token, browser=AT_HOME, now=NOW)


def test_a_link_is_for_one_purpose_for_a_while_and_until_the_next_one(session: Session) -> None:
    account = an_account(session)

    def token(purpose: LinkPurpose) -> str:
        link = make_link(session, account.id, purpose, base_url="", now=NOW)
        return link.rpartition("/")[2]

    old, new = token(LinkPurpose.RESET), token(LinkPurpose.RESET)
    end = NOW + LASTS[LinkPurpose.RESET]

    assert account_of_link(session, new, LinkPurpose.RESET, now=NOW) is account
    for shown, purpose, now in (
        (old, LinkPurpose.RESET, NOW),
        (new, LinkPurpose.INVITATION, NOW),
        (new, LinkPurpose.SIGN_IN, NOW),
        (new, LinkPurpose.RESET, end),
        ("x", LinkPurpose.RESET, NOW),
    ):
        with pytest.raises(NotFoundError):
            account_of_link(session, shown, purpose, now=now)


def test_to_confirm_who_one_is_the_password_is_asked_and_guesses_count(session: Session) -> None:
    """S-31."""
    an_account(session)
    here = signed_in(session, entered(sign_in(session)).token)
    later = NOW + timedelta(hours=1)

    wrong = confirm_with_password(session, here, "wrong", browser=AT_HOME, now=later)
    assert wrong == Refused()
    assert not is_fresh(here, now=later)
    assert confirm_with_password(session, here, PASSWORD, browser=AT_HOME, now=later) is None
    for _ in range(5):
        confirm_with_password(session, here, "wrong", browser=AT_HOME, now=later)

    assert confirm_with_password(session, here, PASSWORD, browser=AT_HOME, now=later) is not None
