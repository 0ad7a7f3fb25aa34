"""One claimed batch on its way: lanes send, one committer intends ahead of them and records behind.

A lane is one connection after another. Whoever is next is taken only when the committer has declared
them in the database and the gate admits them; the journal notes when their content goes out.
"""

import asyncio
import logging
import os
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import Engine

from newsletter.addresses import mask_addresses
from newsletter.clock import utc_now
from newsletter.db import transaction
from newsletter.deliver import claims, ledger
from newsletter.deliver.claims import Claim, Reader
from newsletter.deliver.connections import Connections
from newsletter.deliver.dkim import Signer
from newsletter.deliver.gate import WatchedGate
from newsletter.deliver.journal import Journal
from newsletter.deliver.letters import Letter, LetterMaker
from newsletter.deliver.outcome import Outcome, Reply, outcome_of
from newsletter.deliver.smooth import SmoothWindows
from newsletter.deliver.wire import ConnectionLost, Endpoint, MailConnection, TransportRefused
from newsletter.errors import FencedError
from newsletter.metrics import MESSAGES, Stopwatch
from newsletter.models import DeliveryState, Reason
from newsletter.render.message import Assembler

logger = logging.getLogger(__name__)

WINDOW = 200
"""People declared at once: the most, beside one for each connection, that a lost host leaves in doubt."""
TICK_SECONDS = 1.0
"""How soon a running batch notices a pause, a cancellation and people who leave."""
MOST_FAILED_CONNECTIONS = 5
"""In a row, without one message carried: then the transport is in trouble."""
MOST_ENDED_CONNECTIONS = 3
"""By one reader: then it is their delivery that is in trouble."""
TRANSPORT_PAUSE = timedelta(seconds=30)
"""How long a batch rests when its transport takes no connection, or when a lane broke down."""
LONGEST_WAIT_SECONDS = 2.0
"""For the gate: a worker that waits longer gives the batch back and takes another."""
SHORTEST_WAIT_SECONDS = 0.02
MOST_ASIDE = 50
EXIT_FENCED = 75

_NOT_TAKEN = Reply(450, None, "the server took no content")


@dataclass(frozen=True, slots=True)
class Wire:
    """Where a batch goes out."""

    endpoint: Endpoint
    connections: Connections
    messages_per_connection: int


