"""Signed compact tokens: who a link, a pixel, a Message-ID or a return path belongs to.

A token is `key number | sealed ids | MAC`, base64url without padding (hexadecimal in return paths,
which some servers fold to lower case). It is built like SIV (RFC 5297): the 16-byte MAC, keyed
BLAKE2b (RFC 7693) over purpose and ids, also masks the ids, so a token shows no number that could
be counted, and the same ids always give the same token. A token of one purpose opens nothing else.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from newsletter.errors import TokenError

MAC_BYTES = 16
FIRST_TEST_READER = 1 << 47
"""Ids from here on are no subscriber's: each stands for one test mail, whose links change nothing."""
NOBODY = 0
"""The reader in the links of a list that counts without names; no subscriber has this number."""
RETURN_PATH_MAC_BYTES = 10  # keeps the local part of a return path below 64 octets
MASK_BYTES = 14  # as long as the longest ids; shorter ones take the first of them, hashes need none
HASH_BYTES = 16
"""Of an address, as `newsletter.addresses` makes it."""
ADDRESS_MARK_BYTES = 4
"""Of these, in a link that is good for one address only."""
REFERENCE_BYTES = 12
"""Of what a confirmation names, written in hexadecimal."""

_URL_SAFE = bytes.maketrans(b"+/", b"-_")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Purpose(StrEnum):
    OPEN = "open"
    CLICK = "click"
    UNSUBSCRIBE = "unsubscribe"
    VIEW = "view"
    MESSAGE_ID = "message-id"
    RETURN_PATH = "return-path"
    FORM = "form"
    CONFIRM = "confirm"
    REFUSE = "refuse"
    PREFERENCES = "preferences"
    SETTINGS = "settings"
    DATA = "data"
    ERASE = "erase"
    MOVE = "move"
    UNDO = "undo"


@dataclass(frozen=True, slots=True)
class DeliveryRef:
    """The delivery that a token names."""

    edition_id: int
    subscriber_id: int

    @property
    def is_test(self) -> bool:
        return self.subscriber_id >= FIRST_TEST_READER

    def pack(self) -> bytes:
        return self.edition_id.to_bytes(4) + self.subscriber_id.to_bytes(6)


class SubscriptionRef(NamedTuple):
    """The subscription that an unsubscribe link ends, and the edition whose link it was.

    A tuple because one is made per message.
    """

    list_id: int
    edition_id: int
    subscriber_id: int

    @property
    def is_test(self) -> bool:
        return self.subscriber_id >= FIRST_TEST_READER

    def pack(self) -> bytes:
        return (
            self.list_id.to_bytes(4) + self.edition_id.to_bytes(4) + self.subscriber_id.to_bytes(6)
        )


@dataclass(frozen=True, slots=True)
class PersonRef:
    """Whom a mailed link is for, as they were mailed; `at` is to the second."""

    subscriber_id: int
    at: datetime
    address_mark: bytes
    """The first four bytes of their address's hash: at another address the link is no more good."""

    def pack(self) -> bytes:
        return self.subscriber_id.to_bytes(6) + _seconds(self.at) + self.address_mark


@dataclass(frozen=True, slots=True)
class UndoRef:
    """A leaving that its page may take back; `left_at` is to the second."""

    list_id: int
    subscriber_id: int
    left_at: datetime

    def pack(self) -> bytes:
        return self.list_id.to_bytes(4) + self.subscriber_id.to_bytes(6) + _seconds(self.left_at)


class LetterTokens(NamedTuple):
    """All that one reader's message carries, as ASCII; a tuple because one is made per message."""

    opened: bytes
    click: bytes
    unsubscribe: bytes
    preferences: bytes
    message_id: bytes
    return_path: bytes


class _Keys:
    """One secret's two keyed hashes for one purpose, set up once and copied per token."""

    def __init__(self, number: int, secret: str, purpose: Purpose, mac_bytes: int) -> None:
        key = hashlib.sha256(secret.encode()).digest()
        self.number = number.to_bytes()
        mac = hashlib.blake2b(key=key, person=purpose.encode(), digest_size=mac_bytes)
        mask = hashlib.blake2b(key=key, person=b"mask", digest_size=MASK_BYTES)
        self.new_mac, self.new_mask = mac.copy, mask.copy

    def seal(self, ids: bytes) -> bytes:
        """The whole token, raw: the key's number, the masked ids and the MAC."""
        mac = self.new_mac()
        mac.update(ids)
        tag = mac.digest()
        return self.number + self._masked(ids, tag) + tag

    def open(self, sealed: bytes, ids_length: int) -> bytes:
        masked, tag = sealed[:ids_length], sealed[ids_length:]
        ids = self._masked(masked, tag)
        mac = self.new_mac()
        mac.update(ids)
        if not hmac.compare_digest(mac.digest(), tag):
            raise TokenError("unknown token")
        return ids

    def _masked(self, ids: bytes, tag: bytes) -> bytes:
        mask = self.new_mask()
        mask.update(tag)
        length = len(ids)
        pad = int.from_bytes(mask.digest()[:length])
        return (int.from_bytes(ids) ^ pad).to_bytes(length)


