"""A mail server that drops connections, swallows answers, refuses, or babbles."""

from newsletter.devmail.script import (
    Close,
    Delay,
    Drip,
    Endless,
    Extra,
    Half,
    Phase,
    Reply,
    Rule,
)
from newsletter.devmail.session import ACCEPTED
from newsletter.drill.rig import DOT_SECONDS
from newsletter.drill.scene import ALL_CONNECTIONS, Scene

_TIMES = 2
_BEFORE_CONTENT = (
    Phase.CONNECT,
    Phase.BANNER,
    Phase.EHLO,
    Phase.AUTH,
    Phase.MAIL,
    Phase.RCPT,
)
# With CHUNKING (RFC 3030) the content is on the wire as soon as it is announced.
_WITH_CONTENT = (Phase.DATA, Phase.BODY, Phase.DOT, Phase.AFTER_DOT)
_LATE_SECONDS = DOT_SECONDS + 1.0
_STORM = 60
_LONG_LINE_BYTES = 10_000_000
# Servers like to repeat whom they refuse; no log may repeat it after them.
_WORDS = "<reader1@harbourmail.example> try another day"


def drop(scene: Scene) -> None:
    """F-16: the connection ends at every phase of a session, each of them some times."""
    scene.allowed.uncertain += _TIMES * len(_WITH_CONTENT)
    scene.send(*(_some_time_on(scene, each, Close()) for each in _BEFORE_CONTENT + _WITH_CONTENT))


def swallow_answers(scene: Scene) -> None:
    """F-17: a message is taken, and then comes no answer, half of one, or one that is too late."""
    actions = (Close(), Half(), Delay(seconds=_LATE_SECONDS))
    scene.allowed.uncertain += _TIMES * len(actions)
    scene.send(*(_some_time_on(scene, Phase.AFTER_DOT, action) for action in actions))


def refuse(scene: Scene) -> None:
    """F-18: storms of 421 and 450, chance refusals, 5xx for all, and a password that is refused."""
    scene.dice.choice((_storm_421, _storm_450, _chance, _refuse_all, _refuse_sign_in))(scene)


def _storm_421(scene: Scene) -> None:
    reply = Reply(code=421, enhanced="4.3.2", text=f"Too busy, {_WORDS}")
    scene.allowed.breakers = frozenset({"R-43"})
    scene.send(Rule(phase=scene.dice.choice((Phase.MAIL, Phase.RCPT)), action=reply, times=_STORM))


def _storm_450(scene: Scene) -> None:
    reply = Reply(code=450, enhanced="4.2.1", text=_WORDS)
    phase = scene.dice.choice((Phase.RCPT, Phase.DATA, Phase.DOT))
    scene.allowed.breakers = frozenset({"R-44"})
    scene.send(Rule(phase=phase, action=reply, times=_STORM))


def _chance(scene: Scene) -> None:
    reply = Reply(code=451, enhanced="4.7.1", text=_WORDS)
    scene.send(
        *(Rule(phase=phase, action=reply, probability=0.1) for phase in (Phase.RCPT, Phase.DOT))
    )


def _refuse_all(scene: Scene) -> None:
    reply = Reply(code=550, enhanced="5.7.1", text=_WORDS)
    scene.send(Rule(phase=scene.dice.choice((Phase.RCPT, Phase.DOT)), action=reply))
    scene.allowed.failed.update(scene.readers)
    scene.allowed.breakers = frozenset({"R-44"})


def _refuse_sign_in(scene: Scene) -> None:
    reply = Reply(code=535, enhanced="5.7.8", text=_WORDS)
    scene.allowed.breakers = frozenset({"R-43"})
    scene.send(Rule(phase=Phase.AUTH, action=reply, times=20))


def babble(scene: Scene) -> None:
    """F-19: answers that drip, never end, are 10 MB long, are not ASCII, or were not asked for."""
    strange = Reply(code=250, text="Ångenommen, 好的, \N{PARTY POPPER}")
    endless_line = Reply(code=250, text="yes", pad=_LONG_LINE_BYTES)
    # Each answer to content that is no answer leaves one message in doubt.
    with_content = (Endless(), endless_line, Drip(seconds=_LATE_SECONDS / len(ACCEPTED)))
    before_content = (
        (Phase.BANNER, Drip(seconds=0.01)),
        (Phase.EHLO, Endless()),
        (Phase.MAIL, strange),
        (Phase.RCPT, endless_line),
        (Phase.RCPT, Extra(count=2)),
        (Phase.AFTER_DOT, Extra(count=3)),
        (Phase.AFTER_DOT, strange),
    )
    scene.allowed.uncertain += _TIMES * (len(with_content) + 1)
    scene.send(
        *(_some_time_on(scene, phase, action) for phase, action in before_content),
        *(_some_time_on(scene, Phase.AFTER_DOT, action) for action in with_content),
        _some_time_on(scene, Phase.DATA, Endless()),
    )


def change_password(scene: Scene) -> None:
    """F-34: the relay's password is changed in the middle of an edition, and then ours."""
    scene.allowed.uncertain += ALL_CONNECTIONS  # the relay restarts for it
    scene.allowed.breakers = frozenset({"R-43"})
    scene.send()
    scene.some_time_on()
    scene.rig.change_password()
    scene.until_held("R-43")
    scene.rig.use_password(scene.rig.passwords[-1])


def _some_time_on(
    scene: Scene, phase: Phase, action: Close | Half | Delay | Reply | Endless | Drip | Extra
) -> Rule:
    """Twice, at a moment of chance of the first half; of connections there are but few."""
    is_rare = phase in (Phase.CONNECT, Phase.BANNER, Phase.EHLO, Phase.AUTH)
    latest = 4 if is_rare else len(scene.readers) // 2
    return Rule(
        phase=phase, action=action, after=scene.dice.randrange(max(1, latest)), times=_TIMES
    )
