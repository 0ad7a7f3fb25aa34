"""Role by route by method, from the table of routes itself: nobody gets further than their role (S-08, S-09)."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from httpx2 import Response
from sqlalchemy import Engine, func, select

from newsletter.accounts.sessions import csrf_of
from newsletter.db import Model, reading
from newsletter.models import Role
from newsletter.web.newsroom.screens import Screen
from newsletter.web.newsroom.site import SCREENS
from tests.newsroom import add_list
from tests.site import Member, Site

READS = [screen for screen in SCREENS if screen.get is not None]
WRITES = [screen for screen in SCREENS if screen.post is not None]
CLOSED = [screen for screen in SCREENS if not screen.is_open]


def path_of(screen: Screen) -> str:
    """An address of the screen, with something in each of its named parts."""
    return re.sub(r"\{[^}]*\}", "1", screen.path)


def methods_of(screen: Screen) -> Iterator[str]:
    if screen.get is not None:
        yield "GET"
    if screen.post is not None:
        yield "POST"


def ask(member: Member, method: str, path: str, **more: Any) -> Response:
    return member.post(path, **more) if method == "POST" else member.get(path, **more)


def rows_in(engine: Engine) -> dict[str, int]:
    """What there is in each table but for the sessions, whose use is noted."""
    with reading(engine) as session:
        return {
            table.name: session.scalar(select(func.count()).select_from(table)) or 0
            for table in Model.metadata.sorted_tables
        }


def test_whoever_is_not_signed_in_sees_no_page_and_changes_nothing(site: Site) -> None:
    before = rows_in(site.engine)

    for screen in CLOSED:
        for method in methods_of(screen):
            answer = site.client.request(method, path_of(screen))
            assert answer.status_code == 303, (method, screen.path)
            assert answer.headers["location"].startswith("/sign-in"), (method, screen.path)

    assert rows_in(site.engine) == before


@pytest.mark.parametrize("role", list(Role))
def test_no_role_opens_what_is_for_a_higher_one(site: Site, role: Role) -> None:
    member = site.member(role)
    before = rows_in(site.engine)

    for screen in CLOSED:
        if screen.role is None or role.includes(screen.role):
            continue
        for method in methods_of(screen):
            answer = ask(member, method, path_of(screen))
            assert answer.status_code == 403, (role, method, screen.path)

    assert rows_in(site.engine) == before


@pytest.mark.parametrize("role", list(Role))
def test_every_page_for_a_role_opens_for_it_or_says_why_not(site: Site, role: Role) -> None:
    add_list(site.engine)
    member = site.member(role)

    for screen in READS:
        if screen.is_open or (screen.role is not None and not role.includes(screen.role)):
            continue
        status = ask(member, "GET", path_of(screen)).status_code
        assert status < 500, (role, screen.path, status)


@pytest.mark.parametrize("role", list(Role))
def test_who_has_other_lists_only_finds_none_of_what_is_for_all(site: Site, role: Role) -> None:
    member = site.member(role, lists={add_list(site.engine, "evening"): role})

    for screen in READS:
        if not screen.path.startswith(
            ("/office/accounts", "/office/api-keys", "/office/audit", "/office/settings")
        ):
            continue
        assert ask(member, "GET", path_of(screen)).status_code in {403, 404}, screen.path


STRANGE: dict[str, dict[str, Any]] = {
    "no token": {"data": {}},
    "an empty token": {"data": {"csrf": ""}},
    "a wrong token": {"data": {"csrf": "0" * 43}},
    "another session's token": {"data": {"csrf": csrf_of("another session")}},
    "a token in the address": {"data": {}, "params": {"csrf": "right"}},
    "text that looks like JSON": {
        "content": b'{"a": 1}',
        "headers": {"Content-Type": "text/plain"},
    },
    "JSON without a token": {"json": {"csrf": "right"}},
    "another site's form": {"data": {"csrf": "right"}, "headers": {"Sec-Fetch-Site": "cross-site"}},
    "another host's form": {"data": {"csrf": "right"}, "headers": {"Sec-Fetch-Site": "same-site"}},
    "another origin's form": {
        "data": {"csrf": "right"},
        "headers": {"Origin": "https://evil.example"},
    },
    "no origin at all": {"data": {"csrf": "right"}, "headers": {"Origin": "null"}},
}


@pytest.mark.parametrize("how", list(STRANGE))
def test_no_write_happens_that_our_own_forms_did_not_send(site: Site, how: str) -> None:
    """S-08: every route that changes anything, the sign-in among them."""
    member = site.member(Role.ADMIN)
    more: dict[str, Any] = {
        name: {key: member.csrf if text == "right" else text for key, text in value.items()}
        if isinstance(value, dict)
        else value
        for name, value in STRANGE[how].items()
    }
    before = rows_in(site.engine)

    for screen in WRITES:
        site.client.cookies.set("newsletter", member.token)
        answer = site.client.post(path_of(screen), **more)
        assert answer.status_code in {400, 403}, (how, screen.path, answer.status_code)

    assert rows_in(site.engine) == before


def test_without_any_cookie_the_open_forms_refuse_too(site: Site) -> None:
    """S-08: nobody is signed in as somebody else by another site."""
    for screen in WRITES:
        if screen.is_open:
            answer = site.client.post(path_of(screen), data={"csrf": "", "email": "x@y.example"})
            assert answer.status_code == 403, screen.path


def spellings(path: str) -> Iterator[str]:
    first, rest = path[1:].partition("/")[0], path[1:].partition("/")[2]
    yield path + "/"
    yield path + "//"
    yield "/" + path
    yield f"/{first}//{rest}"
    yield f"/{first}%2f{rest}"
    yield f"/{first}%2F{rest}"
    yield f"/{first}/./{rest}"
    yield f"/newsroom/../{first}/{rest}"
    yield f"/newsroom/%2e%2e/{first}/{rest}"
    yield path.upper()
    yield path + "%00"
    yield path + ";x=1"
    yield path + ".json"


def test_no_other_spelling_of_an_address_goes_around_the_role(site: Site) -> None:
    viewer = site.member(Role.VIEWER)

    for screen in CLOSED:
        if screen.role is not Role.ADMIN:
            continue
        for spelling in spellings(path_of(screen)):
            for method in methods_of(screen):
                status = ask(viewer, method, spelling).status_code
                assert status in {403, 404, 405}, (method, spelling, status)


@pytest.mark.parametrize(
    "override",
    [
        {"headers": {"X-HTTP-Method-Override": "POST"}},
        {"headers": {"X-HTTP-Method": "DELETE"}},
        {"headers": {"X-Original-URL": "/office/accounts", "X-Rewrite-URL": "/office/accounts"}},
        {"params": {"_method": "POST"}},
    ],
)
def test_no_field_makes_another_method_or_address_of_a_request(
    site: Site, override: dict[str, Any]
) -> None:
    viewer = site.member(Role.VIEWER)

    plain = viewer.get("/account")
    asked = viewer.get("/account", **override)

    assert asked.status_code == plain.status_code == 200
    assert viewer.get("/office/settings", **override).status_code == 403


@pytest.mark.parametrize("role", [Role.VIEWER, Role.ADMIN])
def test_asking_for_the_head_of_a_page_is_like_asking_for_the_page(site: Site, role: Role) -> None:
    member = site.member(role)

    for screen in READS:
        if screen.is_open or "{" in screen.path:
            continue
        whole = member.get(screen.path)
        head = member._ask("HEAD", screen.path)
        assert head.status_code == whole.status_code, screen.path


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "TRACE", "CONNECT"])
def test_methods_that_no_form_has_are_refused(site: Site, method: str) -> None:
    """S-32."""
    admin = site.member(Role.ADMIN)

    for screen in SCREENS:
        assert admin._ask(method, path_of(screen)).status_code == 405, (method, screen.path)
