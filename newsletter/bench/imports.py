"""Measures importing a file against a bare COPY of the same rows into the same tables.

The tables are those that the import fills, with all their indexes and keys. On SQLite, which has no
COPY, the reference is one INSERT … SELECT per table out of the database that was imported into.
"""

import csv
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, text

from newsletter.audience.lists import create_list
from newsletter.bench.audience import LIST
from newsletter.bench.cost import Cost
from newsletter.clock import utc_now
from newsletter.db import make_engine, transaction
from newsletter.errors import NewsletterError
from newsletter.models import schema
from newsletter.settings import Settings, read_settings
from newsletter.stack.postgres import running_postgres

FOR_DURABILITY = {"shared_buffers": "256MB"}
FILLED = ("subscriber", "subscription", "consent_event")
NEEDED_FIRST = ("zone", "domain", "list")
LOOK_SECONDS = 0.02
_PROVIDERS = 8
_DOMAINS = 5_000
_ZONES = ("Europe/London", "Europe/Berlin", "Asia/Shanghai", "America/New_York", "Asia/Tokyo")
_GIVEN = ("Ada", "Bo", "Cy", "Dorothea", "Eliot", "Florence", "Niamh", "Zoë", "李伟", "Ömer")
_FAMILY = ("Lovelace", "Groß", "de la Cruz", "O’Neil", "Tanaka", "Nowak", "Smith", "Àlvarez")


@dataclass(frozen=True, slots=True)
class Ran:
    seconds: float
    peak_rss_mb: float
    output: str


@dataclass(frozen=True, slots=True)
class ImportFigures:
    store: str
    rows: int
    seconds: float
    """Of the whole command, from its start to its report."""
    copy_seconds: float
    again_seconds: float
    """The same file once more."""
    peak_rss_mb: float

    def to_json(self) -> dict[str, Any]:
        return {
            "store": self.store,
            "rows": self.rows,
            "seconds": round(self.seconds, 2),
            "rows_per_second": round(self.rows / self.seconds),
            "copy_seconds": round(self.copy_seconds, 2),
            "ratio_to_copy": round(self.seconds / self.copy_seconds, 2),
            "again_seconds": round(self.again_seconds, 2),
            "again_ratio_to_copy": round(self.again_seconds / self.copy_seconds, 2),
            "peak_rss_mb": round(self.peak_rss_mb, 1),
        }


def measure_import(store: str, rows: int, *, tell: Callable[[str], None]) -> ImportFigures:
    """Raises `NewsletterError` when a command fails."""
    with started(store) as system:
        tell(f"writing a file of {rows:,} rows")
        path = system.folder / "people.csv"
        write_people(path, rows)
        tell("importing it")
        first = system.run("import", "file", str(path), "--list", LIST.slug, *CONFIRMED)
        tell("importing it again")
        again = system.run("import", "file", str(path), "--list", LIST.slug, *CONFIRMED)
        _require({"created": rows}, first)
        _require({"unchanged": rows}, again)
        tell("copying the same rows")
        seconds = system.copy_rows()
    return ImportFigures(
        store,
        rows,
        first.seconds,
        seconds,
        again.seconds,
        max(first.peak_rss_mb, again.peak_rss_mb),
    )


CONFIRMED = ("--basis", "consent", "--yes", "--json")


def _require(outcomes: dict[str, int], ran: Ran) -> None:
    if json.loads(ran.output)["outcomes"] != outcomes:
        raise NewsletterError("the import did not do what it should: {output}", output=ran.output)


