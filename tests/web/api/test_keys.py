"""Who gets in, and to what: every operation with every scope, without a key, and by list (S-09)."""

import re
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, func, select, update
from starlette.testclient import TestClient

from newsletter.accounts.scopes import ACROSS_LISTS, Scope
from newsletter.clock import utc_now
from newsletter.db import reading, transaction
from newsletter.models import ApiKey, ConsentEvent, Subscriber, SubscriberChange
from newsletter.web.api.application import create_api
from tests.web.api.conftest import Audience, Keys

OPERATIONS = [
    (method, path, tuple(next(iter(operation["security"][0].values()))))
    for path, operations in create_api().openapi()["paths"].items()
    for method, operation in operations.items()
]
NARROW = tuple(scope for scope in Scope if scope not in ACROSS_LISTS)


def a_url(path: str) -> str:
    return re.sub(r"\{\w+_id\}", "1", re.sub(r"\{(slug|key|name)\}", "daily", path)).lstrip("/")


def bodiless(client: TestClient, method: str, path: str, headers: dict[str, str]) -> int:
    return client.request(method, a_url(path), headers=headers).status_code


def test_each_operation_names_scopes_that_there_are() -> None:
    assert all(scopes for _, _, scopes in OPERATIONS)
    assert {scope for _, _, scopes in OPERATIONS for scope in scopes} == set(Scope)


@pytest.mark.parametrize(
    "header",
    [
        {},
        {"Authorization": "Bearer "},
        {"Authorization": "Basic YWRhOmFkYQ=="},
        {"Authorization": f"Bearer nlk_{'0' * 12}_{'A' * 43}"},
        {"Authorization": "Bearer é"},
    ],
    ids=["none", "empty", "basic", "unknown", "no ASCII"],
)
def test_without_a_key_nothing_is_told_not_even_what_there_is(
    client: TestClient, header: dict[str, str]
) -> None:
    for method, path, _ in [*OPERATIONS, ("get", "/nowhere", ()), ("trace", "/lists", ())]:
        encoded = {name.encode(): value.encode() for name, value in header.items()}
        answer = client.request(method, a_url(path), headers=encoded)
        assert answer.status_code == 401, f"{method} {path}"
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.headers["www-authenticate"] == "Bearer"


def test_a_scope_opens_its_own_operations_and_no_other(client: TestClient, keys: Keys) -> None:
    """S-09: generated from the routes."""
    for scope in Scope:
        header = keys.make(scope)
        for method, path, needed in OPERATIONS:
            # No operation does anything with this request but those that need no body.
            status = bodiless(client, method, path, header) if needed != (scope,) else None
            assert status in (403, None), f"{scope}: {method} {path} gave {status}"


def test_each_operation_lets_in_whoever_has_its_scopes(client: TestClient, keys: Keys) -> None:
    for method, path, needed in OPERATIONS:
        status = bodiless(client, method, path, keys.make(*map(Scope, needed)))
        assert status not in (401, 403, 405, 500), f"{method} {path} gave {status}"


@pytest.mark.parametrize(
    "change",
    [
        {"revoked_at": utc_now()},
        {"expires_at": utc_now() - timedelta(seconds=1)},
    ],
    ids=["revoked", "expired"],
)
def test_a_key_that_has_ended_is_no_key(
    client: TestClient, engine: Engine, admin: dict[str, str], change: dict[str, Any]
) -> None:
    with transaction(engine) as session:
        session.execute(update(ApiKey).values(**change))

    assert client.get("lists", headers=admin).status_code == 401


def test_the_use_of_a_key_is_noted(
    client: TestClient, engine: Engine, admin: dict[str, str]
) -> None:
    client.get("lists", headers=admin)

    with reading(engine) as session:
        assert session.scalars(select(ApiKey.last_used_at)).one() is not None


