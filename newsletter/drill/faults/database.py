"""A database that crashes, drops connections, is locked, or takes a COMMIT and never says so."""

import time
from collections.abc import Callable

from sqlalchemy import text, update

from newsletter.devmail.script import Phase, Reply, Rule
from newsletter.drill.proxy import Betrayal
from newsletter.drill.rig import LEASE_SECONDS, Store
from newsletter.drill.scene import ALL_CONNECTIONS, FROZEN, Scene
from newsletter.models import Batch

_DOWN_SECONDS = (0.0, 1.0)
_RENEWED_SECONDS = LEASE_SECONDS / 2
"""Leases are renewed each second, and a worker needs a moment to find the database again."""
_LOCKED_SECONDS = LEASE_SECONDS + 1.0
_BETRAYALS = 3
_BETRAYED_SECONDS = 4.0


def fail(scene: Scene) -> None:
    """F-14: the server crashes or restarts, connections are ended, or the batches are locked."""
    ways = [_lock]
    if scene.rig.store is Store.POSTGRES:
        ways += [_crash, _restart, _end_connections]
    way = scene.dice.choice(ways)
    # With words to keep, which a failing statement must not spill into a log.
    reply = Reply(code=451, enhanced="4.7.1", text="<reader1@harbourmail.example> is busy")
    scene.send(Rule(phase=Phase.RCPT, action=reply, probability=0.05))
    scene.some_time_on()
    way(scene)


def _crash(scene: Scene) -> None:
    _be_away(scene, scene.rig.postgres.crash)


def _restart(scene: Scene) -> None:
    _be_away(scene, scene.rig.postgres.stop)


def _be_away(scene: Scene, end: Callable[[], None]) -> None:
    went_at = time.monotonic()
    end()
    time.sleep(scene.dice.uniform(*_DOWN_SECONDS))
    scene.rig.postgres.start()
    scene.allowed.uncertain += ALL_CONNECTIONS
    if time.monotonic() - went_at > _RENEWED_SECONDS:
        # On a busy host it takes its time: whoever comes back first ends the leases of the others.
        scene.allowed.uncertain += 2 * FROZEN


def _end_connections(scene: Scene) -> None:
    scene.allowed.uncertain += ALL_CONNECTIONS
    for _ in range(3):
        with scene.rig.engine.begin() as connection:
            connection.execute(
                text(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
            )
        time.sleep(scene.dice.uniform(0.0, 0.5))


def _lock(scene: Scene) -> None:
    """For longer than a lease, so that recovery may find the batches of workers that are alive."""
    scene.allowed.uncertain += 2 * FROZEN
    with scene.rig.engine.begin() as connection:
        connection.execute(
            update(Batch)
            .where(Batch.edition_id == scene.edition_id)
            .values(intent_upto=Batch.intent_upto)
        )
        time.sleep(_LOCKED_SECONDS)


def lose_commits(scene: Scene) -> None:
    """F-15: the connection ends after COMMIT was sent; some of them came through, some did not."""
    scene.allowed.uncertain += ALL_CONNECTIONS
    scene.send()
    proxy = scene.rig.database_proxy
    for _ in range(_BETRAYALS):
        scene.some_time_on()
        proxy.betray(scene.dice.choice(list(Betrayal)))
        scene.until(lambda: not proxy.is_about_to_betray, seconds=_BETRAYED_SECONDS)
