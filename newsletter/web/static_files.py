"""Our own style sheets and scripts."""

from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Receive, Scope, Send

ONE_YEAR = 31_536_000


class KeptFiles(StaticFiles):
    """Has browsers keep for good what they asked for by a mark of its content."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # A server that sends the file by its path would send it past whoever compresses it.
        extensions = dict(scope.get("extensions") or {})
        extensions.pop("http.response.pathsend", None)
        await super().__call__({**scope, "extensions": extensions}, receive, send)

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        if scope["query_string"].startswith(b"v=") and response.status_code == 200:
            response.headers["Cache-Control"] = f"public, max-age={ONE_YEAR}, immutable"
        return response