@pytest.mark.parametrize(
    "path", ["lists/", "Lists", "/lists", "lists%2f", "lists%2F..%2Flists", "lists/daily/"]
)
def test_another_spelling_of_a_path_leads_nowhere(
    client: TestClient, admin: dict[str, str], path: str
) -> None:
    """S-09."""
    answer = client.get(f"http://testserver/api/v1/{path}", headers=admin)

    assert answer.status_code == 404
    assert client.get(f"http://testserver/api/v1/{path}").status_code == 401


def test_no_header_makes_another_method_of_a_request(
    client: TestClient, admin: dict[str, str], audience: Audience
) -> None:
    """S-09."""
    override = {"X-HTTP-Method-Override": "DELETE", "X-Method-Override": "DELETE"}

    client.get(f"subscribers/{audience.ada}?", headers=admin | override)

    assert client.get(f"subscribers/{audience.ada}", headers=admin).status_code == 200


class TestAKeyForTheDaily:
    @pytest.fixture
    def daily(self, keys: Keys, audience: Audience) -> dict[str, str]:
        return keys.make(*NARROW, lists=("daily",))

    def test_it_knows_no_other_list(self, client: TestClient, daily: dict[str, str]) -> None:
        """S-09."""
        shown = client.get("lists", headers=daily).json()["items"]

        assert [each["slug"] for each in shown] == ["daily"]
        hidden = client.get("lists/weekly", headers=daily)
        missing = client.get("lists/nowhere", headers=daily)
        assert hidden.status_code == missing.status_code == 404
        assert hidden.content == missing.content
        for method, path in (
            ("PATCH", "lists/weekly"),
            ("POST", "lists/weekly/retire"),
            ("GET", "lists/weekly/sections"),
            ("GET", "lists/weekly/export"),
            ("GET", "subscribers?list=weekly"),
            ("GET", "suppressions?list=weekly"),
        ):
            body = {"name": "Mine"} if method == "PATCH" else None
            answer = client.request(method, path, headers=daily, json=body)
            assert answer.status_code == 404, path

    def test_it_knows_nobody_who_is_only_on_another_list(
        self, client: TestClient, engine: Engine, daily: dict[str, str], audience: Audience
    ) -> None:
        """S-09."""
        bodies = {
            ("PATCH", ""): {"name": "Mallory"},
            ("PUT", "/tags"): {"tags": []},
            ("PUT", "/subscriptions/daily"): {"consent": "none"},
            ("PUT", "/subscriptions/weekly"): {},
            ("PATCH", "/subscriptions/weekly"): {"hidden_sections": []},
        }
        reads = [("GET", part) for part in ("", "/tags", "/subscriptions", "/history", "/evidence")]

        for method, part in [*reads, *bodies, ("DELETE", "/subscriptions/weekly")]:
            answers = [
                client.request(
                    method,
                    f"subscribers/{number}{part}",
                    json=bodies.get((method, part)),
                    headers=daily,
                )
                for number in (audience.cy, 999)
            ]
            assert [each.status_code for each in answers] == [404, 404], f"{method} {part}"
            assert answers[0].content == answers[1].content
        found = client.get("subscribers?address=cy@readers.example", headers=daily)
        assert found.json() == {"items": [], "next": None}
        with reading(engine) as session:
            changes = select(func.count()).where(SubscriberChange.subscriber_id == audience.cy)
            assert session.scalar(changes) == 2  # the address and the name that they came with

    def test_of_somebody_on_both_lists_it_shows_its_own(
        self, client: TestClient, daily: dict[str, str], audience: Audience
    ) -> None:
        """S-09."""
        person = client.get(f"subscribers/{audience.ada}", headers=daily).json()
        evidence = client.get(f"subscribers/{audience.ada}/evidence", headers=daily).json()
        people = client.get("subscribers?list=daily", headers=daily).json()["items"]

        assert [each["list"] for each in person["subscriptions"]] == ["daily"]
        assert [each["list"] for each in evidence["items"]] == ["daily"]
        assert [each["id"] for each in people] == [audience.ada, audience.bo]

    def test_it_changes_nothing_on_another_list(
        self, client: TestClient, engine: Engine, daily: dict[str, str], audience: Audience
    ) -> None:
        """S-09: what the caller cannot see is not lost."""
        client.patch(f"subscribers/{audience.ada}", json={"name": "Ada L."}, headers=daily)
        client.delete(f"subscribers/{audience.ada}/subscriptions/daily", headers=daily)
        refused = client.delete(f"subscribers/{audience.ada}/subscriptions/weekly", headers=daily)

        assert refused.status_code == 404
        with reading(engine) as session:
            left = select(ConsentEvent.list_id).where(ConsentEvent.kind == "unsubscribed")
            assert len(session.scalars(left).all()) == 1

    @pytest.mark.parametrize(
        ("method", "path", "body"),
        [
            ("GET", "subscribers", None),
            ("GET", "suppressions", None),
            ("GET", "tags", None),
            ("POST", "subscribers", {"address": "di@readers.example"}),
            ("POST", "suppressions", {"address": "di@readers.example"}),
            ("POST", "suppressions/lift", {"address": "di@readers.example", "reason": "so"}),
            ("PATCH", "subscribers/1", {"address": "cy@readers.example"}),
            (
                "POST",
                "lists",
                {
                    "slug": "mine",
                    "name": "Mine",
                    "sender_name": "Me",
                    "sender_address": "me@courier.example",
                    "postal_address": "1",
                },
            ),
        ],
    )
    def test_what_is_about_everybody_is_refused(
        self, client: TestClient, daily: dict[str, str], method: str, path: str, body: Any
    ) -> None:
        """S-09."""
        assert client.request(method, path, json=body, headers=daily).status_code == 403

    def test_it_subscribes_whoever_is_known_and_changes_nothing_else_of_them(
        self, client: TestClient, engine: Engine, daily: dict[str, str], audience: Audience
    ) -> None:
        new = {"address": "CY@readers.example", "name": "Mallory", "consent": "At the counter"}

        answer = client.post("lists/daily/subscribers", json=new, headers=daily)

        assert answer.status_code == 201
        assert [each["list"] for each in answer.json()["subscriptions"]] == ["daily"]
        with reading(engine) as session:
            assert session.get_one(Subscriber, audience.cy).name == "Cy"

    def test_it_cannot_subscribe_somebody_by_their_number(
        self, client: TestClient, daily: dict[str, str], keys: Keys
    ) -> None:
        """S-09."""
        number = "000000000003"  # Cy, who is not on its list

        answer = client.post("lists/daily/subscribers", json={"address": number}, headers=daily)

        assert answer.status_code == 422
        assert client.get("subscribers/3", headers=daily).status_code == 404

    def test_it_imports_into_its_list_only_and_sees_no_other_import(
        self, client: TestClient, daily: dict[str, str], admin: dict[str, str]
    ) -> None:
        """S-09 on import."""
        csv = {"Content-Type": "text/csv"}
        body = b"email\ndi@readers.example\n"
        other = client.post("imports?list=weekly", content=body, headers=admin | csv).json()["id"]

        refused = client.post("imports?list=weekly", content=body, headers=daily | csv)
        mine = client.post("imports?list=daily", content=body, headers=daily | csv).json()["id"]

        assert refused.status_code == 404
        shown = client.get("imports", headers=daily).json()["items"]
        assert [each["id"] for each in shown] == [mine]
        for part in ("", "/report"):
            assert client.get(f"imports/{other}{part}", headers=daily).status_code == 404
        for step in ("cancel", "resume", "undo"):
            assert client.post(f"imports/{other}/{step}", headers=daily).status_code == 404
        start = client.post(f"imports/{other}/start", json={"basis": "consent"}, headers=daily)
        assert start.status_code == 404