def write_people(path: Path, rows: int) -> None:
    """Most at few providers, the others at some thousand domains."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("email", "name", "zone", "language", "status", "joined_at"))
        for number in range(rows):
            place = number % (2 * _PROVIDERS) if number % 3 else number * 7 % _DOMAINS
            kind = "provider" if place < _PROVIDERS else "house"
            given, family = _GIVEN[number % 10], _FAMILY[number % 8]
            writer.writerow(
                (
                    f"reader.{number}@{kind}{place}.example",
                    f"{given} {family}",
                    _ZONES[number % 5],
                    "en",
                    "subscribed",
                    f"2025-{number % 12 + 1:02}-{number % 28 + 1:02}T{number % 24:02}:30:00Z",
                )
            )


class System:
    """A database that was migrated and has a list, and the commands over it."""

    def __init__(self, store: str, url: str, folder: Path) -> None:
        self.store = store
        self.folder = folder
        self.settings: Settings = read_settings(
            database_url=url, state_dir=folder, log_level="WARNING"
        )
        self.engine = make_engine(url)
        schema.upgrade(self.engine)
        with transaction(self.engine) as session:
            create_list(session, LIST, now=utc_now())

    def run(self, *arguments: str) -> Ran:
        """One `newsletter` command in a process of its own."""
        started_at = time.monotonic()
        with subprocess.Popen(  # noqa: S603  ourselves
            [sys.executable, "-m", "newsletter", *arguments],
            env=self.settings.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            peak = 0.0
            while process.poll() is None:
                peak = max(peak, peak_rss_mb(process.pid))
                time.sleep(LOOK_SECONDS)
            seconds = time.monotonic() - started_at
            output, errors = process.communicate()
        if process.returncode:
            raise NewsletterError(
                "newsletter {arguments} failed: {errors}",
                arguments=" ".join(arguments),
                errors=errors,
            )
        return Ran(seconds, peak, output)

    def copy_rows(self) -> float:
        """Seconds that the same rows take into the same tables of a new database."""
        if self.store == "sqlite":
            return self._copy_with_sqlite()
        with self.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("CREATE DATABASE reference"))
        reference = make_engine(self.engine.url.set(database="reference").render_as_string(False))
        schema.upgrade(reference)
        with self.engine.connect() as source:
            for table in (*NEEDED_FIRST, *FILLED):
                self._copy(source, f"COPY {table} TO STDOUT", table, "wb")
        with reference.connect() as target, target.begin():
            for table in NEEDED_FIRST:
                self._copy(target, f"COPY {table} FROM STDIN", table, "rb")
        started_at = time.monotonic()
        with reference.connect() as target, target.begin():
            for table in FILLED:
                self._copy(target, f"COPY {table} FROM STDIN", table, "rb")
        seconds = time.monotonic() - started_at
        reference.dispose()
        return seconds

    def _copy(self, connection: Connection, statement: str, table: str, mode: str) -> None:
        driver: Any = connection.connection.driver_connection
        with (
            (self.folder / f"{table}.copy").open(mode) as file,
            driver.cursor().copy(statement) as copy,
        ):
            if mode == "wb":
                file.writelines(copy)
                return
            while chunk := file.read(1 << 20):
                copy.write(chunk)

    def _copy_with_sqlite(self) -> float:
        reference = make_engine(f"sqlite:///{self.folder / 'reference.db'}")
        schema.upgrade(reference)
        source = self.engine.url.database
        with reference.connect() as target:
            driver: Any = target.connection.driver_connection
            driver.execute("ATTACH ? AS source", (source,))
            for table in NEEDED_FIRST:
                target.exec_driver_sql(_insert(table))
            target.commit()
            started_at = time.monotonic()
            for table in FILLED:
                target.exec_driver_sql(_insert(table))
            target.commit()
            seconds = time.monotonic() - started_at
        reference.dispose()
        return seconds


def _insert(table: str) -> str:
    return f"INSERT INTO main.{table} SELECT * FROM source.{table}"  # noqa: S608  our own tables


def peak_rss_mb(pid: int) -> float:
    try:
        return Cost.of([pid]).peak_rss_mb
    except NewsletterError:
        return 0.0


@contextmanager
def started(store: str) -> Iterator[System]:
    with tempfile.TemporaryDirectory(prefix="newsletter-bench-") as name:
        folder = Path(name)
        with _database(store, folder) as url:
            system = System(store, url, folder)
            try:
                yield system
            finally:
                system.engine.dispose()


@contextmanager
def _database(store: str, folder: Path) -> Iterator[str]:
    if store == "sqlite":
        yield f"sqlite:///{folder / 'newsletter.db'}"
        return
    with running_postgres(FOR_DURABILITY) as server:
        yield f"{server.url}/postgres"
