from collections.abc import Iterator
from contextlib import contextmanager

from newsletter.stack.ports import free_port
from newsletter.stack.postgres import running_postgres as _running

__all__ = ["free_port", "running_postgres"]


@contextmanager
def running_postgres() -> Iterator[str]:
    with _running() as server:
        yield server.url
