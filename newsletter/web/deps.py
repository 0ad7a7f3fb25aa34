"""What the pages share: made once for an app, closed with it, handed to each endpoint."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import redis.asyncio
from sqlalchemy import Engine
from sqlalchemy.exc import InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from newsletter.audience.limits import SignupLimits
from newsletter.settings import Settings
from newsletter.tokens import Tokens
from newsletter.track.links import LinkTable
from newsletter.track.spool import UnsubscribeSpool
from newsletter.track.stream import EventBuffer

DATABASE_AWAY = (OperationalError, InterfaceError, PoolTimeout)
REPLAY_SECONDS = 10.0

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Deps:
    settings: Settings
    engine: Engine
    redis: redis.asyncio.Redis
    tokens: Tokens
    links: LinkTable
    events: EventBuffer
    spool: UnsubscribeSpool
    signup_limits: SignupLimits

    @classmethod
    def connect(cls, settings: Settings, engine: Engine) -> "Deps":
        client = redis.asyncio.Redis.from_url(
            settings.redis_url, socket_timeout=5, socket_connect_timeout=5
        )
        return cls(
            settings=settings,
            engine=engine,
            redis=client,
            tokens=Tokens(settings.secret_keys),
            links=LinkTable(engine),
            events=EventBuffer(client),
            spool=UnsubscribeSpool(settings.state_dir / "unsubscribes"),
            signup_limits=SignupLimits(settings.redis_url, per_hour=settings.signups_per_hour),
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with self.redis, self.events.flushing():
            replaying = asyncio.create_task(self._replay_regularly())
            try:
                yield
            finally:
                replaying.cancel()
                await asyncio.wait([replaying])
        self.engine.dispose()

    async def _replay_regularly(self) -> None:
        while True:
            try:
                await run_in_threadpool(self.spool.replay, self.engine)
            except (SQLAlchemyError, OSError) as error:
                logger.warning("unsubscriptions wait", extra={"error": type(error).__name__})
            await asyncio.sleep(REPLAY_SECONDS)


def deps_of(request: Request) -> Deps:
    deps: Deps = request.app.state.deps
    return deps
