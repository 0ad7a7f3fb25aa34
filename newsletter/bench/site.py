"""A web server of the bench's own over a database as it is, and browsers that ask it."""

import gzip
import http.client
import re
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Self
from urllib.parse import urlencode

from sqlalchemy import Engine, delete

from newsletter.accounts.sessions import begin_session
from newsletter.bench.cost import Cost, children_of
from newsletter.clock import utc_now
from newsletter.db import transaction
from newsletter.errors import NewsletterError
from newsletter.models import Account, Role
from newsletter.settings import Settings
from newsletter.stack.broker import running_broker
from newsletter.stack.ports import HOST, free_port
from newsletter.stack.processes import Processes

START_SECONDS = 30
COOKIE = "newsletter"
"""Of a session, where pages are not served over TLS."""
_ASSET = re.compile(rb'(?:href|src)="(/static/[^"]+)"')
_A_PIECE = 1 << 16


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: bytes
    size: int
    """Of the body as it was transferred, in bytes."""
    first_ms: float
    """Until its head and the first of its body had come."""
    whole_ms: float
    is_download: bool

    @property
    def ms(self) -> float:
        """A page is there when all of it is; a file is being kept from its first byte on."""
        return self.first_ms if self.is_download else self.whole_ms

    @property
    def assets(self) -> set[str]:
        """Addresses of the files that a page names."""
        return {each.decode() for each in _ASSET.findall(self.body)}


class Browser:
    """Signed in with `token`, or a stranger's without one."""

    def __init__(self, port: int, token: str = "") -> None:
        self._port = port
        cookie = {"Cookie": f"{COOKIE}={token}"} if token else {}
        self._headers = cookie | {"Accept-Encoding": "gzip"}
        self._assets: dict[str, int] = {}

    def get(self, path: str) -> Answer:
        return self._ask("GET", path, None, {})

    def post(self, path: str, fields: Mapping[str, str]) -> Answer:
        """As the page's script does."""
        kind = {"Content-Type": "application/x-www-form-urlencoded", "HX-Request": "true"}
        return self._ask("POST", path, urlencode(fields), kind)

    def weight(self, answer: Answer) -> int:
        """Bytes of a page and of all that it names, as they are transferred."""
        for asset in answer.assets - self._assets.keys():
            self._assets[asset] = self.get(asset).size
        return answer.size + sum(self._assets[each] for each in answer.assets)

    def _ask(self, method: str, path: str, body: str | None, more: Mapping[str, str]) -> Answer:
        connection = http.client.HTTPConnection(HOST, self._port, timeout=60)
        began_at = time.perf_counter()
        try:
            connection.request(method, path, body, {**self._headers, **more})
            answer = connection.getresponse()
            content = answer.read1(_A_PIECE)
            first_at = time.perf_counter()
            content += answer.read()
            ended_at = time.perf_counter()
        finally:
            connection.close()
        is_packed = answer.getheader("Content-Encoding") == "gzip"
        return Answer(
            status=answer.status,
            body=gzip.decompress(content) if is_packed else content,
            size=len(content),
            first_ms=(first_at - began_at) * 1000,
            whole_ms=(ended_at - began_at) * 1000,
            is_download="attachment" in (answer.getheader("Content-Disposition") or ""),
        )


@dataclass(frozen=True, slots=True)
class WebServer:
    port: int
    pids: list[int]

    def cpu_ms(self) -> float:
        """What its processes have used so far."""
        return Cost.of(self.pids).cpu_seconds * 1000


@contextmanager
def signed_in(engine: Engine) -> Iterator[str]:
    """The session of an account that is there for as long as the block lasts."""
    now = utc_now()
    with transaction(engine) as session:
        account = Account(
            email="bench@localhost",
            email_key=f"bench-{now.timestamp()}@localhost",
            name="newsletter bench",
            role=Role.ADMIN,
            created_at=now,
            created_by="newsletter bench",
            joined_at=now,
        )
        session.add(account)
        session.flush()
        token = begin_session(session, account.id, user_agent="newsletter bench", now=now)
    try:
        yield token
    finally:
        with transaction(engine) as session:
            session.execute(delete(Account).where(Account.id == account.id))


@contextmanager
def running_web(settings: Settings) -> Iterator[WebServer]:
    port = free_port()
    with TemporaryDirectory(prefix="newsletter-bench-") as name:
        folder = Path(name)
        with running_broker(folder / "valkey") as redis_url:
            own = {
                "env": "development",
                "redis_url": redis_url,
                "base_url": f"http://{HOST}:{port}",
            }
            environment = settings.model_copy(update=own).environment()
            with Processes(environment, folder / "logs") as processes:
                web = processes.start("web", ["newsletter", "web", "--port", str(port)])
                _wait_until_live(processes, port)
                yield WebServer(port, [web.pid, *children_of(web.pid)])


def _wait_until_live(processes: Processes, port: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        processes.require_alive()
        try:
            if Browser(port).get("/health/live").status == http.client.OK:
                return
        except OSError:
            time.sleep(0.1)
    raise NewsletterError("the web server did not start")


@dataclass(frozen=True, slots=True)
class Spread:
    """Of how long the same took again and again."""

    p50_ms: float
    p95_ms: float

    @classmethod
    def of(cls, milliseconds: Sequence[float]) -> Self:
        return cls(
            round(statistics.median(milliseconds), 1),
            round(statistics.quantiles(milliseconds, n=20, method="inclusive")[-1], 1),
        )
