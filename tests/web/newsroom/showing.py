"""A furnished site behind a web server of its own, and the addresses of its pages."""

import http.client
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Browser, Page
from sqlalchemy import Engine

from newsletter.accounts.links import make_link
from newsletter.accounts.people import Rights, create_account
from newsletter.accounts.sessions import begin_session
from newsletter.bench.addresses import staff_paths
from newsletter.clock import utc_now
from newsletter.db import make_engine, reading, transaction
from newsletter.models import LinkPurpose, Role
from tests.flow.pages import open_page
from tests.web.newsroom.furnished import furnish
from tests.web.newsroom.seeded import make_template
from tests.web.served import Answer, Server, running_server, settings_for

_WHOLE = b'<main id="main"'
REVIEWED, CORRECTED = 15, 16
"""Editions of the furnishing."""
MORE = (
    f"/newsroom/editions/{REVIEWED}",
    f"/newsroom/editions/{REVIEWED}/review",
    f"/newsroom/editions/{REVIEWED}/test",
    f"/newsroom/editions/{REVIEWED}/kept/1",
    f"/newsroom/editions/{REVIEWED}/compose",
    f"/newsroom/editions/{REVIEWED}/compose?mode=text",
    f"/newsroom/editions/{CORRECTED}/people?q=1",
    f"/newsroom/editions/{CORRECTED}/preview?look=dark",
    "/office/imports/2",
    "/office/subscribers?q=ada",
    "/newsroom/editions?state=draft",
)


@dataclass(frozen=True, slots=True)
class Site:
    server: Server
    token: str
    """Of an admin's session."""
    statuses: dict[str, int]
    """Of every address that there may be, with examples that fit and examples that do not."""
    pages: tuple[str, ...]
    """Of who is signed in."""
    open_pages: tuple[str, ...]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.port}"

    def get(self, path: str, *fields: str) -> Answer:
        return self.server.get(path, _cookie(self.token), *fields)

    def member(self, browser: Browser) -> Page:
        page = open_page(browser)
        page.context.add_cookies([{"name": "newsletter", "value": self.token, "url": self.url}])
        return page


@contextmanager
def showing(
    empty: Path, redis_url: str, folder: Path, *, prepare: Callable[[Engine], None] | None = None
) -> Iterator[Site]:
    """`empty` is a migrated database; `prepare` changes its furnished copy before it is shown."""
    now = utc_now()
    file = make_template(empty, folder, now=now)
    engine = make_engine(f"sqlite:///{file}")
    furnish(engine, settings_for(redis_url, folder), now=now)
    with transaction(engine) as session:
        ada = create_account(
            session, "ada@harbour.example", "Ada Admin", Rights(Role.ADMIN), by="the tests", now=now
        )
        token = begin_session(session, ada.id, user_agent="tests", now=now)
        links = [make_link(session, ada.id, each, base_url="", now=now) for each in LinkPurpose]
    if prepare is not None:
        prepare(engine)
    with reading(engine) as session:
        paths = sorted({*staff_paths(session), *MORE})
    engine.dispose()
    with running_server(f"sqlite:///{file}", redis_url, folder / "web.log") as server:
        answers = {path: server.get(path, _cookie(token)) for path in paths}
        yield Site(
            server,
            token,
            {path: answer.status for path, answer in answers.items()},
            tuple(path for path, answer in answers.items() if _is_page(answer)),
            ("/sign-in", "/reset", *links),
        )


def _is_page(answer: Answer) -> bool:
    return answer.status == http.client.OK and _WHOLE in answer.body


def _cookie(token: str) -> str:
    return f"Cookie: newsletter={token}"
