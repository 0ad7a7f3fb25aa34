"""Every screen of the newsroom and the office."""

from itertools import chain

from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import Response
from starlette.routing import Route

from newsletter.web.newsroom import (
    accidents,
    account,
    accounts,
    api_keys,
    audit,
    cards,
    checks,
    compose,
    correct,
    edition,
    editions,
    exports,
    imports,
    letterhead,
    list_sections,
    lists,
    media,
    new_edition,
    people,
    preview,
    providers,
    report,
    reports,
    review,
    revisions,
    schedule,
    segments,
    sending,
    sending_domains,
    settings,
    sign_in,
    slots,
    stories,
    subscriber,
    subscribers,
    suppressions,
    test_send,
    today,
    transports,
)
from newsletter.web.newsroom.entrance import Entrance
from newsletter.web.newsroom.screens import Screen
from newsletter.web.newsroom.visit import Visit


def home(visit: Visit) -> Response:
    return visit.go("/newsroom/today")


def office(visit: Visit) -> Response:
    return visit.go("/office/lists")


SCREENS: tuple[Screen, ...] = tuple(
    chain(
        (Screen("/newsroom", get=home), Screen("/office", get=office)),
        # Before the editions by their number: “new” is none.
        new_edition.SCREENS,
        compose.SCREENS,
        cards.SCREENS,
        revisions.SCREENS,
        checks.SCREENS,
        correct.SCREENS,
        edition.SCREENS,
        editions.SCREENS,
        review.SCREENS,
        schedule.SCREENS,
        sending.SCREENS,
        test_send.SCREENS,
        letterhead.SCREENS,
        list_sections.SCREENS,
        lists.SCREENS,
        subscriber.SCREENS,
        subscribers.SCREENS,
        segments.SCREENS,
        accidents.SCREENS,
        suppressions.SCREENS,
        people.SCREENS,
        media.SCREENS,
        preview.SCREENS,
        report.SCREENS,
        reports.SCREENS,
        today.SCREENS,
        sign_in.SCREENS,
        slots.SCREENS,
        stories.SCREENS,
        account.SCREENS,
        accounts.SCREENS,
        api_keys.SCREENS,
        audit.SCREENS,
        imports.SCREENS,
        exports.SCREENS,
        transports.SCREENS,
        sending_domains.SCREENS,
        providers.SCREENS,
        settings.SCREENS,
    )
)


_PACKED = (Middleware(GZipMiddleware, minimum_size=1_000, compresslevel=6),)


def routes() -> list[Route]:
    return [
        Route(
            screen.path,
            Entrance(screen).answer,
            methods=["GET", "POST"],
            name=screen.path,
            middleware=_PACKED if screen.is_packed else None,
        )
        for screen in SCREENS
    ]
