"""Keeps unsubscriptions on disk while the database is away, so that none is lost.

One small file each, named by the subscription: asking again makes no second one, any number of
processes may replay, and a file goes only after its unsubscription is committed.
"""

import json
import logging
import os
import secrets
from datetime import datetime
from pathlib import Path

from sqlalchemy import Engine

from newsletter.db import transaction
from newsletter.tokens import SubscriptionRef
from newsletter.track.unsubscribes import unsubscribe

logger = logging.getLogger(__name__)


class UnsubscribeSpool:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def keep(self, ref: SubscriptionRef, *, at: datetime, how: str) -> None:
        """On return the request survives a power cut."""
        name = f"{ref.list_id}-{ref.edition_id}-{ref.subscriber_id}"
        kept = self._folder / f"{name}.json"
        if kept.exists():
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        unfinished = self._folder / f"{name}.{secrets.token_hex(8)}.part"
        with unfinished.open("w", encoding="utf-8") as file:
            json.dump({"ref": ref._asdict(), "at": at.isoformat(), "how": how}, file)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(kept)
        self._sync_folder()

    def replay(self, engine: Engine) -> int:
        """Write what was kept, and return how much; a database still away raises its error."""
        kept = sorted(self._folder.glob("*.json"))
        for file in kept:
            self._write(engine, file)
        if kept:
            logger.warning("kept unsubscriptions written", extra={"requests": len(kept)})
        return len(kept)

    def _write(self, engine: Engine, file: Path) -> None:
        try:
            request = json.loads(file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return  # another process was first
        with transaction(engine) as session:
            unsubscribe(
                session,
                SubscriptionRef(**request["ref"]),
                at=datetime.fromisoformat(request["at"]),
                how=request["how"],
            )
        file.unlink(missing_ok=True)

    def _sync_folder(self) -> None:
        descriptor = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
