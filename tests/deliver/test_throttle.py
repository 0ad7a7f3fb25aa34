import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import redis as redis_client
from sqlalchemy import Engine

from newsletter.db import reading, transaction
from newsletter.deliver.adaptive import speeds
from newsletter.deliver.gate import Gate, OpenGate
from newsletter.deliver.outcome import Reply
from newsletter.deliver.providers import route_numbers, set_limits
from newsletter.deliver.throttle import LONGEST_HELD_SECONDS, Throttle
from newsletter.models import Domain, Pacing, Transport
from newsletter.plan.rates import Rate
from newsletter.redis import impatient_redis
from newsletter.stack.broker import Broker
from newsletter.stack.ports import free_port
from tests.deliver.throttled import PROCESSES, a_reader
from tests.newsroom import add_transport

ACCEPTED = Reply(250, "2.0.0", "Ok")
SLOW_DOWN = Reply(421, "4.7.0", "Too many connections")
LEASE_SECONDS = 2.0
"""Long enough that a test which has to wait for a core does not lose what it holds."""
TICK_SECONDS = 0.05
PEOPLE = 1000


@pytest.fixture
def store() -> str:
    return "sqlite"


class Scene:
    """A transport that keeps to the providers' limits, and domains of some providers."""

    def __init__(self, engine: Engine, redis_url: str) -> None:
        self.engine = engine
        self.redis_url = redis_url
        self.transport_id = add_transport(engine, 25, connections=20)
        with transaction(engine) as session:
            session.get_one(Transport, self.transport_id).pacing = Pacing.PROVIDERS
            self.routes = route_numbers(session)
            for name, route, site in (
                ("gmail.com", "google", None),
                ("quay.org", "other", "mx.hoster.net"),
                ("pier.org", "other", "mx.hoster.net"),
                ("isle.org", "other", None),
            ):
                session.add(Domain(name=name, route=self.routes[route], mx_site=site))

    def limit(self, name: str, *, connections: int | None = None, rate: str | None = None) -> None:
        with transaction(self.engine) as session:
            parsed = Rate.parse(rate) if rate else None
            set_limits(session, name, connections=connections, rate=parsed)

    def change_transport(self, **changes: object) -> None:
        with transaction(self.engine) as session:
            transport = session.get_one(Transport, self.transport_id)
            for name, value in changes.items():
                setattr(transport, name, value)

    @contextmanager
    def process(self, *, processes: int = 4, most: float | None = None) -> Iterator[Throttle]:
        throttle = Throttle(
            self.engine,
            impatient_redis(self.redis_url),
            messages_per_second=most,
            deliver_processes=processes,
            lease_seconds=LEASE_SECONDS,
            tick_seconds=TICK_SECONDS,
        )
        try:
            yield throttle
        finally:
            throttle.close()

    @contextmanager
    def gate(
        self,
        throttle: Throttle,
        *domains: str,
        route: str = "google",
        people: int = PEOPLE,
        idle: Callable[[], int] = int,
    ) -> Iterator[tuple[Gate, Callable[[str], bool]]]:
        """A batch's gate, and what asks it to admit somebody at a domain."""
        with reading(self.engine) as session:
            transport = session.get_one(Transport, self.transport_id)
            ids = {domain.name: domain.id for domain in session.query(Domain)}
        number = self.routes[route]
        readers = {name: a_reader(1, domain_id=ids[name], route=number) for name in domains}
        everybody = [reader for reader in readers.values() for _ in range(people)]
        with throttle.open(transport, route=number, readers=everybody, idle=idle) as gate:
            yield gate, lambda name: gate.admits(readers[name])

    def leave(self, gate: Gate, reply: Reply | None = ACCEPTED, *, domain_id: int = 1) -> None:
        gate.leaves(a_reader(1, domain_id=domain_id, route=0), reply)


@pytest.fixture
def scene(engine: Engine, redis_server: str, redis: "redis_client.Redis") -> Scene:
    return Scene(engine, redis_server)


def eventually(is_so: Callable[[], bool], *, seconds: float = 20.0) -> bool:
    deadline = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def admitted(admits: Callable[[str], bool], *, seconds: float) -> int:
    """How many that ask every millisecond are."""
    count, end = 0, time.monotonic() + seconds
    while time.monotonic() < end:
        count += admits("gmail.com")
        time.sleep(0.001)
    return count


