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
    # Kept for days; nobody notices whether one of them is an hour longer.
    "forget system mail": {
        "task": Job.FORGET_SYSTEM_MAIL.value,
        "schedule": timedelta(hours=1),
        "options": {"expires": 600},
    },
    # Somebody waits for the mail, should the bell for it have been lost; one query if nobody does.
    "answer sign-ups": {
        "task": Job.ANSWER_SIGNUPS.value,
        "schedule": timedelta(seconds=5),
        "options": {"expires": 10},
    },
    # What nobody confirmed is kept for a week, an hour more or less.
    "forget sign-ups": {
        "task": Job.FORGET_SIGNUPS.value,
        "schedule": timedelta(hours=1),
        "options": {"expires": 600},
    },
    # An answer is kept for a day; the hour more does nobody harm.
    "forget API answers": {
        "task": Job.FORGET_API_ANSWERS.value,
        "schedule": timedelta(hours=1),
        "options": {"expires": 600},
    },
    # Nothing of it is good any more when its hour has come; this only takes the rows away.
    "forget sign-ins": {
        "task": Job.FORGET_SIGN_INS.value,
        "schedule": timedelta(hours=1),
        "options": {"expires": 600},
    },
    # Takes up imports whose worker has died; a new one rings for itself. One query if there is none.
    "import files": {
        "task": Job.IMPORT_FILES.value,
        "schedule": timedelta(minutes=1),
        "options": {"expires": 50},
    },
    # A list that wants doubts sent again waits five minutes for each; one more is not noticed.
    "settle doubts": {
        "task": Job.SETTLE_DOUBTS.value,
        "schedule": timedelta(minutes=1),
        "options": {"expires": 50},
    },
    # A count whose worker died is taken up again; one query if there is none.
    "count segments": {
        "task": Job.COUNT_SEGMENTS.value,
        "schedule": timedelta(minutes=1),
        "options": {"expires": 50},
    },
    # An editor who watches the figures sees an open within this time.
    "record events": {
        "task": Job.RECORD_EVENTS.value,
        "schedule": timedelta(seconds=2),
        "options": {"expires": 10},
    },
    # New domains have a route of their own before the next edition is planned; one query if there
    # is none and no answer has become too old.
    "resolve domains": {
        "task": Job.RESOLVE_DOMAINS.value,
        "schedule": timedelta(seconds=30),
        "options": {"expires": 60},
    },
    # An edition is over within a day or so; then nothing needs an erased person's number any more.
    "finish erasures": {
        "task": Job.FINISH_ERASURES.value,
        "schedule": timedelta(hours=1),
        "options": {"expires": 600},
    },
    # What is kept for months may go an hour later; each turn ends after ten minutes.
    "apply retention": {
        "task": Job.APPLY_RETENTION.value,
        "schedule": timedelta(hours=1),
        "options": {"expires": 600},
    },
    # A feed is read every quarter of an hour; one query if none is due. A page that an editor hands
    # in rings for itself.
    "fetch feeds": {
        "task": Job.FETCH_FEEDS.value,
        "schedule": timedelta(minutes=1),
        "options": {"expires": 50},
    },
    # Nobody misses a story of a fortnight ago; an hour later is as well.
    "forget candidates": {
        "task": Job.FORGET_CANDIDATES.value,
        "schedule": timedelta(hours=1),
        "options": {"expires": 600},
    },
    # The first try after a failed one comes ten seconds later; an alarm rings for itself.
    "call alarm targets": {
        "task": Job.CALL_ALARM_TARGETS.value,
        "schedule": timedelta(seconds=10),
        "options": {"expires": 20},
    },
}
