"""What an admin sets for the whole installation."""

from starlette.responses import Response

from newsletter.accounts.installation import (
    InstallationSettings,
    change_installation_settings,
    installation_settings,
)
from newsletter.accounts.roles import Role
from newsletter.accounts.sessions import end_sessions_without_second_factor
from newsletter.errors import InputError
from newsletter.web.newsroom.edits import by_field
from newsletter.web.newsroom.screens import Screen
from newsletter.web.newsroom.visit import Visit

PAGE = "/office/settings"


def settings(visit: Visit) -> Response:
    visit.require(Role.ADMIN, ())
    visit.require_fresh()
    return _page(visit, installation_settings(visit.session))


def change_settings(visit: Visit) -> Response:
    visit.require(Role.ADMIN, ())
    visit.require_fresh()
    wanted = InstallationSettings(
        name=visit.form.get("name"),
        second_factor_roles=frozenset(
            role for role in Role if role.value in visit.form.every("second_factor")
        ),
        four_eyes=visit.form.has("four_eyes"),
        confirm_above=_number(visit, "confirm_above"),
        editors_an_hour=_cap(visit, "editors_an_hour"),
        admins_an_hour=_cap(visit, "admins_an_hour"),
    )
    try:
        changed = change_installation_settings(visit.session, wanted, by=visit.by, now=visit.now)
    except InputError as error:
        return _page(visit, wanted, error)
    if not changed:
        return visit.go(PAGE, "Nothing was changed.")
    end_sessions_without_second_factor(visit.session, wanted.second_factor_roles)
    visit.audit("settings changed", "", **changed)
    return visit.go(PAGE, "The settings are saved.")


def _number(visit: Visit, name: str) -> int:
    number = visit.form.number(name)
    return -1 if number is None else number


def _cap(visit: Visit, name: str) -> int | None:
    """None: nothing is written there."""
    return _number(visit, name) if visit.form.get(name) else None


def _page(visit: Visit, shown: InstallationSettings, error: InputError | None = None) -> Response:
    return visit.page(
        "office/settings.html",
        status=200 if error is None else 422,
        shown=shown,
        roles=list(Role),
        errors=by_field(error),
    )


SCREENS = (Screen(PAGE, get=settings, post=change_settings, role=Role.ADMIN),)
