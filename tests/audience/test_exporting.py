"""An export is whole, safe to open in a spreadsheet, and changes nothing when it is imported."""

import csv
import io
import json
import unicodedata
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from newsletter.addresses import parse_address
from newsletter.audience import exporting
from newsletter.audience.attributes import add_attribute
from newsletter.audience.exporting import Audience, disarmed, write_csv, write_json_lines
from newsletter.audience.import_report import ImportReport
from newsletter.audience.importing import ImportPlan, import_file
from newsletter.audience.subscribers import edit_subscriber
from newsletter.audience.suppression import suppress
from newsletter.audience.tags import set_tags
from newsletter.clock import utc_now
from newsletter.db import Model, make_engine, reading, transaction
from newsletter.models import (
    AttributeKind,
    Import,
    ImportChunk,
    ImportLine,
    LegalBasis,
    Subscriber,
    Subscription,
    SubscriptionStatus,
    SuppressionReason,
    schema,
)
from tests.audience.people import EDITOR, NOW, READER, a_list

PEOPLE = """\
email,name,language,zone,status,joined_at,left_at
Ada@readers.example,Ada,en,Europe/London,active,2024-01-02T03:04:05.678901Z,
bo@bücher.example,名,,,unsubscribed,2023-01-01,2024-05-06
cy@readers.example,,,,bounced,,2022-02-02
di@readers.example,Di,,,pending,,
"""


@pytest.fixture
def list_id(engine: Engine) -> int:
    """A list with Ada, who has everything; Bo who left; Cy who bounced; Di who complained here."""
    with transaction(engine) as session:
        attributes(session)
        number = a_list(session).id
    run(engine, number, PEOPLE)
    known = {"vip": True, "born": "1815-12-10", "team": "b c", "score": 2.5}
    with transaction(engine) as session:
        edit_subscriber(session, 1, {"attributes": known}, origin=READER, now=NOW)
        set_tags(session, 1, ["first", "second one"], origin=EDITOR, now=NOW)
        suppress(
            session,
            parse_address("di@readers.example"),
            reason=SuppressionReason.COMPLAINED,
            source="arf",
            list_id=number,
            now=datetime(2026, 1, 2, tzinfo=UTC),
        )
    return number


@pytest.fixture
def session(engine: Engine) -> Iterator[Session]:
    with reading(engine) as session:
        yield session


def attributes(session: Session) -> None:
    add_attribute(session, "vip", AttributeKind.BOOLEAN, label="VIP", now=NOW)
    add_attribute(session, "born", AttributeKind.DATE, label="Born", now=NOW)
    add_attribute(session, "team", AttributeKind.CHOICE, label="T", choices=["A", "b c"], now=NOW)
    add_attribute(session, "score", AttributeKind.NUMBER, label="Score", now=NOW)
    add_attribute(session, "note", AttributeKind.TEXT, label="Note", now=NOW)


def run(engine: Engine, list_id: int, text: str) -> ImportReport:
    return import_file(
        engine,
        io.BytesIO(text.encode()),
        ImportPlan(basis=LegalBasis.CONSENT),
        list_id=list_id,
        file_name="export.csv",
        by="ed",
        now=utc_now(),
    )


def as_csv(engine: Engine, list_id: int, *, is_raw: bool = False) -> str:
    written = io.StringIO(newline="")
    write_csv(engine, Audience(list_id=list_id), written, is_raw=is_raw)
    return written.getvalue()


def everything(engine: Engine) -> dict[str, list[tuple[Any, ...]]]:
    """All tables but those about the imports themselves."""
    ours = {Import.__tablename__, ImportChunk.__tablename__, ImportLine.__tablename__}
    with reading(engine) as session:
        return {
            name: sorted((tuple(row) for row in session.execute(select(table))), key=repr)
            for name, table in Model.metadata.tables.items()
            if name not in ours
        }


def test_an_export_has_all_of_everybody(engine: Engine, list_id: int) -> None:
    rows = list(csv.DictReader(io.StringIO(as_csv(engine, list_id))))

    assert [row["email"] for row in rows] == [
        *("Ada@readers.example", "bo@xn--bcher-kva.example"),
        *("cy@readers.example", "di@readers.example"),
    ]
    assert rows[0] == {
        "email": "Ada@readers.example",
        "name": "Ada",
        "language": "en",
        "zone": "Europe/London",
        "status": "confirmed",
        "joined_at": "2024-01-02T03:04:05.678901+00:00",
        "left_at": "",
        "suppressed": "",
        "suppressed_at": "",
        "tags": "first, second one",
        "attribute born": "1815-12-10",
        "attribute note": "",
        "attribute score": "2.5",
        "attribute team": "b c",
        "attribute vip": "yes",
    }
    assert (rows[1]["status"], rows[1]["left_at"][:10]) == ("unsubscribed", "2024-05-06")
    assert (rows[2]["suppressed"], rows[2]["suppressed_at"][:10]) == ("bounced", "2022-02-02")
    assert rows[3]["suppressed"] == "complained on this list"