def test_a_relay_that_paces_is_not_throttled_and_redis_is_not_asked(engine: Engine) -> None:
    scene = Scene(engine, f"redis://127.0.0.1:{free_port()}/0")
    scene.change_transport(pacing=Pacing.RELAY)

    with scene.process() as throttle, scene.gate(throttle, "gmail.com") as (gate, admits):
        assert isinstance(gate, OpenGate)
        assert gate.lanes == 20
        assert all(admits("gmail.com") for _ in range(PEOPLE))


def test_r20_a_batch_has_as_many_connections_as_its_provider_allows(scene: Scene) -> None:
    scene.limit("google", connections=3)

    with scene.process() as throttle, scene.gate(throttle, "gmail.com") as (gate, _):
        assert gate.lanes == 3
        assert not gate.is_shut


def test_r20_domains_of_one_site_share_its_limit_and_others_go_on(scene: Scene) -> None:
    scene.limit("other", connections=2)

    with (
        scene.process() as throttle,
        scene.gate(throttle, "quay.org", "pier.org", "isle.org", route="other") as (gate, admits),
    ):
        assert gate.lanes == 20
        assert eventually(lambda: admits("quay.org"))
        assert eventually(lambda: admits("pier.org"))
        assert not eventually(lambda: admits("quay.org"), seconds=0.1)
        assert not eventually(lambda: admits("pier.org"), seconds=0.1)
        assert eventually(lambda: admits("isle.org"))
        assert gate.wait_seconds() <= LONGEST_HELD_SECONDS


def test_r21_what_one_process_holds_another_does_not_get(scene: Scene) -> None:
    with scene.process() as first, scene.process() as second:
        with scene.gate(first, "gmail.com") as (gate, _):
            with scene.gate(second, "gmail.com") as (other, admits):
                assert gate.lanes == 5
                assert not admits("gmail.com")
                assert other.wait_seconds() > LONGEST_HELD_SECONDS
            assert second.crowded(scene.transport_id) == {scene.routes["google"]}
            assert first.crowded(scene.transport_id) == frozenset()

        def is_free() -> bool:
            with scene.gate(second, "gmail.com") as (other, _):
                return other.lanes == 5

        assert eventually(is_free)


def test_r21_connections_that_are_left_open_count_until_they_are_closed(scene: Scene) -> None:
    left_open = 4

    with scene.process() as first, scene.process() as second:
        with scene.gate(first, "gmail.com", idle=lambda: left_open):
            pass

        def lanes() -> int:
            with scene.gate(second, "gmail.com") as (gate, _):
                return gate.lanes

        assert not eventually(lambda: lanes() > 1, seconds=3 * LEASE_SECONDS)
        left_open = 0
        assert eventually(lambda: lanes() == 5)


def test_r21_connections_that_another_batch_uses_are_no_longer_the_first_ones(
    scene: Scene,
) -> None:
    with (
        scene.process() as first,
        scene.process() as second,
    ):
        with scene.gate(first, "gmail.com", idle=lambda: 4):
            pass
        with scene.gate(first, "quay.org", route="other"):

            def lanes() -> int:
                with scene.gate(second, "gmail.com") as (gate, _):
                    return gate.lanes

            assert eventually(lambda: lanes() == 5)


def test_r21_a_rate_is_shared_by_all_who_need_it(scene: Scene) -> None:
    scene.change_transport(pacing=Pacing.RELAY, rate="100/s")

    with ExitStack() as stack:
        senders = []
        for _ in range(3):
            throttle = stack.enter_context(scene.process())
            senders.append(stack.enter_context(scene.gate(throttle, "gmail.com")))
        went: list[tuple[float, int]] = []
        end = time.monotonic() + 2.5
        while time.monotonic() < end:
            for number, (_, admits) in enumerate(senders):
                if admits("gmail.com"):
                    went.append((time.monotonic(), number))
            time.sleep(0.001)

    begin = went[0][0] + 1.0  # after that everybody has found their share
    later = [number for at, number in went if at >= begin]
    assert 30 <= len(later) <= 1.05 * 100 * 1.5 + 3
    assert min(later.count(number) for number in range(3)) > len(later) / 5


