"""Writes what is known of one person as a ZIP: all of it as JSON, and a CSV for each subject."""

import csv
import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import IO, Any

from newsletter.audience.exporting import disarmed
from newsletter.audience.privacy import PersonalData


def write_archive(data: PersonalData, file: IO[bytes], *, now: datetime) -> None:
    """The CSVs are for spreadsheets: a cell that one would take for a formula begins with a quote."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        _add(archive, "data.json", _as_json(data, now), now)
        for subject, rows in data.subjects.items():
            if rows:
                _add(archive, f"{subject.replace(' ', '-')}.csv", _as_csv(rows), now)


def _as_json(data: PersonalData, now: datetime) -> str:
    whole = {"written at": now.isoformat(), **data.subjects}
    return json.dumps(whole, ensure_ascii=False, indent=2) + "\n"


def _as_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    titles = list(dict.fromkeys(title for row in rows for title in row))
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(titles)
    writer.writerows([_cell(row.get(title)) for title in titles] for row in rows)
    return text.getvalue()


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool | int | float):
        return str(value)
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return disarmed(text)


def _add(archive: zipfile.ZipFile, name: str, text: str, now: datetime) -> None:
    # With a mark, since spreadsheets take it for the encoding of their own else.
    mark = "\ufeff" if name.endswith(".csv") else ""
    entry = zipfile.ZipInfo(name, date_time=now.timetuple()[:6])
    entry.compress_type = zipfile.ZIP_DEFLATED
    archive.writestr(entry, mark + text)
