"""The web application: pages for readers, the links of their mails, and health."""

import gc
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from sqlalchemy import Engine
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.routing import Mount, Route

from newsletter.addresses import mask_addresses
from newsletter.clock import shift_by
from newsletter.db import make_engine
from newsletter.logs import set_up_logging
from newsletter.metrics import forget_process
from newsletter.settings import Settings, get_settings
from newsletter.web import errors, health, tracking
from newsletter.web.api.application import mount_api
from newsletter.web.api.application import patterns as api_patterns
from newsletter.web.deps import Deps
from newsletter.web.headers import SecurityHeaders
from newsletter.web.metrics import CountRequests, metrics
from newsletter.web.newsroom import site
from newsletter.web.public import archive, confirm, person, preferences, rights, signup_form
from newsletter.web.public.dress import style_sheet
from newsletter.web.public.editions import edition
from newsletter.web.public.index import index
from newsletter.web.public.link import send_link
from newsletter.web.public.media import picture
from newsletter.web.public.subscribe import subscribe, subscribe_to_several
from newsletter.web.public.unsubscribe import METHODS, unsubscribe
from newsletter.web.static_files import KeptFiles

STATIC = Path(__file__).with_name("static")


def serve_app() -> Starlette:
    """What the web server runs in each of its processes."""
    settings = get_settings()
    set_up_logging(settings, mask=mask_addresses)
    shift_by(settings.clock_shift_path)
    app = create_app(settings=settings)
    # A full collection looks at all that was imported, a quarter of a second long, and somebody
    # waits for their page: what is there for good is not looked at again.
    gc.collect()
    gc.freeze()
    return app


def create_app(*, settings: Settings | None = None, engine: Engine | None = None) -> Starlette:
    """The application of one process; it owns `engine` from here on."""
    settings = settings or get_settings()
    deps = Deps.connect(settings, engine or make_engine(settings.database_url))

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        async with deps.running():
            yield
        forget_process(os.getpid())

    routes = [
        Route("/", index),
        Route("/o/{token}", tracking.open_pixel),
        Route("/c/{token}/{number}", tracking.click),
        Route("/u/{token}", unsubscribe, methods=METHODS),
        Route("/p/{token}", preferences.of_edition, methods=person.METHODS),
        Route("/my/{token}", preferences.settings, methods=person.METHODS),
        Route("/my-data/{token}", rights.my_data, methods=person.METHODS),
        Route("/erase-me/{token}", rights.erase_me, methods=person.METHODS),
        Route("/move/{token}", rights.move, methods=person.METHODS),
        Route("/s", subscribe_to_several, methods=signup_form.METHODS),
        Route("/s/{slug}", subscribe, methods=signup_form.METHODS),
        Route("/link", send_link, methods=signup_form.METHODS),
        Route("/confirm/{token}", confirm.confirm, methods=confirm.METHODS),
        Route("/not-me/{token}", confirm.refuse, methods=confirm.METHODS),
        Route("/e/{public_id}", edition),
        Route("/archive/{slug}", archive.archive),
        Route("/archive/{slug}/feed.atom", archive.archive_atom),
        Route("/archive/{slug}/feed.json", archive.archive_json),
        Route("/archive/{slug}/{public_id}", archive.archived_edition),
        Route("/media/{name}", picture),
        Route("/dress/{name}", style_sheet),
        Route("/health/live", health.live),
        Route("/health/ready", health.ready),
        Route("/metrics", metrics),
        *site.routes(),
    ]
    static = GZipMiddleware(KeptFiles(directory=STATIC), minimum_size=1_000)
    patterns: dict[object, str] = {route.endpoint: route.path for route in routes}
    patterns |= api_patterns()
    app = Starlette(
        routes=[*routes, mount_api(deps), Mount("/static", static)],
        middleware=[
            Middleware(CountRequests, patterns=patterns | {static: "/static"}),
            Middleware(SecurityHeaders, is_https=settings.base_url.startswith("https://")),
        ],
        exception_handlers=errors.HANDLERS,
        lifespan=lifespan,
    )
    # A mail program's one-click POST must never be answered with a redirect (RFC 8058 section 3.1).
    app.router.redirect_slashes = False
    app.state.deps = deps
    return app
