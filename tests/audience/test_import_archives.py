"""S-22: what arrives packed is unpacked within limits."""

import gzip
import io
import stat
import zipfile
from collections.abc import Callable

import pytest

from newsletter.audience import import_archives
from newsletter.audience.import_archives import Member, is_zip, members_of, read_member, unpacked
from newsletter.errors import InputError


def a_zip(members: dict[str, bytes]) -> io.BytesIO:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    file.seek(0)
    return file


def test_a_plain_file_is_as_it_is() -> None:
    assert b"".join(unpacked(io.BytesIO(b"email\n" * 400_000))) == b"email\n" * 400_000


def test_a_gzip_is_unpacked_also_when_it_has_several_parts() -> None:
    raw = gzip.compress(b"email\n") + gzip.compress(b"a@b.example\n")

    assert b"".join(unpacked(io.BytesIO(raw))) == b"email\na@b.example\n"


@pytest.mark.parametrize("cut", [4, 12, 20])
def test_a_damaged_gzip_is_told(cut: int) -> None:
    raw = gzip.compress(b"email\na@b.example\n")[:cut]

    with pytest.raises(InputError, match="damaged"):
        list(unpacked(io.BytesIO(raw)))


def test_s22_a_gzip_bomb_is_refused_before_it_is_unpacked_whole() -> None:
    raw = gzip.compress(bytes(300_000_000))

    with pytest.raises(InputError, match="100 times"):
        list(unpacked(io.BytesIO(raw)))


def test_s24_a_file_beyond_the_limit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_archives, "LARGEST_FILE", 1_000)

    with pytest.raises(InputError, match="more than 1,000 bytes"):
        list(unpacked(io.BytesIO(b"x" * 1_001)))


def test_a_zip_is_known_and_its_members_are_read() -> None:
    file = a_zip({"subscribed.csv": b"email\n", "cleaned.csv": b"email\nc@d.example\n"})

    assert is_zip(file)
    assert members_of(file) == [Member("subscribed.csv", 6), Member("cleaned.csv", 18)]
    assert b"".join(read_member(file, "cleaned.csv")) == b"email\nc@d.example\n"


def test_a_csv_is_no_zip_and_stays_where_it_was() -> None:
    file = io.BytesIO(b"email\n")

    assert not is_zip(file)
    assert file.read() == b"email\n"


def test_a_zip_that_is_read_as_a_file_says_what_to_do() -> None:
    with pytest.raises(InputError, match="--status"):
        list(unpacked(a_zip({"a.csv": b"email\n"})))


def _with_link() -> io.BytesIO:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        link = zipfile.ZipInfo("a.csv")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
    file.seek(0)
    return file


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: a_zip({"../../evil.csv": b"email\n"}), "paths"),
        (lambda: a_zip({"folder/a.csv": b"email\n"}), "paths"),
        (lambda: a_zip({f"{number}.csv": b"" for number in range(21)}), "21 files"),
        (lambda: a_zip({"bomb.csv": bytes(150_000_000)}), "100 times"),
        (lambda: a_zip({"a.csv": bytes(110_000_000), "b.csv": bytes(110_000_000)}), "together"),
        (_with_link, "link"),
        (lambda: io.BytesIO(b"PK\x03\x04 and nothing more"), "damaged"),
    ],
    ids=["slip", "folder", "many", "bomb", "large", "link", "damaged"],
)
def test_s22_a_zip_that_is_not_what_an_export_is_is_refused(
    make: Callable[[], io.BytesIO], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        members_of(make())


def test_s22_what_a_member_says_of_its_size_is_not_believed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(import_archives, "LARGEST_ARCHIVE", 3_000_000)
    file = a_zip({"a.csv": bytes(2_500_000)})
    monkeypatch.setattr(import_archives, "CHUNK_BYTES", 1_000)
    monkeypatch.setattr(import_archives, "_checked", zipfile.ZipFile.infolist)

    with pytest.raises(InputError, match="more than"):
        list(read_member(file, "a.csv"))
