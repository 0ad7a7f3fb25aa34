"""Settings of the installation: shown, changed, noted, and obeyed at once."""

from datetime import timedelta

import pytest
from sqlalchemy import select, update

from newsletter.accounts.installation import InstallationSettings, installation_settings
from newsletter.clock import utc_now
from newsletter.db import reading, transaction
from newsletter.models import Account, AuditEntry, Role, StaffSession
from tests.site import Site, text_of

PAGE = "/office/settings"
GIVEN = {
    "name": "Harbour News",
    "confirm_above": "500",
    "four_eyes": "1",
    "editors_an_hour": "5000",
    "admins_an_hour": "",
}


def test_settings_are_saved_noted_and_head_every_page(site: Site) -> None:
    admin = site.member(Role.ADMIN)

    done = admin.post(PAGE, GIVEN)

    assert done.status_code == 303
    with reading(site.engine) as session:
        assert installation_settings(session) == InstallationSettings(
            name="Harbour News", four_eyes=True, confirm_above=500, editors_an_hour=5000
        )
        entry = session.scalars(select(AuditEntry)).one()
    assert entry.details == {
        "name": ["Newsletter", "Harbour News"],
        "four_eyes": [False, True],
        "confirm_above": [1000, 500],
        "editors_an_hour": [None, 5000],
    }
    page = admin.get("/account").text
    assert "<title>Your account · Harbour News</title>" in page


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"name": ""}, "one line"),
        ({"name": "x" * 61}, "one line"),
        ({"confirm_above": "-1"}, "0 or more"),
        ({"confirm_above": "many"}, "0 or more"),
        ({"confirm_above": ""}, "0 or more"),
        ({"editors_an_hour": "0"}, "1 or more, or nothing"),
        ({"admins_an_hour": "many"}, "1 or more, or nothing"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_saved(
    site: Site, changes: dict[str, str], why: str
) -> None:
    answer = site.member(Role.ADMIN).post(PAGE, GIVEN | changes)

    assert answer.status_code == 422
    assert why in text_of(answer)
    with reading(site.engine) as session:
        assert installation_settings(session) == InstallationSettings()


def test_who_has_to_have_a_second_factor_from_now_on_and_has_none_is_signed_out(
    site: Site,
) -> None:
    """S-06."""
    admin, writer, editor = (site.member(role) for role in (Role.ADMIN, Role.WRITER, Role.EDITOR))
    with transaction(site.engine) as session:
        session.get_one(Account, editor.account_id).totp_since = utc_now()

    admin.post(PAGE, GIVEN | {"second_factor": ["writer", "editor", "owner"]})

    assert writer.get("/account").status_code == 303
    assert editor.get("/account").status_code == 200
    assert admin.get("/account").status_code == 200


def test_settings_are_changed_only_by_who_showed_just_now_who_they_are(site: Site) -> None:
    """S-31."""
    admin = site.member(Role.ADMIN)
    with transaction(site.engine) as session:
        session.execute(update(StaffSession).values(confirmed_at=utc_now() - timedelta(hours=1)))

    assert admin.get(PAGE).headers["location"] == "/account/confirm?next=%2Foffice%2Fsettings"
    assert admin.post(PAGE, GIVEN).headers["location"].startswith("/account/confirm")
