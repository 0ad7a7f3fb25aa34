"""The addresses that a file has had so far: a set of ten million would not stay small."""

import sqlite3
from collections.abc import Mapping


class Seen:
    """Kept on disk, and made again by reading the file again: it need not outlive its process."""

    def __init__(self) -> None:
        self._store = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._store.execute("PRAGMA journal_mode = OFF")
        self._store.execute("PRAGMA synchronous = OFF")
        self._store.execute("PRAGMA cache_size = -8000")
        self._store.execute("BEGIN")
        self._store.execute("CREATE TABLE seen (hash BLOB PRIMARY KEY, line) WITHOUT ROWID")

    def repeats(self, lines: Mapping[bytes, int]) -> dict[bytes, int]:
        """Remember the line of each address hash; returns the first lines of those seen before."""
        before = self._store.total_changes
        # In order, so that neighbours of the tree are touched together.
        self._store.executemany("INSERT OR IGNORE INTO seen VALUES (?, ?)", sorted(lines.items()))
        if self._store.total_changes - before == len(lines):
            return {}
        found = {}
        for hashed, line in lines.items():
            first = self._store.execute("SELECT line FROM seen WHERE hash = ?", (hashed,))
            (number,) = first.fetchone()
            if number != line:
                found[hashed] = number
        return found

    def close(self) -> None:
        self._store.close()
