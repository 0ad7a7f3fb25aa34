"""The running system that faults are inflicted on: a database, a broker, a mail server, two workers
that deliver, one for upkeep and beat, each of them a process that can be hurt by itself.
"""

import os
import secrets
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from enum import StrEnum
from pathlib import Path

from sqlalchemy import Engine, create_engine, make_url, text

from newsletter.clock import shift_by, utc_now
from newsletter.db import make_engine, transaction
from newsletter.deliver.journal import FOLDER, SUFFIX
from newsletter.devmail.script import Script
from newsletter.drill.people import import_readers, make_lists
from newsletter.drill.proxy import Proxy, Wiring, running_wiring
from newsletter.errors import NewsletterError
from newsletter.models import Pacing, schema
from newsletter.plan.transports import set_transport
from newsletter.queue import Queue
from newsletter.settings import Settings, read_settings, use_settings
from newsletter.stack.broker import Broker
from newsletter.stack.ports import HOST, free_port
from newsletter.stack.postgres import Postgres, running_postgres
from newsletter.stack.processes import Processes

CONNECTIONS = 4
"""Of each worker process to the mail server."""
LEASE_SECONDS = 3.0
DOT_SECONDS = 2.0
POLL_SECONDS = 0.5
USER = "drill"
DELIVERERS = ("deliver-one", "deliver-two")
UPKEEP = "upkeep"
BEAT = "beat"
PEER = "peer"
START_SECONDS = 60.0
STOP_SECONDS = 30.0
# The ledger of a drill must be worth what a real one is: every commit reaches the disk.
_DURABLE = {"fsync": "on", "shared_buffers": "64MB"}
_CELERY = ("celery", "--app", "workers.app")


class Store(StrEnum):
    POSTGRES = "postgres"
    SQLITE = "sqlite"


