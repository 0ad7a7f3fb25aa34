"""The proxy between the workers and the rest of the system."""

import socket
import threading
from collections.abc import Iterator

import pytest

from newsletter.drill.proxy import Betrayal, Proxy, running_wiring

HOST = "127.0.0.1"


class Echo:
    """A server that gives back what it gets, and remembers it."""

    def __init__(self) -> None:
        self.heard = b""
        self._server = socket.create_server((HOST, 0))
        self.port: int = self._server.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._server.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            threading.Thread(target=self._echo, args=[connection], daemon=True).start()

    def _echo(self, connection: socket.socket) -> None:
        with connection:
            while data := connection.recv(1000):
                self.heard += data
                connection.sendall(data)


@pytest.fixture
def echo() -> Iterator[Echo]:
    server = Echo()
    yield server
    server.close()


@pytest.fixture
def proxy(echo: Echo) -> Iterator[Proxy]:
    with running_wiring() as wiring:
        yield wiring.to(echo.port)


def connect(proxy: Proxy) -> socket.socket:
    return socket.create_connection((HOST, proxy.port), timeout=5)


def is_ended(connection: socket.socket) -> bool:
    try:
        return connection.recv(100) == b""
    except ConnectionResetError:
        return True


def test_what_is_sent_comes_through_and_back(proxy: Proxy) -> None:
    with connect(proxy) as connection:
        connection.sendall(b"hello")

        assert connection.recv(100) == b"hello"


def test_cut_ends_old_and_new_connections_until_it_is_healed(proxy: Proxy) -> None:
    with connect(proxy) as old:
        old.sendall(b"hello")
        old.recv(100)

        proxy.cut()

        assert is_ended(old)
    with connect(proxy) as new:
        assert is_ended(new)
    proxy.heal()
    with connect(proxy) as healed:
        healed.sendall(b"again")
        assert healed.recv(100) == b"again"


def test_hold_lets_nothing_pass_and_loses_nothing(proxy: Proxy) -> None:
    with connect(proxy) as connection:
        proxy.hold()
        connection.sendall(b"patience")
        connection.settimeout(0.2)
        with pytest.raises(TimeoutError):
            connection.recv(100)

        proxy.heal()

        connection.settimeout(5)
        assert connection.recv(100) == b"patience"


@pytest.mark.parametrize(("how", "is_heard"), [(Betrayal.COMMITTED, True), (Betrayal.LOST, False)])
def test_of_a_betrayed_commit_nobody_hears_whether_it_came_through(
    proxy: Proxy, echo: Echo, how: Betrayal, is_heard: bool
) -> None:
    with connect(proxy) as connection:
        connection.sendall(b"BEGIN\0")
        assert connection.recv(100) == b"BEGIN\0"

        proxy.betray(how)
        connection.sendall(b"Q\0\0\0\x0bCOMMIT\0")

        assert is_ended(connection)
        assert (b"COMMIT" in echo.heard) is is_heard
        assert not proxy.is_about_to_betray


def test_a_server_that_is_away_ends_the_connection() -> None:
    with socket.create_server((HOST, 0)) as nobody:
        port: int = nobody.getsockname()[1]

    with running_wiring() as wiring, connect(wiring.to(port)) as connection:
        assert is_ended(connection)


def test_wiring_ends_its_loop_with_the_block() -> None:
    with running_wiring():
        assert any(thread.name == "proxies" for thread in threading.enumerate())

    assert not any(thread.name == "proxies" for thread in threading.enumerate())
