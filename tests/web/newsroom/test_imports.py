"""The office's imports: from a file to the report of its lines, and back."""

import io
import zipfile
from datetime import timedelta
from pathlib import Path

import pytest
from httpx2 import Response
from sqlalchemy import select

from newsletter.addresses import parse_address
from newsletter.audience.import_work import run_waiting
from newsletter.audience.suppression import is_suppressed, suppressions_of
from newsletter.clock import utc_now
from newsletter.db import reading, transaction
from newsletter.models import (
    EVERYWHERE,
    AuditEntry,
    Import,
    ImportChunk,
    ImportState,
    LegalBasis,
    Role,
    Subscriber,
    Subscription,
)
from tests.newsroom import add_list
from tests.site import Member, Site, text_of

DATA = Path(__file__).parents[2] / "data" / "imports"
PEOPLE = (
    b"E-mail,Who,Status\n"
    b"ada@readers.example,Ada,subscribed\n"
    b"bo@readers.example,Bo,unsubscribed\n"
    b"cy@readers.example,Cy,cleaned\n"
    b"nobody,Di,subscribed\n"
)
AS_READ = {"shown-as": "utf-8 , none", "encoding": "utf-8", "delimiter": ",", "preset": "none"}
COLUMNS = {
    "title-0": "E-mail",
    "column-0": "address",
    "title-1": "Who",
    "column-1": "name",
    "title-2": "Status",
    "column-2": "status",
}
FORM = AS_READ | COLUMNS | {"basis": "consent", "note": "The form of the fair", "tags": "fair, vip"}


@pytest.fixture
def list_id(site: Site) -> int:
    return add_list(site.engine)


@pytest.fixture
def admin(site: Site, list_id: int) -> Member:
    return site.member(Role.ADMIN)


def upload(member: Member, content: bytes = PEOPLE, name: str = "fair.csv") -> Response:
    return member.post("/office/imports", {"list": "harbour"}, files={"file": (name, content)})


def work(site: Site) -> None:
    run_waiting(site.engine, now=utc_now(), should_stop=lambda: False)


def the_import(site: Site, number: int = 1) -> Import:
    with reading(site.engine) as session:
        return session.get_one(Import, number)


def people(site: Site) -> set[str]:
    with reading(site.engine) as session:
        return set(session.scalars(select(Subscriber.name)))


def test_a_file_is_read_tried_and_imported(site: Site, admin: Member) -> None:
    made = upload(admin)
    page = admin.get(made.headers["location"])
    tried = admin.post("/office/imports/1/start", FORM | {"try": "1"})
    waiting = text_of(admin.get("/office/imports/1"))
    work(site)
    trial, nobody = text_of(admin.get("/office/imports/1")), people(site)
    admin.post("/office/imports/1/follow")
    work(site)

    assert made.headers["location"] == tried.headers["location"] == "/office/imports/1"
    assert "ada@readers.example" in page.text
    assert "Nothing has been imported yet" in text_of(page)
    assert "Waiting for a worker" in waiting
    assert "What would become of the lines" in trial
    assert "New on the list 2" in trial
    assert "Suppressed, by this file's word 1" in trial
    assert "5 address invalid address" in trial
    assert nobody == set()
    done = text_of(admin.get("/office/imports/1"))
    assert "What became of the lines" in done
    assert "subscribed 2 unsubscribed 1" in done
    assert people(site) == {"Ada", "Bo", "Cy"}
    job = the_import(site)
    assert (job.state, job.basis, job.note) == (
        ImportState.DONE,
        LegalBasis.CONSENT,
        "The form of the fair",
    )
    assert job.tags == ["fair", "vip"]


def test_the_report_of_the_lines_is_a_file(site: Site, admin: Member) -> None:
    upload(admin)
    admin.post("/office/imports/1/start", FORM | {"import": "1"})
    work(site)

    report = admin.get("/office/imports/1/report")

    assert report.headers["content-disposition"] == 'attachment; filename="import-1.csv"'
    assert "5,5,invalid address,address" in report.text
    assert "ada@readers.example" not in report.text


def test_t32_without_a_legal_basis_nothing_starts_and_what_was_typed_stays(
    site: Site, admin: Member
) -> None:
    upload(admin)

    refused = admin.post("/office/imports/1/start", FORM | {"basis": "", "column-1": "ignore"})

    assert refused.status_code == 422
    assert "Say why these people may be written to." in text_of(refused)
    assert 'value="The form of the fair"' in refused.text
    assert '<option value="ignore" selected>' in refused.text
    assert the_import(site).state is ImportState.RECEIVED


