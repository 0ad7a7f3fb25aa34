"""The newsroom's site to test with: its application, and people who are signed in to it."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from httpx2 import Response
from sqlalchemy import Engine
from starlette.testclient import TestClient

from newsletter.accounts.sessions import begin_session, csrf_of
from newsletter.clock import utc_now
from newsletter.db import transaction
from newsletter.models import Account, AccountList, Role
from newsletter.web.app import create_app
from tests.web.served import settings_for

NAMES = {
    Role.VIEWER: "Vera Viewer",
    Role.WRITER: "Wim Writer",
    Role.EDITOR: "Edda Editor",
    Role.ADMIN: "Ada Admin",
}
_numbers = count(1)


@dataclass(frozen=True, slots=True)
class Member:
    """Somebody with an account, and their browser."""

    account_id: int
    token: str
    client: TestClient

    @property
    def csrf(self) -> str:
        return csrf_of(self.token)

    def get(self, url: str, **more: Any) -> Response:
        return self._ask("GET", url, **more)

    def post(self, url: str, fields: Mapping[str, Any] | None = None, **more: Any) -> Response:
        """With the token that the site's forms carry."""
        return self._ask("POST", url, data={"csrf": self.csrf, **(fields or {})}, **more)

    def _ask(self, method: str, url: str, **more: Any) -> Response:
        self.client.cookies.set("newsletter", self.token)
        return self.client.request(method, url, **more)


@dataclass(frozen=True, slots=True)
class Site:
    engine: Engine
    client: TestClient

    def member(
        self, role: Role, *, lists: Mapping[int, Role] | None = None, zone: str = "Europe/Berlin"
    ) -> Member:
        """With `lists`, somebody who has these roles on these lists and none elsewhere."""
        number, now = next(_numbers), utc_now()
        with transaction(self.engine) as session:
            account = Account(
                email=f"{role}{number}@example.org",
                email_key=f"{role}{number}@example.org",
                name=NAMES[role],
                time_zone=zone,
                role=role,
                is_narrowed=lists is not None,
                created_at=now,
                created_by="the tests",
                joined_at=now,
            )
            session.add(account)
            session.flush()
            for list_id, own in (lists or {}).items():
                session.add(AccountList(account_id=account.id, list_id=list_id, role=own))
            token = begin_session(session, account.id, user_agent="tests", now=now)
            return Member(account.id, token, self.client)


@contextmanager
def running_site(engine: Engine, redis_url: str, state_dir: Path, **changes: str) -> Iterator[Site]:
    app = create_app(settings=settings_for(redis_url, state_dir, **changes), engine=engine)
    with TestClient(app, raise_server_exceptions=False, follow_redirects=False) as client:
        yield Site(engine, client)


def text_of(page: Response) -> str:
    """What a page says, without its markup."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", page.text)).strip()
