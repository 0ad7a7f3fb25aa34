"""Whether this host and its database may take on work (R-48): asked before anything is claimed."""

import shutil
from pathlib import Path

from sqlalchemy.exc import DBAPIError

LEAST_FREE = 0.05
READ_ONLY = ("read-only", "readonly")


def has_room(folder: Path) -> bool:
    """Enough of the disk is free for the journals that sending writes."""
    usage = shutil.disk_usage(folder)
    return is_enough(usage.free, total=usage.total)


def is_enough(free: int, *, total: int) -> bool:
    return free >= total * LEAST_FREE


def is_read_only(error: DBAPIError) -> bool:
    """The database takes no writes: a standby after a fail-over, or a full or write-protected disk."""
    return any(words in str(error.orig).lower() for words in READ_ONLY)
