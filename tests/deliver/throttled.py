"""Processes that send through a throttle: `python -m tests.deliver.throttled DATABASE REDIS PORT ROUTE`.

Each stands for a worker: lanes that open a connection for each message and await the answer. Their
ids are written to standard output, one a line; they are children of one process, as workers are.
"""

import asyncio
import os
import sys
from datetime import date

from newsletter.db import make_engine, reading
from newsletter.deliver.claims import Reader
from newsletter.deliver.gate import Gate
from newsletter.deliver.outcome import Reply
from newsletter.deliver.throttle import Throttle
from newsletter.models import Transport
from newsletter.redis import impatient_redis

READERS = 20_000
PROCESSES = 3
LEASE_SECONDS = 2.0
TICK_SECONDS = 0.2
ACCEPTED = Reply(250, "2.0.0", "Ok")


def a_reader(number: int, *, domain_id: int, route: int) -> Reader:
    return Reader(
        subscriber_id=number,
        list_id=1,
        address=f"reader{number}@gmail.com",
        name="",
        joined_on=date(2026, 11, 23),
        attempts=0,
        first_at=None,
        domain_id=domain_id,
        route=route,
    )


async def send(gate: Gate, reader: Reader, port: int) -> None:
    reply = None
    try:
        taker, writer = await asyncio.open_connection("127.0.0.1", port)
        if await taker.readline():
            reply = ACCEPTED
        writer.close()
        await writer.wait_closed()
    finally:
        gate.leaves(reader, reply)


async def send_all(gate: Gate, readers: list[Reader], port: int) -> None:
    under_way: set[asyncio.Task[None]] = set()
    for reader in readers:
        while len(under_way) >= gate.lanes or not gate.admits(reader):
            await asyncio.sleep(min(0.05, max(0.003, gate.wait_seconds())))
            under_way = {task for task in under_way if not task.done()}
        under_way.add(asyncio.create_task(send(gate, reader, port)))


def work(database_url: str, redis_url: str, port: str, route: str) -> None:
    engine = make_engine(database_url)
    with reading(engine) as session:
        transport = session.get_one(Transport, 1)
    throttle = Throttle(
        engine,
        impatient_redis(redis_url),
        messages_per_second=None,
        deliver_processes=4,
        lease_seconds=LEASE_SECONDS,
        tick_seconds=TICK_SECONDS,
    )
    readers = [a_reader(number, domain_id=1, route=int(route)) for number in range(READERS)]
    with throttle.open(transport, route=int(route), readers=readers) as gate:
        asyncio.run(send_all(gate, readers, int(port)))


def main() -> None:
    for _ in range(PROCESSES):
        child = os.fork()
        if child == 0:
            work(*sys.argv[1:])
            return
        sys.stdout.write(f"{child}\n")
        sys.stdout.flush()
    # Whoever is killed keeps its id until all of this ends with the standard input.
    sys.stdin.read()


if __name__ == "__main__":
    main()