class Rig:
    def __init__(
        self,
        settings: Settings,
        folder: Path,
        *,
        store: Store,
        readers: int,
        postgres: Postgres | None,
        broker: Broker,
        wiring: Wiring,
    ) -> None:
        self.settings = settings
        self.folder = folder
        self.store = store
        self.readers = readers
        self.broker = broker
        self.engine: Engine = make_engine(settings.database_url)
        self.lists: tuple[int, ...] = ()
        self.passwords = [secrets.token_urlsafe(18)]
        self._wiring = wiring
        self._postgres = postgres
        self._peer_port = free_port()
        self.smtp_proxy = wiring.to(self._peer_port)
        self.broker_proxy = wiring.to(broker.port)
        self._database_proxy: Proxy | None = None
        if postgres is not None:
            self._database_proxy = wiring.to(make_url(postgres.url).port or 0)
        self._numbered = 0
        self._peers = 0
        self._performance: tuple[Script, Path] | None = None
        self.processes = Processes(self._environment(), folder / "logs")
        self._arguments: Mapping[str, Sequence[str]] = self._command_lines()

    @property
    def postgres(self) -> Postgres:
        assert self._postgres is not None
        return self._postgres

    @property
    def database_proxy(self) -> Proxy:
        assert self._database_proxy is not None
        return self._database_proxy

    @property
    def journals(self) -> Path:
        return self.settings.state_dir / FOLDER

    @property
    def secrets(self) -> list[str]:
        """What no log may hold."""
        keys = [key for _, key in self.settings.secret_keys]
        return [*keys, self.settings.address_key, *self.passwords]

    def prepare(self) -> None:
        """Make tables, lists, people and the transport."""
        now = utc_now()
        schema.upgrade(self.engine)
        self.use_password(self.passwords[-1])
        self.lists = make_lists(self.engine, now=now)
        self.refill(self.readers)

    def refill(self, missing: int) -> None:
        """Let so many people subscribe who are new here."""
        numbers = range(self._numbered, self._numbered + missing)
        import_readers(self.engine, self.lists, numbers, self.folder, now=utc_now())
        self._numbered = numbers.stop

    def use_password(self, password: str) -> None:
        """Tell the installation, not the mail server."""
        url = f"smtp://{USER}:{password}@{HOST}:{self.smtp_proxy.port}"
        with transaction(self.engine) as session:
            # Whatever a provider would bear is the relay's business, and not what is drilled here.
            set_transport(session, "drill", url, connections=CONNECTIONS, pacing=Pacing.RELAY)

    def start(self) -> None:
        """Start whichever worker does not run, and beat."""
        for name in (*DELIVERERS, UPKEEP, BEAT):
            child = self.processes.children.get(name)
            if child is None or child.poll() is not None:
                self.processes.start(name, self._arguments[name])

    def start_another_beat(self) -> str:
        name = "beat-again"
        schedule = str(self.folder / name)
        self.processes.start(name, [*_CELERY, "beat", "-s", schedule])
        return name

    def end(self, name: str) -> None:
        """Ask a process to end, as a new deployment does. Raises `NewsletterError` if it does not."""
        child = self.processes.children[name]
        child.terminate()
        try:
            child.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired as error:
            raise NewsletterError(
                "{name} did not end within {stop_seconds:.0f} s",
                name=name,
                stop_seconds=STOP_SECONDS,
            ) from error

    def wait_until_up(self) -> None:
        """Until every worker has said that it is ready."""
        deadline = time.monotonic() + START_SECONDS
        for name in (*DELIVERERS, UPKEEP):
            while b" ready." not in self.processes.log(name).read_bytes():
                self.processes.require_alive()
                if time.monotonic() > deadline:
                    raise NewsletterError(
                        "{name} did not start; see {log}", name=name, log=self.processes.log(name)
                    )
                time.sleep(0.05)

    def start_peer(self, script: Script, witness: Path) -> None:
        """Put the mail server in place of the one before, with other faults and another witness."""
        self.stop_peer()
        self._peers += 1
        self._performance = (script, witness)
        name = f"{PEER}-{self._peers}"
        file = self.folder / f"script-{self._peers}.json"
        file.write_text(script.model_dump_json())
        child = self.processes.start(
            name,
            [
                *("newsletter", "devmail", "--no-store", "--web-port", "0"),
                *("--smtp-port", str(self._peer_port), "--script", str(file)),
                *("--witness", str(witness), "--witness-fsync"),
                *("--auth", f"{USER}:{self.passwords[-1]}"),
            ],
        )
        deadline = time.monotonic() + START_SECONDS
        while b"http://" not in self.processes.log(name).read_bytes():
            if child.poll() is not None or time.monotonic() > deadline:
                raise NewsletterError(
                    "The mail server did not start; see {log}", log=self.processes.log(name)
                )
            time.sleep(0.02)

    def change_password(self) -> None:
        """Restart the mail server as it is, but for the password, which the installation lacks."""
        assert self._performance is not None
        self.passwords.append(secrets.token_urlsafe(18))
        self.start_peer(*self._performance)

    def stop_peer(self) -> None:
        child = self.processes.children.pop(f"{PEER}-{self._peers}", None)
        if child is not None:
            child.kill()
            child.wait()

    def main_process(self, name: str) -> int:
        return self.processes.children[name].pid

    def child_process(self, name: str) -> int | None:
        """The process in which worker `name` delivers; None while it has none."""
        main = self.main_process(name)
        try:
            children = Path(f"/proc/{main}/task/{main}/children").read_text().split()
        except FileNotFoundError:
            return None
        # Python's own helpers hang there too, with another command line.
        own = _command_line(main)
        return next((int(child) for child in children if _command_line(int(child)) == own), None)

    def kill_group(self, name: str) -> None:
        """Worker `name` and all its children at once, as when its host or container goes."""
        child = self.processes.children[name]
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()

    def set_clock(self, shift: timedelta) -> None:
        """Let the clock of all its processes, this one among them, be wrong by so much."""
        assert self.settings.clock_shift_path is not None
        fresh = self.settings.clock_shift_path.with_suffix(".new")
        fresh.write_text(str(shift.total_seconds()))
        fresh.replace(self.settings.clock_shift_path)

    def mend(self) -> None:
        """End whatever a fault may have left behind; what a supervisor restarts is running again."""
        self._wiring.heal()
        for name in DELIVERERS:
            if self.processes.children[name].poll() is None:
                os.killpg(self.main_process(name), signal.SIGCONT)
        self.start()

    def orphaned_journals(self) -> list[Path]:
        """Journals whose owner is gone and that nobody has replayed to the end."""
        # Not by their locks: whoever replays one holds it, and so does a process that is ending.
        alive = {self.child_process(name) for name in DELIVERERS}
        return [
            path
            for path in self.journals.glob(f"*{SUFFIX}")
            if int(path.name.partition("-")[0]) not in alive
        ]

    def log_sizes(self) -> dict[Path, int]:
        return {path: path.stat().st_size for path in self._logs()}

    def logged_since(self, sizes: dict[Path, int]) -> Iterator[tuple[str, str]]:
        """Name and new text of each log of the system itself; the mail server is not part of it."""
        for path in self._logs():
            with path.open("rb") as log:
                log.seek(sizes.get(path, 0))
                yield path.name, log.read().decode("utf-8", "replace")

    def close(self) -> None:
        self.mend()
        self.processes.__exit__()
        self.engine.dispose()

    def _logs(self) -> list[Path]:
        logs = self.processes.folder.glob("*.log")
        return sorted(path for path in logs if not path.name.startswith(PEER))

    def _environment(self) -> dict[str, str]:
        """The workers' settings: what they reach, they reach through the proxies."""
        database = make_url(self.settings.database_url)
        if self._database_proxy is not None:
            database = database.set(port=self._database_proxy.port)
        changes = {
            "database_url": database.render_as_string(hide_password=False),
            "redis_url": f"redis://{HOST}:{self.broker_proxy.port}/0",
        }
        return self.settings.model_copy(update=changes).environment()

    def _command_lines(self) -> dict[str, list[str]]:
        worker = [
            *(*_CELERY, "worker", "--loglevel", "INFO"),
            *("--without-gossip", "--without-mingle"),
        ]
        queues = f"{Queue.UPKEEP},{Queue.FEEDBACK}"
        return {
            name: [*worker, "-n", f"{name}@%h", "-Q", Queue.DELIVER, "-c", "1"]
            for name in DELIVERERS
        } | {
            UPKEEP: [*worker, "-n", f"{UPKEEP}@%h", "-Q", queues, "-c", "2"],
            BEAT: [*_CELERY, "beat", "-s", str(self.folder / "beat")],
        }