class _LetterKeys:
    """What `_Keys` does for a letter's six tokens, in one go: they are the dearest part of a letter.

    The ids are masked as one number, and encoded as one row of octets in which every token begins
    at a multiple of three, so that its characters are its own.
    """

    _PURPOSES = (
        *(Purpose.OPEN, Purpose.CLICK, Purpose.MESSAGE_ID),
        *(Purpose.UNSUBSCRIBE, Purpose.PREFERENCES),
        Purpose.RETURN_PATH,
    )

    def __init__(self, keys: Mapping[Purpose, _Keys]) -> None:
        of_letter = [keys[purpose] for purpose in self._PURPOSES]
        self._number = of_letter[0].number
        self._new_macs = tuple(each.new_mac for each in of_letter)
        self._new_mask = of_letter[0].new_mask

    def seal(self, packed: bytes) -> LetterTokens:
        """`packed` is a `SubscriptionRef`."""
        delivery, number, new_mask = packed[4:], self._number, self._new_mask
        ids = (delivery, delivery, delivery, packed, packed, delivery)
        tags, masks = [], []
        for new_mac, each in zip(self._new_macs, ids, strict=True):
            mac = new_mac()
            mac.update(each)
            tag = mac.digest()
            mask = new_mask()
            mask.update(tag)
            tags.append(tag)
            masks.append(mask.digest())
        filled = delivery + bytes(MASK_BYTES - len(delivery))
        row = b"".join((filled, filled, filled, packed, packed, filled))
        masked = int.from_bytes(row) ^ int.from_bytes(b"".join(masks))
        place = masked.to_bytes(6 * MASK_BYTES)
        opened, click, message_id, unsubscribe, preferences, return_path = tags
        sealed = (
            *(number, place[:10], opened),
            *(number, place[14:24], click),
            *(number, place[28:38], message_id),
            *(number, place[42:56], unsubscribe, b"\0\0"),
            *(number, place[56:70], preferences, b"\0\0"),
        )
        text = binascii.b2a_base64(b"".join(sealed), newline=False).translate(_URL_SAFE)
        return LetterTokens(
            opened=text[:36],
            click=text[36:72],
            unsubscribe=text[108:150],
            preferences=text[152:194],
            message_id=text[72:108],
            return_path=binascii.hexlify(b"".join((number, place[70:80], return_path))),
        )


