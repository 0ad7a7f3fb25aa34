"""Requests made up from the API's own description, right and wrong: each answer is as described."""

import shutil
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.config import SchemathesisConfig
from sqlalchemy import Engine
from starlette.applications import Starlette
from starlette.testclient import TestClient

from newsletter.db import make_engine
from newsletter.web.api.application import create_api, mount_api
from newsletter.web.deps import Deps
from tests.web.api.conftest import ROOT, Keys
from tests.web.served import settings_for

_numbers = count(1)

OPERATIONS = [
    (method, path)
    for path, operations in create_api().openapi()["paths"].items()
    for method in operations
]
# What a schema cannot say (which zones there are, which list is retired) is refused with 409 and
# 422, however well the request is formed.
CONFIG = {
    "checks": {
        "positive_data_acceptance": {
            "expected-statuses": ["2xx", "403", "404", "409", "412", "422"]
        }
    }
}
MADE_UP = settings(
    max_examples=6,
    deadline=None,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module")
def engine(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    path = tmp_path_factory.mktemp("contract") / "newsletter.db"
    shutil.copy(sqlite_template, path)
    engine = make_engine(f"sqlite:///{path}")
    yield engine
    engine.dispose()


@pytest.fixture(scope="module")
def admin(engine: Engine) -> dict[str, str]:
    return Keys(engine).make()


@pytest.fixture(scope="module")
def app(engine: Engine, redis_server: str, tmp_path_factory: pytest.TempPathFactory) -> Starlette:
    settings = settings_for(redis_server, tmp_path_factory.mktemp("state")).model_copy(
        update={"api_requests_per_minute": 1_000_000}
    )
    return Starlette(routes=[mount_api(Deps.connect(settings, engine))])


@pytest.fixture(scope="module")
def described(app: Starlette) -> schemathesis.BaseSchema:
    config = SchemathesisConfig.from_dict(CONFIG)
    return schemathesis.openapi.from_asgi(f"{ROOT}/openapi.json", app, config=config)


@pytest.fixture
def real_ids(app: Starlette, admin: dict[str, str]) -> dict[str, Any]:
    """Something to find for each parameter that a path has, new for each test."""
    name = f"real-{next(_numbers)}"
    new_list = {
        "slug": name,
        "name": "Real",
        "sender_name": "The Desk",
        "sender_address": "desk@courier.example",
        "postal_address": "4 Ropewalk Lane",
    }
    bodies = {
        "lists": new_list,
        f"lists/{name}/sections": {"key": name, "name": "Port"},
        f"lists/{name}/subscribers": {"address": f"{name}@readers.example", "consent": "a form"},
        "editions": {"lists": [name]},
        "attributes": {"key": name, "kind": "text", "label": "Port"},
        "segments": {"name": name, "definition": "language is en"},
    }
    client = TestClient(app, base_url=f"http://testserver{ROOT}/", headers=admin)
    made = {path: client.post(path, json=body) for path, body in bodies.items()}
    upload = client.post(
        f"imports?list={name}",
        content=b"email\nd@readers.example\n",
        headers={"Content-Type": "text/csv"},
    )
    assert {answer.status_code for answer in (*made.values(), upload)} == {201}
    return {
        "slug": name,
        "key": name,
        "name": name,
        "subscriber_id": made[f"lists/{name}/subscribers"].json()["id"],
        "import_id": upload.json()["id"],
        "edition_id": made["editions"].json()["id"],
    }


@pytest.mark.parametrize(
    ("method", "path"), OPERATIONS, ids=[" ".join(each) for each in OPERATIONS]
)
def test_each_operation_answers_as_it_is_described(
    described: schemathesis.BaseSchema,
    admin: dict[str, str],
    real_ids: dict[str, Any],
    method: str,
    path: str,
) -> None:
    operation = described[path][method]
    real = {name: value for name, value in real_ids.items() if f"{{{name}}}" in path}
    wrong = GenerationMode.NEGATIVE

    @MADE_UP
    @given(
        case=st.one_of(
            operation.as_strategy(path_parameters=real),
            operation.as_strategy(path_parameters=real, generation_mode=wrong),
            operation.as_strategy(generation_mode=wrong),
        )
    )
    def answers_well(case: schemathesis.Case[Any]) -> None:
        case.call_and_validate(headers=admin)

    answers_well()