@contextmanager
def running_rig(store: Store, readers: int, folder: Path) -> Iterator[Rig]:
    """A system with so many readers, started anew in `folder` and ended with the block."""
    with ExitStack() as stack:
        wiring = stack.enter_context(running_wiring())
        broker = Broker(folder / "valkey")
        stack.callback(broker.stop)
        broker.start()
        postgres = None
        url = f"sqlite:///{folder / 'newsletter.db'}"
        if store is Store.POSTGRES:
            postgres = stack.enter_context(running_postgres(_DURABLE))
            url = f"{postgres.url}/newsletter"
            _create_database(postgres.url)
        settings = _settings(url, broker.url, folder)
        use_settings(settings)
        rig = Rig(
            settings,
            folder,
            store=store,
            readers=readers,
            postgres=postgres,
            broker=broker,
            wiring=wiring,
        )
        shift_by(rig.settings.clock_shift_path)
        stack.callback(shift_by, None)
        rig.prepare()
        stack.callback(rig.close)
        rig.start()
        rig.wait_until_up()
        yield rig


def _create_database(server: str) -> None:
    admin = create_engine(f"{server}/postgres", isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text("CREATE DATABASE newsletter"))
    admin.dispose()


def _settings(database_url: str, redis_url: str, folder: Path) -> Settings:
    return read_settings(
        env="development",
        database_url=database_url,
        redis_url=redis_url,
        secret_keys=((1, secrets.token_urlsafe(36)),),
        address_key=secrets.token_urlsafe(36),
        base_url="http://127.0.0.1:8000",
        mail_domain="mail.press.example",
        state_dir=folder,
        lease_seconds=LEASE_SECONDS,
        dot_timeout_seconds=DOT_SECONDS,
        poll_seconds=POLL_SECONDS,
        mx_lookups=False,
        clock_shift_path=folder / "clock",
    )


def _command_line(pid: int) -> bytes | None:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return None
