"""The web server as it runs for readers, a process of its own, spoken to through bare sockets."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from newsletter.settings import Settings
from newsletter.stack.ports import free_port
from newsletter.tokens import Tokens

SECRET = "a-secret-for-tests-that-is-long-enough-to-pass"
COMMAND = "from newsletter.cli.web import command; command()"


def settings_for(redis_url: str, state_dir: Path, **changes: str) -> Settings:
    return Settings.model_validate(
        {"redis_url": redis_url, "state_dir": state_dir, "secret_keys": ((0, SECRET),)} | changes
    )


def tokens() -> Tokens:
    return Tokens(((0, SECRET),))


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Server:
    port: int
    process: "subprocess.Popen[bytes]"

    def exchange(self, *request: bytes) -> Answer:
        """Send these very bytes and read until the server closes or the answer is complete."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=20) as connection:
            for piece in request:
                connection.sendall(piece)
            return _read_answer(connection)

    def post(self, path: str, body: bytes, *fields: str) -> Answer:
        """A POST with no header fields but those that HTTP/1.1 demands, and `fields`."""
        head = [f"POST {path} HTTP/1.1", "Host: x", f"Content-Length: {len(body)}", *fields]
        return self.exchange("\r\n".join(head).encode() + b"\r\n\r\n" + body)

    def get(self, path: str, *fields: str, method: str = "GET") -> Answer:
        head = [f"{method} {path} HTTP/1.1", "Host: x", *fields]
        return self.exchange("\r\n".join(head).encode() + b"\r\n\r\n")


@contextmanager
def running_server(
    database_url: str, redis_url: str, log: Path, *, port: int | None = None
) -> Iterator[Server]:
    environment = {
        **os.environ,
        "NEWSLETTER_DATABASE_URL": database_url,
        "NEWSLETTER_REDIS_URL": redis_url,
        "NEWSLETTER_SECRET_KEYS": f"0:{SECRET}",
        "NEWSLETTER_STATE_DIR": str(log.parent / "state"),
    }
    port = port or free_port()
    with (
        log.open("wb") as output,
        subprocess.Popen(
            [sys.executable, "-c", COMMAND, "--port", str(port)],
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
        ) as process,
    ):
        server = Server(port, process)
        try:
            _wait_until_live(server, log)
            yield server
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(20)


def _wait_until_live(server: Server, log: Path) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and server.process.poll() is None:
        try:
            if server.get("/health/live").status == 200:
                return
        except OSError:
            time.sleep(0.05)
    raise TimeoutError(log.read_text())


def _read_answer(connection: socket.socket) -> Answer:
    received = b""
    while b"\r\n\r\n" not in received:
        chunk = connection.recv(65_536)
        if not chunk:
            raise ConnectionResetError(received)
        received += chunk
    head, _, body = received.partition(b"\r\n\r\n")
    status_line, *lines = head.decode("latin-1").split("\r\n")
    headers = {
        name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)
    }
    connection.settimeout(0.2)
    expected = int(headers.get("content-length", "0"))
    try:
        while len(body) < expected:
            chunk = connection.recv(65_536)
            if not chunk:
                break
            body += chunk
    except TimeoutError:
        pass  # an answer to HEAD names a length and has no body
    return Answer(int(status_line.split()[1]), headers, body)
