"""A clock that is set while an edition is on its way, as by a person or a machine that woke up."""

from datetime import timedelta

from newsletter.drill.scene import Scene

_STEPS = tuple(timedelta(hours=hours) for hours in (-24, -1, 1, 24))
_TIMES = 2


def step(scene: Scene) -> None:
    """F-22: the system's clock is set twice by an hour or a day, and then right again."""
    scene.send()
    for _ in range(_TIMES):
        scene.some_time_on()
        scene.set_clock(scene.dice.choice(_STEPS))
    scene.some_time_on()
    scene.set_clock(timedelta())
