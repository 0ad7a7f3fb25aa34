"""The exports of other systems are recognised and read, as they really look."""

import io
from pathlib import Path

import pytest
from sqlalchemy import Engine, select

from newsletter.audience.exporting import Audience, write_csv
from newsletter.audience.import_columns import IGNORE, MEANINGS
from newsletter.audience.import_report import ImportReport
from newsletter.audience.importing import ImportPlan, import_file
from newsletter.audience.presets import presets, recognise
from newsletter.audience.rows import STATUS_WORDS
from newsletter.clock import utc_now
from newsletter.db import reading, transaction
from newsletter.errors import InputError
from newsletter.models import Import, LegalBasis
from tests.audience.people import a_list

FILES = Path(__file__).parent.parent / "data" / "imports"
ONE_STORE = pytest.mark.parametrize("store", ["sqlite"])


@pytest.fixture
def list_id(engine: Engine) -> int:
    with transaction(engine) as session:
        return a_list(session).id


def run(engine: Engine, list_id: int, name: str, status: str | None = None) -> ImportReport:
    with (FILES / name).open("rb") as stream:
        return import_file(
            engine,
            stream,
            ImportPlan(basis=LegalBasis.CONSENT, status=status),
            list_id=list_id,
            file_name=name,
            by="ed",
            now=utc_now(),
        )


def people(engine: Engine, list_id: int) -> list[str]:
    written = io.StringIO()
    write_csv(engine, Audience(list_id=list_id), written, is_raw=True)
    return written.getvalue().splitlines()[1:]


def preset_of(engine: Engine, report: ImportReport) -> str | None:
    with reading(engine) as session:
        return session.scalars(select(Import.preset).where(Import.id == report.import_id)).one()


@pytest.mark.parametrize("key", sorted(presets()))
def test_each_preset_names_only_what_an_import_knows_and_where_it_is_documented(key: str) -> None:
    preset = presets()[key]

    assert set(preset.columns.values()) <= {*MEANINGS, IGNORE}
    assert set(preset.words.values()) <= set(STATUS_WORDS)
    assert preset.source.startswith("https://")
    assert recognise(["x", *preset.marks]) == key


@ONE_STORE
def test_an_export_of_listmonk(engine: Engine, list_id: int) -> None:
    report = run(engine, list_id, "listmonk.csv")

    assert preset_of(engine, report) == "listmonk"
    assert people(engine, list_id) == [
        "ada@readers.example,Ada Lovelace,,,confirmed,2024-03-01T09:00:00.123456+00:00,,,,",
        f"bo@readers.example,Bo,,,unsubscribed,2024-03-01T08:00:00+00:00,{left(engine)},,,",
        "cy@readers.example,Cy,,,unsubscribed,2024-03-03T09:00:00+00:00,"
        f"{left(engine)},imported,{left(engine)},",
    ]


def left(engine: Engine) -> str:
    with reading(engine) as session:
        started_at = session.scalars(select(Import.started_at)).one()
    assert started_at is not None
    return started_at.isoformat()


@ONE_STORE
def test_the_files_of_mailchimp_each_with_the_class_that_an_admin_states(
    engine: Engine, list_id: int
) -> None:
    reports = [
        run(engine, list_id, f"mailchimp-{status}.csv", status)
        for status in ("subscribed", "unsubscribed", "cleaned")
    ]

    assert {preset_of(engine, report) for report in reports} == {"mailchimp"}
    assert people(engine, list_id) == [
        'ada@readers.example,Ada Lovelace,,Europe/London,confirmed,2018-02-12T10:54:27+00:00,,,,"early birds, vip"',
        "bo@readers.example,Bo,,,unsubscribed,2018-02-05T19:28:23+00:00,"
        "2023-06-06T12:56:15+00:00,,,",
        "cy@readers.example,Cy,,,confirmed,2018-02-12T10:54:27+00:00,,bounced,"
        "2020-06-25T15:12:06+00:00,",
    ]


@ONE_STORE
def test_a_file_of_mailchimp_without_a_stated_class_is_refused(
    engine: Engine, list_id: int
) -> None:
    with pytest.raises(InputError, match="status: an export of Mailchimp"):
        run(engine, list_id, "mailchimp-cleaned.csv")


@ONE_STORE
def test_an_export_of_ghost(engine: Engine, list_id: int) -> None:
    report = run(engine, list_id, "ghost.csv")

    assert preset_of(engine, report) == "ghost"
    assert [line.split(",")[4] for line in people(engine, list_id)] == ["confirmed", "unsubscribed"]
    assert people(engine, list_id)[0].endswith("2024-01-15T10:00:00+00:00,,,,founder")


@ONE_STORE
def test_an_export_of_substack(engine: Engine, list_id: int) -> None:
    report = run(engine, list_id, "substack.csv")

    assert preset_of(engine, report) == "substack"
    assert [line.split(",")[4] for line in people(engine, list_id)] == ["confirmed", "unsubscribed"]
