"""A worker imports beside its other jobs, and takes up what a dead one left."""

import threading
from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, func, select

from newsletter import queue
from newsletter.audience.importing import ImportPlan, receive_file, start_import
from newsletter.clock import utc_now
from newsletter.db import reading
from newsletter.models import Import, ImportState, LegalBasis, Subscriber
from tests.newsroom import add_list
from workers import process, tasks


@pytest.fixture(autouse=True)
def _this_engine(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(process, "get_engine", lambda: engine)
    monkeypatch.setattr(queue, "ring", lambda *_: None)
    yield
    for thread in threading.enumerate():
        if thread.name == "importer":
            thread.join()


def start_one(engine: Engine, list_id: int, people: int) -> int:
    text = "email\n" + "".join(f"r{number}@readers.example\n" for number in range(people))
    import_id = receive_file(
        engine, [text.encode()], list_id=list_id, file_name="x", by="ed", now=utc_now()
    )
    start_import(engine, import_id, ImportPlan(basis=LegalBasis.CONSENT, is_background=True))
    return import_id


def test_the_job_returns_at_once_and_the_import_goes_on_beside_it(engine: Engine) -> None:
    list_id = add_list(engine)
    start_one(engine, list_id, 30)
    start_one(engine, list_id, 50)

    tasks.import_files()
    tasks.import_files()
    assert process._importer is not None
    process._importer.join(60)

    with reading(engine) as session:
        assert session.scalars(select(Import.state)).all() == [ImportState.DONE] * 2
        assert session.scalar(select(func.count()).select_from(Subscriber)) == 50
