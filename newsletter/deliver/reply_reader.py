"""Reads a server's replies off the wire: whole ones, in order, within bounds."""

import asyncio
import re
from collections import deque
from collections.abc import Callable
from functools import lru_cache
from typing import cast

from newsletter.deliver.outcome import Reply

LONGEST_LINE = 4096
MOST_LINES = 100
MOST_UNREAD = 100

_CODE = re.compile(rb"[2-5][0-9]{2}(?:[ -]|\r?$)")
_ENHANCED = re.compile(r"([245]\.[0-9]{1,3}\.[0-9]{1,3})(?: |$)")


class ReplyReader(asyncio.Protocol):
    """The receiving half of a connection. `ended` says why nothing more will come.

    Either a coroutine awaits each `reply`, or a `listener` is called when there are `replies` to
    take or the connection has ended.
    """

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.ended: str | None = None
        self.replies: deque[Reply] = deque()
        self.listener: Callable[[], None] | None = None
        self._partial = b""
        self._lines: list[bytes] = []
        self._waiter: asyncio.Future[None] | None = None

    @property
    def has_unread(self) -> bool:
        return bool(self.replies or self._lines or self._partial)

    async def reply(self, seconds: float) -> Reply | None:
        """The next reply; None when none comes within `seconds`, or any more: see `ended`."""
        if not self.replies and self.ended is None:
            await self._wait(seconds)
        return self.replies.popleft() if self.replies else None

    def end(self, why: str) -> None:
        """Take nothing more; what was read whole before stays."""
        if self.ended is None:
            self.ended = why
        if self.transport is not None:
            self.transport.abort()
        self._wake()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's is none by class

    def connection_lost(self, exc: Exception | None) -> None:
        self.end(f"connection lost: {exc}" if exc else "the server closed the connection")

    def eof_received(self) -> bool:
        self.end("the server closed the connection")
        return False

    def data_received(self, data: bytes) -> None:
        *lines, self._partial = (self._partial + data).split(b"\n")
        for line in lines:
            reply = None if self._lines else _read_line(line)
            if reply is not None:
                self.replies.append(reply)
            elif not self._read_on(line):
                return self.end(f"the server does not speak SMTP: {line[:60]!r}")
        if (
            len(self._partial) > LONGEST_LINE
            or len(self._lines) > MOST_LINES
            or len(self.replies) > MOST_UNREAD
        ):
            return self.end("the server's answer has no end")
        if self.replies:
            self._wake()
        return None

    def _read_on(self, line: bytes) -> bool:
        """Take a line of a reply that has several; False: it is none."""
        if not is_of_reply(line):
            return False
        self._lines.append(line)
        if line[3:4] != b"-":
            self.replies.append(reply_of(self._lines))
            self._lines.clear()
        return True

    async def _wait(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        self._waiter = loop.create_future()
        timer = loop.call_later(seconds, self._wake)
        try:
            await self._waiter
        finally:
            timer.cancel()
            self._waiter = None

    def _wake(self) -> None:
        if self.listener is not None:
            self.listener()
        elif self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


@lru_cache(maxsize=512)  # a server says the same few things thousands of times
def _read_line(line: bytes) -> Reply | None:
    """The reply that this line is all of; None when there is more to it, or it is none."""
    return reply_of([line]) if is_of_reply(line) and line[3:4] != b"-" else None


def is_of_reply(line: bytes) -> bool:
    return len(line) <= LONGEST_LINE and _CODE.match(line) is not None


def reply_of(lines: list[bytes]) -> Reply:
    # PostgreSQL stores no NUL.
    texts = [line[4:].decode("utf-8", "replace").strip("\r\n").replace("\0", "�") for line in lines]
    text = "\n".join(texts)
    enhanced = _ENHANCED.match(text)
    if enhanced is None:
        return Reply(int(lines[-1][:3]), None, text)
    return Reply(int(lines[-1][:3]), enhanced[1], text[enhanced.end() :])
