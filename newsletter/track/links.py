"""Where a link of an edition leads; kept in memory, since every click asks."""

import threading
from collections import OrderedDict
from urllib.parse import urlsplit

from sqlalchemy import Engine, select

from newsletter.db import reading
from newsletter.models import Link

GREATEST_NUMBER = 32_767  # the column's two bytes


class LinkTable:
    """The links of the editions asked for last; safe to use from several threads.

    A number never changes its target, so what was read once stays good. A number that is not there
    is looked up again: the edition may have been corrected since.
    """

    def __init__(self, engine: Engine, *, editions: int = 200) -> None:
        self._engine = engine
        self._editions = editions
        self._targets: OrderedDict[int, dict[int, str]] = OrderedDict()
        self._lock = threading.Lock()

    def remembered(self, edition_id: int, number: int) -> str | None:
        """The target as far as memory knows it; never waits for the database."""
        with self._lock:
            targets = self._targets.get(edition_id)
            if targets is None:
                return None
            self._targets.move_to_end(edition_id)
            return targets.get(number)

    def target(self, edition_id: int, number: int) -> str | None:
        """None: the edition has no such link, or none that a browser may be sent to."""
        known = self.remembered(edition_id, number)
        if known is not None:
            return known
        targets = self._read(edition_id)
        if targets:
            self._remember(edition_id, targets)
        return targets.get(number)

    def current(self, edition_id: int, number: int) -> str | None:
        """As the database has it now, and not remembered: a draft's links still change."""
        return self._read(edition_id).get(number)

    def _read(self, edition_id: int) -> dict[int, str]:
        with reading(self._engine) as session:
            rows = session.execute(
                select(Link.number, Link.url).where(Link.edition_id == edition_id)
            ).all()
        return {number: url for number, url in rows if is_web_address(url)}

    def _remember(self, edition_id: int, targets: dict[int, str]) -> None:
        with self._lock:
            self._targets[edition_id] = targets
            self._targets.move_to_end(edition_id)
            while len(self._targets) > self._editions:
                self._targets.popitem(last=False)


def is_web_address(url: str) -> bool:
    """Whether a redirect may lead there: http or https, with a host, and fit for a header line."""
    if not url.isprintable():
        return False
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.hostname)
