"""The commands that import and export."""

import gzip
import io
import json
import zipfile
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import select

from newsletter.audience import import_run
from newsletter.audience.importing import ImportPlan, receive_file, start_import
from newsletter.audience.lists import list_by_slug
from newsletter.cli import exports, imports
from newsletter.clock import utc_now
from newsletter.db import get_engine, reading
from newsletter.errors import InputError, NotFoundError, StateError
from newsletter.models import Import, ImportChunk, ImportState, LegalBasis, Subscriber
from tests.cli.terminal import CREATE, newsletter_list

ONE_STORE = pytest.mark.parametrize("store", ["sqlite"])
pytestmark = ONE_STORE

PEOPLE = "email,name,mood\nada@readers.example,Ada,fine\nnobody,Bo,gone\n"
TO_DAILY = ("--list=daily", "--basis=consent")


@pytest.fixture(autouse=True)
def _a_list(own_database: None) -> None:
    assert newsletter_list(*CREATE).exit_code == 0


def newsletter_import(*arguments: str, stdin: str | bytes | None = None) -> Result:
    return CliRunner().invoke(imports.command, arguments, input=stdin)


def newsletter_export(*arguments: str) -> Result:
    return CliRunner().invoke(exports.command, ["--list=daily", *arguments])


def names() -> list[str]:
    with reading() as session:
        return list(session.scalars(select(Subscriber.name).order_by(Subscriber.id)))


def states() -> list[ImportState]:
    with reading() as session:
        return list(session.scalars(select(Import.state).order_by(Import.id)))


def test_an_import_shows_how_it_reads_and_what_came_of_each_line(tmp_path: Path) -> None:
    (tmp_path / "people.csv").write_text(PEOPLE)

    result = newsletter_import(str(tmp_path / "people.csv"), *TO_DAILY)

    assert result.exit_code == 0
    assert "people.csv: utf-8-sig, separated by commas" in result.stderr
    assert "mood                           ignore           fine, gone" in result.stderr
    assert "Import 1: 1 people in 2 lines." in result.stdout
    assert "On the list now: 1 confirmed." in result.stdout
    assert "Ignored columns: mood." in result.stdout
    assert "line 3, address: invalid address (n***)" in result.stdout
    assert "\x1b" not in result.output


def test_only_the_first_twenty_problems_are_shown() -> None:
    result = newsletter_import("-", *TO_DAILY, stdin="email\n" + "nobody\n" * 30)

    assert result.output.count("invalid address (") == 20
    assert "newsletter import report 1" in result.output


def test_an_import_reports_to_a_program_as_json() -> None:
    result = newsletter_import("-", *TO_DAILY, "--json", stdin=PEOPLE)

    report = json.loads(result.stdout)
    assert result.exit_code == 0
    assert report["lines"] == 2
    assert report["statuses"] == {"confirmed": 1}
    assert report["outcomes"] == {"created": 1, "invalid address": 1}
    assert report["problems"] == [
        {"line": 3, "field": "address", "reason": "invalid address", "text": "n***"}
    ]


def test_t32_without_a_legal_basis_nothing_is_imported() -> None:
    result = newsletter_import("-", "--list=daily", stdin=PEOPLE)

    assert result.exit_code == 2
    assert "--basis" in result.output
    assert states() == []


def test_a_file_that_cannot_be_read_is_exit_code_2() -> None:
    result = newsletter_import("/nowhere/people.csv", *TO_DAILY)

    assert result.exit_code == 2
    assert "people.csv" in result.output


def test_a_header_of_no_use_is_a_persons_mistake_and_keeps_no_file() -> None:
    result = newsletter_import("-", *TO_DAILY, stdin="name\nAda\n")

    with reading() as session:
        assert session.scalars(select(ImportChunk)).all() == []
    assert isinstance(result.exception, InputError)
    assert states() == [ImportState.CANCELLED]


def test_a_guessed_encoding_must_be_confirmed() -> None:
    raw = "email,name\nbjoern@readers.example,Björn\n".encode("cp1252")

    guessed = newsletter_import("-", *TO_DAILY, stdin=raw)
    named = newsletter_import("-", *TO_DAILY, "--encoding=cp1252", stdin=raw)

    assert isinstance(guessed.exception, InputError)
    assert "--encoding cp1252" in str(guessed.exception)
    assert named.exit_code == 0
    assert names() == ["Björn"]


def test_a_gzip_with_columns_of_its_own_names_is_mapped(tmp_path: Path) -> None:
    (tmp_path / "leute.csv.gz").write_bytes(
        gzip.compress(b"Kontakt;Wer\nada@readers.example;Ada\n")
    )

    result = newsletter_import(
        str(tmp_path / "leute.csv.gz"),
        *TO_DAILY,
        *("--map", "Kontakt=address", "--map", "Wer=name", "--tag=spring"),
    )

    assert result.exit_code == 0
    assert names() == ["Ada"]


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--map=Kontakt=address", "map: the file has no column called 'Kontakt'"),
        ("--map=name=shoe size", "map: a column cannot hold 'shoe size'"),
        ("--map=name", "map: write it as TITLE=MEANING"),
        ("--preset=myspace", "preset: there is none called 'myspace'"),
        ("--encoding=klingon", "encoding: write one like"),
        ("--delimiter=|", "delimiter: write a comma"),
        ("--status=perhaps", "status: write one of"),
        ("--tag=a,b", "tags: write each without a comma"),
    ],
)
def test_a_wrong_option_names_its_field_and_imports_nobody(option: str, message: str) -> None:
    result = newsletter_import("-", *TO_DAILY, option, stdin=PEOPLE)

    assert isinstance(result.exception, InputError)
    assert str(result.exception).startswith(message)
    with reading() as session:
        assert session.scalars(select(ImportChunk)).all() == []
    assert names() == []


