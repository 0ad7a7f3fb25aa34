"""One claimed batch on its way: lanes send, one committer intends ahead of them and records behind.

A lane is one connection. It takes the next reader only when the committer has declared them in the
database, notes in the journal that content goes out, and hands in what came of it.
"""

import asyncio
import logging
import os
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Engine

from newsletter.addresses import mask_addresses
from newsletter.clock import utc_now
from newsletter.db import transaction
from newsletter.deliver import claims, ledger
from newsletter.deliver.claims import Claim, Reader
from newsletter.deliver.connections import Connections
from newsletter.deliver.dkim import Signer
from newsletter.deliver.journal import Journal
from newsletter.deliver.outcome import Outcome, Reply, outcome_of
from newsletter.deliver.smtp import (
    AnswerLost,
    ConnectionLost,
    Endpoint,
    Envelope,
    Parcel,
    SmtpConnection,
    TransportRefused,
)
from newsletter.errors import FencedError, InputError, RenderError
from newsletter.metrics import MESSAGES, Stopwatch
from newsletter.models import DeliveryState, Reason
from newsletter.render.message import Assembler

logger = logging.getLogger(__name__)

WINDOW = 100
"""People declared at once: the most that a lost host leaves in doubt."""
TICK_SECONDS = 1.0
"""How soon a running batch notices a pause, a cancellation and people who leave."""
MOST_FAILED_CONNECTIONS = 5
"""In a row, without one message carried: then the transport is in trouble."""
MOST_ENDED_CONNECTIONS = 3
"""By one reader: then it is their delivery that is in trouble."""
TRANSPORT_PAUSE = timedelta(seconds=30)
"""How long a batch rests when its transport takes no connection, or when a lane broke down."""
EXIT_FENCED = 75


@dataclass(frozen=True, slots=True)
class Wire:
    """Where a batch goes out, and through how much."""

    endpoint: Endpoint
    connections: Connections
    most_connections: int
    messages_per_connection: int


@dataclass(frozen=True, slots=True)
class _Letter:
    reader: Reader
    date: datetime
    parcel: Parcel