def test_r21_a_share_that_nobody_uses_goes_to_who_needs_it(scene: Scene) -> None:
    scene.change_transport(pacing=Pacing.RELAY, rate="200/s")

    with (
        scene.process() as idle,
        scene.process() as busy,
        scene.gate(idle, "gmail.com"),
        scene.gate(busy, "gmail.com") as (_, admits),
    ):
        # More than the half that would be this one's part.
        assert eventually(lambda: admitted(admits, seconds=0.5) > 0.6 * 100)


def test_the_whole_installation_may_have_a_limit(scene: Scene) -> None:
    scene.change_transport(pacing=Pacing.RELAY)

    with (
        scene.process(most=2.0) as throttle,
        scene.gate(throttle, "gmail.com") as (gate, admits),
    ):
        assert admits("gmail.com")
        assert not admits("gmail.com")
        assert 0.3 < gate.wait_seconds() <= 0.5


def test_r21_a_slow_rate_is_kept_from_batch_to_batch(scene: Scene) -> None:
    scene.limit("google", rate="1/min")

    with scene.process() as first, scene.process() as second:
        with scene.gate(first, "gmail.com") as (gate, admits):
            assert admits("gmail.com")
            scene.leave(gate)

        def wait() -> float:
            with scene.gate(second, "gmail.com") as (other, admits):
                assert not admits("gmail.com")
                return other.wait_seconds()

        assert eventually(lambda: 55 < wait() <= 60)
        assert second.crowded(scene.transport_id) == {scene.routes["google"]}


def test_r21_a_process_that_says_nothing_any_more_holds_nothing(
    scene: Scene, redis: "redis_client.Redis"
) -> None:
    with scene.process() as silent, scene.process() as other, scene.gate(silent, "gmail.com"):
        silent._is_over.set()  # as if it were frozen: nothing is renewed
        began = time.monotonic()

        def gets_it() -> bool:
            with scene.gate(other, "gmail.com") as (gate, admits):
                return gate.lanes == 5 and admits("gmail.com")

        assert eventually(gets_it)
        assert time.monotonic() - began >= LEASE_SECONDS * 0.8


def test_r21_without_redis_each_process_has_its_part_and_never_more(scene: Scene) -> None:
    scene.redis_url = f"redis://127.0.0.1:{free_port()}/0"
    scene.limit("google", connections=8, rate="400/s")

    with (
        scene.process(processes=4) as throttle,
        scene.gate(throttle, "gmail.com") as (gate, admits),
    ):
        # The leases of others, if there are any, must have run out first.
        assert not admits("gmail.com")
        assert eventually(lambda: admits("gmail.com"))
        assert gate.lanes == 1  # five to begin with, by four processes
        for _ in range(1):
            scene.leave(gate)

        def to_one_after_the_other(name: str) -> bool:
            is_admitted = admits(name)
            if is_admitted:
                scene.leave(gate, None)
            return is_admitted

        count = admitted(to_one_after_the_other, seconds=0.5)

    assert 5 <= count <= 1.05 * 50 + 2


def test_r21_when_redis_is_back_the_limits_are_shared_again(engine: Engine, tmp_path: Path) -> None:
    broker = Broker(tmp_path / "valkey")
    broker.start()
    scene = Scene(engine, broker.url)
    with (
        scene.process(processes=4) as throttle,
        scene.process(processes=4) as second,
        scene.gate(throttle, "gmail.com") as (gate, _),
        scene.gate(second, "isle.org", route="other"),
    ):
        assert gate.lanes == 5
        time.sleep(TICK_SECONDS * 4)  # until each knows of the other

        broker.kill()
        assert eventually(lambda: gate.lanes == 2)  # two processes were known
        broker.start()

        assert eventually(lambda: gate.lanes == 5)
    broker.stop()


def test_r22_what_a_provider_answers_changes_its_speed_for_everybody(scene: Scene) -> None:
    with (
        scene.process() as first,
        scene.process() as second,
        scene.gate(first, "gmail.com") as (gate, admits),
    ):
        assert eventually(lambda: admits("gmail.com"))
        scene.leave(gate, SLOW_DOWN)

        assert eventually(lambda: gate.lanes == 2)
        with reading(scene.engine) as session:
            known = speeds(session, scene.transport_id, ["google"])
        assert (known["google"].connections, known["google"].rate) == (2, 50.0)

    with scene.gate(second, "gmail.com") as (gate, _):
        assert gate.lanes == 2


