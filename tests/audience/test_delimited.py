"""S-24: odd and huge files are read line by line, and no line is lost silently."""

import csv
import hashlib
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.audience.delimited import BrokenRecord, Record, read_records, survey
from newsletter.errors import InputError


def records_of(text: str) -> list[Record | BrokenRecord]:
    _, records = read_records(io.BytesIO(text.encode()))
    return list(records)


@pytest.mark.parametrize("mark", [",", ";", "\t"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
@pytest.mark.parametrize("bom", ["", "\ufeff"])
def test_usual_files_are_read_whatever_program_wrote_them(
    mark: str, line_end: str, bom: str
) -> None:
    lines = (f"email{mark}name", f"a@b.example{mark}Ada", f'c@d.example{mark}"Bo{mark} B"')
    text = bom + line_end.join(lines) + line_end

    header, records = read_records(io.BytesIO(text.encode()))

    assert header == Record(1, ["email", "name"])
    assert list(records) == [
        Record(2, ["a@b.example", "Ada"]),
        Record(3, ["c@d.example", f"Bo{mark} B"]),
    ]


def test_blank_lines_are_passed_over_and_counted() -> None:
    header, records = read_records(io.BytesIO(b"\n\r\nemail\n\na@b.example\n  \nc@d.example"))

    assert header == Record(3, ["email"])
    assert list(records) == [Record(5, ["a@b.example"]), Record(7, ["c@d.example"])]


def test_a_quoted_line_break_belongs_to_its_field() -> None:
    records = records_of('email,note\na@b.example,"one\ntwo"\nc@d.example,x\n')

    assert records == [Record(2, ["a@b.example", "one\ntwo"]), Record(4, ["c@d.example", "x"])]


def test_a_quote_that_is_never_closed_costs_its_own_line_only() -> None:
    people = "".join(f"{number}@b.example,x\n" for number in range(100))

    records = records_of(f'email,name\na@b.example,"Ada\n{people}')

    assert records[0] == BrokenRecord(2, is_too_long=False)
    assert len(records) == 101
    assert records[1] == Record(3, ["0@b.example", "x"])


def test_a_quote_inside_a_word_is_a_letter() -> None:
    assert records_of('email,name\na@b.example,Ada 5" Lovelace\n') == [
        Record(2, ["a@b.example", 'Ada 5" Lovelace'])
    ]


def test_a_line_of_more_than_a_megabyte_is_passed_over() -> None:
    records = records_of(f"email,name\na@b.example,{'x' * 2_500_000}\nc@d.example,y\n")

    assert records == [BrokenRecord(2, is_too_long=True), Record(3, ["c@d.example", "y"])]


def test_a_long_line_inside_open_quotes_is_not_kept_either() -> None:
    records = records_of(f'email,name\na@b.example,"x\n{"y" * 1_200_000}\nc@d.example,y\n')

    assert records == [
        BrokenRecord(2, is_too_long=False),
        BrokenRecord(3, is_too_long=True),
        Record(4, ["c@d.example", "y"]),
    ]


@pytest.mark.parametrize("raw", [b"", b"\n\n", b'"email,name\n', b"e" * 1_000_001])
def test_a_file_without_a_header_is_refused(raw: bytes) -> None:
    with pytest.raises(InputError):
        read_records(io.BytesIO(raw))


def test_a_survey_tells_the_files_hash_and_size() -> None:
    found = survey(io.BytesIO(b"email\n"))

    assert found.size_bytes == 6
    assert found.sha256 == hashlib.sha256(b"email\n").hexdigest()


@pytest.mark.parametrize(
    ("raw", "line"),
    [
        (b"email,name\na@b.example,J\xf6rg\n", 2),
        (b"\xff", 1),
        (b"email\n" * 300_000 + b"\xe4\n", 300_001),
        (b"email\na@b.example,\xe4\xbd", 2),
        ("email\n".encode("utf-16"), 1),
        ("email,姓名\n".encode("gb18030"), 1),
    ],
    ids=["latin-1", "first byte", "far down", "cut off", "utf-16", "gb18030"],
)
def test_text_that_is_not_utf8_is_refused_with_its_line(raw: bytes, line: int) -> None:
    with pytest.raises(InputError, match=f"^line {line}: .*UTF-8"):
        survey(io.BytesIO(raw))


@given(
    st.lists(
        st.lists(st.text(max_size=8), min_size=2, max_size=2).filter(lambda row: any(row)),
        max_size=8,
    ),
    st.sampled_from([",", ";", "\t"]),
)
def test_what_a_csv_writer_wrote_is_read_back(rows: list[list[str]], mark: str) -> None:
    written = io.StringIO(newline="")
    writer = csv.writer(written, delimiter=mark, quoting=csv.QUOTE_ALL)
    writer.writerow(["email", "name"])
    writer.writerows(rows)

    raw = written.getvalue().encode("utf-8", "replace")
    _, records = read_records(io.BytesIO(raw))

    expected = [[text.encode("utf-8", "replace").decode() for text in row] for row in rows]
    assert [record.fields for record in records if isinstance(record, Record)] == expected


@given(st.binary(max_size=300))
def test_no_bytes_crash_the_reader(raw: bytes) -> None:
    stream = io.BytesIO(b"email,name\n" + raw)

    try:
        survey(stream)
    except InputError:
        return
    stream.seek(0)
    _, records = read_records(stream)

    lines = [record.line for record in records]
    assert lines == sorted(set(lines))
