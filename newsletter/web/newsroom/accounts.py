"""People with access: who they are, what they may do, and how somebody new gets in (S-09)."""

from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from newsletter.accounts.people import (
    Rights,
    account_by_id,
    all_accounts,
    change_rights,
    create_account,
    disable_account,
    drop_second_factors,
    enable_account,
    rights_of,
    shut_out,
)
from newsletter.accounts.roles import Role
from newsletter.accounts.second_factors import recovery_codes_left
from newsletter.accounts.sessions import has_second_factor, sessions_of
from newsletter.audience.lists import all_lists
from newsletter.errors import InputError, StateError
from newsletter.models import Account
from newsletter.web.newsroom.account_mail import (
    post_account_invitation,
    post_account_notice,
    post_password_reset,
)
from newsletter.web.newsroom.pages import said, translated
from newsletter.web.newsroom.screens import Screen
from newsletter.web.newsroom.visit import Visit
from newsletter.words import Words

PAGE = "/office/accounts"
WORDS = {
    Role.VIEWER: Words("sees everything and changes nothing"),
    Role.WRITER: Words("writes drafts, and cannot send"),
    Role.EDITOR: Words("approves, schedules and sends"),
    Role.ADMIN: Words("manages lists, readers and access"),
}
NOT_YOURSELF = Words("You cannot do that to yourself; ask another admin.")


def accounts(visit: Visit) -> Response:
    visit.require(Role.ADMIN, ())
    found = all_accounts(visit.session)
    names = _list_names(visit)
    return visit.page(
        "office/accounts.html",
        accounts=[
            (each, _rights_in_words(visit, each, names), has_second_factor(visit.session, each))
            for each in found
        ],
    )


def invite(visit: Visit) -> Response:
    visit.require(Role.ADMIN, ())
    visit.require_fresh()
    return _invite(visit, {"email": "", "name": ""}, Rights(Role.WRITER))


def send_invitation(visit: Visit) -> Response:
    visit.require(Role.ADMIN, ())
    visit.require_fresh()
    given = {"email": visit.form.get("email"), "name": visit.form.get("name")}
    rights = _read_rights(visit)
    try:
        account = create_account(
            visit.session,
            given["email"],
            given["name"],
            rights,
            time_zone=visit.identity.time_zone,
            by=visit.by,
            now=visit.now,
        )
    except InputError as error:
        return _invite(visit, given, rights, error)
    post_account_invitation(
        visit.session, account, by=visit.by, settings=visit.settings, now=visit.now
    )
    visit.audit("account invited", account.email, rights=_rights_as_json(rights))
    return visit.go(PAGE, "An invitation is on its way to {email}.", email=account.email)


def account(visit: Visit) -> Response:
    visit.require(Role.ADMIN, ())
    visit.require_fresh()
    found = _account_of(visit)
    return _account(visit, found, rights_of(visit.session, found))


def change(visit: Visit) -> Response:
    found = _others(visit)
    before, after = rights_of(visit.session, found), _read_rights(visit)
    try:
        change_rights(visit.session, found.id, after, now=visit.now)
    except InputError as error:
        return _account(visit, found, after, error)
    if before == after:
        return visit.go(PAGE, "Nothing was changed.")
    visit.audit(
        "rights changed",
        found.email,
        before=_rights_as_json(before),
        after=_rights_as_json(after),
    )
    return visit.go(PAGE, "{name} has other rights now, and has to sign in again.", name=found.name)


def disable(visit: Visit) -> Response:
    found = _others(visit)
    disable_account(visit.session, found.id, now=visit.now)
    visit.audit("account disabled", found.email)
    return visit.go(PAGE, "{name} is shut out.", name=found.name)


def enable(visit: Visit) -> Response:
    found = _others(visit)
    enable_account(visit.session, found.id)
    visit.audit("account enabled", found.email)
    return visit.go(_url(found), "{name} may sign in again.", name=found.name)


def mail_again(visit: Visit) -> Response:
    """An invitation to who has not joined yet, a link to a new password to who has."""
    found = _others(visit)
    if found.disabled_at is not None:
        raise StateError("{name} is shut out; let them in first", name=found.name)
    settings, now = visit.settings, visit.now
    if found.joined_at is None:
        post_account_invitation(visit.session, found, by=visit.by, settings=settings, now=now)
        what = "account invited"
    else:
        post_password_reset(visit.session, found, settings=settings, now=now)
        what = "password reset sent"
    visit.audit(what, found.email)
    return visit.go(_url(found), "A link is on its way to {email}.", email=found.email)


