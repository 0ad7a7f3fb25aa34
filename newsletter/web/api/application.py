"""The API as one application: its resources, its errors, and the document that describes it."""

from typing import Any

from fastapi import FastAPI

from newsletter.web.api import (
    attributes,
    exports,
    imports,
    lists,
    privacy,
    segments,
    subscribers,
    suppressions,
)
from newsletter.web.api.document import describe
from newsletter.web.api.guard import DOCUMENT
from newsletter.web.api.problems import HANDLERS

VERSION = "1"
_ROUTERS = (
    lists.router,
    subscribers.of_list,
    subscribers.router,
    attributes.router,
    segments.router,
    suppressions.router,
    imports.uploads,
    imports.router,
    exports.router,
    privacy.router,
)


class Api(FastAPI):
    def openapi(self) -> dict[str, Any]:
        if self.openapi_schema is None:
            self.openapi_schema = describe(super().openapi())
        return self.openapi_schema


def create_api() -> FastAPI:
    """It answers nobody by itself: `newsletter.web.api.guard.Guard` stands before it."""
    api = Api(
        title="Newsletter",
        version=VERSION,
        summary="Lists, subscribers and everything that is done with addresses.",
        openapi_url=DOCUMENT,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        exception_handlers=dict(HANDLERS),
        servers=[{"url": "/api/v1"}],
        generate_unique_id_function=lambda route: route.name,
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    for router in _ROUTERS:
        api.include_router(router)
    return api
