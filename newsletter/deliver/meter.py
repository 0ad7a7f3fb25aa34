"""What one process may use of one limited thing, and what it has used: arithmetic, and nothing else."""

from dataclasses import dataclass

from newsletter.deliver.adaptive import ACCEPTED_A_STEP, Speed, asks_for_less, within
from newsletter.deliver.outcome import Reply
from newsletter.deliver.providers import Limit

SLACK_SECONDS = 0.025
"""How late a message may be without the next one becoming later: who has to wait looks this often."""
ASK_AGAIN_SECONDS = 1.0
SOMEBODY_LEAVES_SECONDS = 0.05
CROWDED_SECONDS = 2.5
"""How long to leave something alone whose connections are all taken by others."""


@dataclass(frozen=True, slots=True)
class Way:
    """Who is mailed through which transport, and what they allow at most."""

    transport_id: int
    key: str
    limit: Limit


@dataclass(eq=False, slots=True)
class Meter:
    """The wire's loop writes what is used, the leasing thread writes what may be used.

    Neither waits for the other: each field has one writer while a batch is open.
    """

    key: str
    per_second: float
    """Of all processes together, as `connections` is."""
    way: Way | None = None
    """A provider, whose connections are limited too, and whose answers change the limits."""
    connections: int = 0
    lanes: int = 0
    """Connections that this process could use."""
    depth: int = 1
    """Messages on each connection: two when one's envelope rides behind the other's content."""
    idle: int = 0
    """Connections that were left open behind the last batch."""

    slots: int = 0
    share: float = 0.0
    """Messages a second of this process."""
    lapses_at: float = 0.0
    steps_learnt: int = 0
    slowings_learnt: int = 0

    people: int = 0
    """Readers of the open batch who are not settled."""
    in_flight: int = 0
    next_at: float = 0.0
    admitted: int = 0
    refusals: int = 0
    accepted: int = 0
    steps: int = 0
    slowings: int = 0

    def wait(self, now: float) -> float:
        """Seconds until it may admit somebody; 0: now."""
        if now >= self.lapses_at:
            return ASK_AGAIN_SECONDS
        if self.way is not None and self.in_flight >= self.slots * self.depth:
            return SOMEBODY_LEAVES_SECONDS if self.slots else CROWDED_SECONDS
        if self.share <= 0:
            return ASK_AGAIN_SECONDS
        if self.next_at <= now:
            return 0.0
        # What was far off at a small share is near at a greater one.
        self.next_at = min(self.next_at, now + 1 / self.share)
        return self.next_at - now

    def take(self, now: float) -> None:
        self.next_at = max(self.next_at, now - SLACK_SECONDS) + 1 / self.share
        self.in_flight += 1
        self.admitted += 1

    def leave(self, reply: Reply | None) -> None:
        """Whoever was admitted was settled by `reply`; None: they were not."""
        self.in_flight -= 1
        if reply is None:
            return
        self.people -= 1
        if self.way is not None:
            self._note(reply)

    def end(self) -> None:
        """The batch is over: nobody is on the wire."""
        self.people = self.in_flight = 0

    def keep_to(self, speed: Speed) -> None:
        """Let the provider's own limits be no more than what was learnt."""
        assert self.way is not None
        bounded = within(speed, self.way.limit)
        self.connections, self.per_second = bounded.connections, bounded.rate

    @property
    def is_full(self) -> bool:
        """The provider is mailed as fast as it may ever be."""
        assert self.way is not None
        limit = self.way.limit
        return self.connections >= limit.connections and self.per_second >= limit.rate.per_second

    @property
    def connections_used(self) -> int:
        return -(-self.in_flight // self.depth)

    def _note(self, reply: Reply) -> None:
        if reply.is_positive:
            self.accepted += 1
            if self.accepted == ACCEPTED_A_STEP:
                self.accepted = 0
                self.steps += 1
            return
        if reply.is_permanent:
            return
        self.accepted = 0
        if asks_for_less(reply):
            self.slowings += 1
