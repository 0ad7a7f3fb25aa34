"""Measures exporting a list against a bare COPY of what it writes."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from newsletter.bench.audience import LIST
from newsletter.bench.imports import CONFIRMED, System, started, write_people

_SAME_CELLS = """
    SELECT subscriber.address, subscriber.name, subscriber.language, zone.name,
           subscription.status, subscription.joined_at, subscription.left_at
    FROM subscription
    JOIN subscriber ON subscriber.id = subscription.subscriber_id
    LEFT JOIN zone ON zone.id = subscriber.zone_id
"""


@dataclass(frozen=True, slots=True)
class ExportFigures:
    store: str
    rows: int
    seconds: float
    copy_seconds: float
    peak_rss_mb: float

    def to_json(self) -> dict[str, Any]:
        return {
            "store": self.store,
            "rows": self.rows,
            "seconds": round(self.seconds, 2),
            "rows_per_second": round(self.rows / self.seconds),
            "copy_seconds": round(self.copy_seconds, 2),
            "ratio_to_copy": round(self.seconds / self.copy_seconds, 2),
            "peak_rss_mb": round(self.peak_rss_mb, 1),
        }


def measure_export(store: str, rows: int, *, tell: Callable[[str], None]) -> ExportFigures:
    """Raises `NewsletterError` when a command fails."""
    with started(store) as system:
        tell(f"importing {rows:,} people")
        path = system.folder / "people.csv"
        write_people(path, rows)
        system.run("import", "file", str(path), "--list", LIST.slug, *CONFIRMED)
        tell("exporting them")
        out = system.folder / "export.csv"
        ran = system.run("export", "--list", LIST.slug, "--out", str(out))
        seconds = _copy(system, system.folder / "copied.csv")
    return ExportFigures(store, rows, ran.seconds, seconds, ran.peak_rss_mb)


def _copy(system: System, path: Path) -> float:
    """On SQLite, which has no COPY, the same cells are fetched and written as they are."""
    started_at = time.monotonic()
    with system.engine.connect() as connection, path.open("wb") as file:
        if system.store == "sqlite":
            for row in connection.exec_driver_sql(_SAME_CELLS):
                file.write(",".join(map(str, row)).encode() + b"\n")
        else:
            driver: Any = connection.connection.driver_connection
            with driver.cursor().copy(f"COPY ({_SAME_CELLS}) TO STDOUT CSV") as copy:
                file.writelines(copy)
    return time.monotonic() - started_at
