"""Measures the send path: whole editions through real workers into a real SMTP server, and the same
messages through other senders into the same server, in turns within one run.

No rate is told before the ledger and the server's own count agree; a server that somebody else runs
has no count to ask for, and the ledger answers alone.
"""

import http.client
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import Engine

from newsletter.bench import others
from newsletter.bench.audience import make_audience
from newsletter.bench.cost import Cost, ThreadCosts, ThreadsSplit, children_of
from newsletter.bench.letter import make_content
from newsletter.bench.split import SENDER_DOMAIN, Split, split_cost
from newsletter.clock import utc_now
from newsletter.db import get_engine, reading, transaction
from newsletter.deliver.dkim_keys import create_key
from newsletter.errors import NewsletterError
from newsletter.models import DkimAlgorithm, Edition, EditionState, MailingList, Pacing, schema
from newsletter.plan import schedule
from newsletter.plan.editions import create_edition, masthead_of
from newsletter.plan.transports import set_transport
from newsletter.queue import Queue
from newsletter.report.editions import EditionStatus, edition_status
from newsletter.settings import Settings, read_settings, use_settings
from newsletter.stack.broker import running_broker
from newsletter.stack.ports import HOST, free_port
from newsletter.stack.postgres import running_postgres
from newsletter.stack.processes import Processes

LOOK_SECONDS = 0.02
LEDGER_LOOK_SECONDS = 0.1
START_SECONDS = 60.0
NO_PROGRESS_SECONDS = 60.0
FOR_DURABILITY = {"shared_buffers": "256MB"}  # fsync stays on: the ledger's commits are real


@dataclass(frozen=True, slots=True)
class Plan:
    """What is measured."""

    store: str
    readers: int
    size_bytes: int
    links: int
    dkim: str
    """none, rsa, or ed25519, which is a second signature beside the RSA one."""
    latency_ms: float
    workers: int
    connections: int
    runs: int
    reference_messages: int
    peer: others.Server | None = None
    """An SMTP server that runs already; None: ours is started."""
    smtp_source: str | None = None
    """Where the program is; None: where it is usually installed."""


@dataclass(frozen=True, slots=True)
class Figures:
    messages_per_second: float
    worker_cpu_us_per_message: float
    peak_rss_mb: float

    @classmethod
    def of(cls, sent: others.Sent) -> "Figures":
        return cls(
            round(sent.messages / sent.seconds, 1),
            round(sent.cpu_seconds / sent.messages * 1e6, 1),
            round(sent.peak_rss_mb, 1),
        )

    @classmethod
    def median(cls, runs: list["Figures"]) -> "Figures":
        return cls(
            statistics.median(run.messages_per_second for run in runs),
            statistics.median(run.worker_cpu_us_per_message for run in runs),
            max(run.peak_rss_mb for run in runs),
        )


@dataclass(frozen=True, slots=True)
class Compared:
    """Another sender's figures; the ratios are ours divided by theirs."""

    figures: Figures
    ratio_cpu: float
    ratio_rate: float

    def to_json(self) -> dict[str, Any]:
        return {
            **asdict(self.figures),
            "ratio_cpu": self.ratio_cpu,
            "ratio_rate": self.ratio_rate,
        }


@dataclass(frozen=True, slots=True)
class Result:
    plan: Plan
    message_bytes: int
    ours: Figures
    cpu_split_us: dict[str, float]
    bare_signature_us: float | None
    plan_seconds: float
    first_message_seconds: float
    compared: dict[str, Compared] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return {
            **asdict(self.plan),
            "counted_by": "ledger" if self.plan.peer else "ledger and server",
            "message_bytes": self.message_bytes,
            **asdict(self.ours),
            "cpu_split_us": self.cpu_split_us,
            "bare_signature_us": self.bare_signature_us,
            "plan_seconds": self.plan_seconds,
            "first_message_seconds": self.first_message_seconds,
            **{name: other.to_json() for name, other in self.compared.items()},
        }


@dataclass(frozen=True, slots=True)
class _Run:
    figures: Figures
    threads: ThreadsSplit
    celery_cpu_us: float
    plan_seconds: float
    first_message_seconds: float


@dataclass(frozen=True, slots=True)
class _Seen:
    """When the first message of an edition was taken, all of it was planned, the last was taken."""

    first_at: float
    planned_at: float
    last_at: float


def measure(plan: Plan, *, tell: Callable[[str], None]) -> Result:
    """Raises `NewsletterError` when the ledger and the server disagree, or a part fails."""
    with tempfile.TemporaryDirectory(prefix="newsletter-bench-") as name:
        folder = Path(name)
        with _database(plan.store, folder) as url, running_broker(folder / "valkey") as redis_url:
            settings = read_settings(
                database_url=url, redis_url=redis_url, state_dir=folder, log_level="WARNING"
            )
            use_settings(settings)
            engine = get_engine()
            schema.upgrade(engine)
            try:
                return _Bench(plan, settings, engine, folder, tell).run()
            finally:
                engine.dispose()


