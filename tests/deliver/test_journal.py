import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from newsletter.deliver.journal import Journal, Orphan, orphans
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
    assert list(tmp_path.iterdir()) == []


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


def test_a_torn_record_at_the_end_is_no_record(tmp_path: Path) -> None:
    journal = Journal.create(tmp_path)
    journal.going(LEASE, 1)
    journal.going(LEASE, 2)
    journal.abandon()
    [path] = tmp_path.iterdir()
    os.truncate(path, path.stat().st_size - 1)

    assert read(tmp_path) == [Orphan(LEASE, {}, {1})]


def test_a_disk_that_takes_half_a_record_does_not_garble_the_next(tmp_path: Path) -> None:
    """A process-wide limit on file sizes stands in for the full disk."""
    journal = Journal.create(tmp_path)
    journal.going(LEASE, 1)
    [path] = tmp_path.iterdir()
    size = path.stat().st_size
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 5, before[1]))
    try:
        with pytest.raises(OSError, match="part of a record"):
            journal.going(LEASE, 2)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    journal.going(LEASE, 3)
    journal.abandon()

    assert read(tmp_path) == [Orphan(LEASE, {}, {1, 3})]


def test_an_abandoned_journal_takes_no_more_records(tmp_path: Path) -> None:
    """Its descriptor's number may be another file's by now."""
    journal = Journal.create(tmp_path)
    journal.abandon()

    with (tmp_path / "innocent").open("wb") as innocent, pytest.raises(OSError, match="descriptor"):
        journal.going(LEASE, 1)

    assert Path(innocent.name).read_bytes() == b""
