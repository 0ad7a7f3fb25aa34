"""Sends due batches: claim, then per window intend, send and record, then give the batch back.

One `Sender` lives in each worker process. Its event loop, its connections and its journal outlive
a batch; no transaction is ever open while the network is waited for.
"""

import asyncio
import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, Self

import uvloop
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from newsletter.clock import is_steady, utc_now
from newsletter.db import reading, transaction
from newsletter.deliver import claims, warm_up
from newsletter.deliver.batch_gate import BatchGate
from newsletter.deliver.batch_run import BatchRun, Wire
from newsletter.deliver.claims import Claim
from newsletter.deliver.connections import OPENERS, Connections
from newsletter.deliver.epoch import close_drain, count_claim, disarm, note
from newsletter.deliver.holds import Trip, end_probe, hold, pause_held_editions
from newsletter.deliver.journal import FOLDER, Journal
from newsletter.deliver.ledger import give_back
from newsletter.deliver.proof import proven
from newsletter.deliver.readiness import has_room, is_read_only
from newsletter.deliver.recovery import recover
from newsletter.deliver.reply_rules import rules_of
from newsletter.deliver.standing import Standing
from newsletter.deliver.surroundings import Surroundings
from newsletter.deliver.throttle import Throttle
from newsletter.deliver.transports import endpoint_of
from newsletter.errors import DisarmedError, RenderError
from newsletter.metrics import BATCHES, Stopwatch
from newsletter.models import CompiledEdition, HoldScope, Transport
from newsletter.redis import impatient_redis
from newsletter.render.message import Assembler
from newsletter.settings import Settings
from newsletter.tokens import Tokens

logger = logging.getLogger(__name__)

ASSEMBLERS_KEPT = 16

ShouldStop = Callable[[], bool]


def _no_routes() -> frozenset[int]:
    return frozenset()


