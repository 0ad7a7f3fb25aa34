"""A small newsroom with a past, made once for all tests of a module and copied for each."""

import shutil
from datetime import UTC, datetime
from pathlib import Path

from newsletter.db import make_engine
from newsletter.seed.run import seed
from newsletter.settings import Settings

SUBSCRIBERS = 400
EDITIONS = 12
NEWEST = EDITIONS
"""The number of the newest edition that was sent; the two behind it are being made."""


def make_template(empty: Path, folder: Path, *, now: datetime | None = None) -> Path:
    path = folder / "seeded.db"
    shutil.copy(empty, path)
    engine = make_engine(f"sqlite:///{path}")
    seed(
        engine,
        subscribers=SUBSCRIBERS,
        editions=EDITIONS,
        settings=Settings(),
        now=now or datetime.now(UTC),
    )
    engine.dispose()
    return path
