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
            raise NewsletterError(
                "a process that is measured has ended: {error}", error=error
            ) from error


@dataclass(frozen=True, slots=True)
class ThreadCosts:
    """CPU seconds of each thread of some processes, by process and thread."""

    seconds: dict[tuple[int, int], float]

    @classmethod
    def of(cls, pids: list[int]) -> Self:
        return cls(
            {
                (pid, int(thread.name)): _cpu_seconds_of(thread / "stat")
                for pid in pids
                for thread in Path(f"/proc/{pid}/task").iterdir()
            }
        )

    def since(self, before: Self) -> "ThreadsSplit":
        """What each kind of thread has spent since then; the one that spends most is the loop's."""
        main, loop, others = 0.0, 0.0, 0.0
        for pid in {pid for pid, _ in self.seconds}:
            spent = {
                thread: seconds - before.seconds.get((of, thread), 0.0)
                for (of, thread), seconds in self.seconds.items()
                if of == pid
            }
            main += spent.pop(pid)
            busiest = max(spent.values(), default=0.0)
            loop += busiest
            others += sum(spent.values()) - busiest
        return ThreadsSplit(main, loop, others)


@dataclass(frozen=True, slots=True)
class ThreadsSplit:
    main: float
    """Claims, and prepares what a batch needs."""
    loop: float
    """Assembles, signs and carries."""
    others: float
    """Record."""


def children_of(pid: int) -> list[int]:
    return [
        int(child)
        for task in Path(f"/proc/{pid}/task").iterdir()
        for child in (task / "children").read_text().split()
    ]


def _cpu_seconds(pid: int) -> float:
    return _cpu_seconds_of(Path(f"/proc/{pid}/stat"))


def _cpu_seconds_of(status: Path) -> float:
    # The second field is the name, in brackets, and may hold blanks.
    fields = status.read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _peak_rss_mb(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return 0.0
