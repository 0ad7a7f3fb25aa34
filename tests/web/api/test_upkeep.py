"""What admins do now and then: undo imports and accidents, look at consents and retention."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, delete, select, update
from starlette.testclient import TestClient

from newsletter.accounts.scopes import ACROSS_LISTS, Scope
from newsletter.addresses import parse_address
from newsletter.audience.import_work import run_waiting
from newsletter.audience.suppression import suppress
from newsletter.clock import utc_now
from newsletter.db import reading, transaction
from newsletter.metrics import REQUESTS
from newsletter.models import (
    ConsentEvent,
    Subscriber,
    SubscriberChange,
    Subscription,
    SubscriptionStatus,
    Suppression,
    SuppressionReason,
)
from newsletter.web.api import subscribers
from tests.web.api.conftest import ROOT, Audience, Keys

NARROW = tuple(scope for scope in Scope if scope not in ACROSS_LISTS)
FILE = "email,name,status\ndi@readers.example,Di,active\ned@readers.example,Ed,complained\n"


def imported(client: TestClient, key: dict[str, str], text: str = FILE, **plan: Any) -> str:
    """Where the import is that was started; nobody has run it yet."""
    sent = client.post(
        "imports?list=daily", content=text, headers=key | {"Content-Type": "text/csv"}
    )
    path = f"imports/{sent.json()['id']}"
    started = client.post(f"{path}/start", json={"basis": "consent"} | plan, headers=key)
    assert started.status_code == 202
    return path


def work(engine: Engine) -> None:
    run_waiting(engine, now=utc_now(), should_stop=lambda: False)


def test_an_import_is_undone_by_a_worker_and_says_how_far_it_is(
    client: TestClient, engine: Engine, admin: dict[str, str], audience: Audience
) -> None:
    path = imported(client, admin)
    work(engine)

    asked = client.post(f"{path}/undo", headers=admin)
    again = client.post(f"{path}/undo", headers=admin)
    work(engine)

    assert (asked.status_code, again.status_code) == (202, 202)
    assert asked.json()["state"] == "undoing"
    done = client.get(path, headers=admin).json()
    assert done["state"] == "undone"
    assert done["undone"] == {"people": 2, "subscriptions": 2, "tags": 0, "suppressions": 1}


def test_a_dry_run_is_followed_by_the_import_of_the_same_file(
    client: TestClient, engine: Engine, admin: dict[str, str], audience: Audience
) -> None:
    path = imported(client, admin, is_dry_run=True)
    work(engine)
    tried = client.get(path, headers=admin).json()

    client.post(f"{path}/start", json={"basis": "consent"}, headers=admin)
    work(engine)

    done = client.get(path, headers=admin).json()
    assert done["outcomes"] == tried["outcomes"] == {"created": 1, "now suppressed": 1}
    assert (tried["is_dry_run"], done["is_dry_run"]) == (True, False)


def test_s09_a_key_for_one_list_suppresses_nobody_elsewhere_with_a_file(
    client: TestClient, engine: Engine, keys: Keys, audience: Audience
) -> None:
    imported(client, keys.make(*NARROW, lists=("daily",)))
    work(engine)

    with reading(engine) as session:
        assert session.scalars(select(Suppression.list_id)).all() != [0]
        assert len(session.scalars(select(Suppression)).all()) == 1


def test_b25_an_accident_is_counted_and_then_lifted_in_one_call(
    client: TestClient, engine: Engine, admin: dict[str, str], audience: Audience
) -> None:
    now = utc_now()
    with transaction(engine) as session:
        for name, reason in (
            ("ada", SuppressionReason.BOUNCED),
            ("bo", SuppressionReason.BOUNCED),
            ("cy", SuppressionReason.COMPLAINED),
        ):
            address = parse_address(f"{name}@readers.example")
            suppress(session, address, reason=reason, source="dsn 5.1.1", now=now)
    hours = {
        "since": (now - timedelta(hours=1)).isoformat(),
        "until": (now + timedelta(hours=1)).isoformat(),
        "source": "dsn",
    }

    seen = client.post("suppressions/undo", json=hours, headers=admin)
    done = client.post(
        "suppressions/undo", json=hours | {"because": "Their provider was down"}, headers=admin
    )
    nowhere = client.post("suppressions/undo", json=hours | {"route": "gooogle"}, headers=admin)

    assert seen.json() == {"found": {"bounced": 2, "complained": 1}, "liftable": 2, "lifted": 0}
    assert done.json()["lifted"] == 2
    assert nowhere.status_code == 404
    with reading(engine) as session:
        assert session.scalars(select(Suppression.reason)).all() == ["complained"]


def test_a_lists_consents_are_counted_and_those_without_evidence_named(
    client: TestClient, engine: Engine, admin: dict[str, str], audience: Audience
) -> None:
    with transaction(engine) as session:
        session.execute(delete(ConsentEvent).where(ConsentEvent.subscriber_id == audience.bo))

    counted = client.get("lists/daily/consents", headers=admin).json()
    unproven = client.get("lists/daily/consents/missing", headers=admin).json()

    assert counted["without_evidence"] == 1
    assert [(each["kind"], each["people"]) for each in counted["items"]] == [("confirmed", 1)]
    assert [each["id"] for each in unproven["items"]] == [audience.bo]


def test_retention_says_what_is_due_and_has_it_deleted(
    client: TestClient, engine: Engine, admin: dict[str, str], audience: Audience
) -> None:
    long_ago = utc_now() - timedelta(days=2000)
    with transaction(engine) as session:
        session.execute(update(Subscriber).values(created_at=long_ago))
        session.execute(
            update(Subscription)
            .where(Subscription.subscriber_id == audience.bo)
            .values(status=SubscriptionStatus.UNSUBSCRIBED, left_at=long_ago)
        )

    due = client.get("retention", headers=admin)
    asked = client.post("retention", headers=admin)

    assert due.json()["people"] == 1
    assert (asked.status_code, asked.json()) == (202, due.json())


def test_evidence_of_an_import_has_what_it_proves(
    client: TestClient, engine: Engine, admin: dict[str, str], audience: Audience
) -> None:
    imported(client, admin, note="The fair")
    work(engine)
    with reading(engine) as session:
        di = session.scalars(select(Subscriber.id).where(Subscriber.name == "Di")).one()

    [consent] = client.get(f"subscribers/{di}/evidence", headers=admin).json()["items"]

    evidence = consent["evidence"]
    assert (evidence["file"], evidence["basis"], evidence["note"], evidence["line"]) == (
        "upload.csv",
        "consent",
        "The fair",
        2,
    )
    assert len(evidence["sha256"]) == 64


def test_s09_a_key_for_one_list_does_not_learn_of_another_lists_imports(
    client: TestClient, engine: Engine, keys: Keys, audience: Audience, admin: dict[str, str]
) -> None:
    imported(client, admin, "email,language\nada@readers.example,fr\n", tags=["vip"])
    work(engine)

    def seen(key: dict[str, str]) -> list[tuple[str, str | None]]:
        items = client.get(f"subscribers/{audience.ada}/history", headers=key).json()["items"]
        return [(each["by"], each["reference"]) for each in items if each["field"] == "language"]

    with reading(engine) as session:
        assert session.scalars(select(SubscriberChange.reference)).all() != []
    assert seen(keys.make(*NARROW, lists=("daily",))) == [("API key shop", "import 1")]
    assert seen(keys.make(*NARROW, lists=("weekly",))) == [("", None)]


def test_a_mistake_of_ours_is_counted_once(
    client: TestClient,
    admin: dict[str, str],
    audience: Audience,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def break_off(*_: object) -> None:
        message = "a mistake of ours"
        raise RuntimeError(message)

    monkeypatch.setattr(subscribers, "subscriber_detail", break_off)
    counter = REQUESTS.labels(f"{ROOT}/subscribers/{{subscriber_id}}", "GET", 500)
    before = counter._value.get()

    answer = client.get(f"subscribers/{audience.ada}", headers=admin)

    assert answer.status_code == 500
    assert counter._value.get() == before + 1