def test_two_columns_that_hold_the_same_are_named(site: Site, admin: Member) -> None:
    upload(admin)

    refused = admin.post("/office/imports/1/start", FORM | {"column-1": "address"})

    assert refused.status_code == 422
    assert "columns 1 and 2 both hold the address" in text_of(refused)


def test_another_encoding_shows_the_file_anew(site: Site, admin: Member) -> None:
    upload(admin, "email,name\nzoé@readers.example\nzoe@readers.example,Zoé\n".encode("cp1252"))
    first = admin.get("/office/imports/1")

    again = admin.post(
        "/office/imports/1/start",
        FORM | {"encoding": "utf-16", "look": "1", "shown-as": "cp1252 , none"},
    )
    back = admin.post(
        "/office/imports/1/start",
        FORM | {"encoding": "cp1252", "look": "1", "shown-as": "utf-16 , none"},
    )

    assert "was taken for cp1252" in text_of(first)
    assert "Zoé" in first.text
    assert "Zoé" not in again.text
    assert back.status_code == 200
    assert "Zoé" in back.text
    assert the_import(site).encoding == "cp1252"


def test_a_file_without_an_address_column_is_shown_all_the_same(site: Site, admin: Member) -> None:
    upload(admin, b"Whom,Where\nada@readers.example,here\n")

    page = admin.get("/office/imports/1")
    started = admin.post(
        "/office/imports/1/start",
        AS_READ
        | {"title-0": "Whom", "column-0": "address", "title-1": "Where", "column-1": "ignore"}
        | {"basis": "contract", "import": "1"},
    )

    assert page.status_code == 200
    assert "Whom" in page.text
    assert started.status_code == 303


def test_s22_of_a_zip_each_file_is_an_import_whose_people_are_declared(
    site: Site, admin: Member
) -> None:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        for kind in ("subscribed", "cleaned"):
            file.write(DATA / f"mailchimp-{kind}.csv", f"{kind}.csv")
    made = upload(admin, archive.getvalue(), "export.zip")
    page = admin.get("/office/imports/1")
    shown_as = {"shown-as": "utf-8 , mailchimp", "encoding": "utf-8", "delimiter": ","}
    form = shown_as | {"preset": "mailchimp", "basis": "consent", "import": "1"}

    unsaid = admin.post("/office/imports/1/start", form)
    said = admin.post("/office/imports/1/start", form | {"status": "subscribed"})

    assert made.headers["location"] == "/office/imports"
    assert "Everybody in this file is" in text_of(page)
    assert unsaid.status_code == 422
    assert "say what the people of" in text_of(unsaid).lower()
    assert said.status_code == 303
    assert the_import(site, 2).file_name == "export.zip: cleaned.csv"


def test_a_file_that_cannot_be_read_is_refused_with_the_reason(site: Site, admin: Member) -> None:
    empty = upload(admin, b"")
    damaged = upload(admin, b"PK\x03\x04 not a zip", "export.zip")
    none = admin.post("/office/imports", {"list": "harbour"})

    assert (empty.status_code, damaged.status_code, none.status_code) == (422, 422, 422)
    assert "ZIP is damaged" in text_of(damaged)
    assert "Choose a list, and a file" in text_of(none)
    with reading(site.engine) as session:
        assert session.scalars(select(Import)).all() == []


def test_an_import_is_stopped_undone_and_resumed_with_buttons(site: Site, admin: Member) -> None:
    upload(admin)
    admin.post("/office/imports/1/start", FORM | {"import": "1"})
    stopped = admin.post("/office/imports/1/cancel")
    upload(admin)
    admin.post("/office/imports/2/start", FORM | {"import": "1"})
    resumed = admin.post("/office/imports/2/resume")
    work(site)
    undone = admin.post("/office/imports/2/undo")
    under_way = text_of(admin.get("/office/imports/2"))
    work(site)

    assert (stopped.status_code, resumed.status_code, undone.status_code) == (303, 303, 303)
    assert the_import(site).state is ImportState.CANCELLED
    assert "Being undone" in under_way
    assert "3 subscriptions, 3 people" in text_of(admin.get("/office/imports/2"))
    assert people(site) == set()


