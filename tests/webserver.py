"""A web server on loopback that answers as a test says, and remembers what it was asked."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_network

from newsletter.fetch import Fetcher

LOOPBACK = ip_network("127.0.0.0/8")


@dataclass(frozen=True, slots=True)
class Asked:
    method: str
    path: str
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes


@dataclass(frozen=True, slots=True)
class Reply:
    body: bytes = b""
    kind: str = "text/html; charset=utf-8"
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


Answers = Callable[[Asked], Reply | bytes]
"""Bytes are sent as they are, in place of a whole answer."""


@dataclass(slots=True)
class WebServer:
    port: int
    asked: list[Asked]

    def url(self, path: str = "/", host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}{path}"


@dataclass(frozen=True, slots=True)
class Names:
    """Knows the addresses of the hosts that a test tells it, and counts the questions."""

    known: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    questions: list[str] = field(default_factory=list)

    def addresses(self, host: str) -> tuple[str, ...]:
        self.questions.append(host)
        return self.known.get(host, ())


def loopback_fetcher() -> Fetcher:
    """One that may go to loopback, by number."""
    return Fetcher(Names(), private=[LOOPBACK])


@contextmanager
def running_web_server(answer: Answers) -> Iterator[WebServer]:
    asked: list[Asked] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._reply()

        def do_POST(self) -> None:
            self._reply()

        def log_message(self, format: str, *args: object) -> None:
            pass

        def _reply(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", "0")))
            headers = {name.lower(): value for name, value in self.headers.items()}
            asked.append(Asked(self.command, self.path, headers, body))
            reply = answer(asked[-1])
            self.close_connection = True
            try:
                if isinstance(reply, bytes):
                    self.wfile.write(reply)
                    return
                self.send_response(reply.status)
                fields = {"Content-Type": reply.kind, "Content-Length": str(len(reply.body))}
                for name, value in {**fields, **reply.headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(reply.body)
            except OSError:
                pass  # whoever asked has heard enough

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield WebServer(server.server_address[1], asked)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
