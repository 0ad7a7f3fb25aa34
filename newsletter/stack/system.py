"""An embedded system: web, mailbox, workers and beat as processes of their own, on SQLite and an
embedded Valkey, or on whatever the settings name.
"""

import http.client
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from newsletter.errors import NewsletterError
from newsletter.queue import Queue
from newsletter.settings import Settings
from newsletter.stack.ports import HOST
from newsletter.stack.processes import Processes

START_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Ports:
    web: int
    mailbox: int
    smtp: int


@dataclass(frozen=True, slots=True)
class System:
    ports: Ports
    processes: Processes

    @property
    def mailbox_url(self) -> str:
        return f"http://{HOST}:{self.ports.mailbox}"

    @property
    def web_url(self) -> str:
        return f"http://{HOST}:{self.ports.web}"

    def received(self) -> int:
        """How many messages the mailbox has taken."""
        answer = _get(self.ports.mailbox, "/api/count")
        count: int = json.loads(answer)["received"]
        return count


@contextmanager
def running_system(
    settings: Settings, ports: Ports, folder: Path, *, senders: int
) -> Iterator[System]:
    """Start everything, wait until it answers, and end it with the block.

    `senders` is how many processes deliver. The database must be migrated.
    """
    with Processes(settings.environment(), folder / "logs") as processes:
        processes.start(
            "mailbox",
            [
                *("newsletter", "devmail", "--dir", str(folder / "mailbox")),
                *("--smtp-port", str(ports.smtp), "--web-port", str(ports.mailbox)),
            ],
        )
        processes.start("web", ["newsletter", "web", "--port", str(ports.web)])
        celery = ["celery", "--app", "workers.app"]
        worker = [*celery, "worker", "--loglevel", "INFO", "--without-gossip", "--without-mingle"]
        processes.start(
            "worker-deliver",
            [*worker, "-n", "deliver@%h", "-Q", Queue.DELIVER, "-c", str(senders)],
        )
        processes.start(
            "worker-system",
            [*worker, "-n", "system@%h", "-Q", Queue.SYSTEM, "-c", "1"],
        )
        processes.start(
            "worker-upkeep",
            [*worker, "-n", "upkeep@%h", "-Q", f"{Queue.UPKEEP},{Queue.FEEDBACK}", "-c", "2"],
        )
        processes.start("beat", [*celery, "beat", "-s", str(folder / "beat")])
        system = System(ports, processes)
        _wait_until_ready(system)
        yield system


def _wait_until_ready(system: System) -> None:
    deadline = time.monotonic() + START_SECONDS
    for port, path in ((system.ports.mailbox, "/api/count"), (system.ports.web, "/health/ready")):
        while True:
            system.processes.require_alive()
            try:
                _get(port, path)
                break
            except (OSError, http.client.HTTPException, NewsletterError):
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)


def _get(port: int, path: str) -> bytes:
    connection = http.client.HTTPConnection(HOST, port, timeout=10)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        body = response.read()
    finally:
        connection.close()
    if response.status != http.client.OK:
        raise NewsletterError(
            "http://{host}:{port}{path} answered {status}",
            host=HOST,
            port=port,
            path=path,
            status=response.status,
        )
    return body