class BatchRun:
    """The post that its lanes' connections ask for letters (`wire.Post`)."""

    def __init__(
        self,
        claim: Claim,
        *,
        engine: Engine,
        journal: Journal,
        wire: Wire,
        gate: WatchedGate,
        assemblers: Mapping[int, Assembler],
        signers: Mapping[int, Signer],
        lease: timedelta,
        should_stop: Callable[[], bool],
    ) -> None:
        """`assemblers` and `signers` hold one for each list that the batch's readers came by."""
        self._claim = claim
        self._readers = claim.readers
        self._engine = engine
        self._smooth = SmoothWindows(engine) if _can_be_smooth(engine, claim) else None
        self._journal = journal
        self._wire = wire
        self._gate = gate
        self._stopwatch = Stopwatch()
        self._maker = LetterMaker(assemblers, signers, stopwatch=self._stopwatch)
        self._lease = lease
        self._should_stop = should_stop
        self._lease_ends = time.monotonic() + lease.total_seconds()

        self._next = 0
        self._intended = 0
        self._again: deque[Reader] = deque()
        self._aside: deque[Reader] = deque()
        self._ask_aside_at = 0.0
        self._wait_seconds: float | None = None
        """For those set aside, as the gate says when all of them were asked."""
        self._left: dict[int, Reason] = {}
        self._left_asked_at = time.monotonic()
        self._is_open = True
        self._rest_seconds = 0.0
        self._lanes: set[asyncio.Task[None]] = set()
        self._lanes_are_done = False
        self._breakdown: Exception | None = None
        self._failed_connections = 0
        self._ended_connections: Counter[int] = Counter()
        self._went_out: dict[int, float] = {}
        """When, by subscriber, content went out that was not answered yet."""
        self._answers = 0
        self._awaiting_answers = 0.0
        self._outcomes: list[Outcome] = []
        self._excluded: dict[int, Reason] = {}
        self._moved = asyncio.Event()
        self._wanted = asyncio.Event()
        self.tally: Counter[str] = Counter()

    async def send(self) -> None:
        """Send the batch as far as it may be sent, record what came of it, and give it back.

        After a database error no more content goes out; answers still under way are awaited and
        journalled, then the error is raised.
        """
        self._wire.connections.keep(self._wire.endpoint, most=self._gate.lanes)
        committer = asyncio.create_task(self._commit_until_done())
        self._staff()
        while self._lanes:
            await asyncio.wait(self._lanes)
        self._lanes_are_done = True
        self._wanted.set()
        await committer
        if self._breakdown is not None:
            raise self._breakdown

    # Lanes

    def _staff(self) -> None:
        """Have as many lanes as the gate allows and the people left are worth."""
        wanted = min(self._gate.lanes, self._people_left)
        while self._is_open and not self._rest_seconds and len(self._lanes) < wanted:
            self._lanes.add(asyncio.create_task(self._lane()))

    async def _lane(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        try:
            while await self._is_needed():
                connection = await self._connect()
                if connection is not None:
                    await self._carry_over(connection)
        except Exception as error:  # noqa: BLE001  raised again when the batch was given back
            self._breakdown = self._breakdown or error
        finally:
            self._lanes.discard(task)

    async def _is_needed(self) -> bool:
        """Wait until there is somebody to mail; False: for this lane there will be nobody."""
        while self._is_open and not self._gate.is_shut and not self._has_surplus_lanes:
            if self._somebody_is_at_hand and self._may_begin():
                return True
            if not self._people_left or self._is_to_rest():
                return False
            await self._news()
        return False

    async def _connect(self) -> MailConnection | None:
        try:
            return await self._wire.connections.take(self._wire.endpoint)
        except (ConnectionLost, TransportRefused) as trouble:
            await self._rest_after(trouble)
            return None

    async def _carry_over(self, connection: MailConnection) -> None:
        trouble: ConnectionLost | TransportRefused | None = None
        try:
            await connection.carry(self)
        except (ConnectionLost, TransportRefused) as error:
            trouble = error
        finally:
            most = 0 if self._has_surplus_lanes else self._wire.messages_per_connection
            self._wire.connections.give_back(connection, most_messages=most)
        if trouble is not None and _is_trouble(trouble, messages=connection.messages):
            await self._rest_after(trouble)

    async def _rest_after(self, trouble: ConnectionLost | TransportRefused) -> None:
        self._gate.failed(trouble)
        self._failed_connections += 1
        if self._failed_connections >= MOST_FAILED_CONNECTIONS:
            self._close()
            logger.warning("transport rests", extra={"error": mask_addresses(str(trouble))})
            return
        await asyncio.sleep(0.05 * self._failed_connections)

    async def _news(self) -> None:
        """Wait for the committer, or for the time when those set aside are asked again."""
        if self._next == self._intended < len(self._readers):
            self._wanted.set()
        seconds = TICK_SECONDS
        if self._aside:
            seconds = max(SHORTEST_WAIT_SECONDS, self._ask_aside_at - time.monotonic())
        self._moved.clear()
        try:
            async with asyncio.timeout(seconds):
                await self._moved.wait()
        except TimeoutError:
            pass

    @property
    def _has_surplus_lanes(self) -> bool:
        return len(self._lanes) > self._gate.lanes

    @property
    def _people_left(self) -> int:
        return len(self._readers) - self._next + len(self._again) + len(self._aside)

    @property
    def _somebody_is_at_hand(self) -> bool:
        return bool(
            self._again
            or (self._next < self._intended and len(self._aside) < MOST_ASIDE)
            or self._is_time_to_ask_aside
        )

    @property
    def _is_time_to_ask_aside(self) -> bool:
        return bool(self._aside) and time.monotonic() >= self._ask_aside_at

    def _is_to_rest(self) -> bool:
        """Only people whom the gate does not admit are left, and not for a while (R-24)."""
        may_have_others = self._next < len(self._readers) and len(self._aside) < MOST_ASIDE
        if self._again or may_have_others or (self._wait_seconds or 0.0) <= LONGEST_WAIT_SECONDS:
            return False
        self._rest_seconds = self._wait_seconds or 0.0
        return True

    # What the connections ask and tell

    def next_letter(self, connection: MailConnection) -> Letter | None:
        has_carried_enough = connection.messages >= self._wire.messages_per_connection
        if has_carried_enough or self._has_surplus_lanes:
            return None
        while self._may_begin():
            reader = self._next_reader()
            if reader is None:
                self._note_wait()
                return None
            reason = self._left.get(reader.subscriber_id)
            if reason is not None:
                self._excluded[reader.subscriber_id] = reason
            elif not self._gate.admits(reader):
                self._aside.append(reader)
                self._wait_seconds = None
            elif (letter := self._letter_to(reader)) is not None:
                return letter
        return None

    def may_go(self, letter: Letter) -> bool:
        subscriber_id = letter.reader.subscriber_id
        if subscriber_id in self._left or not self._may_begin():
            return False
        self._journal.going(self._claim.lease, subscriber_id)
        self._went_out[subscriber_id] = time.perf_counter()
        return True

    def settled(self, letter: Letter, reply: Reply) -> None:
        subscriber_id = letter.reader.subscriber_id
        self._outcomes.append(outcome_of(subscriber_id, reply, date=letter.date))
        self._gate.leaves(letter.reader, reply)
        self._failed_connections = 0
        self._answered(subscriber_id, reply)

    def put_back(self, letter: Letter) -> None:
        self._again.append(letter.reader)
        self._gate.leaves(letter.reader, None)
        self._answered(letter.reader.subscriber_id, _NOT_TAKEN)

    def broke_off(self, letter: Letter) -> None:
        """They wait for another connection, unless it is they who end connections."""
        reader = letter.reader
        self._gate.leaves(reader, None)
        self._ended_connections[reader.subscriber_id] += 1
        if self._ended_connections[reader.subscriber_id] < MOST_ENDED_CONNECTIONS:
            self._again.append(reader)
            return
        self._outcomes.append(
            Outcome(reader.subscriber_id, DeliveryState.DEFERRED, Reason.CONNECTION)
        )

    def uncertain(self, letter: Letter) -> None:
        subscriber_id = letter.reader.subscriber_id
        self._outcomes.append(
            Outcome(subscriber_id, DeliveryState.UNCERTAIN, Reason.ANSWER_LOST, date=letter.date)
        )
        self._gate.leaves(letter.reader, None)
        self._went_out.pop(subscriber_id, None)

    def _answered(self, subscriber_id: int, reply: Reply) -> None:
        went_out_at = self._went_out.pop(subscriber_id, None)
        if went_out_at is None:
            return
        self._answers += 1
        self._awaiting_answers += time.perf_counter() - went_out_at
        self._journal.answered(self._claim.lease, subscriber_id, reply)

    @property
    def _is_running_out(self) -> bool:
        """Few are declared that nobody has taken yet, and there are more."""
        return self._intended - self._next < WINDOW // 4 and self._intended < len(self._readers)

    def _may_begin(self) -> bool:
        return self._is_open and not self._gate.is_shut and time.monotonic() < self._lease_ends

    def _next_reader(self) -> Reader | None:
        """The next who is declared; None when the committer is not that far."""
        if self._is_running_out:
            self._wanted.set()
        if not self._again:
            if self._next < self._intended and len(self._aside) < MOST_ASIDE:
                self._next += 1
                return self._readers[self._next - 1]
            if not self._is_time_to_ask_aside:
                return None
            self._again += self._aside
            self._aside.clear()
            # Not once more in this very round, however many of them are refused again.
            self._ask_aside_at = time.monotonic() + TICK_SECONDS
        return self._again.popleft()

    def _note_wait(self) -> None:
        """Everybody at hand was asked for; the gate is asked once how long it will take."""
        if self._aside and self._wait_seconds is None:
            self._wait_seconds = self._gate.wait_seconds()
            seconds = max(SHORTEST_WAIT_SECONDS, min(self._wait_seconds, TICK_SECONDS))
            self._ask_aside_at = time.monotonic() + seconds

    def _letter_to(self, reader: Reader) -> Letter | None:
        """None, and the delivery has failed, when no message can be made for this reader."""
        letter = self._maker.letter_to(reader)
        if letter is None:
            self._gate.leaves(reader, None)
            self._outcomes.append(
                Outcome(
                    reader.subscriber_id,
                    DeliveryState.FAILED,
                    Reason.UNSENDABLE,
                    date=reader.first_at,
                )
            )
        return letter

    # The committer

    def _close(self) -> None:
        self._is_open = False
        self._moved.set()

    async def _commit_until_done(self) -> None:
        try:
            while True:
                is_last = self._lanes_are_done
                await self._commit(is_last=is_last)
                if is_last:
                    return
                if self._should_stop() or self._gate.is_shut:
                    self._close()
                self._staff()
                # Whoever asked while it was being written has their people now.
                self._wanted.clear()
                if self._lanes_are_done or (self._is_open and self._is_running_out):
                    continue
                try:
                    async with asyncio.timeout(TICK_SECONDS):
                        await self._wanted.wait()
                except TimeoutError:
                    pass
        except FencedError:
            # Whoever took over counts on this process sending nothing more, in any of its lanes.
            # The journal stays: recovery settles with it what was still on the wire.
            logger.exception("fenced", extra={"batch": self._claim.lease.batch})
            logging.shutdown()
            os._exit(EXIT_FENCED)
        finally:
            self._close()
            if self._smooth is not None:
                await asyncio.to_thread(self._smooth.close)

    async def _commit(self, *, is_last: bool) -> None:
        outcomes, self._outcomes = self._outcomes, []
        excluded, self._excluded = self._excluded, {}
        upto = self._upto()
        asked_at = time.monotonic()
        if is_last:
            await asyncio.to_thread(self._end_claim, outcomes, excluded)
        elif await asyncio.to_thread(self._open_window, outcomes, excluded, upto):
            self._intended = upto
            self._lease_ends = asked_at + self._lease.total_seconds()
            self._moved.set()
        else:
            self._close()
        self._count(outcomes)

    def _upto(self) -> int:
        """How far people may be taken once this is committed."""
        if not self._is_open:
            return self._intended
        # Each lane holds a letter whose envelope rides ahead: taken, and not yet on the wire.
        taken = len(self._lanes) + len(self._again) + len(self._aside)
        ahead = max(WINDOW // 2, WINDOW - taken)
        return min(len(self._readers), max(self._intended, self._next + ahead))

    def _count(self, outcomes: list[Outcome]) -> None:
        ended = Counter(outcome.state.name.lower() for outcome in outcomes)
        self.tally.update(ended)
        for state, count in ended.items():
            MESSAGES.labels(state).inc(count)
        self._stopwatch.add("wire", self._awaiting_answers, times=self._answers)
        self._answers, self._awaiting_answers = 0, 0.0
        self._stopwatch.publish()

    def _open_window(self, outcomes: list[Outcome], excluded: dict[int, Reason], upto: int) -> bool:
        """One transaction: the intent of the next window and the outcomes of the last."""
        upto_id = self._readers[upto - 1].subscriber_id if upto else 0
        with self._stopwatch.phase("record"):
            if not excluded and self._is_smooth(outcomes):
                return self._go_on_smoothly(outcomes, upto_id)
            return self._go_on(outcomes, excluded, upto_id)

    def _is_smooth(self, outcomes: list[Outcome]) -> bool:
        return (
            self._smooth is not None
            and self._gate.is_quiet()
            and time.monotonic() - self._left_asked_at < TICK_SECONDS
            and len({outcome.reply.code if outcome.reply else 0 for outcome in outcomes}) < 2
            and all(outcome.state is DeliveryState.SENT for outcome in outcomes)
        )

    def _go_on_smoothly(self, outcomes: list[Outcome], upto_id: int) -> bool:
        assert self._smooth is not None
        may_go_on = self._smooth.advance(
            self._claim.lease,
            [outcome.subscriber_id for outcome in outcomes],
            code=outcomes[0].reply.code if outcomes and outcomes[0].reply else 0,
            revision=self._claim.revision,
            upto=upto_id,
            now=utc_now(),
            extend=self._lease,
        )
        self._gate.accepted(outcomes)
        return may_go_on

    def _go_on(self, outcomes: list[Outcome], excluded: dict[int, Reason], upto_id: int) -> bool:
        lease, now = self._claim.lease, utc_now()
        with transaction(self._engine) as session:
            may_go_on = ledger.intend(session, lease, upto=upto_id, now=now, extend=self._lease)
            ledger.record(session, lease, outcomes, revision=self._claim.revision, at=now)
            ledger.exclude(session, lease, excluded)
            self._gate.observe(session, outcomes, now=now)
            if time.monotonic() - self._left_asked_at >= TICK_SECONDS:
                self._left = claims.who_left(session, lease)
                self._left_asked_at = time.monotonic()
        return may_go_on

    def _end_claim(self, outcomes: list[Outcome], excluded: dict[int, Reason]) -> None:
        lease, now = self._claim.lease, utc_now()
        with self._stopwatch.phase("record"), transaction(self._engine) as session:
            ledger.keep(session, lease, now=now, extend=self._lease)
            ledger.record(session, lease, outcomes, revision=self._claim.revision, at=now)
            # A lane that broke down in mid-message: the batch must not be given back before.
            unanswered = sorted(self._went_out)
            ledger.doubt(session, lease, unanswered, reason=Reason.ANSWER_LOST, at=now)
            ledger.exclude(session, lease, excluded)
            self._gate.observe(session, outcomes, now=now)
            self._gate.close(session, now=now)
            ledger.give_back(session, lease, due_at=now + self._rest())

    def _rest(self) -> timedelta:
        """How long the batch's people have to wait before anybody takes it up again."""
        is_broken = self._breakdown is not None
        if is_broken or self._failed_connections >= MOST_FAILED_CONNECTIONS:
            return TRANSPORT_PAUSE
        if self._gate.is_shut:
            return timedelta(seconds=TICK_SECONDS)
        return timedelta(seconds=self._rest_seconds)


def _can_be_smooth(engine: Engine, claim: Claim) -> bool:
    """A deferral that ends has a row to be forgotten: `ledger` does that."""
    is_first_try = all(reader.first_at is None for reader in claim.readers)
    return engine.dialect.name == "postgresql" and is_first_try


def _is_trouble(trouble: ConnectionLost | TransportRefused, *, messages: int) -> bool:
    """A server may end a connection that has served; that it refuses or limits us is trouble."""
    if isinstance(trouble, TransportRefused) or not messages:
        return True
    enhanced = trouble.reply.enhanced if trouble.reply is not None else None
    return enhanced is not None and enhanced.startswith("4.7.")
