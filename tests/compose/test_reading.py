import datetime

import pytest

from newsletter.compose.findings import Findings, Severity
from newsletter.compose.parser import parse, read_briefing
from newsletter.compose.reading import MAX_BYTES, clean_lines, decode

TODAY = datetime.date(2026, 11, 22)
CHINESE = "海港早报\n\n海鸥开设实验室\n\n海鸥周一在东港开设实验室。（晚潮）"


def cleaned(text: str) -> tuple[list[str], list[str]]:
    findings = Findings()
    lines = [line.text for line in clean_lines(text, findings)]
    return lines, [finding.code for finding in findings.in_reading_order()]


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("\ufeffa\r\nb\rc\n", ["a", "b", "c", ""]),
        ("a\u00a0b\u3000c\td  ", ["a b c d"]),
        ("a\u200bb\u2060c\ufeffd", ["abcd"]),
        ("cafe\u0301", ["café"]),
        ("\u1112\u1161\u11ab", ["한"]),
    ],
)
def test_a_line_is_cleaned(text: str, lines: list[str]) -> None:
    assert cleaned(text) == (lines, [])


def test_control_characters_are_an_error_where_they_stand() -> None:
    parsed = parse("a\nb\u0007c", today=TODAY)

    found = next(found for found in parsed.findings if found.code == "control-character")
    assert (found.severity, found.line, found.column) == (Severity.ERROR, 2, 2)


def test_garbled_punctuation_is_mended_with_a_warning() -> None:
    garbled = "It’s “good” – café".encode().decode("cp1252", "ignore")

    assert cleaned(garbled.replace("goodâ€", "goodâ€\x9d")) == (["It’s “good” – café"], ["charset"])


def test_french_spacing_is_not_taken_for_garbled_text() -> None:
    assert cleaned("marché\u00a0» à\u00a0«") == (["marché » à «"], [])


def test_columns_count_characters_of_the_file() -> None:
    findings = Findings()
    line = clean_lines("a\u200b\u200bcafe\u0301 x", findings)[0]

    assert line.text == "acafé x"
    assert line.place(0).column == 1
    assert line.place(1).column == 4
    assert line.place(line.text.index("x")).column == 10


@pytest.mark.parametrize(
    ("raw", "text", "codes"),
    [
        (b"\xef\xbb\xbfabc", "abc", []),
        (CHINESE.encode("gb18030"), CHINESE, ["encoding-guessed"]),
        ("It’s “fine”".encode("cp1252"), "It’s “fine”", ["encoding-guessed"]),
        (b"\xff\xfe\x00\x00\xff", None, ["encoding"]),
    ],
)
def test_bytes_are_decoded(raw: bytes, text: str | None, codes: list[str]) -> None:
    findings = Findings()

    assert decode(raw, findings) == text
    assert [finding.code for finding in findings.in_reading_order()] == codes


@pytest.mark.parametrize(
    ("raw", "code"),
    [(b"a" * (MAX_BYTES + 1), "too-large"), (b"a\n\n" * 2001, "too-many-blocks")],
)
def test_a_text_beyond_the_limits_is_refused(raw: bytes, code: str) -> None:
    parsed = read_briefing(raw, today=TODAY)

    assert parsed.briefing is None
    assert [finding.code for finding in parsed.findings] == [code]
