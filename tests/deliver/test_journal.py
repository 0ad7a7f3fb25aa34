import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from newsletter.clock import utc_now
from newsletter.deliver import journal as journals
from newsletter.deliver.journal import Journal, Noted, Orphan, orphans, sent_since
from newsletter.deliver.ledger import Lease
from newsletter.deliver.outcome import Reply
from newsletter.settings import PROJECT_ROOT

LEASE = Lease(edition_id=3, batch=4, token=5)
OTHER = Lease(edition_id=3, batch=9, token=1)
OK = Reply(250, None, "Accepted")

OWNER = """
import sys
from pathlib import Path
from newsletter.deliver.journal import Journal
from newsletter.deliver.ledger import Lease
journal = Journal.create(Path(sys.argv[1]))
journal.going(Lease(3, 4, 5), 77)
print("noted", flush=True)
sys.stdin.read()
"""


@contextmanager
def another_process(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """It notes that content goes to 77, and lives until it is killed."""
    with subprocess.Popen(
        [sys.executable, "-c", OWNER, str(folder)],
        cwd=PROJECT_ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as child:
        try:
            assert child.stdout is not None
            assert child.stdout.readline() == "noted\n"
            yield child
        finally:
            child.kill()


def read(folder: Path) -> list[Orphan]:
    with orphans(folder) as found:
        return found


def test_a_journal_is_left_alone_while_its_owner_lives_and_read_once_it_was_killed(
    tmp_path: Path,
) -> None:
    with another_process(tmp_path) as child:
        assert read(tmp_path) == []
        assert len(list(tmp_path.glob("*.journal"))) == 1

        child.kill()
        child.wait()

    assert read(tmp_path) == [Orphan(LEASE, {}, {77})]
    assert read(tmp_path) == []
    assert list(tmp_path.glob("*.journal")) == []


def test_a_process_does_not_take_its_own_journal_for_an_orphan(tmp_path: Path) -> None:
    journal = Journal.create(tmp_path)
    journal.going(LEASE, 1)

    assert read(tmp_path) == []

    journal.close()


def test_a_newborn_journal_has_no_name_that_recovery_looks_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[list[Orphan]] = []
    rename = Path.rename

    def look_first(self: Path, target: Path) -> Path:
        seen.append(read(tmp_path))
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", look_first)
    journal = Journal.create(tmp_path)
    journal.going(LEASE, 1)
    journal.abandon()

    assert seen == [[]]
    assert read(tmp_path) == [Orphan(LEASE, {}, {1})]


def test_an_orphan_says_who_was_answered_and_who_was_not(tmp_path: Path) -> None:
    journal = Journal.create(tmp_path)
    journal.going(LEASE, 1)
    journal.going(LEASE, 2)
    journal.going(OTHER, 2**40)
    journal.answered(LEASE, 2, Reply(550, None, "no"))
    journal.going(LEASE, 3)
    journal.answered(LEASE, 1, OK)
    journal.abandon()

    found = {orphan.lease: orphan for orphan in read(tmp_path)}

    assert found == {
        LEASE: Orphan(LEASE, {1: 250, 2: 550}, {3}),
        OTHER: Orphan(OTHER, {}, {2**40}),
    }


def test_of_several_tries_the_last_one_counts(tmp_path: Path) -> None:
    journal = Journal.create(tmp_path)
    for subscriber_id in (1, 2):
        journal.going(LEASE, subscriber_id)
        journal.answered(LEASE, subscriber_id, Reply(451, None, "not taken"))
        journal.going(LEASE, subscriber_id)
    journal.answered(LEASE, 2, OK)
    journal.abandon()

    assert read(tmp_path) == [Orphan(LEASE, {2: 250}, {1})]


def test_records_stay_until_recovery_has_ended_well(tmp_path: Path) -> None:
    journal = Journal.create(tmp_path)
    journal.going(LEASE, 1)
    journal.abandon()

    def recover_badly() -> None:
        with orphans(tmp_path) as found:
            assert found
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        recover_badly()

    assert read(tmp_path) == [Orphan(LEASE, {}, {1})]
    assert read(tmp_path) == []


def test_two_recoveries_at_once_do_not_share_a_journal(tmp_path: Path) -> None:
    journal = Journal.create(tmp_path)
    journal.going(LEASE, 1)
    journal.abandon()

    with orphans(tmp_path) as mine, orphans(tmp_path) as others:
        assert (len(mine), others) == (1, [])


def test_what_is_forgotten_is_gone_and_what_follows_is_kept(tmp_path: Path) -> None:
    journal = Journal.create(tmp_path)
    journal.going(LEASE, 1)
    journal.forget()
    journal.going(LEASE, 2)
    journal.abandon()

    assert read(tmp_path) == [Orphan(LEASE, {}, {2})]


@pytest.mark.parametrize("written", range(16))
def test_a_note_that_was_not_finished_is_no_note(tmp_path: Path, written: int) -> None:
    """Its writer died, or the disk lost power, after so many of its octets."""
    journal = Journal.create(tmp_path)
    journal.going(LEASE, 1)
    journal.going(LEASE, 2**64 - 1)
    journal.abandon()
    [path] = tmp_path.iterdir()
    octets = bytearray(path.read_bytes())
    end = len(bytes(octets).rstrip(b"\0"))
    octets[end - 16 + written : end] = bytes(16 - written)
    path.write_bytes(octets)

    assert read(tmp_path) == [Orphan(LEASE, {}, {1})]


@pytest.mark.parametrize("size", [0, 1, 15, 16, 31, 40])
def test_a_file_that_lost_its_end_is_read_as_far_as_it_goes(tmp_path: Path, size: int) -> None:
    journal = Journal.create(tmp_path)
    journal.going(LEASE, 1)
    journal.abandon()
    [path] = tmp_path.iterdir()
    os.truncate(path, size)

    assert read(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_an_error_before_anything_goes_out(tmp_path: Path) -> None:
    """A process-wide limit on file sizes stands in for the full disk."""
    journal = Journal.create(tmp_path)
    with no_larger_files(journal_of(tmp_path).stat().st_size):
        noted = going_until_refused(journal)
    journal.going(LEASE, noted)
    journal.answered(LEASE, 0, OK)
    journal.abandon()

    assert read(tmp_path) == [Orphan(LEASE, {0: 250}, set(range(1, noted + 1)))]


def test_a_disk_too_full_for_a_journal_leaves_nothing_behind(tmp_path: Path) -> None:
    with no_larger_files(100), pytest.raises(OSError, match="too large"):
        Journal.create(tmp_path)

    assert list(tmp_path.iterdir()) == []


@contextmanager
def no_larger_files(size: int) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def journal_of(folder: Path) -> Path:
    [path] = folder.glob("*.journal")
    return path


def going_until_refused(journal: Journal) -> int:
    """How many notes the disk took."""
    for number in range(10**6):
        try:
            journal.going(LEASE, number)
        except OSError:
            return number
    pytest.fail("nothing was refused")


def test_a_settled_journal_leaves_nothing_to_recover_and_a_past_to_look_up(tmp_path: Path) -> None:
    before = utc_now() - timedelta(seconds=1)
    journal = Journal.create(tmp_path)
    journal.going(LEASE, 1)
    journal.going(LEASE, 2)
    journal.answered(LEASE, 1, OK)
    journal.forget()
    assert set(sent_since(tmp_path, before)) == {Noted(3, 1, 250), Noted(3, 2, None)}

    journal.close()

    assert read(tmp_path) == []
    assert set(sent_since(tmp_path, before)) == {Noted(3, 1, 250), Noted(3, 2, None)}
    assert list(sent_since(tmp_path, utc_now() + timedelta(minutes=1))) == []


def test_what_a_dead_worker_sent_is_looked_up_before_and_after_its_recovery(tmp_path: Path) -> None:
    before = utc_now() - timedelta(seconds=1)
    journal = Journal.create(tmp_path)
    journal.going(LEASE, 1)
    journal.answered(LEASE, 1, OK)
    journal.abandon()
    unrecovered = list(sent_since(tmp_path, before))

    read(tmp_path)

    assert unrecovered == list(sent_since(tmp_path, before)) == [Noted(3, 1, 250)]


def test_a_journal_that_noted_nothing_leaves_nothing(tmp_path: Path) -> None:
    Journal.create(tmp_path).close()
    Journal.create(tmp_path).abandon()

    assert read(tmp_path) == []

    assert list(tmp_path.iterdir()) == []


def test_a_full_journal_makes_way_for_a_new_one_once_it_is_settled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journals, "FULL_BYTES", 64)
    journal = Journal.create(tmp_path)
    for number in range(9):
        journal.going(LEASE, number)
    assert list(tmp_path.glob("*.past")) == []
    journal.forget()
    [past] = tmp_path.glob("*.past")
    assert past.stat().st_size < 16 * 16

    journal.going(LEASE, 9)
    journal.abandon()

    assert read(tmp_path) == [Orphan(LEASE, {}, {9})]


def test_the_past_is_forgotten_after_two_days_and_beyond_its_bound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journals, "MOST_PAST_BYTES", 1000)
    for name, hours, size in (("old", 49, 1), ("much", 47, 500), ("fresh", 1, 800)):
        path = tmp_path / f"{name}.past"
        path.write_bytes(bytes(size))
        at = (utc_now() - timedelta(hours=hours)).timestamp()
        os.utime(path, (at, at))

    journal = Journal.create(tmp_path)
    journal.going(LEASE, 1)
    journal.forget()
    journal.close()

    assert {path.stem for path in tmp_path.glob("*.past")} >= {"fresh"}
    assert len(list(tmp_path.iterdir())) == 2


def test_a_file_of_another_kind_is_no_journal(tmp_path: Path) -> None:
    (tmp_path / "1-stray.journal").write_bytes(b"c" * 230)

    assert read(tmp_path) == []


def test_an_abandoned_journal_takes_no_more_records(tmp_path: Path) -> None:
    """Its descriptor's number may be another file's by now."""
    journal = Journal.create(tmp_path)
    journal.abandon()

    with (tmp_path / "innocent").open("wb") as innocent, pytest.raises(OSError, match="descriptor"):
        journal.going(LEASE, 1)

    assert Path(innocent.name).read_bytes() == b""