class BatchRun:
    def __init__(
        self,
        claim: Claim,
        *,
        engine: Engine,
        journal: Journal,
        wire: Wire,
        assemblers: Mapping[int, Assembler],
        signers: Mapping[int, Signer],
        lease: timedelta,
        should_stop: Callable[[], bool],
    ) -> None:
        """`assemblers` and `signers` hold one for each list that the batch's readers came by."""
        self._claim = claim
        self._readers = claim.readers
        self._engine = engine
        self._journal = journal
        self._wire = wire
        self._assemblers = assemblers
        self._signers = signers
        self._lease = lease
        self._should_stop = should_stop
        self._lease_ends = time.monotonic() + lease.total_seconds()

        self._next = 0
        self._intended = 0
        self._again: deque[Reader] = deque()
        self._left: dict[int, Reason] = {}
        self._left_asked_at = time.monotonic()
        self._is_open = True
        self._lanes_are_done = False
        self._has_broken_down = False
        self._failed_connections = 0
        self._ended_connections: Counter[int] = Counter()
        self._unanswered: set[int] = set()
        self._outcomes: list[Outcome] = []
        self._excluded: dict[int, Reason] = {}
        self._moved = asyncio.Event()
        self._wanted = asyncio.Event()
        self._stopwatch = Stopwatch()
        self.tally: Counter[str] = Counter()

    async def send(self) -> None:
        """Send the batch as far as it may be sent, record what came of it, and give it back.

        After a database error no more content goes out; answers still under way are awaited and
        journalled, then the error is raised.
        """
        committer = asyncio.create_task(self._commit_until_done())
        lanes = min(self._wire.most_connections, len(self._readers))
        ends = await asyncio.gather(
            *(self._run_lane() for _ in range(lanes)), return_exceptions=True
        )
        self._has_broken_down = any(end is not None for end in ends)
        self._lanes_are_done = True
        self._wanted.set()
        await committer
        for end in ends:
            if end is not None:
                raise end

    async def _run_lane(self) -> None:
        connection: SmtpConnection | None = None
        letter = await self._next_letter()
        while letter is not None:
            try:
                connection = await self._wire.connections.take(self._wire.endpoint)
                await self._carry(letter, connection)
                self._failed_connections = 0
            except (ConnectionLost, TransportRefused) as trouble:
                if connection is None:
                    self._again.append(letter.reader)
                # A server may end a connection that has served; that it refuses us is always trouble.
                has_served = connection is not None and connection.messages > 0
                if isinstance(trouble, TransportRefused) or not has_served:
                    await self._rest_after(trouble)
            except BaseException:
                if connection is not None:
                    connection.abort()  # nobody knows what it is in the middle of
                raise
            if connection is not None:
                self._wire.connections.give_back(
                    connection, most_messages=self._wire.messages_per_connection
                )
                connection = None
            letter = await self._next_letter()

    async def _carry(self, letter: _Letter, connection: SmtpConnection) -> None:
        """Send `letter` and those at hand behind it, each one's envelope behind the last content.

        Raises `ConnectionLost` or `TransportRefused` with nobody left halfway: whoever was not
        judged is back in the batch.
        """
        connection.begin(letter.parcel)
        while True:
            try:
                verdict = await connection.verdict()
            except (ConnectionLost, TransportRefused):
                self._put_back(letter.reader, connection)
                raise
            following: _Letter | None = None
            if verdict is not None:
                self._settle(letter, verdict)
                if connection.is_usable and (following := self._letter_at_hand()) is not None:
                    connection.begin(following.parcel)
            elif not self._may_write(letter.reader.subscriber_id):
                self._again.append(letter.reader)
                connection.abort()  # the server waits for content that will not come
            else:
                following = await self._carry_content(letter, connection)
            if following is None:
                return
            letter = following

    async def _carry_content(self, letter: _Letter, connection: SmtpConnection) -> _Letter | None:
        """Put the content and await its answer; returns the letter whose envelope went behind it."""
        subscriber_id = letter.reader.subscriber_id
        following = None
        if connection.messages + 1 < self._wire.messages_per_connection:
            following = self._letter_at_hand()
        self._journal.going(self._claim.lease, subscriber_id)
        self._unanswered.add(subscriber_id)
        try:
            with self._stopwatch.phase("wire"):
                connection.put(letter.parcel, then=following.parcel if following else None)
                reply = await connection.answer()
        except AnswerLost:
            self._unanswered.discard(subscriber_id)
            self._outcomes.append(
                Outcome(
                    subscriber_id, DeliveryState.UNCERTAIN, Reason.ANSWER_LOST, date=letter.date
                )
            )
            if following is not None:
                self._again.append(following.reader)
            return None
        self._unanswered.discard(subscriber_id)
        self._settle(letter, reply)
        self._journal.answered(self._claim.lease, subscriber_id, reply)
        return following

    def _settle(self, letter: _Letter, reply: Reply) -> None:
        self._outcomes.append(outcome_of(letter.reader.subscriber_id, reply, date=letter.date))

    def _put_back(self, reader: Reader, connection: SmtpConnection) -> None:
        """They wait for another connection, unless it is they who end connections."""
        if not connection.is_usable:
            self._ended_connections[reader.subscriber_id] += 1
        if self._ended_connections[reader.subscriber_id] < MOST_ENDED_CONNECTIONS:
            self._again.append(reader)
            return
        self._outcomes.append(
            Outcome(reader.subscriber_id, DeliveryState.DEFERRED, Reason.CONNECTION)
        )

    async def _next_letter(self) -> _Letter | None:
        """To the next reader who may be mailed; None when there is nobody, or nobody any more."""
        while self._is_open:
            letter = self._letter_at_hand()
            if letter is not None:
                return letter
            is_waiting = self._again or self._next < len(self._readers)
            if not is_waiting:
                return None
            await self._next_commit()
        return None

    def _letter_at_hand(self) -> _Letter | None:
        """To the next reader who may be mailed now; None when the committer is not that far."""
        while self._is_open and time.monotonic() < self._lease_ends:
            if self._again:
                reader = self._again.popleft()
            elif self._next < self._intended:
                reader = self._readers[self._next]
                self._next += 1
            else:
                return None
            if self._intended - self._next < WINDOW // 2:
                self._wanted.set()
            reason = self._left.get(reader.subscriber_id)
            if reason is not None:
                self._excluded[reader.subscriber_id] = reason
                continue
            letter = self._letter_to(reader)
            if letter is not None:
                return letter
        return None

    async def _next_commit(self) -> None:
        self._wanted.set()
        self._moved.clear()
        await self._moved.wait()

    def _letter_to(self, reader: Reader) -> _Letter | None:
        """None, and the delivery has failed, when no message can be made for this reader."""
        # RFC 5322: the Date of a message is when it was first put on its way.
        date = reader.first_at or utc_now().replace(microsecond=0)
        try:
            return _Letter(reader, date, self._parcel(reader, date))
        except (InputError, RenderError, ValueError) as error:
            logger.warning(
                "message cannot be made",
                extra={"subscriber_id": reader.subscriber_id, "error": type(error).__name__},
            )
            self._outcomes.append(
                Outcome(reader.subscriber_id, DeliveryState.FAILED, Reason.UNSENDABLE, date=date)
            )
            return None

    def _parcel(self, reader: Reader, date: datetime) -> Parcel:
        with self._stopwatch.phase("assemble"):
            letter = self._assemblers[reader.list_id].letter(reader, date=date)
        with self._stopwatch.phase("sign"):
            content = self._signers[reader.list_id].sign_letter(letter, at=date)
        return Parcel(Envelope(letter.return_path, letter.address), content)

    def _may_write(self, subscriber_id: int) -> bool:
        return (
            self._is_open
            and subscriber_id not in self._left
            and time.monotonic() < self._lease_ends
        )

    async def _rest_after(self, trouble: ConnectionLost | TransportRefused) -> None:
        self._failed_connections += 1
        if self._failed_connections >= MOST_FAILED_CONNECTIONS:
            self._close()
            logger.warning("transport rests", extra={"error": mask_addresses(str(trouble))})
            return
        await asyncio.sleep(0.05 * self._failed_connections)

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
                if self._should_stop():
                    self._close()
                try:
                    async with asyncio.timeout(TICK_SECONDS):
                        await self._wanted.wait()
                except TimeoutError:
                    pass
                self._wanted.clear()
        except FencedError:
            # Whoever took over counts on this process sending nothing more, in any of its lanes.
            # The journal stays: recovery settles with it what was still on the wire.
            logger.exception("fenced", extra={"batch": self._claim.lease.batch})
            logging.shutdown()
            os._exit(EXIT_FENCED)
        finally:
            self._close()

    async def _commit(self, *, is_last: bool) -> None:
        outcomes, self._outcomes = self._outcomes, []
        excluded, self._excluded = self._excluded, {}
        upto = self._intended
        if self._is_open:
            # Each lane holds a letter whose envelope rides ahead: taken, and not yet on the wire.
            ahead = max(1, WINDOW - self._wire.most_connections)
            upto = min(len(self._readers), max(upto, self._next + ahead))
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

    def _count(self, outcomes: list[Outcome]) -> None:
        ended = Counter(outcome.state.name.lower() for outcome in outcomes)
        self.tally.update(ended)
        for state, count in ended.items():
            MESSAGES.labels(state).inc(count)
        self._stopwatch.publish()

    def _open_window(self, outcomes: list[Outcome], excluded: dict[int, Reason], upto: int) -> bool:
        """One transaction: the intent of the next window and the outcomes of the last."""
        lease, now = self._claim.lease, utc_now()
        upto_id = self._readers[upto - 1].subscriber_id if upto else 0
        with self._stopwatch.phase("record"), transaction(self._engine) as session:
            may_go_on = ledger.intend(session, lease, upto=upto_id, now=now, extend=self._lease)
            ledger.record(session, lease, outcomes, revision=self._claim.revision, at=now)
            ledger.exclude(session, lease, excluded)
            if time.monotonic() - self._left_asked_at >= TICK_SECONDS:
                self._left = claims.who_left(session, lease)
                self._left_asked_at = time.monotonic()
        return may_go_on

    def _end_claim(self, outcomes: list[Outcome], excluded: dict[int, Reason]) -> None:
        lease, now = self._claim.lease, utc_now()
        is_resting = self._has_broken_down or self._failed_connections >= MOST_FAILED_CONNECTIONS
        with self._stopwatch.phase("record"), transaction(self._engine) as session:
            ledger.keep(session, lease, now=now, extend=self._lease)
            ledger.record(session, lease, outcomes, revision=self._claim.revision, at=now)
            # A lane that broke down in mid-message: the batch must not be given back before.
            unanswered = sorted(self._unanswered)
            ledger.doubt(session, lease, unanswered, reason=Reason.ANSWER_LOST, at=now)
            ledger.exclude(session, lease, excluded)
            ledger.give_back(session, lease, due_at=now + TRANSPORT_PAUSE if is_resting else now)
