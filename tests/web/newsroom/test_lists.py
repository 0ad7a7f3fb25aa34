"""The office's lists: who makes them, changes them and sees them."""

from pathlib import Path

import pytest
from sqlalchemy import select

from newsletter.db import reading, transaction
from newsletter.models import (
    AuditEntry,
    ListSection,
    ListTransport,
    MailingList,
    OptIn,
    Role,
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
EDIT = "/office/lists/harbour/edit"


@pytest.fixture
def admin(site: Site) -> Member:
    return site.member(Role.ADMIN)


def the_list(site: Site, slug: str = "harbour") -> MailingList:
    with reading(site.engine) as session:
        return session.scalars(select(MailingList).where(MailingList.slug == slug)).one()


def sections(site: Site) -> list[ListSection]:
    with reading(site.engine) as session:
        in_order = select(ListSection).order_by(ListSection.position)
        return list(session.scalars(in_order.where(ListSection.retired_at.is_(None))))


def audited(site: Site) -> list[tuple[str, str]]:
    with reading(site.engine) as session:
        entries = session.scalars(select(AuditEntry).order_by(AuditEntry.id))
        return [(entry.action, entry.subject) for entry in entries]


def test_the_first_list_is_made_from_an_empty_page(site: Site, admin: Member) -> None:
    assert "No list yet" in text_of(admin.get("/office/lists"))

    made = admin.post("/office/new-list", NEW)

    assert (made.status_code, made.headers["location"]) == (303, "/office/lists/harbour")
    page = text_of(admin.get("/office/lists/harbour"))
    assert "The Harbour Brief" in page
    assert "/s/harbour" in page
    assert the_list(site).opt_in is OptIn.DOUBLE
    assert audited(site) == [("list created", "harbour")]


@pytest.mark.parametrize(
    ("field", "value", "advice"),
    [
        ("slug", "Morning Briefing", "like morning-briefing"),
        ("sender_address", "nobody", "Write a bare address"),
        ("accent", "red", "six hexadecimal digits"),
        ("backdrop", "#202020", "choose a lighter colour"),
        ("heading_font", "Comic Sans", "Choose one of"),
        ("zone", "Mars/Olympus", "IANA time zone"),
        ("footer", "1\n2\n3\n4\n5\n6\n7", "at most 6"),
        ("cool_off_seconds", "soon", "whole number"),
        ("most_a_day", "two", "whole number"),
        ("most_a_day", "500", "Write a number from 1 to 99"),
    ],
)
def test_a_mistake_is_said_at_its_field_and_what_was_typed_stays(
    site: Site, admin: Member, field: str, value: str, advice: str
) -> None:
    refused = admin.post("/office/new-list", NEW | {"name": "Kept as typed", field: value})

    assert refused.status_code == 422
    assert advice in text_of(refused)
    assert 'value="Kept as typed"' in refused.text
    with reading(site.engine) as session:
        assert session.scalars(select(MailingList)).all() == []


def test_a_change_writes_only_what_differs_from_what_was_shown(site: Site, admin: Member) -> None:
    """S-09: what somebody else changed meanwhile, and what the form does not show, stays."""
    admin.post("/office/new-list", NEW)
    shown = {f"was-{name}": value for name, value in NEW.items()}
    with transaction(site.engine) as session:
        session.scalars(select(MailingList)).one().tagline = "Written by somebody else"

    admin.post(EDIT, NEW | shown | {"name": "The Quay", "tagline": "", "was-tagline": ""})

    changed = the_list(site)
    assert changed.name == "The Quay"
    assert changed.tagline == "Written by somebody else"


def test_a_list_says_how_many_editions_a_day_are_enough_and_unsays_it(
    site: Site, admin: Member
) -> None:
    admin.post("/office/new-list", NEW)
    page = f"/office/lists/{NEW['slug']}"

    admin.post(EDIT, {"most_a_day": "2", "was-most_a_day": ""})
    chosen, said = the_list(site).most_a_day, text_of(admin.get(page))
    form = admin.get(EDIT).text
    admin.post(EDIT, {"most_a_day": "", "was-most_a_day": "2"})

    assert chosen == 2
    assert "Most editions a day for one reader 2" in said
    assert 'name="most_a_day" type="text" value="2"' in form
    assert the_list(site).most_a_day is None
    assert "Most editions a day for one reader any number" in text_of(admin.get(page))


def test_an_approved_edition_keeps_its_dress_and_the_page_says_so(
    site: Site, admin: Member, tmp_path: Path
) -> None:
    list_id = add_list(site.engine)
    transport_id = add_transport(site.engine, 2525)
    edition_id = approved_edition(site.engine, settings_for(tmp_path), [list_id], transport_id)

    admin.post(EDIT, {"accent": "#8a1c1c", "was-accent": "#0b57d0"})

    page = text_of(admin.get("/office/lists/harbour"))
    assert f"Edition {edition_id} goes out as approved" in page


def test_only_an_admin_of_the_list_changes_it(site: Site, admin: Member) -> None:
    admin.post("/office/new-list", NEW)
    list_id = the_list(site).id
    other_id = add_list(site.engine, "markets")
    editor = site.member(Role.EDITOR)
    elsewhere = site.member(Role.ADMIN, lists={other_id: Role.ADMIN})
    viewer_here = site.member(Role.ADMIN, lists={other_id: Role.ADMIN, list_id: Role.VIEWER})
    change = {"name": "Taken", "was-name": "The Harbour Brief"}

    answers = [each.post(EDIT, change).status_code for each in (editor, elsewhere, viewer_here)]

    assert answers == [403, 404, 403]
    assert the_list(site).name == "The Harbour Brief"
    assert elsewhere.get("/office/lists/harbour").status_code == 404
    assert "The Harbour Brief" not in text_of(elsewhere.get("/office/lists"))
    assert elsewhere.post("/office/new-list", NEW | {"slug": "mine"}).status_code == 404


def test_a_retired_list_is_shown_apart(site: Site, admin: Member) -> None:
    admin.post("/office/new-list", NEW)

    admin.post("/office/lists/harbour/retire")

    assert the_list(site).retired_at is not None
    assert "Retired lists (1)" in text_of(admin.get("/office/lists"))
    assert "nobody new can join" in text_of(admin.get("/office/lists/harbour"))


def test_a_list_may_leave_through_chosen_transports_only(site: Site, admin: Member) -> None:
    admin.post("/office/new-list", NEW)
    transport_id = add_transport(site.engine, 2525)

    admin.post("/office/lists/harbour/transports", {"transport": str(transport_id)})

    with reading(site.engine) as session:
        chosen = session.scalars(select(ListTransport.transport_id)).all()
    assert chosen == [transport_id]


def test_sections_are_added_moved_changed_and_retired(site: Site, admin: Member) -> None:
    admin.post("/office/new-list", NEW)
    base = "/office/lists/harbour/sections"

    admin.post(base, {"key": "port", "name": "Port", "aliases": "Harbour\nDocks"})
    admin.post(base, {"key": "money", "name": "Money", "is_pinned": "1"})
    admin.post(f"{base}/money/move", {"position": "1"})
    admin.post(f"{base}/port", {"name": "The Port", "aliases": "Docks"})

    first, second = sections(site)
    assert (first.key, first.is_pinned) == ("money", True)
    assert (second.name, second.aliases) == ("The Port", ["Docks"])
    assert admin.post(base, {"key": "x", "name": "docks"}).status_code == 422
    admin.post(f"{base}/money/retire")
    assert [each.key for each in sections(site)] == ["port"]
    assert audited(site)[-1] == ("section retired", "harbour")


def test_no_text_of_a_list_becomes_markup(site: Site, admin: Member) -> None:
    """S-16"""
    evil = '"><script>alert(1)</script>{{ 7 * 7 }}'
    fields = {"name": evil, "tagline": evil, "footer": evil, "sender_name": evil}
    admin.post("/office/new-list", NEW | fields)
    admin.post("/office/lists/harbour/sections", {"key": "x", "name": evil, "aliases": evil})

    pages = [
        admin.get(f"/office/lists{path}").text
        for path in ("", "/harbour", "/harbour/edit", "/harbour/sections")
    ]

    for page in pages:
        assert "<script>alert" not in page
        assert "{{ 7 * 7 }}" in page
