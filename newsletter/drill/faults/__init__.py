"""Every way in which the drill breaks the system; the numbers are those of `docs/reliability.md`."""

from collections.abc import Callable
from dataclasses import dataclass

from newsletter.drill.faults import broker, clock, database, network, people, smtp, workers
from newsletter.drill.rig import Store
from newsletter.drill.scene import Scene

Strike = Callable[[Scene], None]


@dataclass(frozen=True, slots=True)
class Fault:
    """`strike` sends an edition, does the harm, and returns when the harm is over.

    `impossible` says for which store that cannot be done, and why.
    """

    ident: str
    title: str
    strike: Strike
    impossible: dict[Store, str]

    def reason_against(self, store: Store) -> str | None:
        return self.impossible.get(store)


def _fault(
    ident: str, title: str, strike: Strike, impossible: dict[Store, str] | None = None
) -> Fault:
    return Fault(ident, title, strike, impossible or {})


FAULTS = (
    _fault("F-10", "worker killed with -9", workers.kill),
    _fault("F-11", "workers replaced one by one", workers.replace),
    _fault("F-12", "worker frozen beyond its lease", workers.freeze),
    _fault("F-13", "broker killed, flushed, stalled, full", broker.fail),
    _fault("F-14", "database crashed, cut off, locked", database.fail),
    _fault(
        "F-15",
        "outcome of a COMMIT unknown",
        database.lose_commits,
        {Store.SQLITE: "the database has no connection that could end"},
    ),
    _fault("F-16", "mail server hangs up at each phase", smtp.drop),
    _fault("F-17", "mail server swallows its answers", smtp.swallow_answers),
    _fault("F-18", "mail server refuses: 421, 450, 5xx, 535", smtp.refuse),
    _fault("F-19", "mail server babbles", smtp.babble),
    _fault("F-20", "readers leave during the sending", people.leave),
    _fault("F-22", "clock set by hours, forward and back", clock.step),
    _fault("F-23", "doorbells come many times", broker.ring_twice),
    _fault("F-24", "two beats, five pumps", broker.pump_at_once),
    _fault("F-25", "Send pressed 50 times, cancelled", people.press_send),
    _fault("F-26", "edited, renamed, erased during the sending", people.meddle),
    _fault("F-28", "readers who cannot be mailed", people.poison),
    _fault("F-29", "worker out of memory", workers.run_out_of_memory),
    _fault("F-30", "network parted", network.part),
    _fault("F-34", "relay's password changed", smtp.change_password),
)
