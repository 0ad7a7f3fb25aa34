"""Which passwords are good enough, and how they are kept (S-06)."""

import time
from contextlib import suppress
from statistics import median

import pytest
from argon2 import PasswordHasher
from hypothesis import given, settings
from hypothesis import strategies as st

from newsletter.accounts.passwords import (
    check_password,
    hash_password,
    is_password,
    needs_rehash,
)
from newsletter.errors import InputError


def check(password: str) -> None:
    check_password(password, name="Edda Holm", email="edda.holm@harbour.example")


@pytest.mark.parametrize(
    "password",
    [
        "seven gulls over the quay",
        "XK#9vq-2mLw!7",
        "Rain on Tuesday, again",
        "早上好今天港口又開放了非常開心",
        "837465019283",
        "edda likes cinnamon buns",
    ],
)
def test_a_password_that_nobody_tries_first_is_good(password: str) -> None:
    check(password)


@pytest.mark.parametrize(
    ("password", "why"),
    [
        ("elevenchars", "12 characters"),
        ("", "12 characters"),
        ("x" * 257, "256"),
        ("passwordpassword", "guessed"),
        ("Password1234!", "guessed"),
        ("P@ssw0rd2026", "guessed"),
        ("newsletter2026", "guessed"),
        ("correct horse battery staple", "guessed"),
        ("aaaaaaaaaaaaaa", "guessed"),
        ("123456789012", "guessed"),
        ("abcdefghijklmnop", "guessed"),
        ("qwertyuiopasdf", "guessed"),
        ("abababababab", "guessed"),
        ("Edda Holm 2026", "name or address"),
        ("eddaholm@harbour", "name or address"),
    ],
)
def test_a_password_that_is_soon_guessed_is_refused_with_the_reason(
    password: str, why: str
) -> None:
    with pytest.raises(InputError, match=f"password: .*{why}"):
        check(password)


@given(st.text(max_size=300))
def test_any_text_at_all_is_either_good_or_refused(password: str) -> None:
    with suppress(InputError):
        check(password)


@settings(max_examples=5, deadline=None)
@given(st.text(min_size=1, max_size=40), st.text(min_size=1, max_size=40))
def test_a_hash_is_of_its_password_alone(one: str, other: str) -> None:
    stored = hash_password(one)

    assert stored.startswith("$argon2id$")
    assert is_password(stored, one)
    assert is_password(stored, other) is (one == other)


def test_how_a_keyboard_composes_an_umlaut_does_not_matter() -> None:
    stored = hash_password("möwen über der mole")

    assert is_password(stored, "mo\u0308wen u\u0308ber der mole")


@pytest.mark.parametrize("stored", [None, "", "0e123", "$argon2id$v=19$nonsense"])
def test_nothing_is_the_password_of_who_has_none(stored: str | None) -> None:
    assert not is_password(stored, "")
    assert not is_password(stored, "0e456")


def test_a_hash_that_was_made_with_less_work_is_to_be_made_anew() -> None:
    weak = PasswordHasher(time_cost=1, memory_cost=1024, parallelism=1).hash("x" * 12)

    assert is_password(weak, "x" * 12)
    assert needs_rehash(weak)
    assert not needs_rehash(hash_password("x" * 12))


def test_it_takes_as_long_where_there_is_no_account() -> None:
    stored = hash_password("seven gulls over the quay")
    is_password(None, "warm up")

    def seconds(kept: str | None) -> float:
        begun = time.process_time()
        is_password(kept, "another one altogether")
        return time.process_time() - begun

    known, unknown = (median(seconds(kept) for _ in range(7)) for kept in (stored, None))
    assert known / 2 < unknown < known * 2