def drop_factors(visit: Visit) -> Response:
    found = _others(visit)
    drop_second_factors(visit.session, found)
    shut_out(visit.session, found.id, now=visit.now)
    visit.audit("second factors removed", found.email)
    told = f"{visit.by} removed the second factors of your account."
    post_account_notice(visit.session, found, told, now=visit.now)
    return visit.go(_url(found), "{name} signs in with the password alone now.", name=found.name)


def _invite(
    visit: Visit, given: Mapping[str, str], rights: Rights, error: InputError | None = None
) -> Response:
    return visit.page(
        "office/invite.html",
        status=200 if error is None else 422,
        given=given,
        errors=_errors(error),
        **_choices(visit, rights),
    )


def _account(
    visit: Visit, found: Account, rights: Rights, error: InputError | None = None
) -> Response:
    return visit.page(
        "office/account.html",
        status=200 if error is None else 422,
        account=found,
        is_self=found.id == visit.identity.account_id,
        is_with_second_factor=has_second_factor(visit.session, found),
        codes_left=recovery_codes_left(visit.session, found.id),
        sessions=len(sessions_of(visit.session, found.id, now=visit.now)),
        errors=_errors(error),
        **_choices(visit, rights),
    )


def _choices(visit: Visit, rights: Rights) -> dict[str, Any]:
    own = rights.list_roles or {}
    return {
        "roles": [(role.value, f"{role.value}: {words}") for role, words in WORDS.items()],
        "role": rights.role.value,
        "is_narrowed": rights.list_roles is not None,
        "lists": [
            (each.id, each.name, own[each.id].value if each.id in own else "")
            for each in all_lists(visit.session)
        ],
        "list_roles": [("", Words("no access")), *((role.value, role.value) for role in Role)],
    }


def _read_rights(visit: Visit) -> Rights:
    """Raises `InputError` for a role that there is not."""
    form = visit.form
    if form.get("reach") == "some":
        chosen = {
            each.id: _role(wanted)
            for each in all_lists(visit.session)
            if (wanted := form.get(f"list-{each.id}"))
        }
        return Rights(list_roles=chosen)
    return Rights(_role(form.get("role")))


def _role(text: str) -> Role:
    try:
        return Role(text)
    except ValueError as error:
        raise InputError("choose one of viewer, writer, editor and admin", field="role") from error


def _account_of(visit: Visit) -> Account:
    return account_by_id(visit.session, visit.number("id"))


def _others(visit: Visit) -> Account:
    """The account that the address names, to be changed by another admin."""
    visit.require(Role.ADMIN, ())
    visit.require_fresh()
    found = _account_of(visit)
    if found.id == visit.identity.account_id:
        raise StateError(NOT_YOURSELF)
    return found


def _rights_in_words(visit: Visit, found: Account, names: Mapping[int, str]) -> str:
    rights = rights_of(visit.session, found)
    if rights.list_roles is None:
        return Words("{role} of every list", role=rights.role)
    return ", ".join(
        translated(Words("{role} of {list}", role=role, list=names[each]))
        for each, role in rights.list_roles.items()
    )


def _rights_as_json(rights: Rights) -> object:
    if rights.list_roles is None:
        return rights.role.value
    return {str(each): role.value for each, role in rights.list_roles.items()}


def _list_names(visit: Visit) -> dict[int, str]:
    return {each.id: each.name for each in all_lists(visit.session)}


def _url(found: Account) -> str:
    return f"{PAGE}/{found.id}"


def _errors(error: InputError | None) -> dict[str, str]:
    if error is None:
        return {}
    if error.field in {"e-mail", "name", "lists", "role"}:
        return {error.field: translated(error.words)}
    return {"e-mail": said(error)}


SCREENS = (
    Screen(PAGE, get=accounts, role=Role.ADMIN),
    Screen(f"{PAGE}/invite", get=invite, post=send_invitation, role=Role.ADMIN),
    Screen(f"{PAGE}/{{id}}", get=account, post=change, role=Role.ADMIN),
    Screen(f"{PAGE}/{{id}}/disable", post=disable, role=Role.ADMIN),
    Screen(f"{PAGE}/{{id}}/enable", post=enable, role=Role.ADMIN),
    Screen(f"{PAGE}/{{id}}/mail", post=mail_again, role=Role.ADMIN),
    Screen(f"{PAGE}/{{id}}/drop-second-factors", post=drop_factors, role=Role.ADMIN),
)
