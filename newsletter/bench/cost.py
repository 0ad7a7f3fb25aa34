"""What processes have cost so far, as the kernel counts it (Linux)."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from newsletter.errors import NewsletterError

_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Cost:
    cpu_seconds: float
    peak_rss_mb: float
    """Of the largest of them."""

    @classmethod
    def of(cls, pids: list[int]) -> Self:
        """User and system time of all of `pids`. Raises `NewsletterError` when one is gone."""
        try:
            return cls(sum(map(_cpu_seconds, pids)), max(map(_peak_rss_mb, pids), default=0.0))
        except OSError as error:
            message = f"a process that is measured has ended: {error}"
            raise NewsletterError(message) from error


def children_of(pid: int) -> list[int]:
    return [
        int(child)
        for task in Path(f"/proc/{pid}/task").iterdir()
        for child in (task / "children").read_text().split()
    ]


def _cpu_seconds(pid: int) -> float:
    # The second field is the name, in brackets, and may hold blanks.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _peak_rss_mb(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return 0.0
