"""What the processes count of themselves, for Prometheus.

The processes of one service (the web server's, a worker's) count into files of one folder, so that
whichever of them is asked answers for all. The folder is in the environment before this module is
imported: see `settings.share_metrics`. Without it a process answers for itself alone.
"""

import secrets
import time
from collections import defaultdict
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from threading import Thread
from typing import TYPE_CHECKING
from wsgiref.simple_server import WSGIRequestHandler, make_server

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    CollectorRegistry,
    Counter,
    Gauge,
    generate_latest,
    multiprocess,
)
from prometheus_client.registry import Collector

from newsletter.settings import Settings, metrics_folder

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

__all__ = ["CONTENT_TYPE_LATEST"]

TIMED_FIRST = 16
"""Of a phase, after it was published: the rare ones are all timed."""
ONE_IN = 16

MESSAGES = Counter("newsletter_messages", "Outcomes of tries on the wire.", ["outcome"])
SYSTEM_MAIL = Counter(
    "newsletter_system_mail", "Outcomes of tries at single mails.", ["kind", "outcome"]
)
BATCHES = Counter("newsletter_batches", "Batches that a worker let go of.", ["end"])
PHASE_SECONDS = Counter(
    "newsletter_phase_seconds", "Time spent in a phase; phases of many messages overlap.", ["phase"]
)
PHASES = Counter("newsletter_phases", "How often a phase was gone through.", ["phase"])
CONNECTIONS = Gauge(
    "newsletter_smtp_connections", "Open SMTP connections.", [], multiprocess_mode="livesum"
)
BEATS = Counter("newsletter_beats", "Bells that beat rang.", ["job"])
REQUESTS = Counter("newsletter_http_requests", "Answered requests.", ["route", "method", "status"])
EVENTS_WAITING = Gauge(
    "newsletter_events_waiting",
    "Opens and clicks that Redis has not taken yet.",
    [],
    multiprocess_mode="livesum",
)
UNREADY_SLOTS = Gauge(
    "newsletter_unready_slots",
    "Slots whose time for approval is near or over, and nothing is approved.",
    [],
    multiprocess_mode="mostrecent",
)
EVENTS_DROPPED = Counter("newsletter_events_dropped", "Opens and clicks given up for lack of room.")


class Stopwatch:
    """Times phases without touching the shared counters, which `publish` does for all of them.

    Of phases that come thick, those of every message, one in `ONE_IN` is timed and stands for them.
    """

    def __init__(self) -> None:
        self._phases: defaultdict[str, _Phase] = defaultdict(_Phase)

    def phase(self, name: str) -> AbstractContextManager[None]:
        phase = self._phases[name]
        phase.times += 1
        if phase.times > TIMED_FIRST and phase.times % ONE_IN:
            return _UNTIMED
        return _Timing(phase)

    def add(self, name: str, seconds: float, *, times: int) -> None:
        """For phases that begin in one call and end in another."""
        phase = self._phases[name]
        phase.times += times
        phase.timed += times
        phase.seconds += seconds

    def publish(self) -> None:
        for name, phase in self._phases.items():
            if phase.timed:
                PHASE_SECONDS.labels(name).inc(phase.seconds / phase.timed * phase.times)
                PHASES.labels(name).inc(phase.times)
                phase.times, phase.timed, phase.seconds = 0, 0, 0.0


class _Phase:
    """What was gone through since the last time it was published."""

    __slots__ = ("seconds", "timed", "times")

    def __init__(self) -> None:
        self.times = 0
        self.timed = 0
        self.seconds = 0.0


class _Timing:
    __slots__ = ("_phase", "_start")

    def __init__(self, phase: _Phase) -> None:
        self._phase = phase

    def __enter__(self) -> None:
        self._start = time.perf_counter()

    def __exit__(self, *_exception: object) -> None:
        self._phase.seconds += time.perf_counter() - self._start
        self._phase.timed += 1


_UNTIMED = nullcontext()


def exposition(more: Iterable[Collector] = ()) -> bytes:
    """The text that Prometheus reads; `more` is added to what the processes counted."""
    registry = CollectorRegistry()
    if metrics_folder() is None:
        registry.register(REGISTRY)
    else:
        multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    for collector in more:
        registry.register(collector)
    return generate_latest(registry)


def is_bearer(token: str, authorization: str) -> bool:
    return secrets.compare_digest(authorization.encode(), f"Bearer {token}".encode())


def serve(settings: Settings, port: int) -> None:
    """Answer scrapes at /metrics from a thread of this process for as long as it lives.

    Other hosts are listened to only when there is a token to tell them by. Raises `OSError` when
    the port is taken.
    """
    token = settings.metrics_token
    host = "127.0.0.1" if token is None else "0.0.0.0"  # noqa: S104

    def answer(environment: "WSGIEnvironment", start: "StartResponse") -> list[bytes]:
        shown = environment.get("HTTP_AUTHORIZATION", "")
        is_allowed = token is None or is_bearer(token, shown)
        if environment["PATH_INFO"] != "/metrics" or not is_allowed:
            start("404 Not Found", [])
            return []
        start("200 OK", [("Content-Type", CONTENT_TYPE_LATEST)])
        return [exposition()]

    server = make_server(host, port, answer, handler_class=_Quiet)
    Thread(target=server.serve_forever, name="metrics", daemon=True).start()


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *arguments: object) -> None:
        pass


def forget_process(pid: int) -> None:
    """Take a process that ends out of the sums of what is open and waiting now."""
    if metrics_folder() is not None:
        multiprocess.mark_process_dead(pid)  # type: ignore[no-untyped-call]
