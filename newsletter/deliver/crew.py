"""The senders of one worker process: one, and a second that goes on while the first is held up.

A provider that takes a minute for each answer keeps its batch under way for many of them, and a
process sends one batch at a time. What is due for everybody else must not wait for that (R-24), also
where there is no other process: a second sender, with connections and a journal of its own, sends
it meanwhile.
"""

import logging
import threading
from typing import Self

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from newsletter.deliver.sender import Sender, ShouldStop
from newsletter.settings import Settings

logger = logging.getLogger(__name__)

PATIENCE_SECONDS = 10.0
"""As much as a batch is made for; one that takes longer has met somebody slow."""
LOOK_SECONDS = 1.0
RELIEF_SECONDS = 30.0
SHARE = 4
"""One connection in so many, at least one, is opened beside those that wait for somebody slow."""


def _never() -> bool:
    return False


class Crew:
    def __init__(
        self,
        engine: Engine,
        settings: Settings,
        *,
        patience_seconds: float = PATIENCE_SECONDS,
        should_stop: ShouldStop = _never,
    ) -> None:
        self._engine = engine
        self._settings = settings
        self._patience = patience_seconds
        self._should_stop = should_stop
        self._first = Sender(engine, settings)
        self._second: Sender | None = None
        self._is_over = threading.Event()
        self._watch = threading.Thread(target=self._look_after, name="second", daemon=True)
        self._watch.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def drain(self, *, seconds: float) -> int:
        """See `Sender.drain`."""
        return self._first.drain(seconds=seconds, should_stop=self._should_stop)

    def has_due_work(self) -> bool:
        return self._first.has_due_work()

    def close(self) -> None:
        """Wait for both to end what they are at."""
        self._is_over.set()
        self._first.close()
        self._watch.join()
        if self._second is not None:
            self._second.close()

    def _held_up_on(self) -> frozenset[int]:
        return self._first.held_up_on(seconds=self._patience)

    def _look_after(self) -> None:
        while not self._is_over.wait(min(LOOK_SECONDS, self._patience)):
            if not self._held_up_on() or self._is_ending():
                continue
            try:
                self._relieve()
            except SQLAlchemyError as error:
                logger.warning("database out of reach", extra={"error": type(error).__name__})
            except Exception:
                logger.exception("drain broke off")

    def _relieve(self) -> None:
        """Send what is due elsewhere for as long as the first is held up."""
        if self._second is None:
            self._second = Sender(
                self._engine, self._settings, share=SHARE, leaves_alone=self._held_up_on
            )
        self._second.drain(
            seconds=RELIEF_SECONDS,
            should_stop=lambda: self._is_ending() or not self._held_up_on(),
        )

    def _is_ending(self) -> bool:
        return self._is_over.is_set() or self._should_stop()