def test_a_discarded_file_is_kept_nowhere(site: Site, admin: Member) -> None:
    upload(admin)
    discarded = admin.post("/office/imports/1/cancel")
    upload(admin)
    admin.post("/office/imports/2/start", FORM | {"try": "1"})
    work(site)
    admin.post("/office/imports/2/cancel")

    assert discarded.headers["location"] == "/office/imports"
    with reading(site.engine) as session:
        assert session.scalars(select(ImportChunk)).all() == []
    assert admin.post("/office/imports/2/follow").status_code == 409


def test_progress_asks_for_itself_until_the_end(site: Site, admin: Member) -> None:
    upload(admin)
    admin.post("/office/imports/1/start", FORM | {"import": "1"})

    waiting = admin.get("/office/imports/1/progress", headers={"HX-Request": "true"})
    work(site)
    ended = admin.get("/office/imports/1/progress", headers={"HX-Request": "true"})

    assert 'hx-trigger="every 2s"' in waiting.text
    assert "hx-refresh" not in waiting.headers
    assert ended.headers["hx-refresh"] == "true"


def test_an_import_that_nobody_moves_can_be_resumed(site: Site, admin: Member) -> None:
    upload(admin)
    admin.post("/office/imports/1/start", FORM | {"import": "1"})
    with transaction(site.engine) as session:
        job = session.get_one(Import, 1)
        job.state = ImportState.RUNNING
        job.started_at = job.alive_at = utc_now() - timedelta(minutes=5)

    page = text_of(admin.get("/office/imports/1"))

    assert "Nothing has moved for minutes" in page
    assert "Resume" in page


def test_s09_an_admin_of_one_list_imports_into_it_and_sees_no_other(
    site: Site, list_id: int
) -> None:
    other = add_list(site.engine, "weekly")
    own = site.member(Role.ADMIN, lists={list_id: Role.ADMIN})
    stranger = site.member(Role.ADMIN, lists={other: Role.ADMIN})
    editor = site.member(Role.EDITOR)

    made = upload(own)
    foreign = own.post("/office/imports", {"list": "weekly"}, files={"file": ("x", PEOPLE)})
    seen = [stranger.get("/office/imports/1"), stranger.get("/office/imports/1/report")]
    steps = ("start", "follow", "cancel", "resume", "undo")
    done = [stranger.post(f"/office/imports/1/{step}", FORM) for step in steps]

    assert made.status_code == 303
    assert foreign.status_code == 422
    assert [each.status_code for each in (*seen, *done)] == [404] * 7
    assert "fair.csv" not in stranger.get("/office/imports").text
    assert editor.get("/office/imports").status_code == 403
    assert the_import(site).state is ImportState.RECEIVED


def test_s09_a_file_for_one_list_alone_neither_overwrites_nor_suppresses_elsewhere(
    site: Site, list_id: int
) -> None:
    own = site.member(Role.ADMIN, lists={list_id: Role.ADMIN})
    upload(own)

    refused = own.post("/office/imports/1/start", FORM | {"overwrites": "1", "import": "1"})
    own.post("/office/imports/1/start", FORM | {"import": "1"})
    work(site)

    assert refused.status_code == 422
    cy = parse_address("cy@readers.example")
    with reading(site.engine) as session:
        assert [each.list_id for each in suppressions_of(session, cy)] == [list_id]
        assert not is_suppressed(session, cy, list_id=EVERYWHERE)
        assert len(session.scalars(select(Subscription)).all()) == 3


def test_a_stranger_s_gigabyte_is_not_waited_for(site: Site, list_id: int) -> None:
    answer = site.client.post(
        "/office/imports", content=b"x", headers={"Content-Length": str(2**30)}
    )

    assert answer.status_code == 303
    assert answer.headers["location"] == "/sign-in"


def test_s35_every_step_is_in_the_audit_log(site: Site, admin: Member) -> None:
    upload(admin)
    admin.post("/office/imports/1/start", FORM | {"try": "1"})
    work(site)
    admin.post("/office/imports/1/follow")
    work(site)
    admin.post("/office/imports/1/undo")

    with reading(site.engine) as session:
        entries = session.scalars(select(AuditEntry).order_by(AuditEntry.id)).all()
    assert [each.action for each in entries] == [
        "import file received",
        "import tried",
        "import started",
        "import undone",
    ]
    assert {each.subject for each in entries} == {"import 1"}
