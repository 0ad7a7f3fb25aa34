"""Two admins shut each other out in the same moment: one of them stays, and neither waits for good."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from sqlalchemy import Engine, select

from newsletter.accounts.people import Rights, disable_account, enable_account
from newsletter.db import reading, transaction
from newsletter.errors import StateError
from newsletter.models import Account, Role
from tests.accounts.staff import NOW, an_account, an_admin

ROUNDS = 5


def shutting_out(engine: Engine, account_id: int, together: Barrier) -> Callable[[], bool]:
    def attempt() -> bool:
        together.wait(timeout=10)
        try:
            with transaction(engine) as session:
                disable_account(session, account_id, now=NOW)
        except StateError:
            return False
        return True

    return attempt


def test_one_admin_is_left_whoever_was_faster(engine: Engine) -> None:
    with transaction(engine) as session:
        ada = an_admin(session).id
        zoe = an_account(session, "zoe@harbour.example", "Zoe", Rights(Role.ADMIN)).id

    for _ in range(ROUNDS):
        together = Barrier(2)
        with ThreadPoolExecutor(2) as threads:
            tries = [threads.submit(shutting_out(engine, each, together)) for each in (ada, zoe)]
            outcomes = [each.result(timeout=30) for each in tries]

        assert sorted(outcomes) == [False, True]
        with reading(engine) as session:
            shut_out = session.scalars(
                select(Account.id).where(Account.disabled_at.is_not(None))
            ).all()
        assert len(shut_out) == 1
        with transaction(engine) as session:
            enable_account(session, shut_out[0])
