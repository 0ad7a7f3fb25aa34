"""Refuses to send from a database that has forgotten what was sent: one restored from a backup.

Every claim counts one more in the database, in its own transaction, and notes the number in the
state directory before anybody is mailed. No backup of the database brings that note back: whoever
finds more claims noted than the database knows of sends nothing, and sets a mark that keeps all
hosts from sending until an admin has armed the database.
"""

import fcntl
import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import Engine, update
from sqlalchemy.orm import Session

from newsletter.db import transaction
from newsletter.errors import DisarmedError
from newsletter.models import THE_ONE, Installation

FILE = "epoch"


@dataclass(frozen=True, slots=True)
class Epoch:
    """How many claims the installation of that identity has made."""

    identity: str
    claims: int


def count_claim(session: Session, folder: Path) -> Epoch:
    """Part of the transaction that claims; what it returns is noted once that is committed.

    Raises `DisarmedError` when this database must not send.
    """
    identity = session.get_one(Installation, THE_ONE).identity
    counted = session.scalar(
        update(Installation)
        .where(
            Installation.id == THE_ONE,
            Installation.disarmed_at.is_(None),
            Installation.send_epoch >= noted(folder, identity),
        )
        .values(send_epoch=Installation.send_epoch + 1)
        .returning(Installation.send_epoch),
        execution_options={"synchronize_session": False},
    )
    if counted is None:
        raise DisarmedError(
            "the database is older than what was sent; look at it, then: newsletter db arm"
        )
    return Epoch(identity, counted)


def close_drain(engine: Engine, folder: Path) -> None:
    """Count once more behind the last batch: a backup made in the middle of it is older than this."""
    with transaction(engine) as session:
        epoch = count_claim(session, folder)
    note(folder, epoch)


def disarm(engine: Engine, *, now: datetime) -> None:
    """Keep every host from sending until the database is armed."""
    with transaction(engine) as session:
        here = session.get_one(Installation, THE_ONE)
        if here.disarmed_at is None:
            here.disarmed_at = now


def may_send(session: Session, folder: Path) -> bool:
    here = session.get_one(Installation, THE_ONE)
    return here.disarmed_at is None and here.send_epoch >= noted(folder, here.identity)


def noted(folder: Path, identity: str) -> int:
    """The last claim noted here for this installation; 0 where there is none."""
    try:
        words = (folder / FILE).read_text(encoding="ascii").split()
    except FileNotFoundError:
        return 0
    return int(words[1]) if len(words) == 2 and words[0] == identity else 0


def note(folder: Path, epoch: Epoch) -> None:
    """Several processes of a host note here; the greatest number stays."""
    descriptor = os.open(folder / FILE, os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        if noted(folder, epoch.identity) < epoch.claims:
            # Of one length always, so that no part of an older note can be left.
            os.pwrite(descriptor, f"{epoch.identity} {epoch.claims:020d}\n".encode("ascii"), 0)
    finally:
        os.close(descriptor)
