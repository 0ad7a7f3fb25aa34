"""The office's exports: whom, how safe, and who may."""

from datetime import timedelta

import pytest
from sqlalchemy import select, update

from newsletter.audience.segments.saved import create_segment
from newsletter.clock import utc_now
from newsletter.db import reading, transaction
from newsletter.models import AuditEntry, Role, StaffSession, Subscriber, SubscriptionStatus
from tests.newsroom import add_list, add_readers
from tests.site import Member, Site, text_of

SEGMENT = "name is Ada"


@pytest.fixture
def list_id(site: Site) -> int:
    found = add_list(site.engine)
    add_readers(site.engine, found, ["Ada", "Bo"])
    add_readers(site.engine, found, ["Cy"], status=SubscriptionStatus.UNSUBSCRIBED)
    return found


@pytest.fixture
def admin(site: Site, list_id: int) -> Member:
    return site.member(Role.ADMIN)


def lines(text: str) -> list[str]:
    return [line.split(",")[0] for line in text.splitlines()]


def test_the_people_of_a_list_come_as_a_file(site: Site, admin: Member) -> None:
    page = admin.get("/office/exports")
    file = admin.post("/office/exports", {"list": "harbour", "format": "csv"})
    confirmed = admin.post(
        "/office/exports", {"list": "harbour", "status": "confirmed", "format": "jsonl"}
    )

    assert "The Harbour Brief" in text_of(page)
    assert file.headers["content-disposition"] == 'attachment; filename="harbour.csv"'
    assert file.headers["cache-control"] == "no-store"
    everybody = [f"{name}@readers.example" for name in ("ada", "bo", "cy")]
    assert lines(file.text) == ["email", *everybody]
    assert confirmed.headers["content-disposition"].endswith('"harbour-confirmed.jsonl"')
    assert confirmed.text.count("\n") == 2


def test_s23_a_spreadsheet_gets_no_formulas_and_a_program_what_there_is(
    site: Site, admin: Member
) -> None:
    with transaction(site.engine) as session:
        session.execute(update(Subscriber).values(name="=HYPERLINK(1)"))

    safe = admin.post("/office/exports", {"list": "harbour", "format": "csv"})
    raw = admin.post("/office/exports", {"list": "harbour", "format": "raw"})

    assert ",'=HYPERLINK(1)," in safe.text
    assert ",=HYPERLINK(1)," in raw.text


def test_a_segment_is_exported_and_counted_beforehand(site: Site, admin: Member) -> None:
    with transaction(site.engine) as session:
        create_segment(session, "berlin", SEGMENT, created_by="Ada", now=utc_now())

    count = admin.get("/office/exports/count?list=&segment=berlin&status=")
    file = admin.post("/office/exports", {"segment": "berlin", "format": "csv"})

    assert "1 people now." in text_of(count)
    assert lines(file.text) == ["email", "ada@readers.example"]


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"format": "csv"}, "Choose a list, a segment, or both."),
        ({"list": "nowhere", "format": "csv"}, "Choose a list, a segment, or both."),
        ({"list": "harbour"}, "Choose what the file is for."),
    ],
)
def test_what_says_too_little_is_asked_once_more(
    admin: Member, fields: dict[str, str], why: str
) -> None:
    refused = admin.post("/office/exports", fields)

    assert refused.status_code == 422
    assert why in text_of(refused)


def test_s09_an_admin_of_one_list_exports_it_alone(site: Site, list_id: int) -> None:
    add_list(site.engine, "weekly")
    with transaction(site.engine) as session:
        create_segment(session, "ada", SEGMENT, created_by="Ada", now=utc_now())
    own = site.member(Role.ADMIN, lists={list_id: Role.ADMIN})

    page = own.get("/office/exports")
    answers = [
        own.post("/office/exports", {"list": "harbour", "format": "csv"}),
        own.post("/office/exports", {"list": "weekly", "format": "csv"}),
        own.post("/office/exports", {"list": "harbour", "segment": "ada", "format": "csv"}),
        own.get("/office/exports/count?list=weekly"),
    ]

    assert "Weekly" not in page.text
    assert [each.status_code for each in answers] == [200, 422, 404, 200]
    assert "people now" not in answers[3].text
    assert site.member(Role.EDITOR).get("/office/exports").status_code == 403


def test_s31_whoever_signed_in_long_ago_shows_again_who_they_are(site: Site, admin: Member) -> None:
    with transaction(site.engine) as session:
        session.execute(update(StaffSession).values(confirmed_at=utc_now() - timedelta(minutes=11)))

    page = admin.get("/office/exports")
    file = admin.post("/office/exports", {"list": "harbour", "format": "csv"})

    assert (page.status_code, file.status_code) == (303, 303)
    assert page.headers["location"].startswith("/account/confirm")


def test_s35_an_export_is_in_the_audit_log(site: Site, admin: Member) -> None:
    admin.post("/office/exports", {"list": "harbour", "format": "csv"})

    with reading(site.engine) as session:
        entry = session.scalars(select(AuditEntry)).one()
    assert (entry.action, entry.subject) == ("people exported", "harbour")
    assert entry.details["format"] == "csv"
