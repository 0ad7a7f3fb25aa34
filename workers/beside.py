"""Work that waits for other people's servers, in a thread beside a process's other jobs."""

import logging
import threading
from collections.abc import Callable

from sqlalchemy.exc import SQLAlchemyError

logger = logging.getLogger(__name__)


class Beside:
    """One thread at a time for one kind of work: the pump must not wait until a slow server answers."""

    def __init__(self, name: str, work: Callable[[], None]) -> None:
        self._name = name
        self._work = work
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Does nothing while the thread is still at it; beat rings again."""
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
            self._thread.start()

    def _run(self) -> None:
        try:
            self._work()
        except SQLAlchemyError as error:
            logger.warning("database out of reach", extra={"error": type(error).__name__})
