"""The OpenAPI document: what FastAPI knows, and the problems that every operation may answer with."""

from http import HTTPStatus
from typing import Any

from newsletter.web.api.body import LARGEST_BODY
from newsletter.web.api.problems import MEDIA_TYPE, NOT_HERE, FieldProblem, Problem

Document = dict[str, Any]

_REFERENCE = "#/components/schemas/"
_EXAMPLES = {
    400: "There was an error parsing the body",
    401: "Send an API key that is valid still, as: Authorization: Bearer nlk_…",
    403: "This key lacks the scope subscribers:write.",
    404: NOT_HERE,
    409: "The list harbour was retired on 2026-03-05: it takes no new people and no new editions.",
    412: "It was changed since you read it. Read it again.",
    413: f"A request has at most {LARGEST_BODY // 1024} kB.",
    415: "Send the body as application/json.",
    422: "zone: write an IANA time zone like Europe/Berlin or Asia/Shanghai",
    429: "This key asks too often. Try again in a moment.",
    500: "Something went wrong here. It is not your fault.",
    503: "The database does not answer. Try again in a moment.",
}
_TITLES = {
    400: "The body cannot be read.",
    401: "No key, or one that is not valid any more.",
    403: "The key may not do that.",
    404: "It is not there, or not for this key.",
    409: "What is there is in no state for that.",
    412: "It is no longer what If-Match names.",
    413: "Too much was sent.",
    415: "The body is of another kind.",
    422: "What was sent is wrong; `errors` says where.",
    429: "The key asks too often; Retry-After says when to come back.",
    500: "Our mistake.",
    503: "A store does not answer; Retry-After says when to come back.",
}
_ALWAYS = (401, 403, 422, 429, 500, 503)


def describe(document: Document) -> Document:
    """Adds to each operation what it is called by and what may go wrong with it."""
    schemas = document["components"]["schemas"]
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    for model in (Problem, FieldProblem):
        schema = model.model_json_schema(ref_template=f"{_REFERENCE}{{model}}")
        schema.pop("$defs", None)
        schemas[model.__name__] = schema
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            for parameter in operation.get("parameters", ()):
                parameter["schema"] = _without_null(parameter["schema"])
            for status in _statuses(path, method, operation):
                operation["responses"][str(status)] = _response(status)
    return document


def _without_null(schema: Document) -> Document:
    """A parameter of a URL or a header is there or it is not; it cannot be null."""
    choices = [each for each in schema.get("anyOf", ()) if each != {"type": "null"}]
    if len(choices) != 1:
        return schema
    return {**{name: value for name, value in schema.items() if name != "anyOf"}, **choices[0]}


def _statuses(path: str, method: str, operation: Document) -> list[int]:
    statuses = [*_ALWAYS]
    if "{" in path or method != "get" or _has_parameter(operation, "list"):
        statuses.append(404)
    if method != "get":
        statuses += [409, 413]
    if "requestBody" in operation:
        statuses += [400, 415]
    if _has_parameter(operation, "If-Match"):
        statuses.append(412)
    return statuses


def _has_parameter(operation: Document, name: str) -> bool:
    return any(each["name"] == name for each in operation.get("parameters", ()))


def _response(status: int) -> Document:
    example = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": _EXAMPLES[status],
    }
    return {
        "description": _TITLES[status],
        "content": {
            MEDIA_TYPE: {"schema": {"$ref": f"{_REFERENCE}Problem"}, "example": example},
        },
    }
