"""The mail server on a thread of its own, for whoever wants to send mail to it in-process."""

import asyncio
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import uvloop

from newsletter.devmail.received import Received, Sink
from newsletter.devmail.script import Script
from newsletter.devmail.server import Manner, SmtpServer

HOST = "127.0.0.1"


class DevMail:
    """A running server that remembers, in memory, all it was given."""

    def __init__(self, server: SmtpServer, inbox: "_Inbox", port: int) -> None:
        self._server = server
        self._inbox = inbox
        self.host = HOST
        self.port = port

    @property
    def connections(self) -> int:
        """How many clients have connected so far."""
        return self._server.connections

    @property
    def script(self) -> Script:
        return self._server.script

    @script.setter
    def script(self, script: Script) -> None:
        self._server.script = script

    def messages(self) -> list[Received]:
        return self._inbox.messages()

    def forget(self) -> None:
        self._inbox.clear()

    def wait_for(self, count: int, timeout_seconds: float = 10.0) -> list[Received]:
        """The messages, once there are `count` of them. Raises `TimeoutError`."""
        return self._inbox.wait_for(count, timeout_seconds)


class _Inbox:
    def __init__(self) -> None:
        self._messages: list[Received] = []
        self._changed = threading.Condition()

    def __call__(self, received: Received) -> None:
        with self._changed:
            self._messages.append(received)
            self._changed.notify_all()

    def messages(self) -> list[Received]:
        with self._changed:
            return list(self._messages)

    def clear(self) -> None:
        with self._changed:
            self._messages.clear()

    def wait_for(self, count: int, timeout_seconds: float) -> list[Received]:
        with self._changed:
            if not self._changed.wait_for(lambda: len(self._messages) >= count, timeout_seconds):
                message = f"{len(self._messages)} of {count} messages came"
                raise TimeoutError(message)
            return list(self._messages)


@contextmanager
def running_devmail(
    *,
    port: int = 0,
    script: Script | None = None,
    manner: Manner | None = None,
    sinks: Sequence[Sink] = (),
) -> Iterator[DevMail]:
    """Listen on the loopback interface; port 0 takes a free one."""
    inbox = _Inbox()
    server = SmtpServer(sinks=[*sinks, inbox], script=script, manner=manner)
    loop = uvloop.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="devmail", daemon=True)
    thread.start()
    try:
        chosen = asyncio.run_coroutine_threadsafe(server.start(HOST, port), loop).result()
        try:
            yield DevMail(server, inbox, chosen)
        finally:
            asyncio.run_coroutine_threadsafe(server.close(), loop).result()
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
