"""S-24: odd and huge files are read line by line, and no line is lost silently."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.audience.delimited import BrokenRecord, Reader, Record
from newsletter.errors import InputError


def records_of(text: str) -> list[Record | BrokenRecord]:
    return list(reader_of(text))


def reader_of(text: str) -> Reader:
    return Reader(io.StringIO(text, newline="\n"))


@pytest.mark.parametrize("mark", [",", ";", "\t"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_usual_files_are_read_whatever_program_wrote_them(mark: str, line_end: str) -> None:
    lines = (f"email{mark}name", f"a@b.example{mark}Ada", f'c@d.example{mark}"Bo{mark} B"')
    text = line_end.join(lines) + line_end

    reader = reader_of(text)

    assert reader.delimiter == mark
    assert reader.header == Record(1, ["email", "name"])
    assert list(reader) == [
        Record(2, ["a@b.example", "Ada"]),
        Record(3, ["c@d.example", f"Bo{mark} B"]),
    ]


def test_blank_lines_are_passed_over_and_counted() -> None:
    reader = reader_of("\n\r\nemail\n\na@b.example\n  \nc@d.example")

    assert reader.header == Record(3, ["email"])
    assert list(reader) == [Record(5, ["a@b.example"]), Record(7, ["c@d.example"])]


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


@pytest.mark.parametrize("text", ["", "\n\n", '"email,name\n', "e" * 1_000_001])
def test_a_file_without_a_header_is_refused(text: str) -> None:
    with pytest.raises(InputError):
        reader_of(text)


def test_the_delimiter_may_be_said() -> None:
    assert Reader(io.StringIO("e,m;n\n"), ";").header.fields == ["e,m", "n"]


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

    reader = Reader(io.StringIO(written.getvalue(), newline="\n"), mark)

    assert [record.fields for record in reader if isinstance(record, Record)] == rows


@given(st.text(max_size=300))
def test_no_text_crashes_the_reader(text: str) -> None:
    lines = [record.line for record in reader_of(f"email,name\n{text}")]

    assert lines == sorted(set(lines))


@given(st.text(alphabet='ab,"\r\n', max_size=60))
def test_a_line_without_quotes_is_split_as_the_csv_module_does(text: str) -> None:
    line = text.replace("\n", "").replace('"', "").rstrip("\r")

    found = [record.fields for record in reader_of(f"x\n{line}\n") if isinstance(record, Record)]

    if line.strip() and "\r" not in line:
        assert found == list(csv.reader([line]))
