"""API keys on the page: made and shown once, for certain things and lists, and revoked (S-09, S-31)."""

import re
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from newsletter.accounts.api_keys import find_api_key
from newsletter.clock import utc_now
from newsletter.db import reading, transaction
from newsletter.models import ApiKey, AuditEntry, Role, StaffSession
from tests.newsroom import add_list
from tests.site import Site, text_of

PAGE = "/office/api-keys"
SHOP = {"name": "The shop", "scope": ["lists:read", "subscribers:write"], "days": "90"}


def key_of(site: Site) -> ApiKey:
    with reading(site.engine) as session:
        return session.scalars(select(ApiKey)).one()


def test_a_key_is_shown_once_and_works(site: Site) -> None:
    admin = site.member(Role.ADMIN)

    made = admin.post(f"{PAGE}/new", {**SHOP, "reach": "every"})
    token = re.findall(r"nlk_[0-9a-f]{12}_[\w-]{43}", made.text)[0]

    with reading(site.engine) as session:
        row = find_api_key(session, token, now=utc_now())
        assert row is not None
        assert (row.scopes, row.is_narrowed) == (SHOP["scope"], False)
        assert (row.created_by, row.created_by_account) == ("Ada Admin", admin.account_id)
        assert timedelta(days=89) < row.expires_at - utc_now() <= timedelta(days=90)
        entry = session.scalars(select(AuditEntry)).one()
    assert entry.action == "API key made"
    assert token not in f"{entry.subject} {entry.details}"
    assert token not in admin.get(PAGE).text
    assert "The shop" in text_of(admin.get(PAGE))


def test_a_key_may_be_for_certain_lists(site: Site) -> None:
    admin, list_id = site.member(Role.ADMIN), add_list(site.engine)

    admin.post(f"{PAGE}/new", {**SHOP, "reach": "some", "list": str(list_id)})

    assert key_of(site).list_ids == [list_id]
    assert "The Harbour Brief" in text_of(admin.get(PAGE))


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"scope": []}, "at least one thing"),
        ({"scope": ["everything:write"]}, "at least one thing"),
        ({"name": ""}, "what uses the key"),
        ({"days": "100000"}, "how long"),
        ({"days": ""}, "how long"),
        ({"reach": "some"}, "choose at least one"),
        ({"reach": "some", "list": "999"}, "choose at least one"),
        ({"scope": ["privacy:write"], "reach": "some", "list": "1"}, "people of every list"),
    ],
)
def test_what_is_wrong_with_a_key_is_said_and_what_was_chosen_stays(
    site: Site, changes: dict[str, str], why: str
) -> None:
    add_list(site.engine)

    answer = site.member(Role.ADMIN).post(f"{PAGE}/new", {**SHOP, "reach": "every", **changes})

    assert answer.status_code == 422
    assert why in text_of(answer)
    if "scope" not in changes:
        assert len(re.findall(r'name="scope" value="[^"]+" checked', answer.text)) == 2
    with reading(site.engine) as session:
        assert session.scalars(select(ApiKey)).all() == []


def test_a_revoked_key_lets_nobody_in_and_stays_listed(site: Site) -> None:
    admin = site.member(Role.ADMIN)
    made = admin.post(f"{PAGE}/new", {**SHOP, "reach": "every"})
    token = re.findall(r"nlk_[0-9a-f]{12}_[\w-]{43}", made.text)[0]

    done = admin.post(f"{PAGE}/{key_of(site).prefix}/revoke")

    assert done.headers["location"] == PAGE
    with reading(site.engine) as session:
        assert find_api_key(session, token, now=utc_now()) is None
    assert "revoked" in text_of(admin.get(PAGE))
    assert admin.post(f"{PAGE}/{'0' * 12}/revoke").status_code == 404


def test_a_key_is_made_only_by_who_showed_just_now_who_they_are(site: Site) -> None:
    admin = site.member(Role.ADMIN)
    with transaction(site.engine) as session:
        session.execute(update(StaffSession).values(confirmed_at=utc_now() - timedelta(hours=1)))

    for answer in (admin.get(f"{PAGE}/new"), admin.post(f"{PAGE}/new", SHOP)):
        assert answer.headers["location"].startswith("/account/confirm")


def test_a_key_cannot_open_the_pages(site: Site) -> None:
    """S-09: nor make another key."""
    admin = site.member(Role.ADMIN)
    made = admin.post(f"{PAGE}/new", {**SHOP, "reach": "every"})
    token = re.findall(r"nlk_[0-9a-f]{12}_[\w-]{43}", made.text)[0]
    site.client.cookies.clear()
    bearer = {"Authorization": f"Bearer {token}"}

    assert site.client.get(PAGE, headers=bearer).status_code == 303
    assert site.client.post(f"{PAGE}/new", data=SHOP, headers=bearer).status_code == 303
    site.client.cookies.set("newsletter", token)
    assert site.client.get(PAGE).status_code == 303


def test_without_a_key_the_page_says_what_they_are_for(site: Site) -> None:
    assert "No program uses the API yet" in text_of(site.member(Role.ADMIN).get(PAGE))
