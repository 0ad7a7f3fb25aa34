"""The gate of a claimed batch: the throttle's limits, and whatever is held.

What a reply or a lost connection means takes effect in this process at once. It is written down with
the next window, when the process also learns what the others have held since.
"""

import logging
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from newsletter.deliver import reply_rules
from newsletter.deliver.claims import Claim, Reader
from newsletter.deliver.classes import classify
from newsletter.deliver.gate import Gate
from newsletter.deliver.holds import Trip, end_probe, hold, open_holds
from newsletter.deliver.outcome import Outcome, Reply
from newsletter.deliver.reply_rules import Rule, first_match
from newsletter.deliver.routing import Obstacles, obstacles_of
from newsletter.deliver.standing import Standing
from newsletter.deliver.watch import Watch
from newsletter.deliver.wire import SmtpError, TransportRefused
from newsletter.models import HoldScope, ReplyClass

logger = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
"""How soon a batch under way notices what another process has held."""
HELD_READERS_WAIT = timedelta(minutes=15)
"""How long people rest whose domain is held, before it is looked again."""


class BatchGate:
    """See `newsletter.deliver.gate`; `observe` and `close` are called from the committer's thread."""

    def __init__(
        self,
        claim: Claim,
        *,
        transport: str,
        pace: Gate,
        standing: Standing,
        sender_domains: Mapping[int, str],
        rules: Sequence[Rule],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`sender_domains` has one for each list that the batch's readers came by."""
        self._claim = claim
        self._transport = transport
        self._pace = pace
        self._standing = standing
        self._health = standing.transport(claim.transport_id)
        self._sender_domains = sender_domains
        self._rules = rules
        self._clock = clock
        self._watch = Watch(claim, sender_domains)
        self._held_domains = claim.obstacles.recipient_domains
        self._limit = claim.obstacles.limit(claim.transport_id, claim.route)
        self._looked_at = clock()
        self._is_probing = claim.is_probe
        self._probe_went_well: bool | None = None
        self._under_way = 0
        self._is_shut = False
        self._waits_for_pace = False
        self._trips: deque[Trip] = deque()
        self._matches: deque[tuple[Rule, Reply]] = deque()

    @property
    def lanes(self) -> int:
        return 1 if self._is_probing else self._pace.lanes

    @property
    def is_shut(self) -> bool:
        return self._is_shut or self._pace.is_shut

    def admits(self, reader: Reader) -> bool:
        if reader.domain_id in self._held_domains:
            return False
        if (self._is_probing and self._under_way) or not self._pace.admits(reader):
            self._waits_for_pace = True
            return False
        self._under_way += 1
        return True

    def leaves(self, reader: Reader, reply: Reply | None) -> None:
        self._under_way -= 1
        self._pace.leaves(reader, reply)
        if reply is None:
            return
        self._health.judged()
        if self._is_probing:
            self._is_probing = False
            self._probe_went_well = True
        if reply.is_positive:
            self._standing.accepted(self._sender_domains[reader.list_id])
        else:
            self._hear(reader, reply)

    def failed(self, trouble: SmtpError) -> None:
        self._pace.failed(trouble)
        if self._is_probing:
            self._probe_went_well = False
            self._is_shut = True
            return
        reason = self._health.failed(trouble)
        if reason is None or self._is_shut:
            return
        self._shut(
            Trip(
                HoldScope.TRANSPORT,
                str(self._claim.transport_id),
                "R-43",
                f"Transport {self._transport} is held: {reason}.",
                transport_id=self._claim.transport_id,
                reply=trouble.reply.text if isinstance(trouble, TransportRefused) else str(trouble),
            )
        )

    def wait_seconds(self) -> float:
        if not self._waits_for_pace:
            return HELD_READERS_WAIT.total_seconds()
        self._waits_for_pace = False
        return self._pace.wait_seconds()

    def is_quiet(self) -> bool:
        return not (self._trips or self._matches) and self._clock() - self._looked_at < LOOK_SECONDS

    def accepted(self, outcomes: Sequence[Outcome]) -> None:
        self._watch.accepted(outcomes)

    def observe(self, session: Session, outcomes: Sequence[Outcome], *, now: datetime) -> None:
        """A window's outcomes, in the transaction that has recorded them."""
        self._watch.observe(session, outcomes, now=now)
        self._write(session, now)
        if self._clock() - self._looked_at >= LOOK_SECONDS:
            self._looked_at = self._clock()
            self._look(session, now)

    def close(self, session: Session, *, now: datetime) -> None:
        """The batch is over: write what is left to be written."""
        self._watch.close(session, now=now)
        self._write(session, now)
        if self._claim.is_probe:
            end_probe(session, self._claim.transport_id, went_well=self._probe_went_well, now=now)

    def _hear(self, reader: Reader, reply: Reply) -> None:
        sender_domain = self._sender_domains[reader.list_id]
        is_unauthentic = classify(reply) is ReplyClass.BLOCK_AUTH
        if is_unauthentic and self._standing.is_unauthentic(sender_domain):
            reason = (
                f"Mail from {sender_domain} was refused several times in a row because it could"
                " not be told that it is ours."
            )
            self._shut(
                Trip(HoldScope.SENDER_DOMAIN, sender_domain, "R-42", reason, reply=reply.text)
            )
        rule = first_match(self._rules, reply)
        if rule is None:
            return
        self._matches.append((rule, reply))
        if rule.after == 1:
            # Suspended, or to be claimed again under what the provider asks for.
            self._is_shut = True

    def _shut(self, trip: Trip) -> None:
        self._is_shut = True
        self._trips.append(trip)

    def _write(self, session: Session, now: datetime) -> None:
        while self._trips:
            hold(session, self._trips.popleft(), now=now)
        heard: dict[str, tuple[Rule, Reply]] = {}
        times: Counter[str] = Counter()
        while self._matches:
            rule, reply = self._matches.popleft()
            heard[rule.name] = rule, reply
            times[rule.name] += 1
        where = {"transport_id": self._claim.transport_id, "route": self._claim.route}
        for rule, reply in heard.values():
            if reply_rules.is_reached(session, rule, times=times[rule.name], now=now, **where):
                hold(session, reply_rules.trip_of(rule, reply, **where), now=now)

    def _look(self, session: Session, now: datetime) -> None:
        obstacles = obstacles_of(open_holds(session, now=now), now=now)
        self._held_domains = obstacles.recipient_domains
        self._is_shut = self._is_shut or self._is_in_the_way(obstacles)

    def _is_in_the_way(self, obstacles: Obstacles) -> bool:
        claim = self._claim
        is_down = claim.transport_id in obstacles.down and not claim.is_probe
        return (
            is_down
            or (claim.transport_id, claim.route) in obstacles.routes
            or obstacles.limit(claim.transport_id, claim.route) != self._limit
            or claim.lease.edition_id in obstacles.editions
            or not obstacles.sender_domains.isdisjoint(self._sender_domains.values())
        )
