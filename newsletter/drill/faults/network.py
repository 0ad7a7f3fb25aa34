"""A network that parts the workers from the database, the mail server or the broker."""

import time

from newsletter.drill.proxy import Proxy
from newsletter.drill.rig import LEASE_SECONDS, Store
from newsletter.drill.scene import ALL_CONNECTIONS, FROZEN, Scene

_SHORTEST_SECONDS = 0.5
_LONGEST_SECONDS = LEASE_SECONDS + 2.0


def part(scene: Scene) -> None:
    """F-30: connections are reset and refused, or nothing passes them, for a while."""
    rig = scene.rig
    proxies: list[Proxy] = [rig.smtp_proxy, rig.broker_proxy]
    if rig.store is Store.POSTGRES:
        proxies.append(rig.database_proxy)
    proxy = scene.dice.choice(proxies)
    if proxy is rig.smtp_proxy:
        scene.allowed.uncertain += ALL_CONNECTIONS
    elif proxy is not rig.broker_proxy:
        # Longer than the lease, whoever comes back first ends the leases of the others.
        scene.allowed.uncertain += 2 * FROZEN
    scene.send()
    scene.some_time_on()
    if scene.dice.random() < 0.5:
        proxy.cut()
    else:
        proxy.hold()
    time.sleep(scene.dice.uniform(_SHORTEST_SECONDS, _LONGEST_SECONDS))
    proxy.heal()
