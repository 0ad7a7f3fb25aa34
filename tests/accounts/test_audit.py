"""The audit log: read newest first, page by page, and only ever added to (S-35)."""

import inspect
from datetime import timedelta

import pytest
from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session

from newsletter.accounts import audit
from newsletter.accounts.audit import audit_actions, audit_entries, record
from newsletter.accounts.forgetting import forget_sign_ins
from newsletter.accounts.installation import (
    InstallationSettings,
    change_installation_settings,
    installation_settings,
)
from newsletter.db import reading, transaction
from newsletter.errors import InputError
from newsletter.models import AuditEntry, Role
from tests.accounts.staff import NOW, an_account


def note(session: Session, action: str, account_id: int | None = None) -> None:
    record(session, actor="Edda", account_id=account_id, action=action, now=NOW)


def test_entries_come_newest_first_page_by_page(session: Session) -> None:
    for number in range(7):
        note(session, f"done {number}")

    first = audit_entries(session, limit=3)
    second = audit_entries(session, limit=3, before=first.next_before)
    third = audit_entries(session, limit=3, before=second.next_before)

    pages = [[each.action for each in page.entries] for page in (first, second, third)]
    assert pages == [["done 6", "done 5", "done 4"], ["done 3", "done 2", "done 1"], ["done 0"]]
    assert third.next_before is None


def test_entries_are_found_by_who_and_by_what(session: Session) -> None:
    edda = an_account(session)
    note(session, "list retired", edda.id)
    note(session, "signed in", edda.id)
    note(session, "signed in")

    assert len(audit_entries(session, account_id=edda.id).entries) == 2
    assert len(audit_entries(session, account_id=edda.id, action="signed in").entries) == 1
    assert audit_actions(session) == ["list retired", "signed in"]


def test_what_is_too_long_is_cut_and_never_lost(session: Session) -> None:
    record(
        session,
        actor="x" * 500,
        account_id=None,
        action="y" * 500,
        subject="z" * 500,
        details={"before": {"name": "Morning"}, "after": None},
        network="2001:db8::1",
        now=NOW,
    )

    entry = audit_entries(session).entries[0]
    assert (len(entry.actor), len(entry.action), len(entry.subject)) == (120, 60, 200)
    assert entry.details == {"before": {"name": "Morning"}, "after": None}


def test_the_module_has_no_function_that_changes_or_takes_away_an_entry() -> None:
    source = inspect.getsource(audit)

    assert "update(" not in source
    assert "delete(" not in source


def test_only_age_takes_entries_away(engine: Engine) -> None:
    with transaction(engine) as session:
        note(session, "old")
        record(
            session,
            actor="Edda",
            account_id=None,
            action="new",
            now=NOW + timedelta(days=1),
        )

    forget_sign_ins(engine, keep_audit_days=30, now=NOW + timedelta(days=30, hours=12))

    with reading(engine) as session:
        assert session.scalar(select(func.count()).select_from(AuditEntry)) == 1
        assert audit_actions(session) == ["new"]


def test_settings_have_defaults_and_tell_what_changed(session: Session) -> None:
    assert installation_settings(session) == InstallationSettings()
    wanted = InstallationSettings(
        name="Harbour News",
        second_factor_roles=frozenset({Role.ADMIN, Role.EDITOR}),
        confirm_above=0,
    )

    changed = change_installation_settings(session, wanted, by="Ada", now=NOW)

    assert changed == {
        "name": ["Newsletter", "Harbour News"],
        "second_factor_roles": [[], ["admin", "editor"]],
        "confirm_above": [1000, 0],
    }
    assert installation_settings(session) == wanted
    assert change_installation_settings(session, wanted, by="Ada", now=NOW) == {}


@pytest.mark.parametrize(
    "wanted",
    [
        InstallationSettings(name=""),
        InstallationSettings(name="x" * 61),
        InstallationSettings(name="a\nb"),
        InstallationSettings(confirm_above=-1),
        InstallationSettings(confirm_above=10**10),
    ],
)
def test_settings_that_make_no_sense_are_refused(
    session: Session, wanted: InstallationSettings
) -> None:
    with pytest.raises(InputError):
        change_installation_settings(session, wanted, by="Ada", now=NOW)
