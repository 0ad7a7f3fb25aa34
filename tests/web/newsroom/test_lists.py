"""The office's lists."""

import pytest
from sqlalchemy import select

from newsletter.db import reading, transaction
from newsletter.models import (
    AuditEntry,
    EditionState,
    Edition,
    ListTransport,
    MailingList,
    OptIn,
    Role,
    Tracking,
)
from tests.newsroom import add_list, add_transport, approved_edition, settings_for
from tests.site import Member, Site, text_of

NEW = {
    "slug": "harbour",
    "name": "The Harbour Brief",
    "sender_name": "The Desk",
    "sender_address": "desk@harbour.example",
    "postal_address": "1 Quay Street, Harbour City",
    "language": "en",
    "zone": "Europe/Berlin",
    "accent": "#0b57d0",
    "backdrop": "#f2f0eb",
    "heading_font": "georgia",
    "text_font": "system",
    "opt_in": "double",
    "tracking": "full",
    "archive": "unlisted",
    "on_uncertain": "hold",
    "is_public": "yes",
}


@pytest.fixture
def admin(site: Site) -> Member:
    return site.member(Role.ADMIN)


def the_list(site: Site, slug: str = "harbour") -> MailingList:
    with reading(site.engine) as session:
        return session.scalars(select(MailingList).where(MailingList.slug == slug)).one()


def test_the_first_list_is_made_from_an_empty_page(site: Site, admin: Member) -> None:
    assert "No list yet" in text_of(admin.get("/office/lists"))

    made = admin.post("/office/new-list", NEW)

    assert made.status_code == 303
    assert made.headers["location"] == "/office/lists/harbour"
    page = text_of(admin.get("/office/lists/harbour"))
    assert "The Harbour Brief" in page
    assert "http://" in page
    assert "/s/harbour" in page
    assert the_list(site).is_public


def test_the_pages(site: Site, admin: Member) -> None:
    add_list(site.engine)
    for url in ("/office/lists", "/office/lists/harbour", "/office/lists/harbour/edit", "/office/lists/harbour/sections", "/office/new-list"):
        page = admin.get(url)
        assert page.status_code == 200, page.text
