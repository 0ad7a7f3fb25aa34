"""A whole system to tell a story in: web, workers and beat as processes, a mail server, a browser's way in."""

import csv
import io
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Browser, Page
from sqlalchemy import Engine

from newsletter.accounts.links import make_link
from newsletter.accounts.people import Rights, create_account
from newsletter.audience.importing import ImportPlan, import_file
from newsletter.audience.lists import NewList, create_list
from newsletter.clock import utc_now
from newsletter.db import make_engine, transaction
from newsletter.devmail.peer import DevMail
from newsletter.devmail.script import Delay, Phase, Rule, Script
from newsletter.models import Archive, LegalBasis, LinkPurpose, Pacing, Role
from newsletter.plan.transports import set_transport
from newsletter.settings import Settings, read_settings
from newsletter.stack.broker import running_broker
from newsletter.stack.ports import HOST, free_port
from newsletter.stack.system import Ports, System, running_system
from tests.flow.pages import DESKTOP, open_page
from tests.smtpd import checked_devmail

SENDERS = 2
CONNECTIONS = 2
HARBOUR = NewList(
    slug="harbour",
    name="Harbour Morning",
    tagline="What happened while the port slept",
    is_public=True,
    archive=Archive.PUBLIC,
    zone="Europe/London",
    sender_name="Harbour Courier",
    sender_address="morning@courier.example",
    postal_address="The Harbour Courier, 4 Ropewalk Lane, Port Ellery PE1 4RW",
)


@dataclass(frozen=True, slots=True)
class House:
    system: System
    settings: Settings
    engine: Engine
    mail: DevMail
    """Takes whatever the house sends."""
    list_id: int

    @property
    def url(self) -> str:
        return self.system.web_url

    def desk(
        self,
        browser: Browser,
        name: str,
        role: Role,
        *,
        width: int = DESKTOP,
        is_dark: bool = False,
    ) -> Page:
        """Somebody new, signed in by the link that they were given, at the page that comes first."""
        page = open_page(browser, width=width, is_dark=is_dark)
        page.goto(self._sign_in_link(name, role))
        page.click("main button")
        page.wait_for_url(f"{self.url}/newsroom/today")
        return page

    def _sign_in_link(self, name: str, role: Role) -> str:
        now = utc_now()
        with transaction(self.engine) as session:
            account = create_account(
                session,
                f"{name.split()[0].lower()}@courier.example",
                name,
                Rights(role),
                time_zone="Europe/London",
                by="the tests",
                now=now,
            )
            return make_link(session, account.id, LinkPurpose.SIGN_IN, base_url=self.url, now=now)

    def subscribe(self, names: Iterable[str]) -> None:
        """Readers called so, mailed at name@readers.example."""
        file = io.StringIO(newline="")
        people = csv.writer(file)
        people.writerow(("email", "name"))
        people.writerows((address_of(name), name) for name in names)
        import_file(
            self.engine,
            io.BytesIO(file.getvalue().encode()),
            ImportPlan(basis=LegalBasis.CONSENT),
            list_id=self.list_id,
            file_name="readers.csv",
            by="the tests",
            now=utc_now(),
        )

    def slow_down(self, seconds: float) -> None:
        """So long the mail server thinks about each message."""
        rule = Rule(phase=Phase.DOT, action=Delay(seconds=seconds))
        self.mail.script = Script(rules=(rule,))

    def speed_up(self) -> None:
        self.mail.script = Script()


def address_of(name: str) -> str:
    return f"{name.lower()}@readers.example"


@contextmanager
def running_house(database_url: str, folder: Path) -> Iterator[House]:
    """The database must be migrated."""
    ports = Ports(web=free_port(), mailbox=free_port(), smtp=free_port())
    with running_broker(folder / "valkey") as redis_url, checked_devmail() as mail:
        settings = read_settings(
            database_url=database_url,
            redis_url=redis_url,
            secret_keys=((1, secrets.token_urlsafe(36)),),
            address_key=secrets.token_urlsafe(36),
            base_url=f"http://{HOST}:{ports.web}",
            mail_domain="mail.courier.example",
            state_dir=folder,
            mx_lookups=False,
            poll_seconds=0.5,
        )
        engine = make_engine(database_url)
        list_id = _furnish(engine, mail.port)
        with running_system(settings, ports, folder, senders=SENDERS) as system:
            yield House(system, settings, engine, mail, list_id)
            system.processes.require_alive()
        engine.dispose()


def _furnish(engine: Engine, smtp_port: int) -> int:
    with transaction(engine) as session:
        set_transport(
            session,
            "relay",
            f"smtp://{HOST}:{smtp_port}",
            connections=CONNECTIONS,
            pacing=Pacing.RELAY,
        )
        return create_list(session, HARBOUR, now=utc_now()).id