@contextmanager
def _database(store: str, folder: Path) -> Iterator[str]:
    if store == "sqlite":
        yield f"sqlite:///{folder / 'newsletter.db'}"
        return
    with running_postgres(FOR_DURABILITY) as server:
        yield f"{server.url}/postgres"


class _Bench:
    def __init__(
        self,
        plan: Plan,
        settings: Settings,
        engine: Engine,
        folder: Path,
        tell: Callable[[str], None],
    ) -> None:
        self._plan = plan
        self._settings = settings
        self._engine = engine
        self._folder = folder
        self._tell = tell
        self._server = plan.peer or others.Server(HOST, free_port())
        self._web_port = free_port()

    def run(self) -> Result:
        plan = self._plan
        self._tell(f"making {plan.readers:,} readers")
        self._list_id = make_audience(self._engine, plan.readers, now=utc_now())
        with transaction(self._engine) as session:
            self._transport_id = set_transport(
                session,
                "peer",
                f"smtp://{self._server}",
                connections=plan.connections,
                pacing=Pacing.RELAY,  # what is measured is us, not the providers' patience
            ).id
            mailing_list = session.get_one(MailingList, self._list_id)
            masthead = masthead_of(mailing_list, self._settings)
        self._content = make_content(masthead, size_bytes=plan.size_bytes, links=plan.links)
        self._make_keys()
        split = split_cost(self._engine, self._settings, self._new_edition(), self._list_id)
        letter = self._folder / "letter.eml"
        letter.write_bytes(split.sample)
        with Processes(self._settings.environment(), self._folder / "logs") as processes:
            self._start(processes)
            return self._compare(processes, letter, split)

    def _make_keys(self) -> None:
        algorithms = {
            "none": [],
            "rsa": [DkimAlgorithm.RSA],
            "ed25519": [DkimAlgorithm.RSA, DkimAlgorithm.ED25519],
        }[self._plan.dkim]
        with transaction(self._engine) as session:
            for number, algorithm in enumerate(algorithms):
                create_key(session, SENDER_DOMAIN, f"s{number}", algorithm=algorithm, now=utc_now())

    def _compare(self, processes: Processes, letter: Path, split: Split) -> Result:
        plan = self._plan
        lanes = plan.connections * plan.workers
        smtp_source = plan.smtp_source or others.find_smtp_source()
        size = letter.stat().st_size
        ours: list[_Run] = []
        theirs: dict[str, list[Figures]] = {"reference": []}
        if smtp_source:
            theirs["smtp_source"] = []
        for number in range(1, plan.runs + 1):
            self._tell(f"run {number} of {plan.runs}")
            ours.append(self._send_edition(processes))
            sent = others.send_with_smtplib(
                letter, server=self._server, messages=plan.reference_messages, connections=lanes
            )
            theirs["reference"].append(Figures.of(sent))
            if smtp_source:
                sent = others.send_with_smtp_source(
                    smtp_source,
                    server=self._server,
                    messages=plan.reference_messages,
                    connections=lanes,
                    size_bytes=size,
                )
                theirs["smtp_source"].append(Figures.of(sent))
        figures = Figures.median([run.figures for run in ours])
        return Result(
            plan=plan,
            message_bytes=size,
            ours=figures,
            cpu_split_us=_completed(split.cpu_us, ours, readers=plan.readers),
            bare_signature_us=split.bare_signature_us and round(split.bare_signature_us, 1),
            plan_seconds=statistics.median(run.plan_seconds for run in ours),
            first_message_seconds=statistics.median(run.first_message_seconds for run in ours),
            compared={
                name: _compared(figures, Figures.median(runs)) for name, runs in theirs.items()
            },
        )

    def _start(self, processes: Processes) -> None:
        plan = self._plan
        if plan.peer is None:
            self._start_server(processes)
        celery = ["celery", "--app", "workers.app"]
        worker = [*celery, "worker", "--loglevel", "WARNING", "--without-gossip"]
        deliver = processes.start(
            "deliver", [*worker, "-n", "deliver@%h", "-Q", Queue.DELIVER, "-c", str(plan.workers)]
        )
        processes.start("upkeep", [*worker, "-n", "upkeep@%h", "-Q", Queue.UPKEEP, "-c", "1"])
        processes.start("beat", [*celery, "beat", "-s", str(self._folder / "beat")])
        deadline = time.monotonic() + START_SECONDS
        while not self._is_ready(deliver.pid):
            processes.require_alive()
            if time.monotonic() > deadline:
                raise NewsletterError("the system did not start")
            time.sleep(0.1)

    def _start_server(self, processes: Processes) -> None:
        processes.start(
            "peer",
            [
                *("newsletter", "devmail", "--no-store", "--dir", str(self._folder / "mailbox")),
                *("--smtp-port", str(self._server.port), "--web-port", str(self._web_port)),
                *("--delay", str(self._plan.latency_ms)),
            ],
        )

    def _is_ready(self, deliver_pid: int) -> bool:
        try:
            if self._plan.peer is None:
                self._received()
        except OSError:
            return False
        return len(self._journals()) >= self._plan.workers and bool(children_of(deliver_pid))

    def _journals(self) -> list[Path]:
        return list((self._folder / "journals").glob("*.journal"))

    def _new_edition(self) -> int:
        with transaction(self._engine) as session:
            edition = create_edition(
                session,
                self._content,
                lists=[session.get_one(MailingList, self._list_id)],
                settings=self._settings,
                created_by="bench",
                now=utc_now(),
            )
            # The checks are for letters that people read.
            edition.state = EditionState.APPROVED
            edition.approved_revision = edition.revision
            edition.transport_id = self._transport_id
            return edition.id

    def _send_edition(self, processes: Processes) -> _Run:
        edition_id = self._new_edition()
        main = processes.children["deliver"].pid
        workers = children_of(main)
        cost_before, main_before = Cost.of(workers), Cost.of([main])
        threads_before = ThreadCosts.of(workers)
        before = 0 if self._plan.peer else self._received()
        pressed_at = time.perf_counter()
        with transaction(self._engine) as session:
            schedule.send_now(session, edition_id, now=utc_now())
        seen = self._watch(processes, edition_id, before)
        status = self._wait_until_over(processes, edition_id)
        cost, main_cost = Cost.of(workers), Cost.of([main])
        threads = ThreadCosts.of(workers).since(threads_before)
        received = self._taken(edition_id) - before
        if not (status.sent == received == self._plan.readers):
            raise NewsletterError(
                "the ledger says {sent} sent of {readers}, the server took {received}: {status}",
                sent=status.sent,
                readers=self._plan.readers,
                received=received,
                status=status,
            )
        sent = others.Sent(
            messages=received,
            seconds=max(seen.last_at - seen.first_at, LOOK_SECONDS),
            cpu_seconds=cost.cpu_seconds - cost_before.cpu_seconds,
            peak_rss_mb=cost.peak_rss_mb,
        )
        return _Run(
            figures=Figures.of(sent),
            threads=threads,
            celery_cpu_us=(main_cost.cpu_seconds - main_before.cpu_seconds) / received * 1e6,
            plan_seconds=round(seen.planned_at - pressed_at, 2),
            first_message_seconds=round(seen.first_at - pressed_at, 2),
        )

    def _watch(self, processes: Processes, edition_id: int, before: int) -> _Seen:
        first_at: float | None = None
        planned_at: float | None = None
        last_count, moved_at = before, time.perf_counter()
        while True:
            now, count = time.perf_counter(), self._taken(edition_id)
            if count > before and first_at is None:
                first_at = now
            if count != last_count:
                last_count, moved_at = count, now
            if planned_at is None and self._is_planned(edition_id):
                planned_at = now
            if first_at and planned_at and count - before >= self._plan.readers:
                return _Seen(first_at, planned_at, last_at=moved_at)
            if now - moved_at > NO_PROGRESS_SECONDS:
                processes.require_alive()
                raise NewsletterError(
                    "nothing moves any more at {count} messages", count=count - before
                )
            time.sleep(LOOK_SECONDS if self._plan.peer is None else LEDGER_LOOK_SECONDS)

    def _is_planned(self, edition_id: int) -> bool:
        # The row says when the planner that planned the last delivery began.
        with reading(self._engine) as session:
            return session.get_one(Edition, edition_id).planned_at is not None

    def _wait_until_over(self, processes: Processes, edition_id: int) -> EditionStatus:
        deadline = time.monotonic() + NO_PROGRESS_SECONDS
        while True:
            processes.require_alive()
            with reading(self._engine) as session:
                status = edition_status(session, edition_id)
            if status.is_over or time.monotonic() > deadline:
                return status
            time.sleep(0.1)

    def _taken(self, edition_id: int) -> int:
        """How many messages the server says that it took in its life; or the ledger, of the edition."""
        if self._plan.peer is None:
            return self._received()
        with reading(self._engine) as session:
            return edition_status(session, edition_id).sent

    def _received(self) -> int:
        connection = http.client.HTTPConnection(HOST, self._web_port, timeout=10)
        try:
            connection.request("GET", "/api/count")
            count: int = json.loads(connection.getresponse().read())["received"]
            return count
        finally:
            connection.close()


def _completed(apart: dict[str, float], runs: list[_Run], *, readers: int) -> dict[str, float]:
    """Claiming and recording have threads of their own in a worker. Assembling and signing share the
    loop's thread with the wire: they are measured apart, and the wire is the rest of that thread.
    """

    def median_us(seconds: Iterable[float]) -> float:
        return statistics.median(seconds) / readers * 1e6

    loop = median_us(run.threads.loop for run in runs)
    whole = {
        "claim": median_us(run.threads.main for run in runs),
        **apart,
        "wire": max(0.0, loop - sum(apart.values())),
        "record": median_us(run.threads.others for run in runs),
        "celery": statistics.median(run.celery_cpu_us for run in runs),
    }
    return {name: round(cost, 1) for name, cost in whole.items()}


def _compared(ours: Figures, theirs: Figures) -> Compared:
    return Compared(
        theirs,
        ratio_cpu=round(ours.worker_cpu_us_per_message / theirs.worker_cpu_us_per_message, 3),
        ratio_rate=round(ours.messages_per_second / theirs.messages_per_second, 3),
    )
