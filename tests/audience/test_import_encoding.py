"""S-24: how a file is encoded is found out from its bytes, and a guess is called one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.audience.import_encoding import UTF_8, Encoding, EncodingFinder, read_encoding

GERMAN = "email,name\njoerg@readers.example,Jörg Groß\nzoe@readers.example,Zoë Ñandú\n"
CHINESE = "email,姓名\nwei@readers.example,李伟\nming@readers.example,王小明 北京\n"


def found(raw: bytes, *, by: int = 1 << 20) -> Encoding:
    finder = EncodingFinder()
    for start in range(0, len(raw), by):
        finder.look_at(raw[start : start + by])
    return finder.found()


@pytest.mark.parametrize(
    ("text", "encoding", "expected"),
    [
        (GERMAN, "utf-8", Encoding(UTF_8, is_guess=False)),
        (GERMAN, "utf-8-sig", Encoding(UTF_8, is_guess=False)),
        ("email\n", "ascii", Encoding(UTF_8, is_guess=False)),
        (CHINESE, "utf-16", Encoding("utf-16", is_guess=False)),
        (GERMAN, "cp1252", Encoding("cp1252", is_guess=True)),
        ("email,name\nx@readers.example,Jörg\n", "cp1252", Encoding("cp1252", is_guess=True)),
        (CHINESE, "gb18030", Encoding("gb18030", is_guess=True)),
        ("email,name\nx@readers.example,李伟\n", "gb18030", Encoding("gb18030", is_guess=True)),
    ],
)
@pytest.mark.parametrize("by", [1, 7, 1 << 20])
def test_the_encodings_that_spreadsheets_write_are_found(
    text: str, encoding: str, expected: Encoding, by: int
) -> None:
    assert found(text.encode(encoding), by=by) == expected


def test_one_accent_after_a_million_plain_lines_is_found() -> None:
    assert found(b"a@readers.example\n" * 200_000 + b"J\xf6rg\n").name == "cp1252"


def test_text_that_is_cut_off_in_a_letter_is_not_utf8() -> None:
    assert found(GERMAN.encode()[:35]).is_guess


@given(st.text(max_size=200), st.integers(1, 9))
def test_whatever_is_utf8_is_never_guessed(text: str, by: int) -> None:
    raw = text.encode("utf-8", "replace")

    assert not found(raw, by=by).is_guess


@given(st.binary(max_size=300))
def test_no_bytes_crash_the_finder_and_what_it_names_can_be_read(raw: bytes) -> None:
    assert isinstance(raw.decode(found(raw).name, "replace"), str)


def test_an_admin_may_name_any_codec() -> None:
    assert (read_encoding("UTF8"), read_encoding("latin-1")) == (UTF_8, "iso8859-1")
    with pytest.raises(LookupError):
        read_encoding("klingon")
