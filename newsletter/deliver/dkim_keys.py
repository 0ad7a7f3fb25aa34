"""The DKIM keys of the domains that mail is sent from: made, published, chosen, retired.

To change a key, make the next one and publish its record; it signs as soon as the one before it is
retired. So a signature never names a record that nobody could have published yet.
"""

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from sqlalchemy import select
from sqlalchemy.orm import Session

from newsletter.addresses import parse_address
from newsletter.deliver.dkim import RSA_BITS, PrivateKey, SigningKey, read_private_key
from newsletter.errors import AddressError, InputError, NotFoundError, StateError
from newsletter.models import DkimAlgorithm, DkimKey
from newsletter.sealing import seal, unseal

LONGEST_SELECTOR = 63
LONGEST_TXT_STRING = 255

_SELECTOR = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?", re.ASCII)


@dataclass(frozen=True, slots=True)
class DnsRecord:
    """A TXT record: `name` is absolute without its final dot."""

    name: str
    text: str

    @property
    def strings(self) -> tuple[str, ...]:
        """The text as the character-strings of RFC 1035, which a reader joins without a blank."""
        return tuple(
            self.text[at : at + LONGEST_TXT_STRING]
            for at in range(0, len(self.text), LONGEST_TXT_STRING)
        )

    @property
    def zone_line(self) -> str:
        quoted = " ".join(f'"{string}"' for string in self.strings)
        return f"{self.name}. IN TXT ( {quoted} )"


def create_key(
    session: Session, domain: str, selector: str, *, algorithm: DkimAlgorithm, now: datetime
) -> DkimKey:
    """Raises `InputError` for a bad name, `StateError` when the selector was ever in use."""
    domain = _domain(domain)
    selector = selector.lower()
    if len(selector) > LONGEST_SELECTOR or not _SELECTOR.fullmatch(selector):
        raise InputError(
            "The selector {selector!r} cannot be used: write 1 to 63 of a-z, 0-9 and hyphens.",
            selector=selector,
        )
    if _find(session, domain, selector) is not None:
        raise StateError(
            "{domain} has had a key {selector} already; choose another selector.",
            domain=domain,
            selector=selector,
        )
    if algorithm is DkimAlgorithm.ED25519 and not _active_keys(session, [domain]):
        raise StateError(
            "{domain} has no RSA key, and many mailbox providers verify no other kind; "
            "make that first, under a selector of its own.",
            domain=domain,
        )
    key = DkimKey(
        domain=domain,
        selector=selector,
        algorithm=algorithm,
        sealed_private_key=seal(_pem(_new_private_key(algorithm))),
        created_at=now,
        is_active=True,
    )
    session.add(key)
    session.flush()
    return key


def retire_key(session: Session, domain: str, selector: str) -> DkimKey:
    """Let the key sign nothing more; the domain's next one of its kind takes over.

    Raises `NotFoundError`, or `StateError` when only an Ed25519 key would be left.
    """
    domain, selector = _domain(domain), selector.lower()
    key = _find(session, domain, selector)
    if key is None:
        raise NotFoundError(
            "{domain} has no key {selector}; see: newsletter dkim list",
            domain=domain,
            selector=selector,
        )
    left = [other for other in _active_keys(session, [domain]) if other is not key]
    if left and all(other.algorithm is DkimAlgorithm.ED25519 for other in left):
        raise StateError(
            "Without {selector}, {domain} would sign with Ed25519 alone, which many "
            "mailbox providers do not verify; retire {other} first, or make another RSA "
            "key.",
            selector=selector,
            domain=domain,
            other=left[0].selector,
        )
    key.is_active = False
    session.flush()
    return key


def keys_for(session: Session, sender_domain: str) -> list[DkimKey]:
    """The keys that sign mail from this domain, at most one of each algorithm, RSA first.

    They are its own or, when it has none, those of the nearest domain above it: DMARC's relaxed
    alignment (RFC 9989) takes both.
    """
    labels = sender_domain.split(".")
    candidates = [".".join(labels[at:]) for at in range(len(labels) - 1)]
    found = _active_keys(session, candidates)
    if not found:
        return []
    nearest = max((key.domain for key in found), key=len)
    oldest: dict[DkimAlgorithm, DkimKey] = {}
    for key in found:
        if key.domain == nearest:
            oldest.setdefault(key.algorithm, key)
    return [oldest[algorithm] for algorithm in DkimAlgorithm if algorithm in oldest]


def signing_key(key: DkimKey) -> SigningKey:
    """Raises `SettingError` when the key cannot be read, or should not sign."""
    return SigningKey(key.domain, key.selector, read_private_key(unseal(key.sealed_private_key)))


def dns_record(key: SigningKey) -> DnsRecord:
    """What has to be published for the key's signatures to verify (RFC 6376 section 3.6)."""
    kind = "rsa" if key.algorithm is DkimAlgorithm.RSA else "ed25519"
    public = base64.b64encode(_public_bytes(key.private)).decode()
    name = f"{key.selector}._domainkey.{key.domain}"
    return DnsRecord(name, f"v=DKIM1; k={kind}; p={public}")


def _public_bytes(private: PrivateKey) -> bytes:
    public = private.public_key()
    if isinstance(private, RSAPrivateKey):
        return public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return public.public_bytes(Encoding.Raw, PublicFormat.Raw)  # RFC 8463 section 4


def _new_private_key(algorithm: DkimAlgorithm) -> PrivateKey:
    if algorithm is DkimAlgorithm.RSA:
        return generate_private_key(public_exponent=65537, key_size=RSA_BITS)
    return Ed25519PrivateKey.generate()


def _pem(private: PrivateKey) -> str:
    return private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def _domain(text: str) -> str:
    try:
        return parse_address(f"postmaster@{text.rstrip('.')}").domain
    except AddressError as error:
        raise InputError(
            "{text!r} is not a domain that mail is sent from: {error}", text=text, error=error
        ) from error


def _find(session: Session, domain: str, selector: str) -> DkimKey | None:
    return session.scalar(
        select(DkimKey).where(DkimKey.domain == domain, DkimKey.selector == selector)
    )


def _active_keys(session: Session, domains: Sequence[str]) -> Sequence[DkimKey]:
    return session.scalars(
        select(DkimKey).where(DkimKey.domain.in_(domains), DkimKey.is_active).order_by(DkimKey.id)
    ).all()
