"""Counts requests, and answers Prometheus: what the processes counted, and what is on its way."""

import asyncio
from collections.abc import Iterator, Mapping
from datetime import datetime
from ipaddress import ip_address

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from newsletter.clock import utc_now
from newsletter.db import reading
from newsletter.metrics import CONTENT_TYPE_LATEST, REQUESTS, exposition, is_bearer
from newsletter.queue import Queue
from newsletter.report.backlog import Backlog, read_backlog
from newsletter.settings import Settings
from newsletter.web.deps import Deps, deps_of
from newsletter.web.health import REDIS_SECONDS, pump_turned_at
from newsletter.web.pages import NO_STORE

_METHODS = frozenset({"GET", "HEAD", "POST", "OPTIONS"})


class CountRequests:
    """By the route's pattern, never the path: that holds readers' tokens."""

    def __init__(self, app: ASGIApp, *, patterns: dict[object, str]) -> None:
        """`patterns` is by endpoint."""
        self._app = app
        self._patterns = patterns

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        has_begun = False

        async def send_and_count(message: Message) -> None:
            nonlocal has_begun
            if message["type"] == "http.response.start":
                has_begun = True
                self._count(scope, message["status"])
            await send(message)

        try:
            await self._app(scope, receive, send_and_count)
        except Exception:
            if not has_begun:  # the page for it is made outside of every middleware
                self._count(scope, 500)
            raise

    def _count(self, scope: Scope, status: int) -> None:
        pattern = self._patterns.get(scope.get("endpoint"), "none")
        method = scope["method"] if scope["method"] in _METHODS else "other"
        REQUESTS.labels(pattern, method, status).inc()


async def metrics(request: Request) -> Response:
    """With the token from anywhere; without one from this host, and in production not at all."""
    deps = deps_of(request)
    if not _may_read(deps.settings, request):
        raise HTTPException(404)
    turned_at = await pump_turned_at(deps)
    bells = await _bells_waiting(deps)
    backlog = await run_in_threadpool(_backlog, deps)
    text = exposition([Rows(backlog, turned_at, bells)])
    return Response(text, headers={**NO_STORE, "Content-Type": CONTENT_TYPE_LATEST})


class Rows(Collector):
    """What the rows say. What cannot be had, because its store is away, is left out."""

    def __init__(
        self, backlog: Backlog | None, turned_at: datetime | None, bells: Mapping[Queue, int]
    ) -> None:
        self._backlog = backlog
        self._turned_at = turned_at
        self._bells = bells

    def collect(self) -> Iterator[GaugeMetricFamily]:
        if self._turned_at is not None:
            yield GaugeMetricFamily(
                "newsletter_pump_turned_timestamp_seconds",
                "When the pump last finished a turn.",
                value=self._turned_at.timestamp(),
            )
        if self._bells:
            waiting = GaugeMetricFamily(
                "newsletter_bells_waiting", "Doorbells that no worker took yet.", labels=["queue"]
            )
            for queue, count in self._bells.items():
                waiting.add_metric([queue], count)
            yield waiting
        if self._backlog is not None:
            yield from _of_backlog(self._backlog)


def _of_backlog(backlog: Backlog) -> Iterator[GaugeMetricFamily]:
    yield GaugeMetricFamily(
        "newsletter_oldest_due_batch_seconds",
        "How long the batch that is due longest has waited for a worker.",
        value=backlog.oldest_due_seconds,
    )
    yield GaugeMetricFamily(
        "newsletter_oldest_due_system_mail_seconds",
        "How long the single mail that is due longest has waited for a worker.",
        value=backlog.oldest_mail_seconds,
    )
    editions = GaugeMetricFamily("newsletter_editions", "Editions under way.", labels=["state"])
    for edition_state, count in backlog.editions.items():
        editions.add_metric([edition_state], count)
    yield editions
    batches = GaugeMetricFamily(
        "newsletter_batches_under_way", "Batches of editions under way.", labels=["state"]
    )
    for batch_state, count in backlog.batches.items():
        batches.add_metric([batch_state.name.lower()], count)
    yield batches
    deliveries = GaugeMetricFamily(
        "newsletter_deliveries_under_way", "Deliveries of editions under way.", labels=["state"]
    )
    deliveries.add_metric(["deferred"], backlog.deferred)
    deliveries.add_metric(["uncertain"], backlog.uncertain)
    yield deliveries
    holds = GaugeMetricFamily(
        "newsletter_holds",
        "What is kept from being sent; see `transport status`.",
        labels=["scope"],
    )
    for scope, count in backlog.holds.items():
        holds.add_metric([scope], count)
    yield holds


async def _bells_waiting(deps: Deps) -> dict[Queue, int]:
    """Nothing when Redis does not say: the broker keeps a list by each queue's name."""
    try:
        async with asyncio.timeout(REDIS_SECONDS):
            return {queue: await deps.redis.llen(queue) for queue in Queue}
    except (RedisError, TimeoutError):
        return {}


def _may_read(settings: Settings, request: Request) -> bool:
    if settings.metrics_token is not None:
        return is_bearer(settings.metrics_token, request.headers.get("authorization", ""))
    # In production a proxy on this very host passes on the requests of strangers.
    return (
        settings.env != "production"
        and request.client is not None
        and _is_loopback(request.client.host)
    )


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _backlog(deps: Deps) -> Backlog | None:
    try:
        with reading(deps.engine) as session:
            return read_backlog(session, now=utc_now())
    except SQLAlchemyError:
        return None
