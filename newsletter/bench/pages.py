"""Times every page of the newsroom and the office over a database as it is, as `newsletter seed`
fills one.

A web server of its own answers one browser, which asks for each page some times and takes what a
browser takes along: the files that the page names, compressed where they are.
"""

import gzip
import http.client
import re
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sqlalchemy import Engine, delete, exists, select
from sqlalchemy.orm import Session

from newsletter.accounts.sessions import begin_session
from newsletter.addresses import parse_address
from newsletter.clock import utc_now
from newsletter.db import get_engine, reading, transaction
from newsletter.deliver.providers import providers
from newsletter.errors import NewsletterError
from newsletter.models import (
    Account,
    Delivery,
    Edition,
    EditionState,
    Import,
    MailingList,
    Role,
    Segment,
    Subscriber,
    Transport,
)
from newsletter.settings import Settings
from newsletter.stack.broker import running_broker
from newsletter.stack.ports import HOST, free_port
from newsletter.stack.processes import Processes
from newsletter.web.newsroom.site import SCREENS

FASTEST_MS = 100
LARGEST_BYTES = 150_000
START_SECONDS = 30
COOKIE = "newsletter"
"""Of a session, where pages are not served over TLS."""
_ASSET = re.compile(rb'(?:href|src)="(/static/[^"]+)"')
_PLACE = re.compile(r"\{(\w+)(?::\w+)?\}")

Examples = Mapping[str, tuple[str, ...]]
"""By the beginning of an address, what may stand at its first place."""


@dataclass(frozen=True, slots=True)
class PageTime:
    path: str
    status: int
    p50_ms: float
    p95_ms: float
    bytes: int
    """Of the page and all that it names, as they are transferred."""

    @property
    def is_good(self) -> bool:
        return self.status < 500 and self.p95_ms < FASTEST_MS and self.bytes < LARGEST_BYTES

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def time_pages(
    settings: Settings, *, runs: int, match: str = "", tell: Callable[[str], None] = lambda _: None
) -> list[PageTime]:
    """The slowest first, of those with `match` in their address; pages of things that the database
    does not hold are passed over.
    """
    engine = get_engine()
    with reading(engine) as session:
        paths = sorted({path for path in example_paths(session) if match in path})
    with _signed_in(engine) as token, _running_web(settings) as port:
        browser = _Browser(port, token)
        times = []
        for path in paths:
            tell(path)
            found = browser.time(path, runs)
            if found.status != http.client.NOT_FOUND:
                times.append(found)
    return sorted(times, key=lambda each: -each.p95_ms)


class _Browser:
    def __init__(self, port: int, token: str) -> None:
        self._port = port
        self._headers = {"Cookie": f"{COOKIE}={token}", "Accept-Encoding": "gzip"}
        self._assets: dict[str, int] = {}

    def time(self, path: str, runs: int) -> PageTime:
        status, body, size = self._get(path)  # what is read once is not what a page costs
        milliseconds = []
        for _ in range(runs):
            began_at = time.perf_counter()
            self._get(path)
            milliseconds.append((time.perf_counter() - began_at) * 1000)
        assets = {each.decode() for each in _ASSET.findall(body)}
        return PageTime(
            path,
            status,
            p50_ms=round(statistics.median(milliseconds), 1),
            p95_ms=round(statistics.quantiles(milliseconds, n=20, method="inclusive")[-1], 1),
            bytes=size + sum(self._weight(each) for each in assets),
        )

    def _weight(self, asset: str) -> int:
        if asset not in self._assets:
            self._assets[asset] = self._get(asset)[2]
        return self._assets[asset]

    def _get(self, path: str) -> tuple[int, bytes, int]:
        """Status, content, and how many bytes came."""
        connection = http.client.HTTPConnection(HOST, self._port, timeout=60)
        try:
            connection.request("GET", path, headers=self._headers)
            answer = connection.getresponse()
            body = answer.read()
        finally:
            connection.close()
        is_packed = answer.getheader("Content-Encoding") == "gzip"
        return answer.status, gzip.decompress(body) if is_packed else body, len(body)


def example_paths(session: Session) -> Iterator[str]:
    """An address or more of each screen that reads something, as far as the database holds it."""
    examples = _examples(session)
    for screen in SCREENS:
        if screen.get is None or screen.is_open:
            continue
        places = _PLACE.findall(screen.path)
        if not places:
            yield screen.path
            continue
        beginning = screen.path.partition("{")[0]
        for example in examples.get(beginning, ()):
            yield from _filled(screen.path, example, len(places))


def _filled(path: str, example: str, places: int) -> Iterator[str]:
    first = _PLACE.sub(example, path, count=1)
    if places == 1:
        yield first
        return
    for word in ("sum", "links", "days", "editions", "failed", "deferred", "uncertain", "1"):
        yield _PLACE.sub(word, first, count=1)


def _examples(session: Session) -> Examples:
    """An edition that has its readers' rows, one that is being made, the largest list, and so on."""
    has_rows = exists().where(Delivery.edition_id == Edition.id)
    sent = session.scalars(
        select(Edition.id).where(Edition.started_at.is_not(None), has_rows).order_by(Edition.id)
    ).all()
    made = session.scalars(
        select(Edition.id).where(Edition.state.in_((EditionState.DRAFT, EditionState.SCHEDULED)))
    ).all()
    lists = tuple(session.scalars(select(MailingList.slug).order_by(MailingList.id).limit(1)))
    people = session.scalars(select(Subscriber.id).order_by(Subscriber.id).limit(1))
    return {
        "/newsroom/editions/": tuple(str(each) for each in (*sent[-1:], *made[-2:])),
        "/newsroom/reports/": lists,
        "/office/lists/": lists,
        "/office/subscribers/": tuple(map(str, people)),
        "/office/segments/": tuple(session.scalars(select(Segment.name).limit(1))),
        "/office/imports/": tuple(map(str, session.scalars(select(Import.id).limit(1)))),
        "/office/accounts/": tuple(map(str, session.scalars(select(Account.id).limit(1)))),
        "/office/transports/": tuple(map(str, session.scalars(select(Transport.id).limit(1)))),
        "/office/sending-domains/": tuple(_sender_domains(session)),
        "/office/providers/": tuple(providers())[:1],
    }


def _sender_domains(session: Session) -> Iterator[str]:
    for address in session.scalars(select(MailingList.sender_address).limit(1)):
        yield parse_address(address).domain


@contextmanager
def _signed_in(engine: Engine) -> Iterator[str]:
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
def _running_web(settings: Settings) -> Iterator[int]:
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
                web = ["newsletter", "web", "--port", str(port)]
                processes.start("web", web)
                _wait_until_live(processes, port)
                yield port


def _wait_until_live(processes: Processes, port: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        processes.require_alive()
        try:
            if _Browser(port, "").time("/health/live", 2).status == http.client.OK:
                return
        except OSError:
            time.sleep(0.1)
    message = "the web server did not start"
    raise NewsletterError(message)
