"""Keys of programs: shown once, known by a hash, narrowed, expired and revoked."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.orm import Session

from newsletter.accounts.api_keys import (
    NewApiKey,
    all_api_keys,
    create_api_key,
    find_api_key,
    is_use_due,
    note_use,
    revoke_api_key,
)
from newsletter.accounts.scopes import ACROSS_LISTS, Scope
from newsletter.db import make_engine, transaction
from newsletter.errors import InputError, NotFoundError
from newsletter.models import schema

NOW = datetime(2026, 11, 23, 6, tzinfo=UTC)


def a_key(session: Session, **changes: Any) -> NewApiKey:
    fields: dict[str, Any] = {
        "list_ids": None,
        "by": "ed",
        "expires_at": NOW + timedelta(days=1),
        "now": NOW,
    }
    scopes = changes.pop("scopes", [Scope.LISTS_READ])
    return create_api_key(session, changes.pop("name", "shop"), scopes, **(fields | changes))


def test_a_key_is_found_by_its_token_and_the_database_does_not_have_it(session: Session) -> None:
    """S-09."""
    made = a_key(session)

    found = find_api_key(session, made.token, now=NOW)

    assert found is made.row
    stored = [str(value) for value in vars(made.row).values()]
    assert not any(made.token.rpartition("_")[2] in text for text in stored)


@pytest.mark.parametrize("changed", [-1, 10, 4, 0])
def test_a_token_with_one_other_character_is_nobodys(session: Session, changed: int) -> None:
    """S-27."""
    made = a_key(session)
    place = changed % len(made.token)
    other = "1" if made.token[place] != "1" else "2"

    assert (
        find_api_key(session, made.token[:place] + other + made.token[place + 1 :], now=NOW) is None
    )


def test_a_key_ends_at_its_hour(session: Session) -> None:
    """S-09."""
    made = a_key(session, expires_at=NOW + timedelta(hours=1))

    assert find_api_key(session, made.token, now=NOW + timedelta(minutes=59)) is not None
    assert find_api_key(session, made.token, now=NOW + timedelta(hours=1)) is None


def test_a_revoked_key_lets_nobody_in_and_stays_listed(session: Session) -> None:
    made = a_key(session)

    revoke_api_key(session, made.row.prefix, now=NOW)
    revoke_api_key(session, made.row.prefix, now=NOW + timedelta(days=1))

    assert find_api_key(session, made.token, now=NOW) is None
    assert [row.revoked_at for row in all_api_keys(session)] == [NOW]


def test_what_is_no_key_cannot_be_revoked(session: Session) -> None:
    with pytest.raises(NotFoundError, match="api-key list"):
        revoke_api_key(session, "0" * 12, now=NOW)


@pytest.mark.parametrize("scope", sorted(ACROSS_LISTS))
def test_a_key_for_certain_lists_has_no_scope_about_everybody(
    session: Session, scope: Scope
) -> None:
    """S-09."""
    with pytest.raises(InputError, match=f"scope: {scope}"):
        a_key(session, scopes=[scope], list_ids=[1])


@pytest.mark.parametrize("name", ["", "  ", "two\nlines\x00", "x" * 101])
def test_a_key_needs_a_name_that_can_be_read(session: Session, name: str) -> None:
    with pytest.raises(InputError, match="name:"):
        a_key(session, name=name)


def test_its_use_is_noted_every_ten_minutes(session: Session) -> None:
    row = a_key(session).row

    assert is_use_due(row, now=NOW)
    note_use(session, row.id, now=NOW)
    session.refresh(row)

    assert not is_use_due(row, now=NOW + timedelta(minutes=9))
    assert is_use_due(row, now=NOW + timedelta(minutes=10))


def test_no_text_at_all_is_a_key_by_chance() -> None:
    engine = make_engine("sqlite://")
    schema.upgrade(engine)

    @given(token=st.text() | st.from_regex(r"nlk_[0-9a-f]{12}_[A-Za-z0-9_-]{43}", fullmatch=True))
    def is_nobodys(token: str) -> None:
        with transaction(engine) as session:
            assert find_api_key(session, token, now=NOW) is None

    is_nobodys()
    engine.dispose()
