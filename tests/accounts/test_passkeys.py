"""Passkeys, made and shown by an authenticator in software (WebAuthn level 3)."""

import json
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.orm import Session

from newsletter.accounts.challenges import GOOD_FOR, forget_challenges
from newsletter.accounts.installation import InstallationSettings, change_installation_settings
from newsletter.accounts.passkeys import (
    Party,
    Shown,
    drop_passkey,
    party_of,
    passkeys_of,
    register_passkey,
    registration_options,
    show_passkey,
    sign_in_options,
)
from newsletter.errors import InputError, NotFoundError, StateError
from newsletter.models import Account, Passkey, PasskeyChallenge, Role
from tests.accounts.authenticator import Authenticator
from tests.accounts.staff import NOW, an_account

PARTY = Party("news.harbour.example", "https://news.harbour.example", "Harbour News")
HERE = "the cookie of this browser"


@pytest.fixture
def store() -> str:
    return "sqlite"


def register(session: Session, account: Account, device: Authenticator) -> Passkey:
    options = registration_options(session, account, PARTY, holder=HERE, now=NOW)
    return register_passkey(
        session,
        account,
        device.create(options),
        name="laptop",
        party=PARTY,
        holder=HERE,
        now=NOW,
    )


def show(session: Session, device: Authenticator, account: Account | None = None) -> Shown:
    options = sign_in_options(session, account, PARTY, holder=HERE, now=NOW)
    return show_passkey(session, device.show(options), party=PARTY, holder=HERE, now=NOW)


def a_device(*, asks_who: bool = True, counts: bool = True) -> Authenticator:
    return Authenticator(PARTY.origin, asks_who=asks_who, counts=counts)


@pytest.mark.parametrize(
    ("base_url", "party"),
    [
        ("https://news.harbour.example", PARTY),
        ("http://localhost:8000", Party("localhost", "http://localhost:8000", "Harbour News")),
        ("http://127.0.0.1:8000", None),
        ("https://[::1]", None),
    ],
)
def test_there_are_passkeys_where_the_site_has_a_name(base_url: str, party: Party | None) -> None:
    assert party_of(base_url, name="Harbour News") == party


def test_a_passkey_says_whose_it_is_and_that_the_device_knew_them(session: Session) -> None:
    account, device = an_account(session), a_device()
    row = register(session, account, device)

    shown = show(session, device)

    assert shown == Shown(account, is_person_verified=True)
    assert row.used_at == NOW
    assert row.sign_count == 1


def test_a_key_that_asks_for_no_finger_says_so(session: Session) -> None:
    account, device = an_account(session), a_device(asks_who=False)
    register(session, account, device)

    assert not show(session, device, account).is_person_verified


def test_an_answer_is_good_once(session: Session) -> None:
    device = a_device(counts=False)
    register(session, an_account(session), device)
    answer = device.show(sign_in_options(session, None, PARTY, holder=HERE, now=NOW))

    show_passkey(session, answer, party=PARTY, holder=HERE, now=NOW)

    with pytest.raises(InputError, match="passkey:"):
        show_passkey(session, answer, party=PARTY, holder=HERE, now=NOW)


def test_an_answer_from_another_browser_or_too_late_is_refused(session: Session) -> None:
    device = a_device()
    register(session, an_account(session), device)
    answer = device.show(sign_in_options(session, None, PARTY, holder=HERE, now=NOW))

    for holder, now in (("another browser", NOW), (HERE, NOW + GOOD_FOR + timedelta(seconds=1))):
        with pytest.raises(InputError, match="too long"):
            show_passkey(session, answer, party=PARTY, holder=holder, now=now)


def test_an_answer_for_another_site_is_refused(session: Session) -> None:
    device = a_device()
    register(session, an_account(session), device)
    device.origin = "https://news.harbour.example.evil.example"

    with pytest.raises(InputError, match="not accepted"):
        show(session, device)


def test_a_copied_key_is_noticed_by_its_counter(session: Session) -> None:
    device = a_device()
    register(session, an_account(session), device)
    show(session, device)
    show(session, device)

    device.uses = 0

    with pytest.raises(InputError, match="not accepted"):
        show(session, device)


def test_a_strange_key_under_a_known_name_is_refused(session: Session) -> None:
    device = a_device()
    register(session, an_account(session), device)
    forged = Authenticator(PARTY.origin, credential_id=device.credential_id)

    with pytest.raises(InputError, match="not accepted"):
        show(session, forged)


def test_a_passkey_of_who_is_disabled_signs_nobody_in(session: Session) -> None:
    account, device = an_account(session), a_device()
    register(session, account, device)
    account.disabled_at = NOW
    session.flush()

    with pytest.raises(InputError, match="not accepted"):
        show(session, device)


def test_a_passkey_is_registered_once(session: Session) -> None:
    device = a_device()
    register(session, an_account(session), device)

    with pytest.raises(InputError, match="already"):
        register(session, an_account(session, "bo@harbour.example", "Bo"), device)


def test_only_its_owner_removes_it_and_not_the_last_that_the_role_needs(
    session: Session,
) -> None:
    account = an_account(session)
    other = an_account(session, "bo@harbour.example", "Bo")
    first = register(session, account, a_device())
    second = register(session, account, a_device())

    with pytest.raises(NotFoundError):
        drop_passkey(session, other, first.id)
    drop_passkey(session, account, first.id)
    wanted = InstallationSettings(second_factor_roles=frozenset({Role.EDITOR}))
    change_installation_settings(session, wanted, by="Ada", now=NOW)
    with pytest.raises(StateError):
        drop_passkey(session, account, second.id)

    assert passkeys_of(session, account.id) == [second]


def test_the_browser_is_told_which_keys_somebody_has_only_after_their_password(
    session: Session,
) -> None:
    """S-01."""
    account = an_account(session)
    register(session, account, a_device())

    anybody = json.loads(sign_in_options(session, None, PARTY, holder=HERE, now=NOW))
    known = json.loads(sign_in_options(session, account, PARTY, holder=HERE, now=NOW))

    assert anybody["allowCredentials"] == []
    assert anybody["userVerification"] == "required"
    assert len(known["allowCredentials"]) == 1


def test_questions_that_nobody_answered_are_forgotten(session: Session) -> None:
    sign_in_options(session, None, PARTY, holder=HERE, now=NOW)

    forget_challenges(session, now=NOW + GOOD_FOR + timedelta(seconds=1))

    assert session.query(PasskeyChallenge).count() == 0


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    text=st.text(max_size=60)
    | st.dictionaries(
        st.sampled_from(["id", "rawId", "type", "response"]),
        st.text(max_size=10) | st.none() | st.dictionaries(st.text(max_size=5), st.text()),
    ).map(json.dumps)
)
def test_nothing_that_a_browser_could_send_does_more_than_be_refused(
    session: Session, text: str
) -> None:
    with pytest.raises(InputError, match="passkey:"):
        show_passkey(session, text, party=PARTY, holder=HERE, now=NOW)
