"""Begins with scheduled editions when their time has come; any process may do it, any number at once."""

import logging
from datetime import datetime

from sqlalchemy import ColumnElement, Engine, exists, func, select

from newsletter.db import reading, transaction
from newsletter.models import Edition, EditionState, Wave
from newsletter.plan.schedule import start
from newsletter.plan.waves import LEAD, outdated_schedules, refresh_waves

logger = logging.getLogger(__name__)


def release_editions(engine: Engine, *, now: datetime) -> None:
    """Bring waves up to date with rules and zones, then start what is to be planned by now."""
    with reading(engine) as session:
        outdated, due = outdated_schedules(session, now=now), _due(engine, now)
    for edition_id in outdated:
        with transaction(engine) as session:
            is_new = refresh_waves(session, edition_id, now=now)
        if is_new:
            logger.info("waves computed anew", extra={"edition_id": edition_id})
    for edition_id in due:
        with transaction(engine) as session:
            is_begun = start(session, edition_id, now=now)
        if is_begun:
            logger.info("scheduled edition begun", extra={"edition_id": edition_id})


def _is_held(now: datetime) -> ColumnElement[bool]:
    """Whether the sending can still be pulled back."""
    return func.coalesce(Edition.held_until > now, False)


def _due(engine: Engine, now: datetime) -> list[int]:
    is_near = exists().where(
        Wave.edition_id == Edition.id,
        Wave.exclusion.is_(None),
        ~Wave.is_sweep,
        Wave.due_at <= now + LEAD,
    )
    with reading(engine) as session:
        return list(
            session.scalars(
                select(Edition.id)
                .where(Edition.state == EditionState.SCHEDULED, is_near, ~_is_held(now))
                .order_by(Edition.id)
            )
        )
