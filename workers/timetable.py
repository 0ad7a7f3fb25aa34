"""Beat: what runs when, and why that often. Two beats at once only ring twice."""

from datetime import timedelta
from typing import Any

from newsletter.queue import Job

TIMETABLE: dict[str, dict[str, Any]] = {
    # A lost doorbell costs at most this long; a turn with nothing to do is five small queries.
    "pump": {
        "task": Job.PUMP.value,
        "schedule": timedelta(seconds=2),
        "options": {"expires": 10},
    },
    # An editor who watches the figures sees an open within this time.
    "record events": {
        "task": Job.RECORD_EVENTS.value,
        "schedule": timedelta(seconds=2),
        "options": {"expires": 10},
    },
}
