"""Tells an orchestrator whether this process lives and whether it can do its work."""

import asyncio
from datetime import datetime

from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse

from newsletter.clock import utc_now
from newsletter.deliver import pump
from newsletter.models import schema
from newsletter.redis import PUMP_TURNED
from newsletter.web.deps import Deps, deps_of
from newsletter.web.pages import NO_STORE

OK = "ok"
REDIS_SECONDS = 2.0


async def live(_request: Request) -> JSONResponse:
    return JSONResponse({"status": OK}, headers=NO_STORE)


async def ready(request: Request) -> JSONResponse:
    """503 until the database is reachable and migrated and Redis answers.

    A pump that stands still is told of, and no more: readers are served without it.
    """
    deps = deps_of(request)
    database, stream, turning = await asyncio.gather(
        run_in_threadpool(_database, deps), _redis(deps), _pump(deps)
    )
    is_ready = database == stream == OK
    status = OK if is_ready else "unavailable"
    return JSONResponse(
        {"status": status, "database": database, "redis": stream, "pump": turning},
        200 if is_ready else 503,
        NO_STORE,
    )


async def pump_turned_at(deps: Deps) -> datetime | None:
    """When the pump last finished a turn; None when it never did, or Redis does not say."""
    try:
        async with asyncio.timeout(REDIS_SECONDS):
            stored = await deps.redis.get(PUMP_TURNED)
    except (RedisError, TimeoutError):
        return None
    return datetime.fromisoformat(stored.decode()) if isinstance(stored, bytes) else None


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


async def _pump(deps: Deps) -> str:
    turned_at = await pump_turned_at(deps)
    if turned_at is None:
        return "has not turned yet"
    rests = utc_now() - turned_at
    return OK if rests < pump.RESTS else f"last turned {rests.total_seconds():.0f} s ago"
