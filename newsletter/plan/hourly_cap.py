"""To how many people a role may send editions in an hour: accidents and stolen accounts end there (S-31)."""

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import accumulate

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from newsletter.accounts.acting import acting
from newsletter.accounts.installation import cap_of
from newsletter.accounts.roles import Role
from newsletter.errors import StateError
from newsletter.models import Dispatch, Edition, EditionState
from newsletter.plan.stored import lists_of
from newsletter.words import Words

HOUR = timedelta(hours=1)

logger = logging.getLogger(__name__)


class CapReached(StateError):  # noqa: N818  read as "the cap is reached"
    """An edition that was to be sent goes to more people than its sender's role has left this hour."""


def count_dispatch(session: Session, edition_id: int, *, people: int, now: datetime) -> None:
    """Note that the edition is sent on its way to so many, by whoever acts.

    Raises `CapReached`. Of two at once the second waits, and counts the first.
    """
    role = _role(session, edition_id)
    cap = cap_of(session, role)
    if cap is not None:
        _require_room(session, role, cap=cap, people=people, now=now)
    session.add(Dispatch(edition_id=edition_id, role=role, people=people, at=now))
    session.flush()


def _role(session: Session, edition_id: int) -> Role:
    """The one that they have on all its lists; a command is an admin's, and so is a key of nobody's."""
    identity = acting(session)
    if identity is None:
        return Role.ADMIN
    roles = {identity.role_on(each.id) for each in lists_of(session, edition_id)}
    return Role.ADMIN if roles == {Role.ADMIN} else Role.EDITOR


def _require_room(session: Session, role: Role, *, cap: int, people: int, now: datetime) -> None:
    before = _of_last_hour(session, role, now)
    used = sum(count for _, count in before)
    if used + people <= cap:
        return
    logger.warning("sending refused by the hourly cap", extra={"role": role.value, "cap": cap})
    rule = (
        Words("Admins may send to at most {cap:,} people an hour, all together", cap=cap)
        if role is Role.ADMIN
        else Words("Editors may send to at most {cap:,} people an hour, all together", cap=cap)
    )
    if people > cap:
        raise CapReached(
            "{rule}, and this edition goes to {people:,}. An admin can raise that figure.",
            rule=rule,
            people=people,
        )
    free_at = _free_at(before, excess=used + people - cap)
    raise CapReached(
        "{rule}. {used:,} were begun with in the last hour, and this edition goes to "
        "{people:,}: it can be sent from {free_at:%H:%M:%S} UTC on.",
        rule=rule,
        used=used,
        people=people,
        free_at=free_at,
    )


def _of_last_hour(session: Session, role: Role, now: datetime) -> Sequence[tuple[datetime, int]]:
    """When, and to how many people, the oldest first; without what was cancelled before it began."""
    has_counted = or_(Edition.state != EditionState.CANCELLED, Edition.started_at.is_not(None))
    rows = session.execute(
        select(Dispatch.at, Dispatch.people)
        .join(Edition, Edition.id == Dispatch.edition_id)
        .where(Dispatch.role == role, Dispatch.at > now - HOUR, has_counted)
        .order_by(Dispatch.at)
    )
    return [(at, people) for at, people in rows]


def _free_at(before: Sequence[tuple[datetime, int]], *, excess: int) -> datetime:
    """When so many people of them are longer ago than an hour; there are that many."""
    sums = accumulate(people for _, people in before)
    place = next(place for place, people in enumerate(sums) if people >= excess)
    return before[place][0] + HOUR
