"""Tables as CSV for spreadsheets, which take a mark at the beginning for the encoding."""

import csv
import io
from collections.abc import Iterable, Sequence

from newsletter.audience.exporting import disarmed

MARK = "\ufeff"
Cell = str | int | float | None


def as_csv(titles: Sequence[str], rows: Iterable[Sequence[Cell]]) -> bytes:
    """A text that a spreadsheet would take for a formula begins with a quote."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(titles)
    writer.writerows([_cell(each) for each in row] for row in rows)
    return (MARK + text.getvalue()).encode()


def _cell(value: Cell) -> str:
    if value is None:
        return ""
    return disarmed(value) if isinstance(value, str) else str(value)
