"""What holds for every request: errors, pages, repeated writes, lost updates, limits."""

import base64
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, func, select
from starlette.testclient import TestClient

from newsletter.accounts.scopes import Scope
from newsletter.db import make_engine, reading
from newsletter.metrics import REQUESTS
from newsletter.models import ApiAnswer, Import, MailingList, Subscriber
from newsletter.stack.ports import free_port
from newsletter.web.app import create_app
from tests.conftest import STORES
from tests.web.api.conftest import ROOT, Audience, Keys
from tests.web.served import settings_for

NEW = {"address": "di@readers.example", "name": "Di"}
CSV = {"Content-Type": "text/csv"}


def count_of(engine: Engine, table: type[Any]) -> int:
    with reading(engine) as session:
        return session.scalar(select(func.count()).select_from(table)) or 0


class TestProblems:
    @pytest.mark.parametrize(
        ("method", "path", "body", "status", "where"),
        [
            ("POST", "subscribers", {}, 422, {"pointer": "/address"}),
            ("POST", "subscribers", {"address": "no one"}, 422, {"pointer": "/address"}),
            ("POST", "subscribers", {"address": "a@localhost"}, 422, {"pointer": "/address"}),
            ("POST", "subscribers", NEW | {"zone": "Mars/Base"}, 422, {"pointer": "/zone"}),
            ("POST", "subscribers", NEW | {"id": 7}, 422, {"pointer": "/id"}),
            ("POST", "subscribers", NEW | {"created_at": "x"}, 422, {"pointer": "/created_at"}),
            ("POST", "subscribers", NEW | {"lists": ["a/b"]}, 422, {"pointer": "/lists/0"}),
            (
                "POST",
                "subscribers",
                NEW | {"attributes": {"none": 1}},
                422,
                {"pointer": "/attributes/none"},
            ),
            ("POST", "subscribers", NEW | {"name": "a\r\nBcc: b"}, 422, {"pointer": "/name"}),
            ("PATCH", "lists/daily", {"slug": "other"}, 422, {"pointer": "/slug"}),
            ("PATCH", "lists/daily", {"reply_to": "no"}, 422, {"pointer": "/reply_to"}),
            ("PATCH", "lists/daily", {"is_public": "yes"}, 422, {"pointer": "/is_public"}),
            (
                "POST",
                "segments",
                {"name": "a", "definition": "and"},
                422,
                {"pointer": "/definition"},
            ),
            ("GET", "subscribers?limit=501", None, 422, {"parameter": "limit"}),
            ("GET", "subscribers?lst=daily", None, 422, {"parameter": "lst"}),
            ("GET", "subscribers/0", None, 422, {"parameter": "subscriber_id"}),
            ("GET", "subscribers?cursor=AAAA", None, 422, None),
            ("GET", "subscribers?status=pending", None, 422, None),
            ("GET", "subscribers/999", None, 404, None),
            ("GET", "nowhere", None, 404, None),
            ("GET", "lists/a%0Ab/c", None, 404, None),
            ("PUT", "lists", {}, 405, None),
            ("OPTIONS", "lists", None, 405, None),
        ],
    )
    def test_each_says_what_is_wrong_and_where(
        self,
        client: TestClient,
        admin: dict[str, str],
        method: str,
        path: str,
        body: Any,
        status: int,
        where: dict[str, str] | None,
    ) -> None:
        """RFC 9457; S-09, S-12."""
        answer = client.request(method, path, json=body, headers=admin)

        assert answer.status_code == status
        assert answer.headers["content-type"] == "application/problem+json"
        told = answer.json()
        assert told["status"] == status
        assert told["detail"]
        assert where is None or told["errors"][0].items() >= where.items()

    def test_a_body_that_is_no_json_or_too_large_or_of_another_kind(
        self, client: TestClient, admin: dict[str, str]
    ) -> None:
        """S-08."""
        json = {"Content-Type": "application/json"}
        cases: dict[int, tuple[bytes, dict[str, str]]] = {
            422: (b'{"address": ', json),
            400: (b"[" * 100_000, json),
            413: (b" " * 300_000, json),
            415: (b"{}", {"Content-Type": "text/plain"}),
        }

        statuses = {
            status: client.post("subscribers", content=body, headers=admin | kind).status_code
            for status, (body, kind) in cases.items()
        }

        assert statuses == {status: status for status in cases}

    def test_text_that_cannot_be_stored_is_refused(
        self, client: TestClient, admin: dict[str, str]
    ) -> None:
        body = b'{"address": "di@readers.example", "name": "\\ud800", "attributes": {"\\udfff": 1}}'
        kind = {"Content-Type": "application/json"}

        answer = client.post("subscribers", content=body, headers=admin | kind)

        assert answer.status_code == 422
        assert answer.json()["errors"][0]["pointer"] == "/name"

    def test_a_chunked_body_is_measured_as_it_comes(
        self, client: TestClient, admin: dict[str, str]
    ) -> None:
        pieces = (b" " * 65_536 for _ in range(10))
        kind = {"Content-Type": "application/json"}

        answer = client.post("subscribers", content=pieces, headers=admin | kind)

        assert answer.status_code == 413

    def test_a_mistake_of_ours_tells_nothing(
        self, client: TestClient, admin: dict[str, str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(*_: object, **__: object) -> None:
            raise RuntimeError("secret")

        monkeypatch.setattr("newsletter.web.api.attributes.all_attributes", fail)

        answer = client.get("attributes", headers=admin)

        assert answer.status_code == 500
        assert answer.headers["content-type"] == "application/problem+json"
        assert "secret" not in answer.text

    def test_a_state_that_does_not_allow_it_is_a_conflict(
        self, client: TestClient, admin: dict[str, str], audience: Audience
    ) -> None:
        """B-25: nobody who left is brought back."""
        path = f"subscribers/{audience.bo}/subscriptions/daily"
        client.delete(path, headers=admin)

        answer = client.put(path, json={"consent": "so they say"}, headers=admin)

        assert answer.status_code == 409
        assert "bo@" not in answer.text

    def test_no_other_site_may_read_it(self, client: TestClient, admin: dict[str, str]) -> None:
        answer = client.get("lists", headers=admin | {"Origin": "https://evil.example"})

        assert not [name for name in answer.headers if name.startswith("access-control")]
        assert answer.headers["cache-control"] == "no-store"


class TestPages:
    @pytest.mark.parametrize("path", ["subscribers", "subscribers?list=daily", "lists"])
    def test_following_the_links_shows_each_once(
        self, client: TestClient, admin: dict[str, str], path: str
    ) -> None:
        all_at_once = client.get(path, headers=admin).json()["items"]
        url: str | None = f"{path}{'&' if '?' in path else '?'}limit=1"
        seen = []

        while url is not None:
            answer = client.get(url, headers=admin)
            seen += answer.json()["items"]
            url = (
                f"http://testserver{answer.links['next']['url']}"
                if "next" in answer.links
                else None
            )
            assert (answer.json()["next"] is None) == (url is None)

        assert seen == all_at_once
        assert len(seen) > 1

    @pytest.mark.parametrize("store", ["postgresql"])  # SQLite's integers are all of one size
    @pytest.mark.parametrize(
        ("path", "place"),
        [("editions", 2**31), ("imports", 2**31), ("subscribers", 2**63), ("tags", "\0")],
    )
    def test_a_cursor_that_no_page_gave_is_refused(
        self, client: TestClient, admin: dict[str, str], path: str, place: int | str
    ) -> None:
        cursor = base64.urlsafe_b64encode(json.dumps(place).encode()).rstrip(b"=").decode()

        answer = client.get(f"{path}?cursor={cursor}", headers=admin)

        assert answer.status_code == 422


@pytest.mark.parametrize("store", STORES)
class TestRepeatedWrites:
    def test_the_same_request_is_answered_the_same_and_done_once(
        self, client: TestClient, engine: Engine, admin: dict[str, str]
    ) -> None:
        key = {"Idempotency-Key": "order-4711"}

        first, second = (client.post("subscribers", json=NEW, headers=admin | key) for _ in "12")

        assert (first.status_code, first.content) == (second.status_code, second.content)
        assert first.headers["location"] == second.headers["location"]
        assert first.headers["etag"] == second.headers["etag"]
        assert "idempotency-replayed" not in first.headers
        assert second.headers["idempotency-replayed"] == "true"
        assert count_of(engine, Subscriber) == 4

    def test_the_key_of_another_request_is_refused(
        self, client: TestClient, engine: Engine, admin: dict[str, str]
    ) -> None:
        key = {"Idempotency-Key": "order-4711"}
        client.post("subscribers", json=NEW, headers=admin | key)

        other = client.post("subscribers", json=NEW | {"name": "Dee"}, headers=admin | key)

        assert other.status_code == 422
        assert "Idempotency-Key" in other.json()["detail"]
        assert count_of(engine, Subscriber) == 4

    def test_what_was_refused_may_be_sent_again_put_right(
        self, client: TestClient, engine: Engine, admin: dict[str, str]
    ) -> None:
        key = {"Idempotency-Key": "order-4711"}
        wrong = client.post("subscribers", json=NEW | {"zone": "Mars"}, headers=admin | key)

        right = client.post("subscribers", json=NEW | {"zone": "UTC"}, headers=admin | key)

        assert (wrong.status_code, right.status_code) == (422, 201)

    def test_of_many_at_once_one_has_an_effect(
        self, client: TestClient, engine: Engine, admin: dict[str, str]
    ) -> None:
        key = {"Idempotency-Key": "order-4711"}
        together = threading.Barrier(6)

        def send() -> Any:
            together.wait()
            return client.post("subscribers", json=NEW, headers=admin | key)

        with ThreadPoolExecutor(6) as pool:
            answers = [future.result() for future in [pool.submit(send) for _ in range(6)]]

        assert {(each.status_code, each.content) for each in answers} == {(201, answers[0].content)}
        assert count_of(engine, Subscriber) == 4

    def test_a_file_that_is_sent_twice_is_kept_once(
        self, client: TestClient, engine: Engine, admin: dict[str, str]
    ) -> None:
        header = admin | CSV | {"Idempotency-Key": "upload"}
        body = b"email\ndi@readers.example\n"

        first, second = (
            client.post("imports?list=daily", content=body, headers=header) for _ in "12"
        )
        other = client.post("imports?list=daily", content=body + b"e@x.example", headers=header)

        assert first.status_code == second.status_code == 201
        assert first.content == second.content
        assert other.status_code == 422
        assert count_of(engine, Import) == 1

    def test_the_answer_goes_with_the_person(
        self, client: TestClient, engine: Engine, admin: dict[str, str]
    ) -> None:
        """T-33."""
        made = client.post("subscribers", json=NEW, headers=admin | {"Idempotency-Key": "k"})
        assert count_of(engine, ApiAnswer) == 1

        erased = client.delete(f"subscribers/{made.json()['id']}", headers=admin)

        assert erased.status_code == 200
        assert count_of(engine, ApiAnswer) == 0


@pytest.mark.parametrize("store", STORES)
def test_a_change_of_what_somebody_else_changed_meanwhile_is_refused(
    client: TestClient, admin: dict[str, str], audience: Audience
) -> None:
    path = f"subscribers/{audience.ada}/tags"
    read = client.get(path, headers=admin).headers["etag"]
    first = client.put(path, json={"tags": ["press"]}, headers=admin | {"If-Match": read})

    second = client.put(path, json={"tags": ["staff"]}, headers=admin | {"If-Match": read})
    third = client.put(
        path, json={"tags": ["staff"]}, headers=admin | {"If-Match": first.headers["etag"]}
    )

    assert [each.status_code for each in (first, second, third)] == [200, 412, 200]
    assert client.get(path, headers=admin).json() == {"tags": ["staff"]}


@pytest.mark.parametrize("path", ["lists/daily", "subscribers/1"])
def test_what_was_read_and_not_changed_since_may_be_changed(
    client: TestClient, admin: dict[str, str], path: str
) -> None:
    read = client.get(path, headers=admin).headers["etag"]

    changed = client.patch(path, json={"name": "New"}, headers=admin | {"If-Match": read})

    assert changed.status_code == 200
    assert changed.headers["etag"] == client.get(path, headers=admin).headers["etag"] != read


def test_a_key_that_asks_too_often_is_told_to_come_back(
    engine: Engine, keys: Keys, audience: Audience, redis_server: str, tmp_path: Path
) -> None:
    """S-29."""
    settings = settings_for(redis_server, tmp_path).model_copy(
        update={"api_requests_per_minute": 3}
    )
    busy, calm = keys.make(Scope.LISTS_READ), keys.make(Scope.LISTS_READ)

    with TestClient(create_app(settings=settings, engine=engine)) as client:
        answers = [client.get(f"{ROOT}/lists", headers=busy) for _ in range(4)]
        other = client.get(f"{ROOT}/lists", headers=calm)

    assert [each.status_code for each in answers] == [200, 200, 200, 429]
    assert answers[3].headers["retry-after"] == "10"
    assert other.status_code == 200


def test_without_redis_each_process_counts_for_itself(
    engine: Engine, keys: Keys, audience: Audience, tmp_path: Path
) -> None:
    settings = settings_for(f"redis://127.0.0.1:{free_port()}/0", tmp_path).model_copy(
        update={"api_requests_per_minute": 2}
    )
    header = keys.make(Scope.LISTS_READ)

    with TestClient(create_app(settings=settings, engine=engine)) as client:
        statuses = [client.get(f"{ROOT}/lists", headers=header).status_code for _ in range(3)]

    assert statuses == [200, 200, 429]


def test_without_its_database_it_asks_to_come_back(redis_server: str, tmp_path: Path) -> None:
    away = make_engine(f"postgresql+psycopg://nobody@127.0.0.1:{free_port()}/none")
    app = create_app(settings=settings_for(redis_server, tmp_path), engine=away)
    token = f"nlk_{'0' * 12}_{'A' * 43}"

    with TestClient(app) as client:
        answer = client.get(f"{ROOT}/lists", headers={"Authorization": f"Bearer {token}"})

    assert answer.status_code == 503
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["retry-after"] == "30"


def test_requests_are_counted_by_the_pattern_of_their_path(
    client: TestClient, admin: dict[str, str], audience: Audience
) -> None:
    counter = REQUESTS.labels(f"{ROOT}/subscribers/{{subscriber_id}}", "GET", 200)
    before = counter._value.get()

    client.get(f"subscribers/{audience.ada}", headers=admin)

    assert counter._value.get() == before + 1


def test_a_list_can_be_made_and_changed_in_every_field(
    client: TestClient, engine: Engine, admin: dict[str, str]
) -> None:
    new = {
        "slug": "nightly",
        "name": "The Nightly",
        "sender_name": "The Desk",
        "sender_address": "desk@courier.example",
        "postal_address": "4 Ropewalk Lane",
        "send_time": "21:00",
        "reply_to": "letters@courier.example",
        "opt_in": "single",
        "tracking": "anonymous",
    }

    made = client.post("lists", json=new, headers=admin)
    shown = client.get(made.headers["location"].removeprefix(f"{ROOT}/"), headers=admin).json()
    client.patch("lists/nightly", json={"send_time": None, "reply_to": None}, headers=admin)

    assert shown.items() >= new.items()
    with reading(engine) as session:
        kept = session.scalars(select(MailingList).where(MailingList.slug == "nightly")).one()
        assert (kept.send_time, kept.reply_to, kept.opt_in) == (None, None, "single")


def test_an_exported_suppression_list_changes_nothing_when_it_is_imported(
    client: TestClient, admin: dict[str, str]
) -> None:
    """B-26."""
    file = b"address\nx@readers.example\nnobody\n"
    first = client.post("suppressions/import", content=file, headers=admin | CSV).json()

    exported = client.get("suppressions/export", headers=admin)
    again = client.post("suppressions/import", content=exported.content, headers=admin | CSV)

    assert (first["new"], first["rejected"]) == (1, 1)
    assert b"x@readers.example" not in exported.content
    assert (again.json()["new"], again.json()["known"]) == (0, 1)


def test_who_wanted_no_mail_is_invited_once_and_lifted_by_nobody_else(
    client: TestClient, admin: dict[str, str]
) -> None:
    """B-23, B-25."""
    address = {"address": "di@readers.example"}
    client.post("suppressions", json=address | {"reason": "complained"}, headers=admin)

    lifted = client.post("suppressions/lift", json=address | {"reason": "so"}, headers=admin)
    invited = [
        client.post("lists/daily/invitations", json=address | {"reason": "rang"}, headers=admin)
        for _ in range(2)
    ]

    assert lifted.status_code == 409
    assert [each.status_code for each in invited] == [202, 409]
    checked = client.post("suppressions/check", json=address, headers=admin).json()["items"]
    assert [each["reason"] for each in checked] == ["complained"]
