"""Posts a list's alarms to the one address it has for them, signed, and again until it is answered.

The form is that of Standard Webhooks: an id that stays the same, an instant, and a keyed hash of
both with the body.
"""

import base64
import binascii
import hashlib
import hmac
import json
import logging
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Engine, select, update
from sqlalchemy.orm import Session

from newsletter.db import transaction
from newsletter.errors import FetchError, InputError, NotFoundError, SettingError
from newsletter.fetch import Answer, Fetcher, check_url
from newsletter.models import Alarm, AlarmCall, AlarmTarget, CallState, MailingList
from newsletter.models.alarm_call import LONGEST_ANSWER, LONGEST_TARGET
from newsletter.queue import Job, enqueue_after_commit
from newsletter.sealing import seal, unseal

logger = logging.getLogger(__name__)

PREFIX = "whsec_"
WAITS = tuple(timedelta(seconds=each) for each in (10, 60, 180, 600, 1800))
"""After each try; after the last of them nobody needs the alarm any more."""
CALLING = timedelta(minutes=1)
"""How long whoever calls has the call for themselves."""

_SECRET_BYTES = 32
_AT_ONCE = 20


def set_target(
    session: Session, list_id: int, url: str, *, by: str, now: datetime
) -> tuple[AlarmTarget, str | None]:
    """Where the list's alarms are posted from now on, with a new secret, shown this once; None when
    the list had a target already and keeps its secret. Raises `InputError`.
    """
    url = check_url(url)
    if len(url) > LONGEST_TARGET:
        raise InputError("The address has more than {longest} characters.", longest=LONGEST_TARGET)
    target = session.get(AlarmTarget, list_id)
    if target is not None:
        target.url, target.created_at, target.created_by = url, now, by
        return target, None
    secret = _new_secret()
    target = AlarmTarget(
        list_id=list_id, url=url, secret_sealed=seal(secret), created_at=now, created_by=by
    )
    session.add(target)
    session.flush()
    return target, secret


def renew_secret(session: Session, list_id: int) -> str:
    """Returns the new secret, which is shown this once. Raises `NotFoundError`."""
    target = get_target(session, list_id)
    secret = _new_secret()
    target.secret_sealed = seal(secret)
    return secret


def remove_target(session: Session, list_id: int) -> None:
    """Calls that wait are given up. Raises `NotFoundError`."""
    session.delete(get_target(session, list_id))
    session.execute(
        update(AlarmCall)
        .where(AlarmCall.list_id == list_id, AlarmCall.state == CallState.WAITING)
        .values(state=CallState.FAILED, next_at=None, answer="The address was removed.")
        .execution_options(synchronize_session=False)
    )


def find_target(session: Session, list_id: int) -> AlarmTarget | None:
    return session.get(AlarmTarget, list_id)


def get_target(session: Session, list_id: int) -> AlarmTarget:
    """Raises `NotFoundError`."""
    target = find_target(session, list_id)
    if target is None:
        raise NotFoundError("The list has no address for its alarms.")
    return target


def call_about(session: Session, alarm: Alarm, mailing_list: MailingList) -> AlarmCall | None:
    """Post the alarm to the list's address; None when it has none."""
    if find_target(session, mailing_list.id) is None:
        return None
    data = {
        "list": mailing_list.slug,
        "day": alarm.slot_date.isoformat(),
        "kind": alarm.kind.value,
        "text": alarm.text,
    }
    return _post(session, mailing_list.id, "alarm.slot", data, alarm_id=alarm.id, now=alarm.at)


def try_out(session: Session, mailing_list: MailingList, *, by: str, now: datetime) -> AlarmCall:
    """Post a call that says that it is none. Raises `NotFoundError`."""
    get_target(session, mailing_list.id)
    text = f"This is a test of where the alarms of {mailing_list.name} go. Nothing is wrong."
    data = {"list": mailing_list.slug, "text": text, "by": by}
    return _post(session, mailing_list.id, "alarm.test", data, alarm_id=None, now=now)


