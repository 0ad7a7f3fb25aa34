"""The API as one application: its resources, its errors, and the document that describes it."""

import re
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.routing import Mount
from starlette.types import ASGIApp

from newsletter.web.api import (
    attributes,
    consents,
    editions,
    exports,
    imports,
    lists,
    privacy,
    segments,
    sending,
    subscribers,
    suppressions,
)
from newsletter.web.api.document import describe
from newsletter.web.api.guard import DOCUMENT, Guard
from newsletter.web.api.problems import HANDLERS
from newsletter.web.deps import Deps

VERSION = "1"
ROOT = "/api/v1"
_ROUTERS = (
    lists.router,
    subscribers.of_list,
    subscribers.router,
    attributes.router,
    editions.router,
    sending.router,
    segments.router,
    suppressions.uploads,
    suppressions.router,
    imports.uploads,
    imports.router,
    exports.router,
    privacy.router,
    consents.router,
    consents.retention,
)


class Api(FastAPI):
    def openapi(self) -> dict[str, Any]:
        if self.openapi_schema is None:
            self.openapi_schema = describe(super().openapi())
        return self.openapi_schema


class ApiMount(Mount):
    """Takes every path below its own; Starlette's pattern stops at a line break (%0A) in it."""

    def __init__(self, path: str, app: ASGIApp) -> None:
        super().__init__(path, app)
        self.path_regex = re.compile(self.path_regex.pattern, re.DOTALL)


def mount_api(deps: Deps) -> Mount:
    api = create_api()
    api.state.deps = deps
    return ApiMount(ROOT, Guard(api, deps))


def patterns() -> dict[object, str]:
    """The path of each endpoint, as requests are counted by."""
    return {
        route.endpoint: ROOT + route.path
        for router in _ROUTERS
        for route in router.routes
        if isinstance(route, APIRoute)
    }


def create_api() -> FastAPI:
    """It answers nobody by itself: `newsletter.web.api.guard.Guard` stands before it."""
    api = Api(
        title="Newsletter",
        version=VERSION,
        summary="Editions, lists, subscribers and everything that is done with them.",
        openapi_url=DOCUMENT,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        exception_handlers=HANDLERS,
        servers=[{"url": ROOT}],
        generate_unique_id_function=lambda route: route.name,
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    for router in _ROUTERS:
        api.include_router(router)
    return api