class Sender:
    def __init__(
        self,
        engine: Engine,
        settings: Settings,
        *,
        share: int = 1,
        leaves_alone: Callable[[], frozenset[int]] = _no_routes,
    ) -> None:
        """It opens one in `share` of the connections that each transport allows, at least one, and
        claims nothing of the routes that `leaves_alone` names.
        """
        self._engine = engine
        self._share = share
        self._leaves_alone = leaves_alone
        self._under_way: tuple[int, float] | None = None
        """The route of the batch under way, and since when it has been."""
        self._settings = settings
        self._lease = timedelta(seconds=settings.lease_seconds)
        self._folder: Path = settings.state_dir / FOLDER
        self._journal = Journal.create(self._folder)
        self._tokens = Tokens(settings.secret_keys)
        self._assemblers: OrderedDict[tuple[int, int, int], Assembler] = OrderedDict()
        self._connections = Connections(OPENERS[settings.smtp_client])
        self._standing = Standing()
        self._throttle = Throttle(
            engine,
            impatient_redis(settings.redis_url),
            messages_per_second=settings.messages_per_second,
            deliver_processes=settings.deliver_processes,
        )
        self._around = Surroundings(engine)
        self._stopwatch = Stopwatch()
        self._busy = threading.Lock()
        self._loop = uvloop.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="wire", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def drain(self, *, seconds: float, should_stop: ShouldStop = lambda: False) -> int:
        """Send what is due until nothing is, `seconds` have passed, or `should_stop` says so.

        Returns how many batches were worked on. A second call while one runs in this process
        returns at once: a doorbell that rings twice means nothing more than one that rings once.
        """
        if not self._busy.acquire(blocking=False):
            return 0
        try:
            if not self._may_claim():
                return 0
            recover(self._engine, self._folder, now=utc_now())
            return self._drain_until(time.monotonic() + seconds, should_stop)
        except DisarmedError:
            disarm(self._engine, now=utc_now())
            logger.exception("sending refused")
            return 0
        except DBAPIError as error:
            if not is_read_only(error):
                raise
            logger.exception("database takes no writes")
            return 0
        finally:
            self._busy.release()

    def has_due_work(self) -> bool:
        with reading(self._engine) as session:
            return claims.has_due_work(session, now=utc_now(), crowded=self._crowded)

    def held_up_on(self, *, seconds: float) -> frozenset[int]:
        """The route of a batch that has been under way for so long; none if there is no such batch."""
        under_way = self._under_way
        if under_way is None or time.monotonic() - under_way[1] < seconds:
            return frozenset()
        return frozenset((under_way[0],))

    def close(self) -> None:
        """Wait for a drain that is running, then close the connections and the journal."""
        self._busy.acquire()
        self._on_loop(self._connections.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._throttle.close()
        self._journal.close()

    def _drain_until(self, deadline: float, should_stop: ShouldStop) -> int:
        batches = 0

        def is_over() -> bool:
            return time.monotonic() >= deadline or should_stop()

        self._around.forget()
        while not is_over() and self._may_claim():
            has_just_looked = self._around.is_fresh
            with self._stopwatch.phase("claim"), transaction(self._engine) as session:
                claim = claims.claim(
                    session,
                    now=utc_now(),
                    lease=self._lease,
                    crowded=self._crowded,
                    field=self._around.field(session),
                )
                counted = count_claim(session, self._folder) if claim is not None else None
            self._stopwatch.publish()
            if claim is None or counted is None:
                if has_just_looked:
                    break
                self._around.forget()  # something may be out of the way since
                continue
            note(self._folder, counted)
            self._under_way = claim.route, time.monotonic()
            try:
                self._send(claim, is_over)
            finally:
                self._under_way = None
            batches += 1
        if batches:
            close_drain(self._engine, self._folder)
        return batches

    def _crowded(self, transport_id: int) -> frozenset[int]:
        return self._throttle.crowded(transport_id) | self._leaves_alone()

    def _may_claim(self) -> bool:
        """R-48: no new work while the clock was just set, or with a disk that is all but full."""
        if not has_room(self._folder):
            logger.error("disk is all but full, nothing is claimed")
            return False
        return is_steady(rest=self._lease)

    def _send(self, claim: Claim, should_stop: ShouldStop) -> None:
        try:
            assemblers = {
                list_id: self._assembler(claim, list_id)
                for list_id in {reader.list_id for reader in claim.readers}
            }
        except RenderError as error:
            self._hold_edition(claim, str(error))
        else:
            self._send_with(assemblers, claim, should_stop)

    def _hold_edition(self, claim: Claim, why: str) -> None:
        """R-46: give everybody back, and claim nothing more of an edition that cannot be made."""
        now, edition_id = utc_now(), claim.lease.edition_id
        reason = f"Edition {edition_id} cannot be sent. {why}"
        where = claim.transport_id, claim.route
        with transaction(self._engine) as session:
            give_back(session, claim.lease, due_at=now)
            warm_up.give_back(session, *where, len(claim.readers), reserved_at=claim.at)
            hold(session, Trip(HoldScope.EDITION, str(edition_id), "R-46", reason), now=now)
            if claim.is_probe:
                end_probe(session, claim.transport_id, went_well=None, now=now)
        self._around.forget()
        pause_held_editions(self._engine, now=now)

    def _send_with(
        self, assemblers: Mapping[int, Assembler], claim: Claim, should_stop: ShouldStop
    ) -> None:
        is_recorded = False
        try:
            transport = self._around.transport(claim.transport_id)
            with self._gate(claim, transport, assemblers) as gate:
                run = BatchRun(
                    claim,
                    engine=self._engine,
                    journal=self._journal,
                    wire=self._wire(transport, claim.route),
                    gate=gate,
                    assemblers=assemblers,
                    signers={
                        list_id: self._around.signer(assembler.sender_domain)
                        for list_id, assembler in assemblers.items()
                    },
                    lease=self._lease,
                    should_stop=should_stop,
                )
                self._on_loop(run.send())
            if run.tally.keys() - {"sent"} or gate.is_shut:
                self._around.forget()
                pause_held_editions(self._engine, now=utc_now())
            is_recorded = True
        finally:
            if is_recorded:
                self._journal.forget()
                BATCHES.labels("given back").inc()
            else:
                BATCHES.labels("broken off").inc()
                # Recovery finds what the journal holds by its lock being free; a new one follows.
                self._journal.abandon()
                self._journal = Journal.create(self._folder)
        logger.info("batch delivered", extra=_named(claim) | dict(run.tally))

    @contextmanager
    def _gate(
        self, claim: Claim, transport: Transport, assemblers: Mapping[int, Assembler]
    ) -> Iterator[BatchGate]:
        limit = claim.obstacles.limit(transport.id, claim.route)
        endpoint = endpoint_of(transport, self._settings)
        with self._throttle.open(
            transport,
            route=claim.route,
            readers=claim.readers,
            lanes=max(1, transport.connections // self._share),
            connections=limit.connections,
            rate=limit.rate,
            idle=partial(self._connections.idle, endpoint),
        ) as pace:
            yield BatchGate(
                claim,
                transport=transport.name,
                pace=pace,
                standing=self._standing,
                sender_domains={
                    list_id: assembler.sender_domain for list_id, assembler in assemblers.items()
                },
                rules=rules_of(self._around.provider(claim.route)),
            )

    def _wire(self, transport: Transport, route: int) -> Wire:
        return Wire(
            endpoint=endpoint_of(transport, self._settings),
            connections=self._connections,
            messages_per_connection=self._throttle.messages_per_connection(transport, route),
        )

    def _assembler(self, claim: Claim, list_id: int) -> Assembler:
        key = (claim.lease.edition_id, claim.revision, list_id)
        if key in self._assemblers:
            self._assemblers.move_to_end(key)
            return self._assemblers[key]
        with reading(self._engine) as session:
            form = session.get_one(CompiledEdition, key).form
        assembler = proven(form, self._tokens, list_id=list_id, now=utc_now())
        self._assemblers[key] = assembler
        if len(self._assemblers) > ASSEMBLERS_KEPT:
            self._assemblers.popitem(last=False)
        return assembler

    def _on_loop(self, coroutine: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()


def _named(claim: Claim) -> dict[str, Any]:
    return {"edition_id": claim.lease.edition_id, "batch": claim.lease.batch}
