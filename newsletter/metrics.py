"""What the processes count of themselves, for Prometheus.

The processes of one service (the web server's, a worker's) count into files of one folder, so that
whichever of them is asked answers for all. The folder is in the environment before this module is
imported: see `settings.share_metrics`. Without it a process answers for itself alone.
"""

import secrets
import time
from collections import Counter as Tally
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
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
EVENTS_DROPPED = Counter("newsletter_events_dropped", "Opens and clicks given up for lack of room.")


class Stopwatch:
    """Times phases without touching the shared counters, which `publish` does for all of them."""

    def __init__(self) -> None:
        self._seconds: Tally[str] = Tally()
        self._times: Tally[str] = Tally()

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            self._seconds[name] += time.perf_counter() - start  # type: ignore[assignment]
            self._times[name] += 1

    def publish(self) -> None:
        for name, times in self._times.items():
            PHASE_SECONDS.labels(name).inc(self._seconds[name])
            PHASES.labels(name).inc(times)
        self._seconds.clear()
        self._times.clear()


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
