"""The audit log's page: newest first, narrowed by who and what, page by page (S-35)."""

from newsletter.accounts.audit import PAGE as ENTRIES
from newsletter.accounts.audit import record
from newsletter.clock import utc_now
from newsletter.db import transaction
from newsletter.models import Role
from tests.site import Member, Site, text_of

PAGE = "/office/audit"


def note(site: Site, member: Member, action: str, times: int = 1, **details: object) -> None:
    with transaction(site.engine) as session:
        for number in range(times):
            record(
                session,
                actor="Ada Admin",
                account_id=member.account_id,
                action=action,
                subject=f"number {number}",
                details=details,
                network="2001:db8::1",
                now=utc_now(),
            )


def test_an_entry_says_who_did_what_when_and_from_where(site: Site) -> None:
    admin = site.member(Role.ADMIN)
    note(site, admin, "list changed", before={"name": "Old"}, after={"name": "New"})

    page = text_of(admin.get(PAGE))

    for words in ("Ada Admin", "list changed number 0", "before: name: Old", "2001:db8::1"):
        assert words in page


def test_older_entries_are_a_page_away(site: Site) -> None:
    admin = site.member(Role.ADMIN)
    note(site, admin, "signed in", ENTRIES + 5)

    first = admin.get(f"{PAGE}?action=signed+in")
    older = admin.get(f"{PAGE}?action=signed+in&before=6")

    assert "number 54" in first.text
    assert "number 4<" not in first.text
    assert f'href="{PAGE}?action=signed+in&amp;before=6"' in first.text
    assert "number 4" in older.text
    assert "before=" not in older.text


def test_entries_are_narrowed_by_person_and_action(site: Site) -> None:
    admin, other = site.member(Role.ADMIN), site.member(Role.EDITOR)
    note(site, admin, "list retired")
    note(site, other, "signed in")

    mine = admin.get(f"{PAGE}?who={admin.account_id}").text.partition("<tbody>")[2]
    none = text_of(admin.get(f"{PAGE}?who={admin.account_id}&action=signed+in"))

    assert "list retired" in mine
    assert "signed in" not in mine
    assert "Nothing of the kind" in none


def test_what_strangers_wrote_is_text(site: Site) -> None:
    """S-16."""
    admin = site.member(Role.ADMIN)
    note(site, admin, "<script>alert(1)</script>", what="<img src=x onerror=alert(1)>")

    page = admin.get(PAGE).text

    assert "<script>alert" not in page
    assert "<img src=x" not in page


def test_nonsense_in_the_address_is_ignored(site: Site) -> None:
    admin = site.member(Role.ADMIN)

    for query in ("who=x&before=y", "before=-1", "who=" + "9" * 40, "action=" + "x" * 300):
        assert admin.get(f"{PAGE}?{query}").status_code == 200


def test_there_is_no_way_to_change_or_delete_an_entry(site: Site) -> None:
    assert site.member(Role.ADMIN).post(PAGE).status_code == 405
