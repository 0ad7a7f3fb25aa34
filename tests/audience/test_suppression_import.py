"""Suppression lists on their way in and out: addresses from anywhere, hashes from our own kind."""

import io
import json
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, delete, select

from newsletter.addresses import address_hash, parse_address
from newsletter.audience.suppression import suppress
from newsletter.audience.suppression_export import write_csv, write_json_lines
from newsletter.audience.suppression_import import SuppressionReport, import_suppressions
from newsletter.db import reading, transaction
from newsletter.errors import InputError
from newsletter.models import EVERYWHERE, Suppression, SuppressionReason
from tests.audience.people import NOW, a_list

IMPORTED = SuppressionReason.IMPORTED
Entry = tuple[bytes, int, SuppressionReason, str, datetime]


def bring(engine: Engine, text: str | bytes, list_id: int = EVERYWHERE) -> SuppressionReport:
    content = text.encode() if isinstance(text, str) else text
    return import_suppressions(
        engine, io.BytesIO(content), reason=IMPORTED, source="a file", list_id=list_id, now=NOW
    )


def entries(engine: Engine) -> list[Entry]:
    with reading(engine) as session:
        return sorted(
            (each.address_hash, each.list_id, each.reason, each.source, each.created_at)
            for each in session.scalars(select(Suppression))
        )


def hashes(engine: Engine) -> set[bytes]:
    return {entry[0] for entry in entries(engine)}


def of(*addresses: str) -> set[bytes]:
    return {address_hash(parse_address(address)) for address in addresses}


@pytest.mark.parametrize(
    "text",
    [
        "ada@a.example\nBO@b.example\n\n",
        "\ufeffada@a.example\r\nbo@b.example",
        "email\nada@a.example\nbo@b.example\n",
        "Name;E-Mail;note\nAda;ada@a.example;x\nBo;bo@b.example;y\n",
        'name,address\n"Ada, A.",ada@a.example\nBo,bo@b.example\n',
    ],
)
def test_addresses_are_found_in_lines_and_in_columns(engine: Engine, text: str) -> None:
    report = bring(engine, text)

    assert (report.lines, report.new, report.rejected) == (2, 2, 0)
    assert hashes(engine) == of("ada@a.example", "bo@b.example")


def test_what_is_no_address_is_told_with_its_line_and_masked(engine: Engine) -> None:
    report = bring(engine, "email\nada@a.example\nbo@\nada@a.example\ncy@@c.example\n")

    assert (report.lines, report.new, report.known, report.rejected) == (4, 1, 1, 2)
    assert [problem.line for problem in report.problems] == [3, 5]
    assert "cy@" not in str(report.problems)


def test_the_same_file_again_changes_nothing(engine: Engine) -> None:
    text = "email\nada@a.example\nbo@b.example\n"
    bring(engine, text)
    before = entries(engine)

    report = bring(engine, text)

    assert (report.new, report.known) == (0, 2)
    assert entries(engine) == before


def test_an_export_brings_everything_back_as_it_was(engine: Engine) -> None:
    with transaction(engine) as session:
        daily = a_list(session).id
        for number, reason in enumerate(SuppressionReason):
            address = parse_address(f"r{number}@a.example")
            at = datetime(2025, 1, number + 1, tzinfo=UTC)
            suppress(session, address, reason=reason, source="a, b", list_id=daily, now=at)
        suppress(session, parse_address("ada@a.example"), reason=IMPORTED, source="c", now=NOW)
    before, file = entries(engine), io.StringIO()

    written = write_csv(engine, file)
    with transaction(engine) as session:
        session.execute(delete(Suppression))
    report = bring(engine, file.getvalue())

    assert (written, report.new, report.rejected) == (6, 6, 0)
    assert entries(engine) == before
    assert "@" not in file.getvalue()


def test_json_lines_have_the_same(engine: Engine) -> None:
    bring(engine, "ada@a.example\n")
    file = io.StringIO()

    write_json_lines(engine, file)

    (row,) = (json.loads(line) for line in file.getvalue().splitlines())
    assert bytes.fromhex(row["hash"]) in of("ada@a.example")
    assert (row["reason"], row["list"], row["source"]) == ("imported", "", "a file")


@pytest.mark.parametrize("store", ["sqlite"])
def test_hashes_made_with_another_key_are_refused_since_they_mean_nothing(engine: Engine) -> None:
    report = bring(engine, f"hash,key_id\n{'ab' * 16},00000000\nxy,\n")

    assert (report.new, report.rejected) == (0, 2)
    assert "another NEWSLETTER_ADDRESS_KEY" in report.problems[0].text


@pytest.mark.parametrize("store", ["sqlite"])
@pytest.mark.parametrize("text", ["name,note\nAda,x\n", "hash\nab\n"])
def test_a_file_without_a_column_to_go_by_is_refused(engine: Engine, text: str) -> None:
    with pytest.raises(InputError, match="needs a column `address` or `email`"):
        bring(engine, text)


@pytest.mark.parametrize("store", ["sqlite"])
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(content=st.binary(max_size=300))
def test_no_file_makes_it_stumble(engine: Engine, content: bytes) -> None:
    try:
        report = bring(engine, content)
    except InputError:
        return
    assert report.lines == report.new + report.known + report.rejected
