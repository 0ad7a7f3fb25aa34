"""S-33: alarms are posted to a list's address, signed, until somebody takes them."""

import base64
import hashlib
import hmac
import json
from datetime import datetime, time, timedelta

import pytest
from sqlalchemy import Engine, select

from newsletter.db import reading, transaction
from newsletter.errors import InputError, NotFoundError
from newsletter.models import AlarmCall, AlarmTarget, CallState, MailingList
from newsletter.plan.alarm_calls import (
    WAITS,
    call_targets,
    recent_calls,
    remove_target,
    renew_secret,
    set_target,
    try_out,
)
from newsletter.plan.alarms import raise_alarms
from newsletter.plan.slots import NewSlot, set_slot
from tests.newsroom import MORNING, add_list
from tests.webserver import Asked, Reply, loopback_fetcher, running_web_server


@pytest.fixture(autouse=True)
def silent_bells(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("newsletter.queue.ring", lambda *_: None)


def aim(engine: Engine, list_id: int, url: str) -> str | None:
    with transaction(engine) as session:
        return set_target(session, list_id, url, by="Ada", now=MORNING)[1]


def call(engine: Engine, *, now: datetime = MORNING) -> None:
    call_targets(engine, loopback_fetcher(), clock=lambda: now)


def calls_of(engine: Engine, list_id: int) -> list[AlarmCall]:
    with reading(engine) as session:
        return list(recent_calls(session, list_id, most=10))


def is_signed(asked: Asked, secret: str) -> bool:
    """As the other side would see it, after the words of Standard Webhooks."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{asked.headers['webhook-id']}.{asked.headers['webhook-timestamp']}.".encode()
    digest = hmac.new(key, signed + asked.body, hashlib.sha256).digest()
    expected = f"v1,{base64.b64encode(digest).decode()}"
    return hmac.compare_digest(asked.headers["webhook-signature"], expected)


def try_it(engine: Engine, list_id: int) -> None:
    with transaction(engine) as session:
        try_out(session, session.get_one(MailingList, list_id), by="Ada", now=MORNING)


def test_an_alarm_is_posted_once_and_signed(engine: Engine) -> None:
    list_id = add_list(engine)
    slot = NewSlot(weekdays=frozenset(range(7)), at=time(7), zone="UTC")
    with transaction(engine) as session:
        set_slot(session, list_id, slot, now=MORNING - timedelta(days=3))

    with running_web_server(lambda _: Reply(b"ok")) as server:
        secret = aim(engine, list_id, server.url("/hook"))
        for _ in range(2):
            raise_alarms(engine, now=MORNING + timedelta(minutes=1))
            call(engine, now=MORNING + timedelta(minutes=1))

    (asked,) = server.asked
    document = json.loads(asked.body)
    assert (asked.method, asked.path) == ("POST", "/hook")
    assert asked.headers["content-type"] == "application/json"
    assert document["type"] == "alarm.slot"
    assert document["data"]["list"] == "harbour"
    assert "Nothing is approved" in document["data"]["text"]
    assert secret is not None
    assert is_signed(asked, secret)
    assert [(each.state, each.status) for each in calls_of(engine, list_id)] == [
        (CallState.ANSWERED, 200)
    ]


def test_a_call_is_made_again_with_the_same_id_until_it_is_answered(engine: Engine) -> None:
    list_id = add_list(engine)
    statuses = iter([500, 302, 204])

    with running_web_server(lambda _: Reply(b"hm", status=next(statuses))) as server:
        aim(engine, list_id, server.url())
        try_it(engine, list_id)
        now = MORNING
        for _ in range(5):
            call(engine, now=now)
            now += timedelta(minutes=2)

    assert len(server.asked) == 3
    assert len({each.headers["webhook-id"] for each in server.asked}) == 1
    assert len({each.headers["webhook-timestamp"] for each in server.asked}) == 3
    (made,) = calls_of(engine, list_id)
    assert (made.state, made.status, made.tries) == (CallState.ANSWERED, 204, 3)


def test_a_call_that_nobody_takes_is_given_up(engine: Engine) -> None:
    list_id = add_list(engine)
    aim(engine, list_id, "http://127.0.0.1:9/")
    try_it(engine, list_id)

    for number in range(10):
        call(engine, now=MORNING + number * timedelta(hours=1))

    (made,) = calls_of(engine, list_id)
    assert (made.state, made.tries, made.status) == (CallState.FAILED, len(WAITS) + 1, None)
    assert "127.0.0.1 cannot be read" in made.answer


def test_what_a_server_says_is_kept_as_plain_words(engine: Engine) -> None:
    list_id = add_list(engine)

    with running_web_server(lambda _: Reply(b"<b>a\r\n\x00\x1b[31mb" + b"x" * 900)) as server:
        aim(engine, list_id, server.url())
        try_it(engine, list_id)
        call(engine)

    answer = calls_of(engine, list_id)[0].answer
    assert answer.startswith("<b>a [31mbxx")
    assert len(answer) == 500


def test_the_secret_is_shown_once_and_not_kept_in_the_clear(engine: Engine) -> None:
    list_id = add_list(engine)

    first = aim(engine, list_id, "https://one.example/")
    moved = aim(engine, list_id, "https://two.example/")
    with transaction(engine) as session:
        renewed = renew_secret(session, list_id)

    with reading(engine) as session:
        target = session.scalars(select(AlarmTarget)).one()
    assert moved is None
    assert first is not None
    assert first != renewed
    assert target.url == "https://two.example/"
    assert renewed.encode() not in target.secret_sealed


def test_a_list_without_an_address_calls_nobody(engine: Engine) -> None:
    list_id = add_list(engine)
    aim(engine, list_id, "https://one.example/")
    try_it(engine, list_id)

    with transaction(engine) as session:
        remove_target(session, list_id)
    call(engine)

    assert [each.state for each in calls_of(engine, list_id)] == [CallState.FAILED]
    with transaction(engine) as session, pytest.raises(NotFoundError):
        remove_target(session, list_id)


@pytest.mark.parametrize("url", ["", "ftp://a.example/", "http://a:b@c.example/", "http://127.1/"])
def test_an_address_that_nothing_is_posted_to_is_refused(engine: Engine, url: str) -> None:
    list_id = add_list(engine)

    with pytest.raises(InputError):
        aim(engine, list_id, url)
