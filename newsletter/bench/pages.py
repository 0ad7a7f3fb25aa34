"""Times every page over a database as it is, as `newsletter seed` fills one, and typing in a draft.

A web server of its own answers one browser, which asks for each page some times and takes what a
browser takes along: the files that the page names, compressed where they are.
"""

import http.client
import os
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Engine

from newsletter.bench.addresses import archive_starts, public_paths, staff_paths
from newsletter.bench.crawl import Crawl, crawl_archive
from newsletter.bench.site import Browser, Spread, WebServer, running_web, signed_in
from newsletter.bench.writing import WritingTime, time_writing
from newsletter.db import reading
from newsletter.settings import Settings
from newsletter.tokens import Tokens

FASTEST_MS = 100
COMPILED_MS = 500
LARGEST_BYTES = 150_000
# What shows the letter has it compiled, unless it says what it said before.
_COMPILES = re.compile(r"/office/letterhead/specimen|.*/(?:compose(?:/letter)?|preview(?:/frame)?)")

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class PageTime:
    """Of a page until all of it is there, of a download until its first byte is."""

    path: str
    status: int
    p50_ms: float
    p95_ms: float
    cpu_ms: float
    """Of the web server's processes, for one answer."""
    bytes: int
    """Of the page and all that it names, as they are transferred."""
    is_download: bool

    @property
    def limit_ms(self) -> int:
        return COMPILED_MS if _COMPILES.fullmatch(self.path.partition("?")[0]) else FASTEST_MS

    @property
    def is_good(self) -> bool:
        is_light = self.is_download or self.bytes < LARGEST_BYTES
        return self.status < 500 and self.p95_ms < self.limit_ms and is_light


@dataclass(frozen=True, slots=True)
class Pages:
    times: tuple[PageTime, ...]
    """The slowest first."""
    writing: WritingTime | None
    archive: Crawl | None
    load: float
    """How many processes wanted the processor in the last minute, of this and of all else."""

    @property
    def is_good(self) -> bool:
        is_writing_good = self.writing is None or self.writing.is_good
        is_archive_good = self.archive is None or not (self.archive.tokens or self.archive.broken)
        return all(each.is_good for each in self.times) and is_writing_good and is_archive_good

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def time_pages(
    engine: Engine,
    settings: Settings,
    *,
    runs: int,
    match: str = "",
    tell: Tell = lambda _: None,
) -> Pages:
    """Pages with `match` in their address; with none, typing and the whole archive too.

    What an address has nothing to show for is passed over.
    """
    tokens = Tokens(settings.secret_keys)
    with reading(engine) as session:
        staff = sorted({path for path in staff_paths(session) if match in path})
        public = sorted({path for path in public_paths(session, tokens) if match in path})
        starts = list(archive_starts(session))
    writing, archive = None, None
    with signed_in(engine) as token, running_web(settings) as web:
        member, stranger = Browser(web.port, token), Browser(web.port)
        asked = [*((member, path) for path in staff), *((stranger, path) for path in public)]
        times = [_timed(web, browser, path, runs, tell) for browser, path in asked]
        if not match:
            tell("typing")
            writing = time_writing(engine, web, member, token, runs=runs)
            tell("the archive")
            archive = crawl_archive(stranger, starts, tokens)
    return Pages(
        tuple(sorted(filter(_is_shown, times), key=lambda each: -each.p95_ms)),
        writing,
        archive,
        round(os.getloadavg()[0], 1),
    )


def _timed(web: WebServer, browser: Browser, path: str, runs: int, tell: Tell) -> PageTime:
    tell(path)
    first = browser.get(path)  # what is read once is not what a page costs
    weight = browser.weight(first)
    cpu_ms = web.cpu_ms()
    spread = Spread.of([browser.get(path).ms for _ in range(runs)])
    return PageTime(
        path,
        first.status,
        p50_ms=spread.p50_ms,
        p95_ms=spread.p95_ms,
        cpu_ms=round((web.cpu_ms() - cpu_ms) / runs, 1),
        bytes=weight,
        is_download=first.is_download,
    )


def _is_shown(page: PageTime) -> bool:
    """Not that there is nothing there, or nothing of the kind."""
    return page.status < http.client.BAD_REQUEST or page.status >= http.client.INTERNAL_SERVER_ERROR
