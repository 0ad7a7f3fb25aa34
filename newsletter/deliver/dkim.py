"""Signs a finished message (DKIM: RFC 6376, RFC 8301, RFC 8463), canonicalised as relaxed/relaxed."""

import base64
import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from newsletter.errors import SettingError
from newsletter.models import DkimAlgorithm
from newsletter.render.message import Head, Letter

LINE = 78
HEADS_KEPT = 64
RSA_BITS = 2048
"""RFC 8301 section 3.2; mailbox providers refuse less, and more costs three times as much."""

# Named twice, a field cannot be added again after signing either (RFC 6376 section 8.15).
_OVERSIGNED = (b"from", b"reply-to", b"to", b"subject", b"date", b"content-type")
_SIGNED = (
    *(b"message-id", b"mime-version", b"content-transfer-encoding"),
    # RFC 8058 section 4: a one-click unsubscription counts only when both of these are signed.
    *(b"list-unsubscribe", b"list-unsubscribe-post"),
    *(b"list-id", b"list-help", b"list-archive", b"feedback-id"),
)
HEADER_FIELDS = (*(name for name in _OVERSIGNED for _ in range(2)), *_SIGNED)
"""The `h=` of every signature, in order; signing a field that is absent keeps it absent."""

_OWN = b"\0"  # stands for a letter's own value: no header field can hold it
# One pass over a whole body; with a quantifier in it the expression takes ten times as long.
_EXCESS = re.compile(rb" (?= |\r\n)")

PrivateKey = RSAPrivateKey | Ed25519PrivateKey


@dataclass(frozen=True, slots=True)
class SigningKey:
    domain: str
    selector: str
    private: PrivateKey

    @property
    def algorithm(self) -> DkimAlgorithm:
        is_rsa = isinstance(self.private, RSAPrivateKey)
        return DkimAlgorithm.RSA if is_rsa else DkimAlgorithm.ED25519


def read_private_key(pem: str) -> PrivateKey:
    """Raises `SettingError` for a key that no mailbox provider accepts."""
    private = load_pem_private_key(pem.encode(), password=None)
    if isinstance(private, Ed25519PrivateKey):
        return private
    if isinstance(private, RSAPrivateKey) and private.key_size >= RSA_BITS:
        return private
    raise SettingError(
        "A DKIM key is neither RSA of at least {rsa_bits} bits nor Ed25519; retire it.",
        rsa_bits=RSA_BITS,
    )


class Signer:
    def __init__(self, keys: Iterable[SigningKey]) -> None:
        """One signature is made with each of `keys`, none when there are none."""
        self._prepared = [_PreparedKey(key) for key in keys]

    def sign(self, message: bytes, *, at: datetime) -> bytes:
        """`message`, whose line ends are CRLF, with its signatures in front.

        The same message and instant always give the same octets.
        """
        if not self._prepared:
            return message
        fields, body = _split(message)
        body_hash = hashlib.sha256(_relaxed_body(body)).digest()
        signatures = self._signatures(_signed_fields(fields), body_hash, at)
        return b"".join((*signatures, message))

    def sign_letter(self, letter: Letter, *, at: datetime) -> tuple[bytes, ...]:
        """The octets of `sign(letter.content)`, in parts, without reading them again."""
        if not self._prepared:
            return letter.header, *letter.body
        body_hash = hashlib.sha256()
        for part in letter.body:
            body_hash.update(part)
        signatures = self._signatures(_letter_fields(letter), body_hash.digest(), at)
        return *signatures, letter.header, *letter.body

    def _signatures(self, signed: bytes, body_hash: bytes, at: datetime) -> Iterator[bytes]:
        rest = b" t=%d;\r\n bh=%b;\r\n b=" % (at.timestamp(), base64.b64encode(body_hash))
        relaxed_rest = rest.replace(b"\r\n", b"")
        for key in self._prepared:
            value = _sign(key.private, b"".join((signed, key.relaxed_start, relaxed_rest)))
            yield b"".join((key.start, rest, _folded_value(value)))


