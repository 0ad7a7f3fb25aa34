"""Puts the ledger right after a worker died: any process may do it, any number of times."""

import logging
from collections import defaultdict
from datetime import datetime
from pathlib import Path

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from newsletter.db import transaction
from newsletter.deliver import ledger
from newsletter.deliver.journal import Orphan, orphans
from newsletter.deliver.ledger import Lease
from newsletter.deliver.outcome import Outcome, Reply, outcome_of
from newsletter.deliver.settling import clear_the_unsent
from newsletter.models import Batch, BatchState, Reason

logger = logging.getLogger(__name__)

BATCHES_AT_ONCE = 100


def recover(engine: Engine, journal_folder: Path, *, now: datetime) -> int:
    """Replay the journals of dead workers on this host, then end the leases that ran out.

    Journals first: they know exactly who was being mailed, a lease alone knows only the window.
    Returns how many batches were put right.
    """
    return _replay_journals(engine, journal_folder, now) + _end_expired_leases(engine, now)


def _replay_journals(engine: Engine, folder: Path, now: datetime) -> int:
    with orphans(folder) as found:
        for orphan in found:
            with transaction(engine) as session:
                _settle(session, orphan, now)
            # On its own: it locks the edition, and nobody does that who holds a batch.
            with transaction(engine) as session:
                clear_the_unsent(session, orphan.lease, went_out=orphan.went_out, at=now)
            logger.warning(
                "journal replayed",
                extra={
                    "edition_id": orphan.lease.edition_id,
                    "batch": orphan.lease.batch,
                    "answered": len(orphan.answers),
                    "uncertain": len(orphan.unanswered),
                },
            )
        return len(found)


def _settle(session: Session, orphan: Orphan, now: datetime) -> None:
    lease = orphan.lease
    claimed = ledger.claimed_revision(session, lease)
    if claimed is None:  # the edition is gone, and its deliveries with it
        return
    # The lease may have run out before the journal was found: an answer settles the doubt.
    carried = ledger.reopen(session, lease, list(orphan.answers))
    outcomes = defaultdict[int, list[Outcome]](list)
    for subscriber_id, code in orphan.answers.items():
        outcome = outcome_of(subscriber_id, Reply(code, None, "(noted before the worker died)"))
        outcomes[carried.get(subscriber_id, claimed)].append(outcome)
    for revision in sorted(outcomes):
        ledger.record(session, lease, outcomes[revision], revision=revision, at=now)
    unanswered = sorted(orphan.unanswered)
    ledger.doubt(session, lease, unanswered, reason=Reason.WORKER_DIED, at=now)
    ledger.give_back(session, lease, due_at=now)


def _end_expired_leases(engine: Engine, now: datetime) -> int:
    with transaction(engine) as session:
        expired = session.scalars(
            select(Batch)
            .where(Batch.state == BatchState.CLAIMED, Batch.lease_until < now)
            .limit(BATCHES_AT_ONCE)
            .with_for_update(skip_locked=True)
        ).all()
        for batch in expired:
            lease = Lease(batch.edition_id, batch.number, batch.lease_token)
            uncertain = ledger.doubt(session, lease, None, reason=Reason.WORKER_DIED, at=now)
            ledger.give_back(session, lease, due_at=now)
            logger.warning(
                "lease ran out",
                extra={
                    "edition_id": lease.edition_id,
                    "batch": lease.batch,
                    "uncertain": uncertain,
                },
            )
        return len(expired)
