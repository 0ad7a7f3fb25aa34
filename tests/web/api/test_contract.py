"""Requests made up from the API's own description, right and wrong: each answer is as described."""

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.config import SchemathesisConfig
from starlette.applications import Starlette
from starlette.testclient import TestClient

from newsletter.web.api.application import create_api
from tests.web.api.conftest import ROOT, Audience

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
    max_examples=15,
    deadline=None,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture
def real_ids(client: TestClient, admin: dict[str, str], audience: Audience) -> dict[str, Any]:
    """Something to find for each parameter that a path has."""
    port = {"key": "port", "name": "Port"}
    attribute = {"key": "port", "kind": "text", "label": "Port"}
    segment = {"name": "english", "definition": "language is en"}
    csv = {"Content-Type": "text/csv"}
    made = [
        client.post("lists/daily/sections", json=port, headers=admin),
        client.post("attributes", json=attribute, headers=admin),
        client.post("segments", json=segment, headers=admin),
        client.post("imports?list=daily", content=b"email\nd@readers.example\n", headers=admin | csv),
    ]
    assert [answer.status_code for answer in made] == [201] * 4
    return {
        "slug": "daily",
        "key": "port",
        "name": "english",
        "subscriber_id": audience.ada,
        "import_id": made[3].json()["id"],
    }


@pytest.mark.parametrize(("method", "path"), OPERATIONS, ids=[" ".join(each) for each in OPERATIONS])
def test_each_operation_answers_as_it_is_described(
    app: Starlette, admin: dict[str, str], real_ids: dict[str, Any], method: str, path: str
) -> None:
    config = SchemathesisConfig.from_dict(CONFIG)
    described = schemathesis.openapi.from_asgi(f"{ROOT}/openapi.json", app, config=config)
    operation = described[path][method]
    real = {name: value for name, value in real_ids.items() if f"{{{name}}}" in path}

    @MADE_UP
    @given(
        case=st.one_of(
            operation.as_strategy(path_parameters=real),
            operation.as_strategy(path_parameters=real, generation_mode=GenerationMode.NEGATIVE),
            operation.as_strategy(generation_mode=GenerationMode.NEGATIVE),
        )
    )
    def answers_well(case: schemathesis.Case) -> None:
        case.call_and_validate(headers=admin)

    answers_well()