@pytest.mark.parametrize("is_raw", [False, True])
def test_importing_an_export_changes_nothing(engine: Engine, list_id: int, is_raw: bool) -> None:
    before = everything(engine)

    report = run(engine, list_id, as_csv(engine, list_id, is_raw=is_raw))

    assert everything(engine) == before
    assert report.outcomes == {"unchanged": 2, "skipped: suppressed": 2}


def test_an_export_into_another_installation_comes_out_the_same(
    engine: Engine, list_id: int, tmp_path: Any
) -> None:
    other = make_engine(f"sqlite:///{tmp_path / 'other.db'}")
    schema.upgrade(other)
    with transaction(other) as session:
        attributes(session)
        other_list = a_list(session).id

    run(other, other_list, as_csv(engine, list_id))

    assert as_csv(other, other_list) == as_csv(engine, list_id)
    other.dispose()


def test_json_lines_hold_the_same(engine: Engine, list_id: int) -> None:
    written = io.StringIO()

    count = write_json_lines(engine, Audience(list_id=list_id), written)

    found = [json.loads(line) for line in written.getvalue().splitlines()]
    assert (count, len(found)) == (4, 4)
    assert found[0]["tags"] == ["first", "second one"]
    assert found[0]["attributes"] == {
        "vip": True,
        "born": "1815-12-10",
        "team": "b c",
        "score": 2.5,
    }
    assert found[1]["name"] == "名"


def test_only_people_of_a_status_or_a_selection(engine: Engine, list_id: int) -> None:
    def emails(audience: Audience) -> list[str]:
        written = io.StringIO(newline="")
        write_csv(engine, audience, written)
        return [row["email"][:2].lower() for row in csv.DictReader(io.StringIO(written.getvalue()))]

    chosen = select(Subscriber.id).where(Subscriber.id.in_((1, 3)))

    assert emails(Audience(list_id, status=SubscriptionStatus.PENDING)) == ["di"]
    assert emails(Audience(list_id, chosen)) == ["ad", "cy"]
    assert emails(Audience(people=chosen)) == ["ad", "cy"]
    assert emails(Audience(list_id + 1)) == []


@pytest.mark.parametrize("per_page", [1, 2, 3])
def test_no_page_begins_with_a_gap_and_progress_ends_at_all(
    engine: Engine, list_id: int, per_page: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "PEOPLE_PER_PAGE", per_page)
    seen: list[tuple[int, int]] = []
    written = io.StringIO(newline="")

    write_csv(
        engine,
        Audience(list_id=list_id),
        written,
        on_progress=lambda done, total: seen.append((done, total)),
    )

    assert len(written.getvalue().splitlines()) == 5
    assert seen[-1] == (4, 4)


_NAMES = st.one_of(
    st.sampled_from(
        [
            *('=HYPERLINK("x")', "@SUM(A1)", "-2+3|cmd", "+1", "'=x", "''@", "'", "'plain", "a=b"),
            *('says "hi", twice', "=1;2", "\u2019=x"),
        ]
    ),
    st.text(st.characters(exclude_categories=["C", "Zl", "Zp"]), min_size=1, max_size=20).filter(
        lambda text: text.strip() == text
    ),
)


@given(names=st.lists(_NAMES, max_size=4))
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@pytest.mark.parametrize("store", ["sqlite"])
def test_s23_no_cell_is_a_formula_and_every_name_comes_back(
    engine: Engine, names: list[str]
) -> None:
    slug = f"l{utc_now():%H%M%S%f}"
    with transaction(engine) as session:
        list_id = a_list(session, slug).id
    written = io.StringIO(newline="")
    rows = [(f"+{place}@{slug}.example", disarmed(name)) for place, name in enumerate(names)]
    csv.writer(written).writerows([("email", "name"), *rows])

    run(engine, list_id, written.getvalue())
    exported = list(csv.reader(io.StringIO(as_csv(engine, list_id), newline="")))[1:]

    assert not any(cell[:1] in set("=+-@") for row in exported for cell in row if cell)
    with reading(engine) as session:
        kept = session.scalars(
            select(Subscriber.name)
            .join(Subscription, Subscription.subscriber_id == Subscriber.id)
            .where(Subscription.list_id == list_id)
            .order_by(Subscriber.address_key)
        ).all()
    assert kept == [" ".join(unicodedata.normalize("NFC", name).split()) for name in names]
