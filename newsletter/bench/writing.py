"""Times what somebody waits for who types: the text is saved, and its structure, what was found in it
and the letter come back.
"""

import http.client
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import Engine, delete, select

from newsletter.accounts.sessions import csrf_of
from newsletter.bench.site import Browser, Spread, WebServer
from newsletter.clock import utc_now
from newsletter.compose.briefing import Briefing, KeyPoint, Section, Span, Story
from newsletter.compose.content import DraftContent
from newsletter.compose.formatting import format_briefing
from newsletter.db import transaction
from newsletter.errors import NewsletterError
from newsletter.models import Edition, EditionList, MailingList, WorkingDraft
from newsletter.plan.drafts import open_edition

STORIES = 30
SLOWEST_MS = 500
_SECTIONS = 6
_TYPED_IN = "Nobody at the quay"
"""Where in the text the letters are typed: in the middle of its stories."""


@dataclass(frozen=True, slots=True)
class WritingTime:
    """Of one saving and its answer, at so many stories."""

    stories: int
    p50_ms: float
    p95_ms: float
    cpu_ms: float
    bytes: int

    @property
    def is_good(self) -> bool:
        return self.p95_ms < SLOWEST_MS


def time_writing(
    engine: Engine, web: WebServer, browser: Browser, token: str, *, runs: int
) -> WritingTime:
    """A letter more each time, in a draft that is there for as long as this takes."""
    briefing = long_briefing()
    with _draft(engine, briefing) as edition_id:
        desk = _Desk(browser, f"/newsroom/editions/{edition_id}/compose/text", csrf_of(token))
        before, after = format_briefing(briefing).split(_TYPED_IN)
        desk.save(f"{before}{_TYPED_IN}{after}.")  # what is read once is not what typing costs
        cpu_ms, milliseconds = web.cpu_ms(), []
        for number in range(1, runs + 1):
            milliseconds.append(desk.save(f"{before}{_TYPED_IN}{'y' * number}{after}."))
        cpu_ms = (web.cpu_ms() - cpu_ms) / runs
    spread = Spread.of(milliseconds)
    return WritingTime(STORIES, spread.p50_ms, spread.p95_ms, round(cpu_ms, 1), desk.size)


def long_briefing() -> Briefing:
    stories = tuple(map(_story, range(1, STORIES + 1)))
    each = STORIES // _SECTIONS
    return Briefing(
        title="The Harbour Counts Its Stories",
        series="Bench Brief",
        intro=((Span("Good morning. There is much to tell today."),),),
        key_points=tuple(KeyPoint(f"{stories[at].headline}.", at + 1) for at in range(3)),
        sections=tuple(
            Section(f"Quay {number + 1}", stories[number * each : (number + 1) * each])
            for number in range(_SECTIONS)
        ),
    )


def _story(number: int) -> Story:
    told = f"What happened at berth {number} was told on the quay yesterday. "
    said = _TYPED_IN if number == STORIES // 2 else "Nobody there"
    link = Span("the minutes", href=f"https://source.example/{number}/minutes")
    return Story(
        headline=f"Berth {number} is dredged in week {number + 10}",
        paragraphs=((Span(told * 3), link), (Span(f"{said} was surprised. The tide is in."),)),
        source="Harbour Gazette",
        href=f"https://source.example/{number}",
    )


@dataclass
class _Desk:
    browser: Browser
    url: str
    csrf: str
    version: int = 1
    size: int = 0

    def save(self, text: str) -> float:
        """How many milliseconds it took until all of the answer was there."""
        answer = self.browser.post(
            self.url, {"csrf": self.csrf, "version": str(self.version), "text": text}
        )
        if answer.status != http.client.OK:
            raise NewsletterError("{url} answered {status}", url=self.url, status=answer.status)
        self.version, self.size = json.loads(answer.body)["version"], answer.size
        return answer.whole_ms


@contextmanager
def _draft(engine: Engine, briefing: Briefing) -> Iterator[int]:
    with transaction(engine) as session:
        lists = session.scalars(select(MailingList).order_by(MailingList.id).limit(1)).all()
        edition = open_edition(
            session,
            DraftContent(briefing),
            lists=lists,
            created_by="newsletter bench",
            now=utc_now(),
        )
    try:
        yield edition.id
    finally:
        with transaction(engine) as session:
            for table in (WorkingDraft, EditionList):
                session.execute(delete(table).where(table.edition_id == edition.id))
            session.execute(delete(Edition).where(Edition.id == edition.id))
