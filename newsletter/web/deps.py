"""What the pages share: made once for an app, closed with it, handed to each endpoint."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import redis.asyncio
from sqlalchemy import Engine
from starlette.requests import Request

from newsletter.settings import Settings
from newsletter.tokens import Tokens
from newsletter.track.links import LinkTable
from newsletter.track.stream import EventBuffer


@dataclass(frozen=True, slots=True)
class Deps:
    engine: Engine
    redis: redis.asyncio.Redis
    tokens: Tokens
    links: LinkTable
    events: EventBuffer

    @classmethod
    def connect(cls, settings: Settings, engine: Engine) -> "Deps":
        client = redis.asyncio.Redis.from_url(
            settings.redis_url, socket_timeout=5, socket_connect_timeout=5
        )
        return cls(
            engine=engine,
            redis=client,
            tokens=Tokens(settings.secret_keys),
            links=LinkTable(engine),
            events=EventBuffer(client),
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with self.redis, self.events.flushing():
            yield
        self.engine.dispose()


def deps_of(request: Request) -> Deps:
    deps: Deps = request.app.state.deps
    return deps
