"""The main job on one machine: a sample morning, from a CSV and a text to a full mailbox."""

import fcntl
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Engine

from newsletter.audience.import_report import ImportReport
from newsletter.audience.importing import ImportPlan, import_file
from newsletter.audience.lists import create_list
from newsletter.clock import utc_now
from newsletter.db import get_engine, reading, transaction
from newsletter.demo.newsroom import begin_draft, sign_in_link
from newsletter.demo.sample import SAMPLE_LIST, write_sample_csv
from newsletter.errors import StateError
from newsletter.models import LegalBasis, MailingList, Pacing, schema
from newsletter.plan import schedule
from newsletter.plan.approval import approve_edition
from newsletter.plan.editions import Content, create_edition, read_content
from newsletter.plan.transports import set_transport
from newsletter.report.doubts import Doubt, uncertain_deliveries
from newsletter.report.editions import EditionStatus, edition_status
from newsletter.settings import Settings, get_settings, read_settings, use_settings
from newsletter.stack.broker import running_broker
from newsletter.stack.ports import HOST, free_port, port_or_free
from newsletter.stack.system import Ports, System, running_system

SENDERS = 2
CONNECTIONS = 4
LOOK_SECONDS = 0.2
# Longer than any retry of a connection, shorter than a person's patience.
NO_PROGRESS_SECONDS = 180.0

OnProgress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class DemoFigures:
    """What one demo came to; `planned` is the valid people of the sample's CSV."""

    planned: int
    waiting: int
    deferred: int
    sent: int
    excluded: dict[str, int]
    failed: int
    uncertain: int
    cancelled: int
    received: int
    first_message_seconds: float | None
    seconds: float

    @property
    def adds_up(self) -> bool:
        """Nobody lost, and nobody mailed that the ledger does not know of."""
        settled = self.waiting + self.deferred + self.sent + sum(self.excluded.values())
        settled += self.failed + self.uncertain + self.cancelled
        return self.planned == settled and self.sent <= self.received <= self.sent + self.uncertain

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


class Demo:
    """One demo under way: everything is started, the list is imported, the edition is sent."""

    def __init__(
        self,
        system: System,
        engine: Engine,
        *,
        imported: ImportReport,
        edition_id: int,
        sign_in: str,
        began_at: float,
    ) -> None:
        """`sign_in` is the link, good once, to the newsroom."""
        self.system = system
        self.imported = imported
        self.edition_id = edition_id
        self.sign_in = sign_in
        self._engine = engine
        self._began_at = began_at
        self._first_message_seconds: float | None = None

    def status(self) -> EditionStatus:
        with reading(self._engine) as session:
            return edition_status(session, self.edition_id)

    @property
    def database_url(self) -> str:
        return self._engine.url.render_as_string()

    def uncertain(self) -> list[Doubt]:
        with reading(self._engine) as session:
            return uncertain_deliveries(session, self.edition_id)

    def wait_until_sent(self, on_progress: OnProgress) -> DemoFigures:
        """Watch until the edition is over, or nothing moves any more."""
        last_settled, moved_at = -1, time.monotonic()
        while True:
            self.system.processes.revive()
            status = self.status()
            if self._first_message_seconds is None and self.system.received():
                self._first_message_seconds = self._elapsed()
            on_progress("Sending", status.settled, self.imported.people)
            if status.settled != last_settled:
                last_settled, moved_at = status.settled, time.monotonic()
            if status.is_over or time.monotonic() - moved_at > NO_PROGRESS_SECONDS:
                return self._figures(status)
            time.sleep(LOOK_SECONDS)

    def _figures(self, status: EditionStatus) -> DemoFigures:
        return DemoFigures(
            planned=self.imported.people,
            waiting=status.waiting,
            deferred=status.deferred,
            sent=status.sent,
            excluded=status.excluded,
            failed=status.failed,
            uncertain=status.uncertain,
            cancelled=status.cancelled,
            received=self.system.received(),
            first_message_seconds=self._first_message_seconds,
            seconds=self._elapsed(),
        )

    def _elapsed(self) -> float:
        return round(time.monotonic() - self._began_at, 1)


def demo_folder() -> Path:
    return get_settings().state_dir / "demo"


@contextmanager
def running_demo(
    *,
    briefing: Path,
    subscribers: int,
    web_port: int,
    mailbox_port: int,
    on_progress: OnProgress,
) -> Iterator[Demo]:
    """A demo in `demo_folder()`, on a fresh database; leaving the block ends all its processes.

    Ports that are taken are replaced by free ones. Raises `UnfitBriefing` for a text that cannot
    be sent, and `StateError` while another demo runs, before anything is started.
    """
    began_at = time.monotonic()
    content, _ = read_content(briefing.read_bytes(), today=utc_now().date())
    ports = Ports(web=port_or_free(web_port), mailbox=port_or_free(mailbox_port), smtp=free_port())
    with _fresh_folder() as folder, running_broker(folder / "valkey") as redis_url:
        settings = _settings(folder, redis_url, ports)
        use_settings(settings)
        engine = get_engine()
        schema.upgrade(engine)
        with running_system(settings, ports, folder, senders=SENDERS) as system:
            list_id = _make_list(engine, ports)
            imported = _import(engine, list_id, folder, subscribers, on_progress)
            edition_id = _send(engine, content, list_id, settings)
            begin_draft(engine, list_id, now=utc_now())
            yield Demo(
                system,
                engine,
                imported=imported,
                edition_id=edition_id,
                sign_in=sign_in_link(engine, settings, now=utc_now()),
                began_at=began_at,
            )
        engine.dispose()


@contextmanager
def _fresh_folder() -> Iterator[Path]:
    """The demo's folder, empty; it is this process's alone as long as the block lasts."""
    folder = demo_folder()
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StateError("Another demo runs in this checkout; end it first.") from error
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        yield folder


def _settings(folder: Path, redis_url: str, ports: Ports) -> Settings:
    return read_settings(
        env="development",
        database_url=f"sqlite:///{folder / 'newsletter.db'}",
        redis_url=redis_url,
        secret_keys=((1, secrets.token_urlsafe(36)),),
        address_key=secrets.token_urlsafe(36),
        base_url=f"http://{HOST}:{ports.web}",
        mail_domain="mail.morning.example",
        state_dir=folder,
    )


def _make_list(engine: Engine, ports: Ports) -> int:
    with transaction(engine) as session:
        set_transport(
            session,
            "mailbox",
            f"smtp://{HOST}:{ports.smtp}",
            connections=CONNECTIONS,
            pacing=Pacing.RELAY,
        )
        return create_list(session, SAMPLE_LIST, now=utc_now()).id


def _import(
    engine: Engine, list_id: int, folder: Path, subscribers: int, on_progress: OnProgress
) -> ImportReport:
    path = folder / "subscribers.csv"
    write_sample_csv(path, subscribers)
    with path.open("rb") as stream:
        return import_file(
            engine,
            stream,
            ImportPlan(basis=LegalBasis.CONSENT, note="invented for the demo"),
            list_id=list_id,
            file_name=path.name,
            by="demo",
            now=utc_now(),
            on_progress=lambda done, total: on_progress("Importing", done, total),
        )


def _send(engine: Engine, content: Content, list_id: int, settings: Settings) -> int:
    now = utc_now()
    with transaction(engine) as session:
        edition = create_edition(
            session,
            content,
            lists=[session.get_one(MailingList, list_id)],
            settings=settings,
            created_by="demo",
            now=now,
        )
        approve_edition(session, edition.id, approved_by="demo", settings=settings, now=now)
        schedule.send_now(session, edition.id, now=now)
    return edition.id