class _PreparedKey:
    """With the part of its signature fields that is the same in all of them."""

    def __init__(self, key: SigningKey) -> None:
        self.private = key.private
        self.start = _signature_start(key)
        self.relaxed_start = _relaxed_field(_unfolded(self.start.removesuffix(b"\r\n")))


def _signature_start(key: SigningKey) -> bytes:
    tags = (
        b"v=1;",
        f"a={key.algorithm};".encode(),
        b"c=relaxed/relaxed;",
        f"d={key.domain};".encode(),
        f"s={key.selector};".encode(),
        *(name + b":" for name in (b"h=" + HEADER_FIELDS[0], *HEADER_FIELDS[1:-1])),
        HEADER_FIELDS[-1] + b";",
    )
    lines = [b"DKIM-Signature:"]
    for tag in tags:
        if len(lines[-1]) + 1 + len(tag) > LINE:
            lines.append(b"")
        lines[-1] += b" " + tag
    return b"\r\n".join(lines) + b"\r\n"


def _sign(private: PrivateKey, text: bytes) -> bytes:
    if isinstance(private, RSAPrivateKey):
        return private.sign(text, PKCS1v15(), SHA256())
    return private.sign(hashlib.sha256(text).digest())  # the hash, not the text: RFC 8463 section 3


def _folded_value(signature: bytes) -> bytes:
    encoded, room = base64.b64encode(signature), LINE - len(" b=")
    return b"\r\n ".join(encoded[at : at + room] for at in range(0, len(encoded), room)) + b"\r\n"


def _split(message: bytes) -> tuple[list[bytes], bytes]:
    """The header fields, unfolded, and the body."""
    if message.startswith(b"\r\n"):
        return [], message[2:]
    head, _, body = message.partition(b"\r\n\r\n")
    return _unfolded(head).split(b"\r\n"), body


def _unfolded(head: bytes) -> bytes:
    return head.replace(b"\r\n ", b" ").replace(b"\r\n\t", b"\t")


def _letter_fields(letter: Letter) -> bytes:
    """`_signed_fields` of a letter, of which only four values are not known beforehand."""
    to = _without_excess(_unfolded(letter.to[len(b"To: ") : -2]))
    start, to_date, to_message_id, to_unsubscribe, end = _same_in_all(letter.head)
    return b"".join(
        (
            *(start, to, to_date, letter.date, to_message_id, letter.message_id),
            *(to_unsubscribe, letter.unsubscribe, end),
        )
    )


@lru_cache(maxsize=HEADS_KEPT)
def _same_in_all(head: Head) -> list[bytes]:
    """The signed header fields between the four values that each letter has of its own."""
    header = head.filled(b"To: " + _OWN + b"\r\n", _OWN, _OWN, _OWN)
    fields, _ = _split(header)
    return _signed_fields(fields).split(_OWN)


def _signed_fields(fields: list[bytes]) -> bytes:
    """What `HEADER_FIELDS` stands for: of several fields of a name the last counts first."""
    found: dict[bytes, list[bytes]] = {}
    for field in fields:
        found.setdefault(_field_name(field), []).append(field)
    return b"".join(
        _relaxed_field(found[name].pop()) + b"\r\n" for name in HEADER_FIELDS if found.get(name)
    )


def _field_name(field: bytes) -> bytes:
    return field.partition(b":")[0].rstrip(b" \t").lower()


def _relaxed_field(field: bytes) -> bytes:
    """RFC 6376 section 3.4.2, of an unfolded field and without its line end."""
    value = field.partition(b":")[2]
    return _field_name(field) + b":" + _without_excess(value).strip(b" ")


def _relaxed_body(body: bytes) -> bytes:
    """RFC 6376 section 3.4.4."""
    if body and not body.endswith(b"\r\n"):
        body += b"\r\n"
    relaxed = _without_excess(body)
    end = len(relaxed)
    while relaxed[end - 4 : end] == b"\r\n\r\n":
        end -= 2
    return b"" if relaxed[:end] == b"\r\n" else relaxed[:end]


def _without_excess(text: bytes) -> bytes:
    """With single blanks, and none before a line's end."""
    return _EXCESS.sub(b"", text.replace(b"\t", b" "))