def recent_calls(session: Session, list_id: int, *, most: int) -> Sequence[AlarmCall]:
    """The newest first."""
    return session.scalars(
        select(AlarmCall)
        .where(AlarmCall.list_id == list_id)
        .order_by(AlarmCall.created_at.desc(), AlarmCall.id.desc())
        .limit(most)
    ).all()


def call_targets(engine: Engine, fetcher: Fetcher, *, clock: Callable[[], datetime]) -> None:
    """Make the calls whose time has come, one after the other. Any number of processes may do it."""
    for _ in range(_AT_ONCE):
        with transaction(engine) as session:
            taken = _take(session, now=clock())
        if taken is None:
            return
        try:
            headers = signed_headers(
                unseal(taken.secret_sealed), taken.reference, taken.body, now=clock()
            )
            answer: Answer | str = fetcher.post(taken.url, taken.body, headers=headers)
        except (FetchError, InputError, SettingError) as error:
            answer = str(error)
        with transaction(engine) as session:
            _note(session, taken.call_id, answer, now=clock())


def signed_headers(secret: str, reference: str, body: bytes, *, now: datetime) -> dict[str, str]:
    """The signature is of `id.seconds.body`, keyed with what the secret's base64 stands for."""
    seconds = str(int(now.timestamp()))
    signed = b".".join((reference.encode(), seconds.encode(), body))
    digest = hmac.digest(_key(secret), signed, hashlib.sha256)
    return {
        "Content-Type": "application/json",
        "webhook-id": reference,
        "webhook-timestamp": seconds,
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }


def _new_secret() -> str:
    return PREFIX + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()


def _key(secret: str) -> bytes:
    try:
        return base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except binascii.Error as error:
        raise SettingError(
            "The secret of an address for alarms is damaged; make a new one."
        ) from error


def _post(
    session: Session,
    list_id: int,
    kind: str,
    data: dict[str, Any],
    *,
    alarm_id: int | None,
    now: datetime,
) -> AlarmCall:
    document = {"type": kind, "timestamp": now.isoformat(), "data": data}
    call = AlarmCall(
        list_id=list_id,
        alarm_id=alarm_id,
        reference=f"msg_{secrets.token_hex(16)}",
        body=json.dumps(document, ensure_ascii=False),
        state=CallState.WAITING,
        next_at=now,
        created_at=now,
    )
    session.add(call)
    session.flush()
    enqueue_after_commit(session, Job.CALL_ALARM_TARGETS)
    return call


@dataclass(frozen=True, slots=True)
class _Taken:
    call_id: int
    url: str
    secret_sealed: bytes
    reference: str
    body: bytes


def _take(session: Session, *, now: datetime) -> _Taken | None:
    """The call that waits longest, and nobody else's for a minute."""
    row = session.execute(
        select(AlarmCall, AlarmTarget)
        .join(AlarmTarget, AlarmTarget.list_id == AlarmCall.list_id)
        .where(AlarmCall.next_at <= now)
        .order_by(AlarmCall.next_at)
        .limit(1)
        .with_for_update(of=AlarmCall, skip_locked=True)
    ).one_or_none()
    if row is None:
        return None
    call, target = row
    call.next_at = now + CALLING
    call.tries += 1
    return _Taken(call.id, target.url, target.secret_sealed, call.reference, call.body.encode())


def _note(session: Session, call_id: int, answer: Answer | str, *, now: datetime) -> None:
    call = session.get_one(AlarmCall, call_id)
    if call.state is not CallState.WAITING:
        return  # the address was removed meanwhile
    call.tried_at = now
    call.status = None if isinstance(answer, str) else answer.status
    text = answer if isinstance(answer, str) else " ".join(answer.text.split())
    call.answer = "".join(filter(str.isprintable, text))[:LONGEST_ANSWER]
    if call.status is not None and 200 <= call.status < 300:
        call.state, call.next_at = CallState.ANSWERED, None
    elif call.tries > len(WAITS):
        call.state, call.next_at = CallState.FAILED, None
        logger.warning("alarm not taken", extra={"list_id": call.list_id, "call_id": call.id})
    else:
        call.next_at = now + WAITS[call.tries - 1]
