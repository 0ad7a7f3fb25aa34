"""Sends the outbox: in each process that serves the queue `system`, over connections of its own.

A bell, or a look at the database every few seconds, starts a lane. A lane takes one mail after the
other and ends when nothing is due; while one waits for a slow server, the others go on.
"""

import asyncio
import logging
import threading
from datetime import timedelta
from typing import Self

import uvloop
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from newsletter.clock import utc_now
from newsletter.db import reading, transaction
from newsletter.deliver import system_mail
from newsletter.deliver.connections import OPENERS, Connections
from newsletter.deliver.outcome import Reply
from newsletter.deliver.single import send_single
from newsletter.deliver.system_letters import Outgoing, write
from newsletter.deliver.system_mail import Held
from newsletter.deliver.wire import (
    AnswerLost,
    ConnectionLost,
    Endpoint,
    SmtpError,
    TransportRefused,
)
from newsletter.errors import InputError, NewsletterError, RenderError
from newsletter.models import SystemMail
from newsletter.settings import Settings
from newsletter.tokens import Tokens

logger = logging.getLogger(__name__)

LANES = 4
MESSAGES_PER_CONNECTION = 100
OPENING_SECONDS = 60.0
"""On top of the wait for the answer to a content: a server that takes longer is in trouble."""
CLOSING_SECONDS = 15.0


class PostOffice:
    """Its event loop, in a thread, outlives every mail; no transaction is open while it waits."""

    def __init__(self, engine: Engine, settings: Settings) -> None:
        self._engine = engine
        self._settings = settings
        self._lease = timedelta(seconds=settings.lease_seconds)
        self._tokens = Tokens(settings.secret_keys)
        self._connections = Connections(OPENERS[settings.smtp_client])
        self._lanes: set[asyncio.Task[None]] = set()
        self._is_closing = False
        self._loop = uvloop.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="post", daemon=True)
        self._thread.start()
        self._loop.call_soon_threadsafe(self._look_regularly)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def nudge(self) -> None:
        """Something may be due. Returns at once."""
        self._loop.call_soon_threadsafe(self._open_lane)

    def close(self) -> None:
        """Wait a while for the mails under way; whose answer is still out is settled by its lease."""
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _close(self) -> None:
        self._is_closing = True
        if self._lanes:
            await asyncio.wait(self._lanes, timeout=CLOSING_SECONDS)
        for lane in self._lanes:
            lane.cancel()
        await asyncio.gather(*self._lanes, return_exceptions=True)
        await self._connections.close()
        await self._loop.shutdown_default_executor()

    def _look_regularly(self) -> None:
        if not self._is_closing:
            self._open_lane()
            self._loop.call_later(self._settings.poll_seconds, self._look_regularly)

    def _open_lane(self) -> None:
        if self._is_closing or len(self._lanes) >= LANES:
            return
        lane = self._loop.create_task(self._run_lane())
        self._lanes.add(lane)
        lane.add_done_callback(self._end_lane)

    def _end_lane(self, lane: "asyncio.Task[None]") -> None:
        self._lanes.discard(lane)
        if lane.cancelled():
            return
        error = lane.exception()
        if isinstance(error, SQLAlchemyError):
            logger.warning("database out of reach", extra={"error": type(error).__name__})
        elif error is not None:
            logger.error("system mail broke off", exc_info=error)

    async def _run_lane(self) -> None:
        while not self._is_closing:
            outgoing = await asyncio.to_thread(self._take)
            if outgoing is None:
                return
            self._open_lane()
            verdict = await self._with_lease(outgoing)
            await asyncio.to_thread(self._record, outgoing.held, verdict)

    def _take(self) -> Outgoing | None:
        """The next mail, ready to go; what cannot go now is put aside, and the one after it taken."""
        while (mail := self._claim()) is not None:
            held = Held(mail.id, mail.lease_token)
            try:
                with reading(self._engine) as session:
                    return write(
                        session, mail, settings=self._settings, tokens=self._tokens, now=utc_now()
                    )
            except (InputError, RenderError) as error:
                with transaction(self._engine) as session:
                    system_mail.settle_unfit(session, held, str(error), utc_now())
            except NewsletterError as error:
                with transaction(self._engine) as session:
                    system_mail.settle_not_carried(session, held, str(error), utc_now())
        return None

    def _claim(self) -> SystemMail | None:
        # On its own, so that a mail whose making breaks the lane off is held and not tried at once.
        with transaction(self._engine) as session:
            return system_mail.claim(session, now=utc_now(), lease=self._lease)

    async def _with_lease(self, outgoing: Outgoing) -> Reply | SmtpError:
        """Send it, saying now and then that it is still ours."""
        sending = asyncio.create_task(self._send(outgoing))
        try:
            while not sending.done():
                await asyncio.wait({sending}, timeout=self._lease.total_seconds() / 3)
                if not sending.done():
                    await asyncio.to_thread(self._renew, outgoing.held)
        finally:
            sending.cancel()
        return await sending

    async def _send(self, outgoing: Outgoing) -> Reply | SmtpError:
        """Through the first server that takes it on. An error is `AnswerLost`, or everybody's refusal."""
        trouble: SmtpError = ConnectionLost("there is no transport")
        for endpoint in outgoing.endpoints:
            try:
                return await self._send_through(endpoint, outgoing)
            except AnswerLost as lost:
                return lost
            except (ConnectionLost, TransportRefused) as refusal:
                trouble = refusal
        return trouble

    async def _send_through(self, endpoint: Endpoint, outgoing: Outgoing) -> Reply:
        while (reply := await self._send_over_one(endpoint, outgoing)) is None:
            pass
        return reply

    async def _send_over_one(self, endpoint: Endpoint, outgoing: Outgoing) -> Reply | None:
        """Over an idle connection, else a new one. None: the idle one had been closed."""
        has_begun = False

        def begin() -> None:
            nonlocal has_begun
            has_begun = True

        try:
            async with asyncio.timeout(endpoint.dot_seconds + OPENING_SECONDS):
                connection = await self._connections.take(endpoint)
                has_served = connection.messages > 0
                try:
                    reply = await send_single(connection, outgoing.parcel, before_content=begin)
                except ConnectionLost:
                    if has_served:
                        return None
                    raise
                except BaseException:
                    connection.abort()
                    raise
        except TimeoutError as error:
            message = f"{endpoint.host} took too long"
            raise (AnswerLost if has_begun else ConnectionLost)(message) from error
        self._connections.give_back(connection, most_messages=MESSAGES_PER_CONNECTION)
        return reply

    def _renew(self, held: Held) -> None:
        try:
            with transaction(self._engine) as session:
                system_mail.renew(session, held, until=utc_now() + self._lease)
        except SQLAlchemyError as error:
            logger.warning("database out of reach", extra={"error": type(error).__name__})

    def _record(self, held: Held, verdict: Reply | SmtpError) -> None:
        now = utc_now()
        with transaction(self._engine) as session:
            match verdict:
                case Reply():
                    system_mail.settle_answered(session, held, verdict, now)
                case AnswerLost():
                    system_mail.settle_in_doubt(session, held, str(verdict), now)
                case _:
                    system_mail.settle_not_carried(session, held, str(verdict), now)
