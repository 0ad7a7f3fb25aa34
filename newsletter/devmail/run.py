"""Runs the mail server and its mailbox page together until told to stop.

granian's embedding server serves the page on the loop that serves SMTP, so the store needs no lock.
"""

import asyncio
import logging
import signal
import socket
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from granian.constants import Interfaces
from granian.server.embed import Server
from starlette.applications import Starlette

from newsletter.devmail.server import SmtpServer
from newsletter.errors import InputError

logger = logging.getLogger(__name__)

FLUSH_SECONDS = 0.2
_PATIENCE_SECONDS = 10.0
_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@dataclass(frozen=True, slots=True)
class Ports:
    """0 takes a free one."""

    smtp: int
    web: int


async def serve(
    server: SmtpServer,
    app: Starlette,
    *,
    host: str,
    ports: Ports,
    flush: Callable[[], None],
    ready: Callable[[Ports], None],
) -> None:
    """Return after SIGINT or SIGTERM. Raises `InputError` if a port is not to be had."""
    stop = asyncio.Event()
    with _explained(host, ports.web):
        web_port = _free_port(host, ports.web)
    with _explained(host, ports.smtp):
        smtp_port = await server.start(host, ports.smtp)
    web = Server(
        app,
        address=host,
        port=web_port,
        interface=Interfaces.ASGINL,
        websockets=False,
        log_enabled=False,
    )
    serving = asyncio.create_task(web.serve())
    flushing = asyncio.create_task(_repeat(flush))
    loop = asyncio.get_running_loop()
    for number in _STOP_SIGNALS:
        loop.add_signal_handler(number, stop.set)
    try:
        await _answering(host, web_port)
        ready(Ports(smtp=smtp_port, web=web_port))
        await stop.wait()
    finally:
        flushing.cancel()
        await server.close()
        web.stop()  # type: ignore[no-untyped-call]  # granian leaves it unannotated
        await serving


def _free_port(host: str, port: int) -> int:
    # granian shares its port with other granians and does not say which one 0 became.
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((host, port))
        chosen: int = probe.getsockname()[1]
        return chosen


async def _repeat(flush: Callable[[], None]) -> None:
    while True:
        await asyncio.sleep(FLUSH_SECONDS)
        try:
            flush()
        except sqlite3.Error:
            # It waits to be tried again; when too much waits, the next message is not accepted.
            logger.exception("mail could not be written")


async def _answering(host: str, port: int) -> None:
    async with asyncio.timeout(_PATIENCE_SECONDS):
        while True:
            with suppress(OSError):
                _, writer = await asyncio.open_connection(host, port)
                writer.close()
                return
            await asyncio.sleep(0.01)


@contextmanager
def _explained(host: str, port: int) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InputError(
            "{host}:{port}: cannot listen there: {reason}; choose another port",
            host=host,
            port=port,
            reason=error.strerror,
        ) from error
