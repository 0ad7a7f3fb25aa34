"""Kills an import at half, lets it go on, imports the same file again, and counts who may be mailed.

Three people are in the file as subscribers, or were: one has left the list, one is suppressed, and of the
third the old system says that their mail bounced. Nobody of them may be mailed afterwards, and
everybody else once.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, func, select

from newsletter.addresses import parse_address
from newsletter.audience.consent import remove_from_list, subscribe
from newsletter.audience.history import Origin
from newsletter.audience.lists import list_by_slug
from newsletter.audience.subscribers import add_subscriber
from newsletter.audience.suppression import suppress
from newsletter.bench.audience import LIST
from newsletter.bench.imports import (
    CONFIRMED,
    LOOK_SECONDS,
    Ran,
    System,
    peak_rss_mb,
    started,
    write_people,
)
from newsletter.clock import utc_now
from newsletter.db import reading, transaction
from newsletter.errors import NewsletterError
from newsletter.models import (
    ChangeCause,
    ConsentEvent,
    ConsentKind,
    Import,
    Subscriber,
    Subscription,
    SubscriptionStatus,
    SuppressionReason,
)
from newsletter.plan.exclusion import exclusion_reason

LEFT, BLOCKED, BOUNCED = "left@walk.example", "blocked@walk.example", "bounced@walk.example"
ADMIN = Origin(ChangeCause.ADMIN, "bench", "command line")


@dataclass(frozen=True, slots=True)
class WalkFigures:
    store: str
    rows: int
    """Beside the three."""
    killed_at_line: int
    people_at_the_kill: int
    people: int
    mailable: int
    mailable_of_the_three: int
    proofs: int
    """People with evidence of an import: all that came with it, each once."""
    unchanged_again: int
    """Lines, when the file was imported once more."""
    seconds: float
    peak_rss_mb: float
    """Of the killed, the resumed and the second import, the greatest."""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def walk_through_import(store: str, rows: int, *, tell: Callable[[str], None]) -> WalkFigures:
    """Raises `NewsletterError` when a count is not exactly what it should be."""
    started_at = time.monotonic()
    with started(store) as system:
        _set_the_scene(system)
        path = system.folder / "people.csv"
        tell(f"writing a file of {rows:,} rows, and three")
        _write(path, rows)
        tell("importing it, and killing that at half")
        killed_at_line, killed_peak = _kill_at_half(system, path)
        with reading(system.engine) as session:
            at_the_kill = session.scalar(select(func.count()).select_from(Subscriber)) or 0
        tell(f"killed at line {killed_at_line:,}; going on")
        resumed = system.run("import", "resume", "1", "--json")
        tell("importing the same file again")
        again = system.run("import", "file", str(path), "--list", LIST.slug, *CONFIRMED)
        figures = WalkFigures(
            store=store,
            rows=rows,
            killed_at_line=killed_at_line,
            people_at_the_kill=at_the_kill,
            people=_count(system),
            mailable=_count(system, exclusion_reason().is_(None)),
            mailable_of_the_three=_count(
                system,
                exclusion_reason().is_(None),
                Subscriber.address_key.in_((LEFT, BLOCKED, BOUNCED)),
            ),
            proofs=_proofs(system),
            unchanged_again=json.loads(again.output)["outcomes"]["unchanged"],
            seconds=round(time.monotonic() - started_at, 1),
            peak_rss_mb=round(max(killed_peak, resumed.peak_rss_mb, again.peak_rss_mb), 1),
        )
    _require_exact(figures, resumed, again)
    return figures


def _set_the_scene(system: System) -> None:
    now = utc_now()
    with transaction(system.engine) as session:
        mailing_list = list_by_slug(session, LIST.slug)
        person = add_subscriber(session, LEFT, {}, origin=ADMIN, now=now)
        confirmed = SubscriptionStatus.CONFIRMED
        subscribe(session, person, mailing_list, confirmed, origin=ADMIN, evidence={}, now=now)
        remove_from_list(session, person, mailing_list, origin=ADMIN, now=now)
        reason = SuppressionReason.COMPLAINED
        suppress(session, parse_address(BLOCKED), reason=reason, source="bench", now=now)


def _write(path: Path, rows: int) -> None:
    write_people(path, rows)
    with path.open("a", encoding="utf-8", newline="") as file:
        for address, status in (
            (LEFT, "subscribed"),
            (BLOCKED, "subscribed"),
            (BOUNCED, "cleaned"),
        ):
            file.write(f"{address},,,,{status},\r\n")


def _kill_at_half(system: System, path: Path) -> tuple[int, float]:
    """The line that it had come to, and the most memory that it had taken."""
    command = ["import", "file", str(path), "--list", LIST.slug, *CONFIRMED]
    peak = 0.0
    with subprocess.Popen(  # noqa: S603  ourselves
        [sys.executable, "-m", "newsletter", *command],
        env=system.settings.environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        while process.poll() is None:
            peak = max(peak, peak_rss_mb(process.pid))
            with reading(system.engine) as session:
                job = session.get(Import, 1)
            if job is not None and job.line and 2 * job.bytes_read >= job.size_bytes:
                process.kill()
                process.wait()
                break
            time.sleep(LOOK_SECONDS)
    with reading(system.engine) as session:
        job = session.get(Import, 1)
    if job is None or job.ended_at is not None:
        raise NewsletterError("the import ended before it could be killed; take more --rows")
    return job.line, peak


def _count(system: System, *conditions: ColumnElement[bool]) -> int:
    with reading(system.engine) as session:
        return (
            session.scalar(
                select(func.count())
                .select_from(Subscriber)
                .join(Subscription, Subscription.subscriber_id == Subscriber.id)
                .where(*conditions)
            )
            or 0
        )


def _proofs(system: System) -> int:
    with reading(system.engine) as session:
        rows, people = session.execute(
            select(func.count(), func.count(ConsentEvent.subscriber_id.distinct())).where(
                ConsentEvent.kind == ConsentKind.IMPORTED
            )
        ).one()
    if rows != people:
        raise NewsletterError(
            "{people:,} people have {rows:,} proofs of their import: some came in twice",
            people=people,
            rows=rows,
        )
    return int(people)


def _require_exact(figures: WalkFigures, resumed: Ran, again: Ran) -> None:
    rows = figures.rows
    expected = {
        # Whoever left was there before; whoever bounced stays on the list, and is suppressed.
        "people": rows + 2,
        "mailable": rows,
        "mailable_of_the_three": 0,
        "proofs": rows + 1,
        "first": {
            "created": rows,
            "now suppressed": 1,
            "skipped: suppressed": 1,
            "unsubscribed before": 1,
        },
        "again": {"skipped: suppressed": 2, "unchanged": rows, "unsubscribed before": 1},
    }
    found = {
        **figures.to_json(),
        "first": json.loads(resumed.output)["outcomes"],
        "again": json.loads(again.output)["outcomes"],
    }
    wrong = {name: found[name] for name, value in expected.items() if found[name] != value}
    if wrong:
        raise NewsletterError(
            "the import is not exact: {wrong} should be {expected}", wrong=wrong, expected=expected
        )