def test_r22_what_was_learnt_survives_restarts_and_an_emptied_redis(
    scene: Scene, redis: "redis_client.Redis"
) -> None:
    scene.limit("google", connections=20)
    with scene.process() as throttle, scene.gate(throttle, "gmail.com") as (gate, admits):
        for _ in range(100):
            assert eventually(lambda: admits("gmail.com"))
            scene.leave(gate)
        assert eventually(lambda: gate.lanes == 7)

    redis.flushall()

    with scene.process() as throttle, scene.gate(throttle, "gmail.com") as (gate, _):
        assert gate.lanes == 7


def test_a_hold_may_bring_a_limit_down_for_a_while(scene: Scene) -> None:
    reader = a_reader(1, domain_id=1, route=scene.routes["google"])
    with reading(scene.engine) as session:
        transport = session.get_one(Transport, scene.transport_id)

    with (
        scene.process() as throttle,
        throttle.open(
            transport,
            route=reader.route,
            readers=[reader] * 9,
            connections=1,
            rate=Rate.parse("1/min"),
        ) as gate,
    ):
        assert gate.lanes == 1
        assert gate.admits(reader)
        gate.leaves(reader, ACCEPTED)
        assert not gate.admits(reader)
        assert 50 < gate.wait_seconds() <= 60


def test_a_route_may_have_fewer_messages_on_a_connection(scene: Scene) -> None:
    with reading(scene.engine) as session:
        transport = session.get_one(Transport, scene.transport_id)

    with scene.process() as throttle:
        assert throttle.messages_per_connection(transport, scene.routes["google"]) == 50
        transport.messages_per_connection = 10
        assert throttle.messages_per_connection(transport, scene.routes["google"]) == 10


class Sink:
    """Counts how many connections are open at once, and when each came."""

    ANSWER_SECONDS = 0.015

    def __init__(self) -> None:
        self.open = 0
        self.most = 0
        self.came: list[float] = []

    async def serve(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open += 1
        self.most = max(self.most, self.open)
        self.came.append(time.monotonic())
        await asyncio.sleep(self.ANSWER_SECONDS)
        # Before the answer, on which the other side opens the next one.
        self.open -= 1
        writer.write(b"250 Ok\r\n")
        writer.close()


@contextmanager
def running_sink() -> Iterator[tuple[Sink, int]]:
    sink, loop = Sink(), asyncio.new_event_loop()
    server = loop.run_until_complete(asyncio.start_server(sink.serve, "127.0.0.1", 0))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield sink, server.sockets[0].getsockname()[1]
    finally:
        loop.call_soon_threadsafe(server.close)
        time.sleep(0.2)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def test_r21_several_processes_keep_to_one_limit_and_a_killed_one_leaves_its_part(
    scene: Scene, database_url: str
) -> None:
    scene.limit("google", connections=5, rate="400/s")
    route = str(scene.routes["google"])
    with running_sink() as (sink, port):
        command = [sys.executable, "-m", "tests.deliver.throttled", database_url]
        parent = subprocess.Popen(
            [*command, scene.redis_url, str(port), route],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert parent.stdout is not None
        workers = [int(parent.stdout.readline()) for _ in range(PROCESSES)]
        try:
            assert eventually(lambda: len(sink.came) > 300, seconds=40), len(sink.came)
            # Whoever holds the connections is killed; the others follow when its leases ran out.
            killed_at = kill_the_busy_one(sink, workers)
            assert eventually(
                lambda: sum(at > killed_at + 0.2 for at in sink.came) > 100, seconds=20
            )
        finally:
            for worker in workers:
                os.kill(worker, signal.SIGKILL)
            parent.communicate()

    assert sink.most <= 5
    assert most_in_a_second(sink.came) <= 1.05 * 400


def kill_the_busy_one(sink: Sink, workers: list[int]) -> float:
    """Kill one after the other until the sink hears nothing; returns when it was so."""
    for worker in workers[:-1]:
        os.kill(worker, signal.SIGKILL)
        killed_at = time.monotonic()
        time.sleep(0.3)
        if not any(at > killed_at + 0.1 for at in sink.came):
            break
    return killed_at


def most_in_a_second(times: list[float]) -> int:
    most, first = 0, 0
    for last, at in enumerate(times):
        while times[first] <= at - 1.0:
            first += 1
        most = max(most, last - first + 1)
    return most
