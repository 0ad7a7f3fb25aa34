"""The office's suppressions: looked up, added, lifted by the rules, brought in and handed out."""

import csv
import io
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from newsletter.addresses import parse_address
from newsletter.audience.suppression import suppress
from newsletter.db import reading, transaction
from newsletter.models import (
    EVERYWHERE,
    AuditEntry,
    LiftedSuppression,
    Role,
    Suppression,
    SuppressionReason,
)
from tests.newsroom import add_list
from tests.site import Member, Site, text_of

NOW = datetime(2026, 11, 22, 9, tzinfo=UTC)
PAGE = "/office/suppressions"
ADA = "ada@readers.example"


@pytest.fixture
def admin(site: Site) -> Member:
    add_list(site.engine)
    return site.member(Role.ADMIN)


def keep(
    site: Site,
    address: str,
    reason: SuppressionReason = SuppressionReason.BOUNCED,
    *,
    source: str = "550 no such user",
    list_id: int = EVERYWHERE,
    hours_ago: int = 0,
) -> None:
    with transaction(site.engine) as session:
        suppress(
            session,
            parse_address(address),
            reason=reason,
            source=source,
            list_id=list_id,
            now=NOW - timedelta(hours=hours_ago),
        )


def entries(site: Site) -> list[Suppression]:
    with reading(site.engine) as session:
        return list(session.scalars(select(Suppression)))


def actions(site: Site) -> list[str]:
    with reading(site.engine) as session:
        return list(session.scalars(select(AuditEntry.action).order_by(AuditEntry.id)))


def test_an_address_is_looked_up_without_being_kept(site: Site, admin: Member) -> None:
    keep(site, ADA)

    known = text_of(admin.get(f"{PAGE}?address=ADA@readers.example"))
    unknown = text_of(admin.get(f"{PAGE}?address=bo@readers.example"))
    misspelt = text_of(admin.get(f"{PAGE}?address=bo"))

    assert "Never mailed from every list : bounced" in known
    assert "bo@readers.example is not suppressed" in unknown
    assert "address:" in misspelt


def test_an_address_is_added_and_a_mistake_said(site: Site, admin: Member) -> None:
    added = {"address": ADA, "list": "harbour", "reason": "complained"}

    admin.post(PAGE, added)
    refused = admin.post(PAGE, added | {"address": "ada at readers"})

    (entry,) = entries(site)
    assert (entry.list_id, entry.reason) == (1, SuppressionReason.COMPLAINED)
    assert entry.source == "office, Ada Admin"
    assert refused.status_code == 422
    assert 'value="ada at readers"' in refused.text
    assert actions(site) == ["suppressed"]


def test_what_the_person_said_is_not_lifted_and_what_a_server_said_is(
    site: Site, admin: Member
) -> None:
    """B-23"""
    keep(site, ADA, SuppressionReason.COMPLAINED)
    keep(site, "bo@readers.example")
    lifted = {"list": "", "why": "their provider was down"}

    refused = admin.post(f"{PAGE}/lift", lifted | {"address": ADA})
    admin.post(f"{PAGE}/lift", lifted | {"address": "bo@readers.example"})

    assert refused.status_code == 409
    assert [entry.reason for entry in entries(site)] == [SuppressionReason.COMPLAINED]
    again = text_of(admin.get(f"{PAGE}?address=bo@readers.example"))
    assert "lifted by Ada Admin" in again
    assert "their provider was down" in again


def test_entries_are_shown_newest_first_page_by_page_and_narrowed(
    site: Site, admin: Member
) -> None:
    for number in range(60):
        keep(site, f"gone{number}@x.example", source=f"number {number:02}", hours_ago=number)
    keep(site, ADA, SuppressionReason.COMPLAINED, source="feedback loop", list_id=1)

    first = admin.get(f"{PAGE}?reason=bounced").text
    after = first.partition('rel="next" href="')[2].partition('"')[0].replace("&amp;", "&")
    second = admin.get(after).text

    assert first.index("number 00") < first.index("number 49")
    assert "number 50" not in first
    assert "number 59" in second
    assert "feedback loop" not in first + second
    narrowed = text_of(admin.get(f"{PAGE}?list=harbour&source=loop"))
    assert "feedback loop" in narrowed
    assert "number" not in narrowed
    assert admin.get(f"{PAGE}?reason=boredom").status_code == 422
    assert admin.get(f"{PAGE}?after=x").status_code == 422


