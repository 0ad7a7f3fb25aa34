"""Tells an orchestrator whether this process lives and whether it can do its work."""

import asyncio

from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse

from newsletter.models import schema
from newsletter.web.deps import Deps, deps_of
from newsletter.web.pages import NO_STORE

OK = "ok"
REDIS_SECONDS = 2.0


async def live(_request: Request) -> JSONResponse:
    return JSONResponse({"status": OK}, headers=NO_STORE)


async def ready(request: Request) -> JSONResponse:
    """503 until the database is reachable and migrated and Redis answers."""
    deps = deps_of(request)
    database, stream = await asyncio.gather(run_in_threadpool(_database, deps), _redis(deps))
    is_ready = database == stream == OK
    return JSONResponse(
        {"status": OK if is_ready else "unavailable", "database": database, "redis": stream},
        200 if is_ready else 503,
        NO_STORE,
    )


def _database(deps: Deps) -> str:
    try:
        is_current = schema.is_current(deps.engine.execution_options(sqlite_begin="DEFERRED"))
    except SQLAlchemyError:
        return "unreachable"
    return OK if is_current else "not migrated"


async def _redis(deps: Deps) -> str:
    try:
        async with asyncio.timeout(REDIS_SECONDS):
            await deps.redis.exists("")
    except (RedisError, TimeoutError):
        return "unreachable"
    return OK
