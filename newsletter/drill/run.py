"""Deals faults over seeds, plays each of them on one running system, and adds up what came of it."""

import json
import platform
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from redis import RedisError
from sqlalchemy.exc import SQLAlchemyError

from newsletter.drill.faults import FAULTS, Fault
from newsletter.drill.invariants import Breach, Evidence, breaches, tally
from newsletter.drill.rig import Rig, Store, running_rig
from newsletter.drill.scene import Scene
from newsletter.errors import InputError, NewsletterError, StateError


@dataclass(frozen=True, slots=True)
class Result:
    """One edition that one fault struck; `recover_seconds` is None when it never came to its end."""

    fault: str
    seed: int
    accepted: int
    lost: int
    twice: int
    uncertain: int
    recover_seconds: float | None
    breaches: tuple[Breach, ...]


@dataclass(slots=True)
class Line:
    """All results of one fault; all but `fault` are None where the fault cannot be."""

    fault: str
    seeds: int | None = None
    lost: int | None = None
    twice: int | None = None
    uncertain: int | None = None
    recover_seconds: float | None = None
    """The longest."""


@dataclass(slots=True)
class Report:
    store: Store
    faults: tuple[Fault, ...]
    results: list[Result] = field(default_factory=list)

    @property
    def breaches(self) -> list[tuple[Result, Breach]]:
        return [(result, breach) for result in self.results for breach in result.breaches]

    def lines(self) -> list[Line]:
        return [self._line(fault) for fault in self.faults]

    def to_json(self) -> dict[str, Any]:
        return {"store": self.store.value, "faults": [asdict(line) for line in self.lines()]}

    def _line(self, fault: Fault) -> Line:
        if fault.reason_against(self.store) is not None:
            return Line(fault.ident)
        results = [result for result in self.results if result.fault == fault.ident]
        seconds = [each.recover_seconds for each in results if each.recover_seconds is not None]
        return Line(
            fault=fault.ident,
            seeds=len(results),
            lost=sum(result.lost for result in results),
            twice=sum(result.twice for result in results),
            uncertain=sum(result.uncertain for result in results),
            recover_seconds=max(seconds, default=None),
        )


def chosen_faults(wanted: str) -> tuple[Fault, ...]:
    """`all`, or numbers with commas between them. Raises `InputError` for one that is not known."""
    if wanted.strip().lower() == "all":
        return FAULTS
    known = {fault.ident: fault for fault in FAULTS}
    names = [name.strip().upper() for name in wanted.split(",") if name.strip()]
    unknown = [name for name in names if name not in known]
    if unknown or not names:
        raise InputError(
            "--faults: no fault {unknown}; there are: {known}, and all",
            unknown=", ".join(unknown),
            known=", ".join(known),
        )
    return tuple(known[name] for name in dict.fromkeys(names))


def run_drill(
    store: Store,
    faults: Sequence[Fault],
    *,
    seeds: int,
    readers: int,
    seed: int,
    folder: Path,
    on_result: Callable[[Result], None],
) -> Report:
    """Send `seeds` editions; the faults that this store can have take turns at them.

    Raises `StateError` elsewhere than on Linux, and `NewsletterError` when the drill itself breaks.
    """
    if platform.system() != "Linux":
        raise StateError("The drill finds and hurts processes as Linux has it; run it there.")
    report = Report(store, tuple(faults))
    possible = [fault for fault in faults if fault.reason_against(store) is None]
    if not possible:
        return report
    try:
        with running_rig(store, readers, folder) as rig:
            for number in range(1, seeds + 1):
                fault = possible[(number - 1) % len(possible)]
                result = _play(rig, fault, number=number, seed=seed + number - 1)
                report.results.append(result)
                on_result(result)
    except SQLAlchemyError as error:
        raise NewsletterError(
            "The drill cannot go on without its database: {error}", error=error
        ) from error
    return report


@contextmanager
def drill_folder(*, keep: bool) -> Iterator[tuple[Path, Callable[[], None]]]:
    """A folder that is gone after the block, unless `keep` or unless the second value was called."""
    folder = Path(tempfile.mkdtemp(prefix="newsletter-drill-"))
    kept = [keep]
    try:
        yield folder, lambda: kept.append(True)
    except BaseException:
        kept.append(True)
        raise
    finally:
        if not any(kept):
            shutil.rmtree(folder, ignore_errors=True)


def _play(rig: Rig, fault: Fault, *, number: int, seed: int) -> Result:
    scene = Scene(rig, number, seed)
    broken = []
    try:
        fault.strike(scene)
    except (NewsletterError, SQLAlchemyError, RedisError, OSError) as error:
        broken.append(Breach("drill", f"{type(error).__name__}: {error}"))
    seconds = scene.wait_until_over()
    if seconds is None:
        scene.abandon()
    evidence = scene.evidence()
    broken += breaches(evidence)
    if broken:
        _keep_evidence(rig.folder / f"evidence-{number}.json", fault, seed, evidence, broken)
    counts = tally(evidence)
    return Result(
        fault=fault.ident,
        seed=seed,
        accepted=len(evidence.accepted),
        lost=counts.lost,
        twice=counts.twice,
        uncertain=counts.uncertain,
        recover_seconds=None if seconds is None else round(seconds, 1),
        breaches=tuple(broken),
    )


def _keep_evidence(
    path: Path, fault: Fault, seed: int, evidence: Evidence, broken: Sequence[Breach]
) -> None:
    """The database may be gone when somebody comes to look."""
    books = evidence.books
    told = {
        "fault": fault.ident,
        "seed": seed,
        "breaches": [asdict(breach) for breach in broken],
        "edition": books.status.to_json(),
        "batches": {
            number: {state.name.lower(): count for state, count in counters.items()}
            for number, counters in books.batches.items()
        },
        "deliveries": {
            evidence.audience[subscriber_id].address
            if subscriber_id in evidence.audience
            else str(subscriber_id): row.state.name.lower()
            for subscriber_id, row in books.rows.items()
        },
    }
    path.write_text(json.dumps(told, indent=1, ensure_ascii=False))
