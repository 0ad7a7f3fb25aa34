"""What became of an import: in figures, and line by line."""

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import IO

from sqlalchemy import select
from sqlalchemy.orm import Session

from newsletter.audience.import_merge import Outcome
from newsletter.audience.import_run import Problem
from newsletter.audience.rows import Rejection
from newsletter.models import Import, ImportLine, ImportState, SubscriptionStatus

PROBLEMS_SHOWN = 1_000
_REJECTIONS = {reason.value for reason in Rejection}


@dataclass(frozen=True, slots=True)
class ImportReport:
    """`lines` = all of `outcomes`; `people` = those that are no rejections."""

    import_id: int
    state: ImportState
    error: str
    is_dry_run: bool
    outcomes: Mapping[str, int]
    """Records behind the header, blank ones apart, by what became of them."""
    statuses: Mapping[SubscriptionStatus, int]
    """What the people of the file are on this list now."""
    problems: tuple[Problem, ...]
    """The first thousand, in the file's order."""
    ignored_columns: tuple[str, ...]

    @property
    def lines(self) -> int:
        return sum(self.outcomes.values())

    @property
    def people(self) -> int:
        return sum(self.outcomes.get(outcome, 0) for outcome in Outcome)

    @property
    def rejected(self) -> dict[Rejection, int]:
        return {
            Rejection(word): lines for word, lines in self.outcomes.items() if word in _REJECTIONS
        }

    def of(self, outcome: Outcome) -> int:
        return self.outcomes.get(outcome, 0)


def report_of(session: Session, import_id: int) -> ImportReport:
    job = session.get_one(Import, import_id)
    problems = session.scalars(
        select(ImportLine)
        .where(ImportLine.import_id == import_id, ImportLine.outcome.in_(_REJECTIONS))
        .order_by(ImportLine.id)
        .limit(PROBLEMS_SHOWN)
    )
    return ImportReport(
        import_id=job.id,
        state=job.state,
        error=job.error,
        is_dry_run=job.is_dry_run,
        outcomes=dict(job.outcomes),
        statuses={
            status: job.statuses[status.name.lower()]
            for status in SubscriptionStatus
            if status.name.lower() in job.statuses
        },
        problems=tuple(
            Problem(each.first_line, each.field, Rejection(each.outcome), each.text)
            for each in problems
        ),
        ignored_columns=tuple(
            title
            for title, meaning in zip(job.titles, job.meanings, strict=False)
            if meaning == "ignore"
        ),
    )


def write_report(session: Session, import_id: int, file: IO[str]) -> None:
    """A CSV with a row for lines that follow each other and fared alike; no address in full."""
    writer = csv.writer(file)
    writer.writerow(("first_line", "last_line", "outcome", "field", "text"))
    writer.writerows(_rows(session, import_id))


def _rows(session: Session, import_id: int) -> Iterator[tuple[int, int, str, str, str]]:
    found = session.scalars(
        select(ImportLine)
        .where(ImportLine.import_id == import_id)
        .order_by(ImportLine.first_line)
        .execution_options(yield_per=1_000)
    )
    for line in found:
        yield line.first_line, line.last_line, line.outcome, line.field, line.text
