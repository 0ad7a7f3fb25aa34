"""A desk whose people have accounts: who writes, submits and approves is somebody, not only a name."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from newsletter.accounts.acting import act_as
from newsletter.accounts.people import Rights, create_account
from newsletter.accounts.roles import Role
from newsletter.accounts.sessions import identity_of
from newsletter.db import transaction
from newsletter.models import Account, MailingList
from newsletter.plan.approval import approve_edition
from newsletter.plan.editions import content_of, create_edition
from newsletter.plan.review import submit_edition
from newsletter.settings import Settings
from tests.newsroom import (
    MORNING,
    a_briefing,
    add_list,
    add_readers,
    add_transport,
    settings_for,
)


@dataclass(frozen=True, slots=True)
class Person:
    """Without an account: a command, or a key that is nobody's."""

    name: str
    account_id: int | None = None


@dataclass(frozen=True, slots=True)
class Staffed:
    """`list_id` wants four eyes and has a reader."""

    engine: Engine
    settings: Settings
    list_id: int

    def hire(
        self, name: str, rights: Rights | None = None, *, address: str | None = None
    ) -> Person:
        with transaction(self.engine) as session:
            account = create_account(
                session,
                f"{address or name.partition(' ')[0].lower()}@harbour.example",
                name,
                rights or Rights(Role.EDITOR),
                by="the tests",
                now=MORNING,
            )
            account.joined_at = MORNING
            return Person(name, account.id)

    def change(self, person: Person, **values: object) -> None:
        with transaction(self.engine) as session:
            account = session.get_one(Account, person.account_id)
            for name, value in values.items():
                setattr(account, name, value)

    @contextmanager
    def acting(self, person: Person) -> Iterator[Session]:
        with transaction(self.engine) as session:
            if person.account_id is not None:
                account = session.get_one(Account, person.account_id)
                act_as(session, identity_of(session, account))
            yield session

    def write(self, person: Person, *list_ids: int) -> int:
        with self.acting(person) as session:
            return create_edition(
                session,
                content_of(a_briefing(), "text"),
                lists=[session.get_one(MailingList, each) for each in (self.list_id, *list_ids)],
                settings=self.settings,
                created_by=person.name,
                now=MORNING,
            ).id

    def submit(self, person: Person, edition_id: int) -> None:
        with self.acting(person) as session:
            submit_edition(
                session,
                edition_id,
                note="Look at the port.",
                by=person.name,
                settings=self.settings,
                now=MORNING,
            )

    def approve(self, person: Person, edition_id: int, *also_known_as: str) -> None:
        with self.acting(person) as session:
            approve_edition(
                session,
                edition_id,
                approved_by=person.name,
                settings=self.settings,
                now=MORNING,
                also_known_as=also_known_as,
            )


def a_staffed_desk(engine: Engine, state_dir: Path) -> Staffed:
    list_id = add_list(engine)
    add_readers(engine, list_id, ["Ada"])
    add_transport(engine, 25)
    with transaction(engine) as session:
        session.get_one(MailingList, list_id).four_eyes = True
    return Staffed(engine, settings_for(state_dir), list_id)
