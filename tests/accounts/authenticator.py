"""An authenticator in software: makes and shows passkeys as a browser and a security key do together."""

import base64
import hashlib
import json
import secrets
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from webauthn.helpers import encode_cbor

PRESENT, VERIFIED, ATTESTED = 0x01, 0x04, 0x40


@dataclass(slots=True)
class Authenticator:
    origin: str
    asks_who: bool = True
    """Whether it asks for a finger or a PIN."""
    counts: bool = True
    credential_id: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    key: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )
    uses: int = 0

    def create(self, options: str) -> str:
        asked = json.loads(options)
        attested = (
            bytes(16)
            + len(self.credential_id).to_bytes(2)
            + self.credential_id
            + encode_cbor(self._cose_key())
        )
        data = self._data(asked["rp"]["id"], ATTESTED) + attested
        statement = {"fmt": "none", "attStmt": {}, "authData": data}
        return self._credential(
            clientDataJSON=self._client_data("webauthn.create", asked["challenge"]),
            attestationObject=encode_cbor(statement),
        )

    def show(self, options: str) -> str:
        asked = json.loads(options)
        client = self._client_data("webauthn.get", asked["challenge"])
        self.uses += self.counts
        data = self._data(asked["rpId"], 0)
        signed = data + hashlib.sha256(client).digest()
        return self._credential(
            clientDataJSON=client,
            authenticatorData=data,
            signature=self.key.sign(signed, ec.ECDSA(hashes.SHA256())),
        )

    def _data(self, party: str, flags: int) -> bytes:
        flags |= PRESENT | (VERIFIED if self.asks_who else 0)
        return hashlib.sha256(party.encode()).digest() + bytes([flags]) + self.uses.to_bytes(4)

    def _client_data(self, kind: str, challenge: str) -> bytes:
        said = {"type": kind, "challenge": challenge, "origin": self.origin, "crossOrigin": False}
        return json.dumps(said).encode()

    def _credential(self, **response: bytes) -> str:
        said: dict[str, Any] = {
            "id": _encoded(self.credential_id),
            "rawId": _encoded(self.credential_id),
            "type": "public-key",
            "clientExtensionResults": {},
            "response": {name: _encoded(value) for name, value in response.items()},
        }
        return json.dumps(said)

    def _cose_key(self) -> dict[int, Any]:
        """RFC 9053 section 7.1: a P-256 key for ES256."""
        numbers = self.key.public_key().public_numbers()
        return {1: 2, 3: -7, -1: 1, -2: numbers.x.to_bytes(32), -3: numbers.y.to_bytes(32)}


def _encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
