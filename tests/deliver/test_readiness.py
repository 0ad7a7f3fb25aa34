from pathlib import Path

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from newsletter.deliver import readiness
from newsletter.deliver.readiness import has_room, is_enough, is_read_only


@pytest.mark.parametrize(("free", "expected"), [(0, False), (49, False), (50, True), (1000, True)])
def test_r48_a_twentieth_of_the_disk_must_be_free(free: int, expected: bool) -> None:
    assert is_enough(free, total=1000) is expected


def test_r48_a_folder_knows_its_own_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "LEAST_FREE", 0.0)
    assert has_room(tmp_path)

    monkeypatch.setattr(readiness, "LEAST_FREE", 1.0)
    assert not has_room(tmp_path)


def test_r48_a_database_that_takes_no_writes_is_told_from_one_that_is_away(
    engine: Engine, store: str
) -> None:
    only_reads = {
        "sqlite": "PRAGMA query_only = ON",
        "postgresql": "SET default_transaction_read_only = ON",
    }
    with engine.connect() as connection:
        connection.execute(text(only_reads[store]))
        connection.commit()
        with pytest.raises(DBAPIError) as refused:
            connection.execute(text("DELETE FROM hold"))
        connection.invalidate()

    assert is_read_only(refused.value)
    with engine.connect() as connection, pytest.raises(DBAPIError) as missing:
        connection.execute(text("SELECT * FROM nothing"))
    assert not is_read_only(missing.value)
