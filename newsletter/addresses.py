"""Parses, normalises and hashes one e-mail address; every path into the system goes through here."""

import hashlib
import re
import unicodedata
from dataclasses import dataclass
from functools import cache

from email_validator import EmailNotValidError, validate_email

from newsletter.errors import AddressError
from newsletter.settings import get_settings
from newsletter.words import Words

# Octets; RFC 5321 section 4.5.3.1, with erratum 1690.
LONGEST_ADDRESS = 254
LONGEST_LOCAL = 64
HASH_BYTES = 16

# Anything but the plain shape below is left to email-validator, which costs ten times as much.
_PLAIN = re.compile(
    r"[a-z0-9_+-]+(?:\.[a-z0-9_+-]+)*@(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,}",
    re.IGNORECASE | re.ASCII,
)
_SPECIAL_USE = frozenset(
    {"alt", "arpa", "internal", "invalid", "local", "localdomain", "localhost", "onion", "test"}
)
# `user%host@relay` and `host!user@relay` ask the relay to pass the mail on to somebody else.
_ROUTING = frozenset("%!")
_TOO_LONG = Words("The address is longer than {longest} octets.", longest=LONGEST_ADDRESS)
_LIKE_AN_ADDRESS = re.compile(r"[^\s@<>()\[\]\"',;:]+@[^\s@<>()\[\]\"',;:]+")
_HOST_REST = re.compile(r"[a-z0-9.-]+", re.IGNORECASE | re.ASCII)


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
        return f"{unicodedata.normalize('NFC', self.local.casefold())}@{self.domain}"

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
    if len(text) > LONGEST_ADDRESS:
        raise AddressError(_TOO_LONG)
    try:
        result = validate_email(text, check_deliverability=False, allow_smtputf8=True)
    except EmailNotValidError as error:
        raise AddressError(str(error)) from error
    address = Address(result.local_part, result.ascii_domain)
    _refuse_what_no_server_takes(address)
    return address


def _is_plainly_valid(text: str) -> bool:
    if len(text) > LONGEST_ADDRESS or not _PLAIN.fullmatch(text):
        return False
    local, _, domain = text.lower().rpartition("@")
    labels = domain.split(".")
    return (
        len(local) <= LONGEST_LOCAL
        and all(len(label) <= 63 and label[2:4] != "--" for label in labels)
        and labels[-1] not in _SPECIAL_USE
    )


def _refuse_what_no_server_takes(address: Address) -> None:
    """What email-validator lets pass; its own limits count characters where RFC 5321 has octets."""
    if len(address.local.encode()) > LONGEST_LOCAL:
        raise AddressError(
            "The part before the @-sign is longer than {longest} octets.", longest=LONGEST_LOCAL
        )
    # Case folding may lengthen: one ΐ becomes three characters.
    if max(len(str(address).encode()), len(address.key)) > LONGEST_ADDRESS:
        raise AddressError(_TOO_LONG)
    if not _ROUTING.isdisjoint(address.local):
        raise AddressError(
            "Routes through another host (% or ! before the @-sign) are not allowed."
        )
    if address.domain.rpartition(".")[2] in _SPECIAL_USE:
        raise AddressError("The part after the @-sign is a special-use name that receives no mail.")


@cache
def _keyed_hash() -> "hashlib.blake2b":
    return hashlib.blake2b(
        digest_size=HASH_BYTES,
        key=hashlib.sha256(get_settings().address_key.encode()).digest(),
        person=b"address",
    )


@cache
def address_key_id() -> str:
    """Names the key of the hashes without telling anything of it, so that strange ones are known."""
    key = hashlib.sha256(get_settings().address_key.encode()).digest()
    return hashlib.blake2b(key=key, digest_size=4, person=b"key id").hexdigest()


def address_hash(address: Address) -> bytes:
    """A keyed 16-byte hash: what a suppression keeps instead of the address, after erasure too."""
    return key_hash(address.key)


def key_hash(key: str) -> bytes:
    """The same of an `Address.key`."""
    mac = _keyed_hash().copy()
    mac.update(key.encode())
    return mac.digest()


def mask_address(text: str) -> str:
    """`ada@readers.example` as `a***@r***.example`, for logs and for pages anybody may open.

    Takes any text, also what is no address, and shows no control character of it.
    """
    local, at, domain = text.strip().rpartition("@")
    if not at:
        return _first_letter(domain) + "***"
    name, _, rest = domain.partition(".")
    shown_rest = rest if _HOST_REST.fullmatch(rest) else "***"
    return f"{_first_letter(local)}***@{_first_letter(name)}***.{shown_rest}"


def mask_addresses(text: str) -> str:
    """A server's words as a log may have them: whatever looks like an address in them is masked."""
    return _LIKE_AN_ADDRESS.sub(lambda found: mask_address(found[0]), text)


def _first_letter(text: str) -> str:
    return text[:1] if text[:1].isalnum() else ""