def test_a_zip_is_imported_file_by_file_as_the_admin_states(tmp_path: Path) -> None:
    path = tmp_path / "audience.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("subscribed.csv", "email,name\nada@readers.example,Ada\n")
        archive.writestr("cleaned.csv", "email,name\ncy@readers.example,Cy\n")

    unstated = newsletter_import(str(path), *TO_DAILY, "--status=subscribed.csv=subscribed")
    done = newsletter_import(
        str(path),
        *TO_DAILY,
        *("--status=subscribed.csv=subscribed", "--status=cleaned.csv=cleaned", "--json"),
    )

    assert "--status 'cleaned.csv=…'" in str(unstated.exception)
    assert [report["outcomes"] for report in json.loads(done.stdout)] == [
        {"created": 1},
        {"now suppressed": 1},
    ]


def test_a_dry_run_says_so_and_imports_nobody() -> None:
    result = newsletter_import("-", *TO_DAILY, "--dry-run", stdin=PEOPLE)

    assert "Dry run 1: 1 people in 2 lines." in result.stdout
    assert names() == []


def test_an_import_that_was_broken_off_is_shown_and_resumed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(import_run, "RECORDS_PER_SLICE", 2)
    text = "email\n" + "".join(f"r{number}@readers.example\n" for number in range(5))

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(import_run, "_report", interrupt)
        broken = newsletter_import("-", *TO_DAILY, stdin=text)
    shown = newsletter_import("show", "1")
    resumed = newsletter_import("resume", "1", "--json")

    assert isinstance(broken.exception, StateError)
    assert "newsletter import resume 1" in str(broken.exception)
    assert "0 % read, up to line 0" in shown.stdout
    assert json.loads(resumed.stdout)["outcomes"] == {"created": 5}


def test_imports_are_listed_reported_cancelled_and_undone(tmp_path: Path) -> None:
    newsletter_import("-", *TO_DAILY, stdin=PEOPLE)
    with reading() as session:
        list_id = list_by_slug(session, "daily").id
    second = receive_file(
        get_engine(), [b"email\n"], list_id=list_id, file_name="x", by="ed", now=utc_now()
    )
    start_import(get_engine(), second, ImportPlan(basis=LegalBasis.CONSENT))

    listed = newsletter_import("list", "--json")
    first_page = newsletter_import("list", "--limit=1")
    newsletter_import("report", "1", "--out", str(tmp_path / "report.csv"))
    cancelled = newsletter_import("cancel", "2")
    undone = newsletter_import("undo", "1", "--json")

    assert [(job["id"], job["state"]) for job in json.loads(listed.stdout)] == [
        (2, "waiting"),
        (1, "done"),
    ]
    assert "--before 2" in first_page.stderr
    assert (tmp_path / "report.csv").read_text().splitlines()[1:] == [
        "2,2,created,,",
        "3,3,invalid address,address,n***",
    ]
    assert cancelled.output == "Import 2 is cancelled.\n"
    assert json.loads(undone.stdout) == {
        "people": 1,
        "subscriptions": 1,
        "tags": 0,
        "suppressions": 0,
    }
    assert names() == []


@pytest.mark.parametrize("verb", ["show", "cancel", "resume", "undo", "report"])
def test_an_import_that_is_not_there_is_an_error(verb: str) -> None:
    assert isinstance(newsletter_import(verb, "7").exception, NotFoundError)


def test_a_worker_is_left_what_is_to_be_done_in_the_background(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rung: list[object] = []
    monkeypatch.setattr("newsletter.queue.ring", lambda job, _arguments: rung.append(job.name))

    result = newsletter_import("-", *TO_DAILY, "--background", stdin=PEOPLE)

    assert "Import 1 waits for a worker." in result.stderr
    assert states() == [ImportState.WAITING]
    assert rung == ["IMPORT_FILES"]


def test_an_export_is_written_to_a_file_or_the_terminal(tmp_path: Path) -> None:
    newsletter_import(
        "-",
        *TO_DAILY,
        stdin="email,name,status\nada@readers.example,'=A1,active\nbo@readers.example,Bo,pending\n",
    )

    newsletter_export("--out", str(tmp_path / "out.csv"))
    raw = newsletter_export("--raw", "--status=confirmed")
    lines = newsletter_export("--format=jsonl")

    assert ",'=A1," in (tmp_path / "out.csv").read_text()
    assert raw.stdout.splitlines()[1].startswith("ada@readers.example,=A1,")
    assert len(raw.stdout.splitlines()) == 2
    assert [json.loads(line)["name"] for line in io.StringIO(lines.stdout)] == ["=A1", "Bo"]
    assert "2 people." in lines.stderr
