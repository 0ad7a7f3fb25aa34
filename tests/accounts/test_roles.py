"""Roles: each includes those before it, everywhere or on certain lists (S-09)."""

from itertools import product

import pytest

from newsletter.accounts.roles import Identity, Role

EVERY = list(Role)


def somebody(role: Role, list_roles: dict[int, Role] | None = None) -> Identity:
    return Identity(1, "Edda", "edda@harbour.example", "UTC", role, list_roles)


@pytest.mark.parametrize(("own", "asked"), [*product(EVERY, EVERY)])
def test_a_role_includes_itself_and_those_before_it(own: Role, asked: Role) -> None:
    assert own.includes(asked) is (EVERY.index(own) >= EVERY.index(asked))


def test_who_is_not_narrowed_has_their_role_on_every_list_and_on_what_is_on_none() -> None:
    editor = somebody(Role.EDITOR)

    assert editor.list_ids is None
    assert editor.role_on(7) is Role.EDITOR
    assert editor.may(Role.EDITOR, [1, 2])
    assert editor.may(Role.EDITOR, ())
    assert editor.may(Role.EDITOR, None)
    assert not editor.may(Role.ADMIN, [1])


def test_who_is_narrowed_has_a_role_of_their_own_on_each_of_their_lists() -> None:
    editor = somebody(Role.EDITOR, {1: Role.EDITOR, 2: Role.VIEWER})

    assert editor.list_ids == frozenset({1, 2})
    assert editor.may(Role.EDITOR, [1])
    assert editor.may(Role.VIEWER, [1, 2])
    assert not editor.may(Role.EDITOR, [1, 2])
    assert editor.role_on(3) is None
    assert not editor.may(Role.VIEWER, [1, 3])


def test_what_is_on_no_list_belongs_to_nobody_who_is_narrowed() -> None:
    admin = somebody(Role.ADMIN, {1: Role.ADMIN})

    assert not admin.may(Role.VIEWER, ())
    assert not admin.may(Role.VIEWER, None)
