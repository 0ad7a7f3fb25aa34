"""An edition made, checked, approved and sent by programs: with the same rights as people have."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, select
from starlette.applications import Starlette
from starlette.testclient import TestClient

from newsletter.accounts.api_keys import create_api_key
from newsletter.accounts.people import Rights, create_account
from newsletter.accounts.scopes import Scope
from newsletter.clock import utc_now
from newsletter.db import reading, transaction
from newsletter.models import AuditEntry, EditionState, InstallationSetting, MailingList, Role
from newsletter.plan.planner import plan_edition
from newsletter.web.app import create_app
from tests import newsroom
from tests.web.api.conftest import Keys
from tests.web.served import settings_for

TEXT = """Ferries Run Again - The Harbour Brief
Producer | Jo Lind
Editor | Mia Berg

Good morning. It is Friday, 20 November 2026.

Key points
- Ferries run again.
- The market hall gets a new roof.
- Two streets close.

[Port]

Ferries run again
After three days of storm the first ferry left at six.
Source: Harbour Gazette

The market hall gets a new roof
The council has voted for it with a large majority.
Source: Harbour Gazette
"""


@pytest.fixture
def app(engine: Engine, redis_server: str, tmp_path: Path) -> Starlette:
    return create_app(settings=settings_for(redis_server, tmp_path), engine=engine)


@pytest.fixture
def harbour(engine: Engine) -> int:
    newsroom.add_transport(engine, 25)
    list_id = newsroom.add_list(engine)
    newsroom.add_readers(engine, list_id, ["Ada", "Bo"])
    return list_id


def ask(
    client: TestClient, key: dict[str, str], method: str, path: str, body: Any = None
) -> tuple[int, Any]:
    answer = client.request(method, path, json=body, headers=key)
    return answer.status_code, answer.json() if answer.content else None


def made(client: TestClient, key: dict[str, str]) -> int:
    status, edition = ask(client, key, "POST", "editions", {"lists": ["harbour"], "text": TEXT})
    assert status == 201, edition
    number: int = edition["id"]
    return number


def hash_of(client: TestClient, key: dict[str, str], edition_id: int) -> dict[str, str]:
    """What an approval of what the checks looked at says."""
    _, checked = ask(client, key, "POST", f"editions/{edition_id}/checks")
    return {"hash": checked["hash"]}


def approved(client: TestClient, key: dict[str, str]) -> int:
    edition_id = made(client, key)
    looked_at = hash_of(client, key, edition_id)
    status, answer = ask(client, key, "POST", f"editions/{edition_id}/approval", looked_at)
    assert status == 201, answer
    return edition_id


@pytest.mark.usefixtures("harbour")
def test_a_program_takes_an_edition_from_text_to_sending(
    client: TestClient, engine: Engine
) -> None:
    key = Keys(engine).make()
    edition_id = made(client, key)

    _, checked = ask(client, key, "POST", f"editions/{edition_id}/checks")
    approved = ask(
        client, key, "POST", f"editions/{edition_id}/approval", {"hash": checked["hash"]}
    )
    sent = ask(client, key, "POST", f"editions/{edition_id}/schedule", {"when": "now"})
    plan_edition(engine, edition_id, now=utc_now())
    _, status = ask(client, key, "GET", f"editions/{edition_id}/status")
    _, people = ask(client, key, "GET", f"editions/{edition_id}/deliveries?state=waiting")

    assert checked["may_be_approved"] is True
    assert (approved[0], approved[1]["people"]) == (201, 2)
    assert (sent[0], sent[1]["state"]) == (201, "sending")
    assert (status["planned"], status["waiting"]) == (2, 2)
    assert [each["address"] for each in people["items"]] == [
        "ada@readers.example",
        "bo@readers.example",
    ]


@pytest.mark.usefixtures("harbour")
def test_one_changed_letter_voids_the_approval_and_nothing_is_sent(
    client: TestClient, engine: Engine
) -> None:
    key = Keys(engine).make()
    edition_id = approved(client, key)
    looked_at = hash_of(client, key, edition_id)
    _, draft = ask(client, key, "GET", f"editions/{edition_id}/draft")

    changed = {"based_on": draft["version"], "text": TEXT.replace("at six", "at sit")}
    _, saved = ask(client, key, "PUT", f"editions/{edition_id}/draft", changed)
    sent = ask(client, key, "POST", f"editions/{edition_id}/schedule", {"when": "now"})
    again = ask(client, key, "POST", f"editions/{edition_id}/approval", looked_at)

    assert saved["voids"] is True
    assert sent[0] == 409
    assert again[0] == 409
    assert "not what you looked at" in again[1]["detail"]


@pytest.mark.usefixtures("harbour")
def test_who_saves_late_overwrites_nobody(client: TestClient, engine: Engine) -> None:
    key = Keys(engine).make()
    edition_id = made(client, key)
    _, draft = ask(client, key, "GET", f"editions/{edition_id}/draft")
    first = {"based_on": draft["version"], "briefing": draft["briefing"], "subject": "First"}
    second = first | {"subject": "Second"}

    ask(client, key, "PUT", f"editions/{edition_id}/draft", first)
    late = ask(client, key, "PUT", f"editions/{edition_id}/draft", second)
    _, now = ask(client, key, "GET", f"editions/{edition_id}/draft")

    assert late[0] == 409
    assert now["subject"] == "First"


@pytest.mark.usefixtures("harbour")
def test_the_structure_that_is_read_can_be_saved_as_it_is(
    client: TestClient, engine: Engine
) -> None:
    key = Keys(engine).make()
    edition_id = made(client, key)
    _, draft = ask(client, key, "GET", f"editions/{edition_id}/draft")

    body = {"based_on": draft["version"], "briefing": draft["briefing"]}
    status, saved = ask(client, key, "PUT", f"editions/{edition_id}/draft", body)

    assert status == 200
    assert saved["version"] == draft["version"]  # nothing has changed
    assert saved["text"] == draft["text"]


@pytest.mark.parametrize(
    ("method", "path", "body", "scope"),
    [
        ("POST", "approval", {"hash": "0" * 64}, Scope.EDITIONS_APPROVE),
        ("DELETE", "approval", None, Scope.EDITIONS_APPROVE),
        ("POST", "schedule", {"when": "now"}, Scope.EDITIONS_SEND),
        ("DELETE", "schedule", None, Scope.EDITIONS_SEND),
        ("POST", "pause", None, Scope.EDITIONS_SEND),
        ("POST", "resume", None, Scope.EDITIONS_SEND),
        ("POST", "cancel", None, Scope.EDITIONS_SEND),
        ("POST", "checks", None, Scope.EDITIONS_WRITE),
        ("GET", "deliveries?state=sent", None, Scope.SUBSCRIBERS_READ),
    ],
)
@pytest.mark.usefixtures("harbour")
def test_a_key_without_the_scope_may_not(
    client: TestClient, engine: Engine, method: str, path: str, body: Any, scope: Scope
) -> None:
    keys = Keys(engine)
    edition_id = made(client, keys.make())
    without = keys.make(*(each for each in Scope if each is not scope))

    status, answer = ask(client, without, method, f"editions/{edition_id}/{path}", body)

    assert status == 403
    assert scope in answer["detail"]


@pytest.mark.usefixtures("harbour")
def test_a_key_for_another_list_sees_no_edition(client: TestClient, engine: Engine) -> None:
    newsroom.add_list(engine, "evening")
    keys = Keys(engine)
    edition_id = made(client, keys.make())
    scopes = (Scope.EDITIONS_READ, Scope.EDITIONS_WRITE)
    other = keys.make(*scopes, lists=("evening",))

    shown = ask(client, other, "GET", f"editions/{edition_id}")
    listed = ask(client, other, "GET", "editions")
    begun = ask(client, other, "POST", "editions", {"lists": ["harbour"]})

    assert shown[0] == begun[0] == 404
    assert listed[1]["items"] == []


@pytest.mark.usefixtures("harbour")
def test_a_text_that_is_no_briefing_is_refused_with_its_line(
    client: TestClient, engine: Engine
) -> None:
    status, answer = ask(
        client, Keys(engine).make(), "POST", "editions", {"lists": ["harbour"], "text": "\n\n"}
    )

    assert status == 422
    assert "line" in answer["detail"]


def test_whoever_made_the_key_does_not_approve_through_it_where_four_eyes_are_asked_for(
    client: TestClient, engine: Engine, harbour: int
) -> None:
    with transaction(engine) as session:
        session.get_one(MailingList, harbour).four_eyes = True
    key = Keys(engine).make()
    edition_id = made(client, key)
    looked_at = hash_of(client, key, edition_id)

    status, answer = ask(client, key, "POST", f"editions/{edition_id}/approval", looked_at)

    assert status == 403
    assert "second person" in answer["detail"]


@pytest.mark.usefixtures("harbour")
def test_pausing_and_cancelling_are_in_the_audit_log_under_the_key_s_name(
    client: TestClient, engine: Engine
) -> None:
    key = Keys(engine).make()
    edition_id = approved(client, key)
    ask(client, key, "POST", f"editions/{edition_id}/schedule", {"when": "now"})

    paused = ask(client, key, "POST", f"editions/{edition_id}/pause")
    cancelled = ask(client, key, "POST", f"editions/{edition_id}/cancel")

    assert (paused[1]["state"], cancelled[1]["state"]) == (
        EditionState.PAUSED,
        EditionState.CANCELLED,
    )
    with reading(engine) as session:
        entries = session.query(AuditEntry).order_by(AuditEntry.id).all()
    assert [each.action for each in entries][-4:] == [
        "edition approved",
        "edition sent",
        "edition paused",
        "edition cancelled",
    ]
    assert {each.actor for each in entries} == {"API key shop"}


@pytest.mark.usefixtures("harbour")
def test_a_day_that_is_none_is_pointed_at(client: TestClient, engine: Engine) -> None:
    key = Keys(engine).make()
    edition_id = made(client, key)
    body = {"when": "local", "day": "2026-13-01", "time": "07:00"}

    status, answer = ask(client, key, "POST", f"editions/{edition_id}/schedule", body)

    assert status == 422
    assert answer["errors"][0]["pointer"] == "/day"


@pytest.mark.usefixtures("harbour")
def test_a_large_one_needs_its_number_and_can_be_taken_back(
    client: TestClient, engine: Engine
) -> None:
    """S-31."""
    key = Keys(engine).make()
    set_up(engine, "confirm_above", 1)
    edition_id = approved(client, key)
    path = f"editions/{edition_id}/schedule"

    silent = ask(client, key, "POST", path, {"when": "now"})
    wrong = ask(client, key, "POST", path, {"when": "now", "people": 0})
    right = ask(client, key, "POST", path, {"when": "now", "people": 2})
    back = ask(client, key, "DELETE", path)
    _, shown = ask(client, key, "GET", f"editions/{edition_id}")

    assert (silent[0], wrong[0]) == (422, 422)
    assert (right[0], right[1]["state"]) == (201, "scheduled")
    assert (back[0], shown["state"]) == (204, "approved")


@pytest.mark.usefixtures("harbour")
def test_a_key_sends_no_more_in_an_hour_than_whoever_made_it(
    client: TestClient, engine: Engine
) -> None:
    """S-31."""
    key = Keys(engine).make()
    set_up(engine, "admins_an_hour", 3)
    first, second = approved(client, key), approved(client, key)
    ask(client, key, "POST", f"editions/{first}/schedule", {"when": "now"})

    status, answer = ask(client, key, "POST", f"editions/{second}/schedule", {"when": "now"})

    assert status == 409
    assert "Admins may send to at most 3 people an hour" in answer["detail"]
    with reading(engine) as session:
        actions = session.scalars(select(AuditEntry.action)).all()
    assert actions.count("edition sent") == actions.count("sending refused") == 1


@pytest.mark.usefixtures("harbour")
def test_a_key_is_no_second_person_for_whoever_made_it(client: TestClient, engine: Engine) -> None:
    with transaction(engine) as session:
        session.get_one(MailingList, 1).four_eyes = True
        account = create_account(
            session, "ada@harbour.example", "Ada", Rights(Role.ADMIN), by="ed", now=utc_now()
        )
        own, other = (
            create_api_key(
                session,
                name,
                tuple(Scope),
                list_ids=None,
                by="Ada",
                by_account=account_id,
                expires_at=utc_now() + timedelta(days=1),
                now=utc_now(),
            ).token
            for name, account_id in (("shop", account.id), ("till", account.id))
        )
    edition_id = made(client, {"Authorization": f"Bearer {own}"})
    key = {"Authorization": f"Bearer {other}"}

    looked_at = hash_of(client, key, edition_id)
    status, answer = ask(client, key, "POST", f"editions/{edition_id}/approval", looked_at)

    assert status == 403
    assert "second person" in answer["detail"]


def set_up(engine: Engine, name: str, value: int) -> None:
    with transaction(engine) as session:
        session.merge(
            InstallationSetting(name=name, value=value, changed_at=utc_now(), changed_by="Ada")
        )
