"""Parses, normalises and hashes one e-mail address; every path into the system goes through here."""

import hashlib
import re
from dataclasses import dataclass
from functools import cache

from email_validator import EmailNotValidError, validate_email

from newsletter.errors import AddressError
from newsletter.settings import get_settings

LONGEST_ADDRESS = 254  # RFC 5321 section 4.5.3.1, with erratum 1690
HASH_BYTES = 16

# Anything but the plain shape below is left to email-validator, which costs ten times as much.
_PLAIN = re.compile(
    r"[a-z0-9_+-]+(?:\.[a-z0-9_+-]+)*@(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,}",
    re.IGNORECASE | re.ASCII,
)
_SPECIAL_USE = ("localhost", "local", "invalid", "test", "arpa", "onion", "internal", "localdomain")


@dataclass(frozen=True, slots=True)
class Address:
    """`local` keeps its case for sending; `domain` is lower case and in A-labels (RFC 5890)."""

    local: str
    domain: str

    def __str__(self) -> str:
        return f"{self.local}@{self.domain}"

    @property
    def key(self) -> str:
        """What makes two spellings the same person's address."""
        return f"{self.local.casefold()}@{self.domain}"

    @property
    def needs_smtputf8(self) -> bool:
        return not self.local.isascii()


def parse_address(text: str) -> Address:
    """Read one bare address (RFC 5321 section 4.1.2, IDNA2008). Raises `AddressError`, saying why.

    Quoted local parts, comments, routes, address literals and special-use domains are refused.
    """
    text = text.strip(" \t")
    if _is_plainly_valid(text):
        local, _, domain = text.rpartition("@")
        return Address(local, domain.lower())
    try:
        result = validate_email(text, check_deliverability=False, allow_smtputf8=True)
    except EmailNotValidError as error:
        raise AddressError(str(error)) from error
    if len(result.normalized) > LONGEST_ADDRESS:
        message = f"The address is longer than {LONGEST_ADDRESS} characters."
        raise AddressError(message)
    return Address(result.local_part, result.ascii_domain)


def _is_plainly_valid(text: str) -> bool:
    if len(text) > LONGEST_ADDRESS or not _PLAIN.fullmatch(text):
        return False
    local, _, domain = text.lower().rpartition("@")
    labels = domain.split(".")
    return (
        len(local) <= 64
        and all(len(label) <= 63 and label[2:4] != "--" for label in labels)
        and labels[-1] not in _SPECIAL_USE
    )


@cache
def _keyed_hash() -> "hashlib.blake2b":
    return hashlib.blake2b(
        digest_size=HASH_BYTES,
        key=hashlib.sha256(get_settings().address_key.encode()).digest(),
        person=b"address",
    )


def address_hash(address: Address) -> bytes:
    """A keyed 16-byte hash: what a suppression keeps instead of the address, after erasure too."""
    mac = _keyed_hash().copy()
    mac.update(address.key.encode())
    return mac.digest()


def mask_address(text: str) -> str:
    """`ada@readers.example` as `a***@r***.example`, for logs and for pages anybody may open."""
    local, _, domain = text.rpartition("@")
    name, _, rest = domain.partition(".")
    return f"{local[:1]}***@{name[:1]}***.{rest}"
