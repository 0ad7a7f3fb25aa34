"""Passkeys (WebAuthn level 3): registers them, and knows who shows one."""

import ipaddress
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

import webauthn
from sqlalchemy import select
from sqlalchemy.orm import Session
from webauthn.helpers import (
    parse_authentication_credential_json,
    parse_client_data_json,
    parse_registration_credential_json,
)
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticationCredential,
    AuthenticatorSelectionCriteria,
    AuthenticatorTransport,
    PublicKeyCredentialDescriptor,
    RegistrationCredential,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from newsletter.accounts.challenges import new_challenge, take_challenge
from newsletter.accounts.people import read_name
from newsletter.accounts.second_factors import refuse_to_drop_the_last
from newsletter.errors import InputError, NotFoundError, StateError
from newsletter.models import Account, Passkey
from newsletter.words import Words

MOST_PASSKEYS = 20

_WRONG = Words("it was not accepted; try again")
_USER_ID_BYTES = 8


@dataclass(frozen=True, slots=True)
class Party:
    """The site that passkeys are for: an authenticator shows them to no other."""

    id: str
    origin: str
    name: str


@dataclass(frozen=True, slots=True)
class Shown:
    """A passkey that was shown, and is right."""

    account: Account
    is_person_verified: bool
    """Whether the device asked for a finger, a face or a PIN: it is two factors then."""


def party_of(base_url: str, *, name: str) -> Party | None:
    """None where browsers offer no passkeys: a host without a name."""
    parts = urlsplit(base_url)
    host = parts.hostname or ""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return Party(host, f"{parts.scheme}://{parts.netloc}", name)
    return None


def registration_options(
    session: Session, account: Account, party: Party, *, holder: str, now: datetime
) -> str:
    """JSON for `navigator.credentials.create`; `holder` names the browser that asks."""
    return webauthn.options_to_json(
        webauthn.generate_registration_options(
            rp_id=party.id,
            rp_name=party.name,
            user_id=account.id.to_bytes(_USER_ID_BYTES),
            user_name=account.email,
            user_display_name=account.name,
            challenge=new_challenge(session, holder, now=now),
            exclude_credentials=[_descriptor(each) for each in passkeys_of(session, account.id)],
            authenticator_selection=AuthenticatorSelectionCriteria(
                resident_key=ResidentKeyRequirement.PREFERRED,
                user_verification=UserVerificationRequirement.PREFERRED,
            ),
        )
    )


def register_passkey(
    session: Session,
    account: Account,
    credential: str,
    *,
    name: str,
    party: Party,
    holder: str,
    now: datetime,
) -> Passkey:
    """Raises `InputError` when it answers no question of ours, and `StateError` for one too many."""
    own = passkeys_of(session, account.id)
    if len(own) >= MOST_PASSKEYS:
        raise StateError(
            "there are {most} passkeys already; take one away first", most=MOST_PASSKEYS
        )
    try:
        answer = parse_registration_credential_json(credential)
        verified = webauthn.verify_registration_response(
            credential=answer,
            expected_challenge=_take_challenge(session, answer, holder, now),
            expected_rp_id=party.id,
            expected_origin=party.origin,
        )
    except (WebAuthnException, ValueError) as error:
        raise InputError(_WRONG, field="passkey") from error
    taken = select(Passkey.id).where(Passkey.credential_id == verified.credential_id)
    if session.scalar(taken) is not None:
        raise InputError("it is registered already", field="passkey")
    row = Passkey(
        account_id=account.id,
        name=read_name(name),
        credential_id=verified.credential_id,
        public_key=verified.credential_public_key,
        sign_count=verified.sign_count,
        transports=[each.value for each in answer.response.transports or []],
        created_at=now,
    )
    session.add(row)
    session.flush()
    return row


def sign_in_options(
    session: Session, account: Account | None, party: Party, *, holder: str, now: datetime
) -> str:
    """JSON for `navigator.credentials.get`; without an account the browser offers what it has."""
    own = passkeys_of(session, account.id) if account is not None else []
    return webauthn.options_to_json(
        webauthn.generate_authentication_options(
            rp_id=party.id,
            challenge=new_challenge(session, holder, now=now),
            allow_credentials=[_descriptor(each) for each in own],
            user_verification=(
                UserVerificationRequirement.REQUIRED
                if account is None
                else UserVerificationRequirement.PREFERRED
            ),
        )
    )


def show_passkey(
    session: Session, credential: str, *, party: Party, holder: str, now: datetime
) -> Shown:
    """Whose it is. Raises `InputError` when nobody's, or when it answers no question of ours."""
    try:
        answer = parse_authentication_credential_json(credential)
        challenge = _take_challenge(session, answer, holder, now)
        found = session.execute(
            select(Passkey, Account)
            .join(Account, Account.id == Passkey.account_id)
            .where(Passkey.credential_id == answer.raw_id, Account.disabled_at.is_(None))
            .with_for_update(of=Passkey)
        ).one_or_none()
        if found is None:
            raise InputError(_WRONG, field="passkey")
        row, account = found
        verified = webauthn.verify_authentication_response(
            credential=answer,
            expected_challenge=challenge,
            expected_rp_id=party.id,
            expected_origin=party.origin,
            credential_public_key=row.public_key,
            credential_current_sign_count=row.sign_count,
        )
    except (WebAuthnException, ValueError) as error:
        raise InputError(_WRONG, field="passkey") from error
    row.sign_count, row.used_at = verified.new_sign_count, now
    session.flush()
    return Shown(account, verified.user_verified)


def passkeys_of(session: Session, account_id: int) -> list[Passkey]:
    return list(
        session.scalars(
            select(Passkey).where(Passkey.account_id == account_id).order_by(Passkey.id)
        )
    )


def drop_passkey(session: Session, account: Account, passkey_id: int) -> Passkey:
    """Raises `NotFoundError`, and `StateError` for the last factor that the role has to have."""
    own = {each.id: each for each in passkeys_of(session, account.id)}
    if passkey_id not in own:
        raise NotFoundError("there is no such passkey")
    is_other_left = len(own) > 1 or account.totp_since is not None
    refuse_to_drop_the_last(session, account, is_other_left=is_other_left)
    session.delete(own[passkey_id])
    session.flush()
    return own[passkey_id]


def _take_challenge(
    session: Session,
    answer: RegistrationCredential | AuthenticationCredential,
    holder: str,
    now: datetime,
) -> bytes:
    told = parse_client_data_json(answer.response.client_data_json).challenge
    return take_challenge(session, told, holder, now=now)


def _descriptor(row: Passkey) -> PublicKeyCredentialDescriptor:
    known = {each.value for each in AuthenticatorTransport}
    return PublicKeyCredentialDescriptor(
        id=row.credential_id,
        transports=[AuthenticatorTransport(each) for each in row.transports if each in known],
    )
