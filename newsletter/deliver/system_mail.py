"""The outbox's rows: claimed one at a time, settled by what came of the try, forgotten after days."""

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Engine, delete, select, update
from sqlalchemy.orm import Session

from newsletter.addresses import parse_address
from newsletter.audience.suppression import suppressions_of
from newsletter.db import changed, transaction
from newsletter.deliver.outcome import Reply
from newsletter.metrics import SYSTEM_MAIL
from newsletter.models import (
    EVERYWHERE,
    SuppressionReason,
    SystemMail,
    SystemMailKind,
    SystemMailState,
)

logger = logging.getLogger(__name__)

# Somebody waits for it: the first tries come fast, and a greylisting server is content with them.
DELAYS = tuple(timedelta(seconds=seconds) for seconds in (30, 120, 300, 600, 900, 1800, 3600))
TROUBLE_PAUSE = timedelta(seconds=30)
"""How long a mail rests when no connection carried it; that is no try."""
PATIENCE = timedelta(hours=24)
PATIENCE_WITH_TESTS = timedelta(minutes=15)
"""Who tests looks at the screen; a test that comes hours later only confuses."""
RETENTION = timedelta(days=7)
"""How long a mail that came to its end is kept, with its address and all that it said."""
LONGEST_REPLY = 500

OBEYS_SUPPRESSION = frozenset(
    {
        SystemMailKind.TEST,
        SystemMailKind.CONFIRM,
        SystemMailKind.WELCOME,
        SystemMailKind.ALREADY,
        SystemMailKind.LINK,
    }
)
"""The others are asked for by whoever is suppressed, or must reach the desk."""
HELD = frozenset({SystemMailKind.TEST})
"""Never sent again after an answer was lost; of the other kinds a second copy does no harm."""

_OPEN = (SystemMailState.WAITING, SystemMailState.CLAIMED)


@dataclass(frozen=True, slots=True)
class Held:
    """A claimed mail, and the token that says that it is still ours."""

    mail_id: int
    token: int


def claim(session: Session, *, now: datetime, lease: timedelta) -> SystemMail | None:
    """Take the mail that is due longest; None when nothing is due.

    One whose worker died in the middle of it may have gone out: it is settled as if its answer had
    been lost. One that waited too long, in a system that stood still, fails.
    """
    while (mail := _due(session, now)) is not None:
        if mail.state is SystemMailState.CLAIMED:
            _in_doubt(mail, "the worker died while sending it", now)
        elif now > mail.created_at + _patience(mail):
            _end(mail, SystemMailState.FAILED, mail.reply or "nobody sent it in time", now)
        elif _is_suppressed(session, mail):
            _end(mail, SystemMailState.FAILED, "the address was suppressed meanwhile", now)
        else:
            mail.state = SystemMailState.CLAIMED
            mail.lease_token += 1
            mail.next_at = now + lease
            session.flush()
            return mail
        session.flush()
    return None


def _is_suppressed(session: Session, mail: SystemMail) -> bool:
    if mail.kind not in OBEYS_SUPPRESSION:
        return False
    # Whoever is forgotten since they left may ask for a list again, and is asked back by mail.
    return any(
        entry.list_id in (EVERYWHERE, mail.list_id) and entry.reason is not SuppressionReason.LEFT
        for entry in suppressions_of(session, parse_address(mail.to_address))
    )


def _due(session: Session, now: datetime) -> SystemMail | None:
    return session.scalar(
        select(SystemMail)
        .where(SystemMail.state.in_(_OPEN), SystemMail.next_at <= now)
        .order_by(SystemMail.next_at, SystemMail.id)
        .limit(1)
        .with_for_update(skip_locked=True)
    )


def renew(session: Session, held: Held, *, until: datetime) -> None:
    """A sign of life while a server takes its time."""
    session.execute(
        update(SystemMail)
        .where(
            SystemMail.id == held.mail_id,
            SystemMail.lease_token == held.token,
            SystemMail.state == SystemMailState.CLAIMED,
        )
        .values(next_at=until)
        .execution_options(synchronize_session=False)
    )


def settle_answered(session: Session, held: Held, reply: Reply, now: datetime) -> None:
    """The first digit decides; an answer also settles a doubt that somebody else had meanwhile."""
    mail = _held(session, held)
    if mail is None:
        return
    mail.attempts += 1
    words = _words(reply)
    if reply.is_positive:
        _end(mail, SystemMailState.SENT, words, now)
    elif reply.is_permanent:
        _end(mail, SystemMailState.FAILED, words, now)
    else:
        _try_later(mail, words, now)


def settle_not_carried(session: Session, held: Held, why: str, now: datetime) -> None:
    """No server took it on: that says nothing about the mail, so it counts as no try."""
    mail = _held(session, held)
    if mail is not None:
        _wait(mail, TROUBLE_PAUSE, why, now)


def settle_in_doubt(session: Session, held: Held, why: str, now: datetime) -> None:
    """Its content went out, and no answer came (RFC 1047)."""
    mail = _held(session, held)
    if mail is not None:
        _in_doubt(mail, why, now)


def settle_unfit(session: Session, held: Held, why: str, now: datetime) -> None:
    """No message can be made of it, now or later."""
    mail = _held(session, held)
    if mail is not None:
        _end(mail, SystemMailState.FAILED, why, now)


def forget_old(engine: Engine, *, now: datetime) -> int:
    """Delete what ended long enough ago; returns how many mails that were."""
    with transaction(engine) as session:
        return changed(session, delete(SystemMail).where(SystemMail.ended_at < now - RETENTION))


def _held(session: Session, held: Held) -> SystemMail | None:
    return session.scalar(
        select(SystemMail)
        .where(
            SystemMail.id == held.mail_id,
            SystemMail.lease_token == held.token,
            SystemMail.state.in_((SystemMailState.CLAIMED, SystemMailState.UNCERTAIN)),
        )
        .with_for_update()
    )


def _in_doubt(mail: SystemMail, why: str, now: datetime) -> None:
    mail.attempts += 1
    if mail.kind in HELD:
        _end(mail, SystemMailState.UNCERTAIN, why, now)
    else:
        _try_later(mail, why, now)


def _try_later(mail: SystemMail, why: str, now: datetime) -> None:
    _wait(mail, DELAYS[min(mail.attempts, len(DELAYS)) - 1], why, now)


def _wait(mail: SystemMail, delay: timedelta, why: str, now: datetime) -> None:
    if now + delay > mail.created_at + _patience(mail):
        _end(mail, SystemMailState.FAILED, why, now)
        return
    mail.state = SystemMailState.WAITING
    mail.ended_at = None
    mail.next_at = now + delay
    _note(mail, "deferred", why)


def _patience(mail: SystemMail) -> timedelta:
    return PATIENCE_WITH_TESTS if mail.kind is SystemMailKind.TEST else PATIENCE


def _end(mail: SystemMail, state: SystemMailState, why: str, now: datetime) -> None:
    mail.state = state
    mail.ended_at = now
    _note(mail, state.value, why)


def _note(mail: SystemMail, outcome: str, why: str) -> None:
    mail.reply = why[:LONGEST_REPLY]
    SYSTEM_MAIL.labels(mail.kind.value, outcome).inc()
    logger.info(
        "system mail", extra={"mail_id": mail.id, "kind": mail.kind.value, "outcome": outcome}
    )


def _words(reply: Reply) -> str:
    enhanced = f"{reply.enhanced} " if reply.enhanced else ""
    return f"{reply.code} {enhanced}{reply.text}".strip()
