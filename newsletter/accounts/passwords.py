"""Passwords: which ones are good enough, and their Argon2id hashes (RFC 9106)."""

import re
import unicodedata
from functools import cache
from pathlib import Path
from threading import BoundedSemaphore

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from newsletter.errors import InputError

SHORTEST = 12
LONGEST = 256
FEWEST_CHARACTERS = 5
"""Different ones."""
FEWEST_OWN = 6
"""Characters that are left when a name is taken out."""
AT_ONCE = 2
"""Hashes that a process makes at a time: each takes 19 MB and a core for some hundredths of a second."""

_COMMONEST = Path(__file__).with_name("commonest.txt")
_NOT_A_LETTER = re.compile(r"[^a-z]")
_LETTERS = str.maketrans("013457@$!", "oieastasi")
_ROWS = ("01234567890", "abcdefghijklmnopqrstuvwxyz", "qwertyuiop", "asdfghjkl", "zxcvbnm")
_STRETCH = 4

_hasher = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
_turn = BoundedSemaphore(AT_ONCE)


def check_password(password: str, *, name: str, email: str) -> None:
    """Raises `InputError` for one that is soon guessed; `name` and `email` are its owner's."""
    if len(password) < SHORTEST:
        raise InputError(
            "use {shortest} characters or more; a few words in a row do well",
            field="password",
            shortest=SHORTEST,
        )
    if len(password) > LONGEST:
        raise InputError("use {longest} characters at most", field="password", longest=LONGEST)
    if _is_common(password):
        raise InputError(
            "this one is among the first that are guessed; choose other words", field="password"
        )
    if _is_mostly(password, [*name.split(), *re.split(r"[^\w]+", email)]):
        raise InputError(
            "it is little more than your name or address; add words of your own", field="password"
        )


def hash_password(password: str) -> str:
    with _turn:
        return _hasher.hash(_normal(password))


def is_password(stored: str | None, password: str) -> bool:
    """Whether the hash is this password's. It takes as long when there is none to compare with."""
    if len(password) > LONGEST:
        return False
    with _turn:
        try:
            _hasher.verify(_nobodys() if stored is None else stored, _normal(password))
        except (VerificationError, InvalidHashError):
            return False
    return stored is not None


def needs_rehash(stored: str) -> bool:
    """Whether it was made with weaker parameters than are used now."""
    return _hasher.check_needs_rehash(stored)


def _normal(password: str) -> str:
    # Keyboards differ in how they compose letters.
    return unicodedata.normalize("NFC", password)


@cache
def _nobodys() -> str:
    return _hasher.hash("")


def _is_common(password: str) -> bool:
    """Also with numbers and marks about it, or in place of letters."""
    folded = password.casefold()
    if len(set(folded)) < FEWEST_CHARACTERS or _is_walk(folded):
        return True
    letters = _NOT_A_LETTER.sub("", folded)
    rest = _NOT_A_LETTER.sub("", folded.translate(_LETTERS))
    for word in _commonest():
        rest = rest.replace(word, "")
    return letters in _commonest() or (len(letters) >= _STRETCH > len(rest))


def _is_walk(folded: str) -> bool:
    """Made of stretches of the alphabet, of the numbers, or of rows of keys."""
    rows = [*_ROWS, *(row[::-1] for row in _ROWS)]
    on_the_way = sum(
        any(folded[place : place + _STRETCH] in row for row in rows)
        for place in range(len(folded) - _STRETCH + 1)
    )
    return on_the_way * 2 > len(folded) - _STRETCH + 1


def _is_mostly(password: str, names: list[str]) -> bool:
    plain = rest = "".join(each for each in password.casefold() if each.isalnum())
    for name in sorted((each.casefold() for each in names), key=len, reverse=True):
        if len(name) > 2:
            rest = rest.replace(name, "")
    return rest != plain and len(rest) < FEWEST_OWN


@cache
def _commonest() -> tuple[str, ...]:
    """The longest first."""
    return tuple(sorted(_COMMONEST.read_text().split(), key=len, reverse=True))