class Tokens:
    """Makes tokens with the newest secret and reads those of any secret still configured.

    `secret_keys` is (number, secret) pairs, newest first, as `Settings.secret_keys` has them.
    """

    def __init__(self, secret_keys: tuple[tuple[int, str], ...]) -> None:
        self._keys = {
            (number, purpose): _Keys(
                number,
                secret,
                purpose,
                RETURN_PATH_MAC_BYTES if purpose is Purpose.RETURN_PATH else MAC_BYTES,
            )
            for number, secret in secret_keys
            for purpose in Purpose
        }
        newest = secret_keys[0][0]
        self._seal = {purpose: self._keys[newest, purpose].seal for purpose in Purpose}
        self._of_letter = _LetterKeys({each: self._keys[newest, each] for each in Purpose})

    def delivery(self, purpose: Purpose, ref: DeliveryRef) -> str:
        """36 characters of `[A-Za-z0-9_-]`."""
        return _base64(self._seal[purpose](ref.pack())).decode()

    def of_letter(self, ref: SubscriptionRef) -> LetterTokens:
        """The same tokens as one by one, for the path that every message takes."""
        return self._of_letter.seal(ref.pack())

    def read_delivery(self, purpose: Purpose, token: str) -> DeliveryRef:
        """Raises `TokenError` for anything that `delivery` did not make for this purpose."""
        ids = self._opened(purpose, _unbase64(token), 10)
        return DeliveryRef(int.from_bytes(ids[:4]), int.from_bytes(ids[4:]))

    def unsubscribe(self, ref: SubscriptionRef) -> str:
        """42 characters of `[A-Za-z0-9_-]`."""
        return _base64(self._seal[Purpose.UNSUBSCRIBE](ref.pack())).decode()

    def read_unsubscribe(self, token: str) -> SubscriptionRef:
        """Raises `TokenError` for anything that `unsubscribe` did not make."""
        return self._read_subscription(Purpose.UNSUBSCRIBE, token)

    def preferences(self, ref: SubscriptionRef) -> str:
        """42 characters, for the link that stands in every mail and may be forwarded with it."""
        return _base64(self._seal[Purpose.PREFERENCES](ref.pack())).decode()

    def read_preferences(self, token: str) -> SubscriptionRef:
        """Raises `TokenError` for anything that `preferences` did not make."""
        return self._read_subscription(Purpose.PREFERENCES, token)

    def of_person(self, purpose: Purpose, ref: PersonRef) -> str:
        """42 characters, for a link that is mailed to one person alone and soon grows old."""
        return _base64(self._seal[purpose](ref.pack())).decode()

    def read_of_person(self, purpose: Purpose, token: str) -> PersonRef:
        """Raises `TokenError` for anything that `of_person` did not make for this purpose."""
        ids = self._opened(purpose, _unbase64(token), 14)
        return PersonRef(int.from_bytes(ids[:6]), _instant(ids[6:10]), ids[10:])

    def undo(self, ref: UndoRef) -> str:
        """42 characters of `[A-Za-z0-9_-]`."""
        return _base64(self._seal[Purpose.UNDO](ref.pack())).decode()

    def read_undo(self, token: str) -> UndoRef:
        """Raises `TokenError` for anything that `undo` did not make."""
        ids = self._opened(Purpose.UNDO, _unbase64(token), 14)
        return UndoRef(int.from_bytes(ids[:4]), int.from_bytes(ids[4:10]), _instant(ids[10:]))

    def move(self, reference: str, *, is_new: bool) -> str:
        """40 characters, for the link to the old or to the new of two addresses."""
        side = bytes([is_new])
        return _base64(self._seal[Purpose.MOVE](bytes.fromhex(reference) + side)).decode()

    def read_move(self, token: str) -> tuple[str, bool]:
        """Raises `TokenError` for anything that `move` did not make."""
        ids = self._opened(Purpose.MOVE, _unbase64(token), REFERENCE_BYTES + 1)
        return ids[:REFERENCE_BYTES].hex(), bool(ids[REFERENCE_BYTES])

    def return_path(self, ref: DeliveryRef) -> str:
        """42 characters of `[0-9a-f]`, safe where a server changes the case of local parts."""
        return self._seal[Purpose.RETURN_PATH](ref.pack()).hex()

    def read_return_path(self, token: str) -> DeliveryRef:
        """Raises `TokenError` for anything that `return_path` did not make; case is ignored."""
        try:
            sealed = binascii.unhexlify(token)
        except ValueError as error:
            raise _unknown() from error
        ids = self._opened(Purpose.RETURN_PATH, sealed, 10)
        return DeliveryRef(int.from_bytes(ids[:4]), int.from_bytes(ids[4:]))

    def form(self, shown_at: datetime) -> str:
        """Says when a form was shown: who fills in a form takes their time."""
        milliseconds = (shown_at - _EPOCH) // timedelta(milliseconds=1)
        return _base64(self._seal[Purpose.FORM](milliseconds.to_bytes(6))).decode()

    def read_form(self, token: str) -> datetime:
        """Raises `TokenError` for anything that `form` did not make."""
        ids = self._opened(Purpose.FORM, _unbase64(token), 6)
        return _EPOCH + timedelta(milliseconds=int.from_bytes(ids))

    def confirmation(self, reference: str) -> str:
        """39 characters of `[A-Za-z0-9_-]`, for the reference of one request."""
        return _base64(self._seal[Purpose.CONFIRM](bytes.fromhex(reference))).decode()

    def read_confirmation(self, token: str) -> str:
        """Raises `TokenError` for anything that `confirmation` did not make."""
        return self._opened(Purpose.CONFIRM, _unbase64(token), REFERENCE_BYTES).hex()

    def refusal(self, address_hash: bytes) -> str:
        """44 characters of `[A-Za-z0-9_-]`; good for as long as its key, since nobody stores it."""
        return _base64(self._seal[Purpose.REFUSE](address_hash)).decode()

    def read_refusal(self, token: str) -> bytes:
        """Raises `TokenError` for anything that `refusal` did not make."""
        return self._opened(Purpose.REFUSE, _unbase64(token), HASH_BYTES)

    def _read_subscription(self, purpose: Purpose, token: str) -> SubscriptionRef:
        ids = self._opened(purpose, _unbase64(token), 14)
        return SubscriptionRef(
            int.from_bytes(ids[:4]), int.from_bytes(ids[4:8]), int.from_bytes(ids[8:])
        )

    def _opened(self, purpose: Purpose, sealed: bytes, ids_length: int) -> bytes:
        mac_bytes = RETURN_PATH_MAC_BYTES if purpose is Purpose.RETURN_PATH else MAC_BYTES
        if len(sealed) != 1 + ids_length + mac_bytes:
            raise _unknown()
        keys = self._keys.get((sealed[0], purpose))
        if keys is None:
            raise _unknown()
        return keys.open(sealed[1:], ids_length)


def _seconds(at: datetime) -> bytes:
    return ((at - _EPOCH) // timedelta(seconds=1)).to_bytes(4)


def _instant(seconds: bytes) -> datetime:
    return _EPOCH + timedelta(seconds=int.from_bytes(seconds))


def _unknown() -> TokenError:
    return TokenError("unknown token")


def _base64(raw: bytes) -> bytes:
    return binascii.b2a_base64(raw, newline=False).translate(_URL_SAFE, b"=")


def _unbase64(token: str) -> bytes:
    try:
        raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise _unknown() from error
    if (
        _base64(raw) != token.encode()
    ):  # unused trailing bits would give one token several spellings
        raise _unknown()
    return raw
