"""A broker that dies, forgets, stalls or is full, and doorbells that ring too often."""

import os
import signal
import threading
import time

import redis

from newsletter.clock import utc_now
from newsletter.deliver import pump
from newsletter.drill.scene import Scene
from newsletter.queue import Job, ring

_AWAY_SECONDS = (0.2, 2.0)
_STALLED_SECONDS = 3.0
_BELLS = 200
_PUMPS = 5
_PUMPING_SECONDS = 3.0


def fail(scene: Scene) -> None:
    """F-13: the broker is killed, flushed, stopped or full."""
    way = scene.dice.choice((_kill, _flush, _stall, _fill))
    scene.send()
    scene.some_time_on()
    way(scene)


def _kill(scene: Scene) -> None:
    scene.rig.broker.kill()
    time.sleep(scene.dice.uniform(*_AWAY_SECONDS))
    scene.rig.broker.start()


def _flush(scene: Scene) -> None:
    with redis.Redis.from_url(scene.rig.broker.url) as client:
        client.flushall()


def _stall(scene: Scene) -> None:
    pid = scene.rig.broker.process.pid
    os.kill(pid, signal.SIGSTOP)
    time.sleep(_STALLED_SECONDS)
    os.kill(pid, signal.SIGCONT)


def _fill(scene: Scene) -> None:
    with redis.Redis.from_url(scene.rig.broker.url) as client:
        client.config_set("maxmemory", "1")
        time.sleep(_STALLED_SECONDS)
        client.config_set("maxmemory", "0")


def ring_twice(scene: Scene) -> None:
    """F-23: every doorbell comes many times over."""
    scene.send()
    for _ in range(3):
        scene.some_time_on()
        for _ in range(_BELLS // 3):
            ring(Job.DRAIN)
        for _ in range(5):
            ring(Job.PLAN_EDITION, {"edition_id": scene.edition_id})
            ring(Job.PUMP)


def pump_at_once(scene: Scene) -> None:
    """F-24: two beats, and five pumps turned at the same time over and over."""
    beat = scene.rig.start_another_beat()
    try:
        scene.send()
        pumps = [threading.Thread(target=_pump, args=[scene]) for _ in range(_PUMPS)]
        for each in pumps:
            each.start()
        for each in pumps:
            each.join()
    finally:
        scene.rig.end(beat)
        del scene.rig.processes.children[beat]


def _pump(scene: Scene) -> None:
    deadline = time.monotonic() + _PUMPING_SECONDS
    while time.monotonic() < deadline:
        pump.turn(scene.rig.engine, scene.rig.journals, now=utc_now())
