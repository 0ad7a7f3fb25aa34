"""Header fields as bytes, folded field by field.

The standard library's folding is not used: it turns a long List-Unsubscribe into encoded-words,
which no mailbox reads, and can split a character over two of them.
"""

import base64
import re
from collections.abc import Callable

from newsletter.errors import InputError

LINE = 76  # RFC 2047 section 2: a line with an encoded-word in it has at most 76 characters
WORD = 75

_BREAKS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_PLAIN_ADDRESS = re.compile(r"[!-;=?-~]+@[!-;=?-~]+")
_PLAIN_PHRASE = re.compile(r"[A-Za-z0-9]+(?: [A-Za-z0-9]+)*", re.ASCII)
_Q_SAFE = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!*+-/")
_AROUND = len("=?utf-8?q??=")
_LONGEST_PLAIN_WORD = 60


def structured(name: str, value: str) -> bytes:
    """A field that software reads (RFC 2369, 8058): on one line, as it is."""
    _refuse_breaks(name, value)
    return f"{name}: {value}\r\n".encode("ascii")


def unstructured(name: str, text: str) -> bytes:
    """A field that people read: folded at blanks, in encoded-words (RFC 2047) where it must be."""
    _refuse_breaks(name, text)
    if _is_plain(text):
        return _folded(f"{name}:", text.split(" "))
    return _folded(f"{name}:", _encoded_words(text, taken=len(name) + 2))


def is_plain_address(address: str) -> bool:
    """Nothing in it can end a header field or an envelope's command, and all of it is ASCII."""
    return _PLAIN_ADDRESS.fullmatch(address) is not None


def mailbox(name: str, phrase: str, address: str) -> bytes:
    """A field of one mailbox; `phrase`, the display name, may be empty.

    An address with a local part beyond ASCII is written in UTF-8 (RFC 6532): whoever sends it must
    have been offered SMTPUTF8.
    """
    if _PLAIN_PHRASE.fullmatch(phrase) and is_plain_address(address):  # as most readers' are
        field = f"{name}: {phrase} <{address}>"
        if len(field) <= LINE:
            return field.encode() + b"\r\n"
    _refuse_breaks(name, phrase)
    _refuse_breaks(name, address)
    if not phrase:
        return f"{name}: {address}\r\n".encode()
    quoted = phrase if _PLAIN_PHRASE.fullmatch(phrase) else _quoted(phrase)
    if phrase.isascii() and "=?" not in phrase and len(name) + len(quoted) + 2 <= LINE:
        return _folded(f"{name}:", [quoted, f"<{address}>"])
    return _folded(f"{name}:", [*_encoded_words(phrase, taken=len(name) + 2), f"<{address}>"])


def _refuse_breaks(name: str, value: str) -> None:
    if found := _BREAKS.search(value):
        raise InputError(
            "{name} holds the character U+{code:04X}; remove it", name=name, code=ord(found[0])
        )


def _is_plain(text: str) -> bool:
    words = text.split(" ")
    return (
        text.isascii()
        and "=?" not in text
        and all(words)
        and max(map(len, words)) <= _LONGEST_PLAIN_WORD
    )


def _quoted(phrase: str) -> str:
    escaped = phrase.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _folded(line: str, words: list[str]) -> bytes:
    lines = []
    for index, word in enumerate(words):
        # The first word stays beside the field's name: a first line of nothing else is obsolete.
        if index and len(line) + 1 + len(word) > LINE:
            lines.append(line)
            line = ""
        line += f" {word}"
    lines.append(line)
    return ("\r\n".join(lines) + "\r\n").encode()


def _encoded_words(text: str, *, taken: int) -> list[str]:
    """Whole characters only, each word decodable alone; the first leaves room for `taken`."""
    quoted, plain = [_q(character) for character in text], [char.encode() for char in text]
    if sum(map(len, quoted)) <= _base64_length(sum(map(len, plain))):
        groups = _grouped(quoted, taken=taken, length=int)
        return [f"=?utf-8?q?{b''.join(group).decode()}?=" for group in groups]
    groups = _grouped(plain, taken=taken, length=_base64_length)
    return [f"=?utf-8?b?{base64.b64encode(b''.join(group)).decode()}?=" for group in groups]


def _grouped(
    characters: list[bytes], *, taken: int, length: Callable[[int], int]
) -> list[list[bytes]]:
    groups: list[list[bytes]] = [[]]
    used, room = 0, LINE - taken - _AROUND
    for character in characters:
        used += len(character)
        if length(used) > room:
            groups.append([])
            used, room = len(character), WORD - _AROUND
        groups[-1].append(character)
    return groups


def _base64_length(count: int) -> int:
    return -(-count // 3) * 4


def _q(character: str) -> bytes:
    if character == " ":
        return b"_"
    return b"".join(
        byte.to_bytes() if byte in _Q_SAFE else b"=%02X" % byte for byte in character.encode()
    )
