"""People with access, as an admin manages them: invited, changed, helped and shut out."""

from datetime import timedelta

import pytest
from sqlalchemy import select, update

from newsletter.accounts.people import account_by_email, rights_of
from newsletter.clock import utc_now
from newsletter.db import reading, transaction
from newsletter.models import (
    Account,
    AuditEntry,
    Role,
    StaffSession,
    SystemMail,
    SystemMailKind,
)
from tests.newsroom import add_list
from tests.site import Member, Site, text_of

PAGE = "/office/accounts"
BO = {"email": "bo@harbour.example", "name": "Bo"}


def mails(site: Site) -> list[SystemMail]:
    with reading(site.engine) as session:
        return list(session.scalars(select(SystemMail).order_by(SystemMail.id)))


def log(site: Site) -> list[AuditEntry]:
    with reading(site.engine) as session:
        return list(session.scalars(select(AuditEntry).order_by(AuditEntry.id)))


def account_of(site: Site, member: Member) -> Account:
    with reading(site.engine) as session:
        return session.get_one(Account, member.account_id)


def test_everybody_with_access_is_listed_with_what_they_may_do(site: Site) -> None:
    admin = site.member(Role.ADMIN)
    site.member(Role.EDITOR, lists={add_list(site.engine): Role.EDITOR})

    page = text_of(admin.get(PAGE))

    assert "admin of every list" in page
    assert "editor of The Harbour Brief" in page


def test_an_invitation_is_mailed_and_noted(site: Site) -> None:
    admin, list_id = site.member(Role.ADMIN), add_list(site.engine)

    done = admin.post(f"{PAGE}/invite", {**BO, "reach": "some", f"list-{list_id}": "writer"})

    assert done.headers["location"] == PAGE
    mail = mails(site)[0]
    assert (mail.kind, mail.to_address) == (SystemMailKind.ACCOUNT_INVITE, BO["email"])
    with reading(site.engine) as session:
        account = account_by_email(session, BO["email"])
        assert rights_of(session, account).list_roles == {list_id: Role.WRITER}
    entry = log(site)[0]
    assert (entry.action, entry.subject) == ("account invited", BO["email"])
    assert "link" not in str(entry.details)
    assert "invited" in text_of(admin.get(PAGE))


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"email": "nobody", "name": "Bo", "role": "writer"}, "@-sign"),
        ({"email": "bo@harbour.example", "name": "", "role": "writer"}, "one line"),
        ({**BO, "reach": "some"}, "choose at least one"),
        ({**BO, "role": "owner"}, "choose one of"),
    ],
)
def test_what_is_wrong_with_an_invitation_is_said_and_nobody_is_mailed(
    site: Site, fields: dict[str, str], why: str
) -> None:
    answer = site.member(Role.ADMIN).post(f"{PAGE}/invite", fields)

    assert answer.status_code == 422
    assert why in text_of(answer)
    assert mails(site) == []


def test_other_rights_sign_somebody_out_and_both_are_noted(site: Site) -> None:
    """S-07, S-35."""
    admin, editor = site.member(Role.ADMIN), site.member(Role.EDITOR)

    done = admin.post(f"{PAGE}/{editor.account_id}", {"reach": "every", "role": "viewer"})

    assert done.status_code == 303
    assert editor.get("/account").headers["location"].startswith("/sign-in")
    assert account_of(site, editor).role is Role.VIEWER
    entry = log(site)[0]
    assert (entry.action, entry.account_id) == ("rights changed", admin.account_id)
    assert entry.details == {"before": "editor", "after": "viewer"}


def test_the_same_rights_change_nothing(site: Site) -> None:
    admin, editor = site.member(Role.ADMIN), site.member(Role.EDITOR)

    admin.post(f"{PAGE}/{editor.account_id}", {"reach": "every", "role": "editor"})

    assert editor.get("/account").status_code == 200
    assert log(site) == []


def test_somebody_is_shut_out_at_once_and_let_in_again(site: Site) -> None:
    admin, editor = site.member(Role.ADMIN), site.member(Role.EDITOR)
    url = f"{PAGE}/{editor.account_id}"

    admin.post(f"{url}/disable")
    refused = admin.post(f"{url}/mail")
    assert editor.get("/account").status_code == 303
    assert "shut out" in text_of(admin.get(url))
    admin.post(f"{url}/enable")

    assert refused.status_code == 409
    assert account_of(site, editor).disabled_at is None
    assert [each.action for each in log(site)] == ["account disabled", "account enabled"]


def test_who_lost_phone_and_codes_is_helped_and_told(site: Site) -> None:
    admin, editor = site.member(Role.ADMIN), site.member(Role.EDITOR)
    with transaction(site.engine) as session:
        session.get_one(Account, editor.account_id).totp_since = utc_now()

    admin.post(f"{PAGE}/{editor.account_id}/drop-second-factors")

    assert account_of(site, editor).totp_since is None
    assert editor.get("/account").status_code == 303
    assert mails(site)[0].data["what"] == "Ada Admin removed the second factors of your account."


@pytest.mark.parametrize(
    ("has_joined", "kind"),
    [(True, SystemMailKind.PASSWORD_RESET), (False, SystemMailKind.ACCOUNT_INVITE)],
)
def test_a_link_is_mailed_again(site: Site, has_joined: bool, kind: SystemMailKind) -> None:
    admin, editor = site.member(Role.ADMIN), site.member(Role.EDITOR)
    if not has_joined:
        with transaction(site.engine) as session:
            session.get_one(Account, editor.account_id).joined_at = None

    admin.post(f"{PAGE}/{editor.account_id}/mail")

    assert [mail.kind for mail in mails(site)] == [kind]


@pytest.mark.parametrize("what", ["", "/disable", "/drop-second-factors", "/mail"])
def test_nobody_changes_their_own_rights(site: Site, what: str) -> None:
    """S-09."""
    admin = site.member(Role.ADMIN)

    answer = admin.post(f"{PAGE}/{admin.account_id}{what}", {"reach": "every", "role": "viewer"})

    assert answer.status_code == 409
    assert account_of(site, admin).role is Role.ADMIN
    assert "This is you" in text_of(admin.get(f"{PAGE}/{admin.account_id}"))


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/invite"),
        ("POST", "/invite"),
        ("GET", "/1"),
        ("POST", "/1"),
        ("POST", "/1/disable"),
        ("POST", "/1/enable"),
        ("POST", "/1/mail"),
        ("POST", "/1/drop-second-factors"),
    ],
)
def test_access_is_given_only_by_who_showed_just_now_who_they_are(
    site: Site, method: str, path: str
) -> None:
    """S-31."""
    admin = site.member(Role.ADMIN)
    with transaction(site.engine) as session:
        session.execute(update(StaffSession).values(confirmed_at=utc_now() - timedelta(hours=1)))

    answer = admin.get(PAGE + path) if method == "GET" else admin.post(PAGE + path, BO)

    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/account/confirm")


def test_an_admin_of_certain_lists_gives_nobody_access(site: Site) -> None:
    """S-09."""
    list_id = add_list(site.engine)
    admin = site.member(Role.ADMIN, lists={list_id: Role.ADMIN})

    assert admin.get(PAGE).status_code == 404
    assert admin.post(f"{PAGE}/invite", {**BO, "role": "admin"}).status_code == 404


def test_an_account_that_is_not_there_is_not_found(site: Site) -> None:
    admin = site.member(Role.ADMIN)

    for name in ("999", "x", "1e3", "-1", "9" * 30):
        assert admin.get(f"{PAGE}/{name}").status_code == 404
