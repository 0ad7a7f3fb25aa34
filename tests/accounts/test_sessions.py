"""Sessions: known by a hash, ended by time and by whatever changes somebody's rights (S-07)."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from newsletter.accounts.api_keys import create_api_key, find_api_key
from newsletter.accounts.people import (
    Rights,
    change_rights,
    disable_account,
    enable_account,
    set_password,
)
from newsletter.accounts.scopes import Scope
from newsletter.accounts.sessions import (
    FRESH,
    IDLE,
    LONGEST,
    UNFINISHED,
    USE_IS_NOTED_EVERY,
    begin_session,
    confirm_session,
    csrf_of,
    end_session,
    end_sessions_of,
    end_sessions_without_second_factor,
    find_session,
    forget_sessions,
    is_fresh,
    is_use_due,
    note_use,
    sessions_of,
)
from newsletter.models import Account, Role, StaffSession
from tests.accounts.staff import NOW, OTHER_PASSWORD, a_list, an_account, an_admin, signed_in

SECOND = timedelta(seconds=1)


def begin(session: Session, account: Account) -> str:
    return begin_session(session, account.id, user_agent="Firefox", now=NOW)


def test_a_session_is_found_by_its_token_which_the_database_does_not_have(
    session: Session,
) -> None:
    account = an_account(session)

    token = begin(session, account)

    found = signed_in(session, token)
    assert found.identity.account_id == account.id
    assert found.identity.role is Role.EDITOR
    assert found.way is None
    row = session.get_one(StaffSession, found.session_id)
    assert token.encode() not in b"".join(
        value for value in vars(row).values() if isinstance(value, bytes)
    )
    assert found.csrf == csrf_of(token)
    assert token not in found.csrf


@pytest.mark.parametrize("token", ["", "x", "0" * 43, "'; DROP TABLE account; --", "\x00"])
def test_what_is_no_token_is_nobodys(session: Session, token: str) -> None:
    begin(session, an_account(session))

    assert find_session(session, token, now=NOW) is None


def test_a_session_that_nobody_uses_ends_after_eight_hours(session: Session) -> None:
    token = begin(session, an_account(session))

    assert find_session(session, token, now=NOW + IDLE - SECOND) is not None
    assert find_session(session, token, now=NOW + IDLE) is None


def test_a_session_ends_after_seven_days_however_much_it_is_used(session: Session) -> None:
    token = begin(session, an_account(session))
    number = signed_in(session, token).session_id

    note_use(session, number, now=NOW + LONGEST - SECOND)

    assert find_session(session, token, now=NOW + LONGEST - SECOND) is not None
    assert find_session(session, token, now=NOW + LONGEST) is None


def test_its_use_is_noted_every_five_minutes(session: Session) -> None:
    found = signed_in(session, begin(session, an_account(session)))

    assert not is_use_due(found, now=NOW + USE_IS_NOTED_EVERY - SECOND)
    assert is_use_due(found, now=NOW + USE_IS_NOTED_EVERY)


def test_it_is_fresh_for_ten_minutes_after_its_owner_showed_who_they_are(
    session: Session,
) -> None:
    """S-31."""
    token = begin(session, an_account(session))
    later = NOW + FRESH + SECOND

    assert is_fresh(signed_in(session, token), now=NOW + FRESH)
    assert not is_fresh(signed_in(session, token), now=later)
    confirm_session(session, signed_in(session, token).session_id, now=later)
    assert is_fresh(signed_in(session, token), now=later + FRESH)


def change_the_password(session: Session, account: Account) -> None:
    set_password(session, account, OTHER_PASSWORD, now=NOW)


def change_the_role(session: Session, account: Account) -> None:
    change_rights(session, account.id, Rights(Role.VIEWER), now=NOW)


def narrow_the_role(session: Session, account: Account) -> None:
    rights = Rights(list_roles={a_list(session, "morning"): Role.EDITOR})
    change_rights(session, account.id, rights, now=NOW)


def disable(session: Session, account: Account) -> None:
    disable_account(session, account.id, now=NOW)


@pytest.mark.parametrize("change", [change_the_password, change_the_role, narrow_the_role, disable])
def test_sessions_and_api_keys_end_with_the_rights_they_came_from(
    session: Session, change: Callable[[Session, Account], None]
) -> None:
    """S-07."""
    account, other = an_account(session), an_admin(session)
    token, kept = begin(session, account), begin(session, other)
    keys = [
        create_api_key(
            session,
            "shop",
            [Scope.LISTS_READ],
            list_ids=None,
            by=each.name,
            by_account=each.id,
            expires_at=NOW + LONGEST,
            now=NOW,
        )
        for each in (account, other)
    ]

    change(session, account)

    assert find_session(session, token, now=NOW) is None
    assert find_session(session, kept, now=NOW) is not None
    assert [find_api_key(session, key.token, now=NOW) is None for key in keys] == [True, False]


def test_who_is_disabled_cannot_come_back_with_an_old_token(session: Session) -> None:
    account = an_account(session)
    token = begin(session, account)

    disable_account(session, account.id, now=NOW)
    enable_account(session, account.id)

    assert find_session(session, token, now=NOW) is None


def test_signing_out_ends_one_session_and_signing_out_elsewhere_all_others(
    session: Session,
) -> None:
    account = an_account(session)
    here, phone, old = (begin(session, account) for _ in range(3))

    end_session(session, signed_in(session, old).session_id)
    assert len(sessions_of(session, account.id, now=NOW)) == 2
    end_sessions_of(session, [account.id], but=signed_in(session, here).session_id)

    assert find_session(session, here, now=NOW) is not None
    assert find_session(session, phone, now=NOW) is None


def test_an_unfinished_session_leads_on_to_what_is_owed_and_ends_soon(session: Session) -> None:
    account = an_account(session)
    token = begin_session(session, account.id, user_agent="", is_finished=False, now=NOW)

    assert signed_in(session, token).way == "/account/second-factor"
    account.totp_since = NOW
    session.flush()
    assert signed_in(session, token).way == "/sign-in/second"
    assert not is_fresh(signed_in(session, token), now=NOW)
    assert find_session(session, token, now=NOW + UNFINISHED) is None
    assert sessions_of(session, account.id, now=NOW) == []
    assert account.signed_in_at is None


def test_who_must_have_a_second_factor_from_now_on_and_has_none_is_signed_out(
    session: Session,
) -> None:
    with_app = an_account(session, totp_since=NOW)
    without = an_account(session, "bo@harbour.example", "Bo")
    viewer = an_account(session, "vera@harbour.example", "Vera", Rights(Role.VIEWER))
    tokens = [begin(session, each) for each in (with_app, without, viewer)]

    end_sessions_without_second_factor(session, {Role.EDITOR, Role.ADMIN})

    found = [find_session(session, token, now=NOW) is not None for token in tokens]
    assert found == [True, False, True]


def test_what_a_browser_calls_itself_is_shortened_and_cannot_control_anything(
    session: Session,
) -> None:
    account = an_account(session)

    begin_session(session, account.id, user_agent="a\x1b[31m\r\n" + "b" * 500, now=NOW)

    kept = sessions_of(session, account.id, now=NOW)[0].user_agent
    assert kept.isprintable()
    assert len(kept) == 200


def test_sessions_that_are_over_are_forgotten(session: Session) -> None:
    account = an_account(session)
    begin(session, account)

    forget_sessions(session, now=NOW + IDLE - SECOND)
    assert session.scalar(select(func.count()).select_from(StaffSession)) == 1
    forget_sessions(session, now=NOW + IDLE)
    assert session.scalar(select(func.count()).select_from(StaffSession)) == 0