def test_a_file_is_imported_and_again_it_changes_nothing(site: Site, admin: Member) -> None:
    file = "address,reason\nada@readers.example,complained\nno address,\nbo@readers.example,\n"
    fields = {"list": "", "reason": "imported", "source": "old system"}

    def post() -> str:
        sent = {"file": ("gone.csv", file.encode(), "text/csv")}
        return text_of(admin.post(f"{PAGE}/import", fields, files=sent))

    first, second = post(), post()

    assert "New 2 Known before 0 Not read 1" in first
    assert "Line 3" in first
    assert "New 0 Known before 2 Not read 1" in second
    assert {entry.reason for entry in entries(site)} == {
        SuppressionReason.COMPLAINED,
        SuppressionReason.IMPORTED,
    }
    assert actions(site) == ["suppressions imported"] * 2


def test_a_file_that_is_none_is_refused(site: Site, admin: Member) -> None:
    picture = {"file": ("x.csv", b"\x89PNG\r\n\x1a\n,,,\n", "text/csv")}
    fields = {"list": "", "reason": "imported", "source": ""}

    without = admin.post(f"{PAGE}/import", fields)
    refused = admin.post(f"{PAGE}/import", fields, files=picture)

    assert "Choose a file first" in text_of(without)
    assert refused.status_code == 422
    assert "needs a column" in text_of(refused)


def test_all_are_handed_out_as_hashes(site: Site, admin: Member) -> None:
    keep(site, ADA)

    answer = admin.post(f"{PAGE}/export")

    (row,) = csv.DictReader(io.StringIO(answer.text))
    assert row["hash"] == entries(site)[0].address_hash.hex()
    assert "ada" not in answer.text
    assert actions(site) == ["suppressions exported"]


def test_an_accident_is_looked_at_before_it_is_taken_back(site: Site, admin: Member) -> None:
    """B-25"""
    for number in range(3):
        keep(site, f"hit{number}@x.example", hours_ago=2)
    keep(site, "angry@x.example", SuppressionReason.COMPLAINED, hours_ago=2)
    keep(site, "before@x.example", hours_ago=30)
    window = {"since": "2026-11-22T07:30", "until": "2026-11-22T10:00"}  # 06:30 to 09:00 UTC

    seen = text_of(admin.get(f"{PAGE}/undo?since={window['since']}&until={window['until']}"))
    still_there = len(entries(site))
    refused = admin.post(f"{PAGE}/undo", window | {"why": ""})
    admin.post(f"{PAGE}/undo", window | {"why": "the provider was down"})

    assert "3 would be taken back" in seen
    assert "complained 1" in seen
    assert still_there == 5
    assert refused.status_code == 422
    assert len(entries(site)) == 2
    with reading(site.engine) as session:
        assert {each.lifted_by for each in session.scalars(select(LiftedSuppression))} == {
            "Ada Admin"
        }


def test_an_admin_of_one_list_has_its_suppressions_only(site: Site, admin: Member) -> None:
    """S-09"""
    markets = add_list(site.engine, "markets")
    keep(site, ADA, source="of markets", list_id=markets)
    keep(site, "bo@readers.example", source="of all lists")
    keep(site, "cy@readers.example", source="of harbour", list_id=1)
    narrowed = site.member(Role.ADMIN, lists={1: Role.ADMIN})

    assert "Choose a list" in text_of(narrowed.get(PAGE))
    own = text_of(narrowed.get(f"{PAGE}?list=harbour"))
    assert "of harbour" in own
    assert "of markets" not in own
    assert narrowed.get(f"{PAGE}?list=markets").status_code == 422
    assert "is not suppressed" in text_of(narrowed.get(f"{PAGE}?address={ADA}"))
    everywhere = {"address": ADA, "list": "", "reason": "on request"}
    assert narrowed.post(PAGE, everywhere).status_code == 404
    assert narrowed.post(f"{PAGE}/export", {"list": ""}).status_code == 404
    assert narrowed.get(f"{PAGE}/import").status_code == 404
    assert narrowed.get(f"{PAGE}/undo").status_code == 404
    lift = {"address": "bo@readers.example", "list": "", "why": "x"}
    assert narrowed.post(f"{PAGE}/lift", lift).status_code == 404
    assert len(entries(site)) == 3
