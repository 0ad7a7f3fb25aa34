"""Workers that die, are replaced, freeze, or run out of memory."""

import os
import resource
import signal
import time
from contextlib import suppress
from pathlib import Path

from sqlalchemy import update

from newsletter.devmail.script import Delay, Phase, Rule
from newsletter.drill.rig import CONNECTIONS, DELIVERERS, LEASE_SECONDS
from newsletter.drill.scene import FROZEN, Scene
from newsletter.errors import NewsletterError
from newsletter.models import Batch

_BEHIND_SECONDS = 0.4
_FROZEN_SECONDS = LEASE_SECONDS + 2.0
_NOTICE_SECONDS = 10.0
_MEMORY_SECONDS = 4.0
_MOST_HEADROOM_BYTES = 40_000_000


def kill(scene: Scene) -> None:
    """F-10: kill -9 of a child, or of a worker with all its children, at a chosen point."""
    point = scene.dice.choice(
        (
            _before_claim,
            _after_claim,
            _before_the_dot,
            _before_the_reply,
            _before_the_commit,
            _anywhere,
        )
    )
    point(scene)


def _before_claim(scene: Scene) -> None:
    scene.send()
    time.sleep(scene.dice.uniform(0, 0.05))
    _kill_both(scene)


def _after_claim(scene: Scene) -> None:
    scene.send()
    scene.until(scene.has_claims)
    _kill_both(scene)


def _before_the_dot(scene: Scene) -> None:
    """The server is slow to ask for content, so that most lanes are caught waiting for its 354."""
    scene.send(Rule(phase=Phase.DATA, action=Delay(seconds=0.05)))
    scene.some_time_on()
    _kill_one(scene)


def _before_the_reply(scene: Scene) -> None:
    """The server is slow to answer the dot, so that most lanes are caught waiting for its 250."""
    scene.send(Rule(phase=Phase.AFTER_DOT, action=Delay(seconds=0.05)))
    scene.some_time_on()
    _kill_one(scene)


def _before_the_commit(scene: Scene) -> None:
    """The batches are locked, so that answers are in the journal and not in the database."""
    scene.send()
    scene.until_accepted(0.1)
    with scene.rig.engine.begin() as connection:
        connection.execute(
            update(Batch)
            .where(Batch.edition_id == scene.edition_id)
            .values(lease_until=Batch.lease_until)
        )
        time.sleep(_BEHIND_SECONDS)
        _kill_both(scene)


def _anywhere(scene: Scene) -> None:
    scene.send()
    for _ in range(scene.dice.randint(1, 2)):
        scene.some_time_on()
        _kill_one(scene)


def _kill_both(scene: Scene) -> None:
    for name in DELIVERERS:
        _kill(scene, name)


def _kill_one(scene: Scene) -> None:
    _kill(scene, scene.dice.choice(DELIVERERS))


def _kill(scene: Scene, name: str) -> None:
    if scene.dice.random() < 0.5:
        scene.allowed.uncertain += CONNECTIONS
        scene.rig.kill_group(name)
    else:
        _kill_child(scene, name)


def _kill_child(scene: Scene, name: str) -> None:
    child = scene.rig.child_process(name)
    if child is None:
        return
    scene.allowed.uncertain += CONNECTIONS
    with suppress(ProcessLookupError):
        os.kill(child, signal.SIGKILL)


def replace(scene: Scene) -> None:
    """F-11: a rolling restart, worker after worker, as a deployment does it."""
    scene.send()
    scene.some_time_on()
    for name in scene.dice.sample(DELIVERERS, len(DELIVERERS)):
        scene.rig.end(name)
        scene.rig.start()


def freeze(scene: Scene) -> None:
    """F-12: a worker stands still for longer than its lease, and wakes up."""
    scene.send()
    scene.some_time_on()
    name = scene.dice.choice(DELIVERERS)
    child = scene.rig.child_process(name)
    if child is None:
        return
    scene.allowed.uncertain += FROZEN
    os.kill(child, signal.SIGSTOP)
    time.sleep(_FROZEN_SECONDS)
    with suppress(ProcessLookupError):
        os.kill(child, signal.SIGCONT)
    # Found out that it was replaced, it ends itself; one that had nothing claimed goes on.
    scene.until(lambda: scene.rig.child_process(name) != child, seconds=_NOTICE_SECONDS)


def run_out_of_memory(scene: Scene) -> None:
    """F-29: a new worker gets no more memory than it was born with, or a busy one is killed for it."""
    name = scene.dice.choice(DELIVERERS)
    if scene.dice.random() < 0.3:
        scene.send()
        scene.some_time_on()
        _kill_child(scene, name)
        return
    scene.approve()
    killed = scene.rig.child_process(name)
    _kill_child(scene, name)
    child = _successor(scene, name, killed)
    with suppress(ProcessLookupError):
        _limit(child, _address_space(child) + scene.dice.randrange(_MOST_HEADROOM_BYTES))
    scene.press_send()
    time.sleep(_MEMORY_SECONDS)
    with suppress(ProcessLookupError):
        _limit(child, resource.RLIM_INFINITY)


def _successor(scene: Scene, name: str, killed: int | None) -> int:
    """The process that delivers in place of the one that was killed."""
    scene.until(lambda: scene.rig.child_process(name) not in (None, killed))
    child = scene.rig.child_process(name)
    if child is None:
        raise NewsletterError("{name} has no process to deliver any more", name=name)
    return child


def _limit(pid: int, octets: int) -> None:
    resource.prlimit(pid, resource.RLIMIT_AS, (octets, resource.RLIM_INFINITY))


def _address_space(pid: int) -> int:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[0])
    return pages * resource.getpagesize()
