"""Keys of programs: made and shown once, listed, revoked."""

from datetime import timedelta

from starlette.responses import Response

from newsletter.accounts.api_keys import all_api_keys, create_api_key, revoke_api_key
from newsletter.accounts.roles import Role
from newsletter.accounts.scopes import ACROSS_LISTS, Scope
from newsletter.audience.lists import all_lists
from newsletter.errors import InputError
from newsletter.models import ApiKey
from newsletter.web.newsroom.edits import by_field
from newsletter.web.newsroom.pages import translated
from newsletter.web.newsroom.screens import Screen
from newsletter.web.newsroom.visit import Visit
from newsletter.words import Words

PAGE = "/office/api-keys"
DAYS = (30, 90, 365, 730)
USUAL_DAYS = 365


def api_keys(visit: Visit) -> Response:
    visit.require(Role.ADMIN, ())
    names = {each.id: each.name for each in all_lists(visit.session)}
    rows = [(row, _standing(row, visit), _lists(row, names)) for row in all_api_keys(visit.session)]
    good = [each for each in rows if each[1] is None]
    over = [each for each in rows if each[1] is not None]
    return visit.page("office/api_keys.html", keys=[*reversed(good), *reversed(over)])


def new_key(visit: Visit) -> Response:
    visit.require(Role.ADMIN, ())
    visit.require_fresh()
    return _form(visit)


def make_key(visit: Visit) -> Response:
    visit.require(Role.ADMIN, ())
    visit.require_fresh()
    try:
        scopes, list_ids, days = _read_scopes(visit), _read_lists(visit), _read_days(visit)
        made = create_api_key(
            visit.session,
            visit.form.get("name"),
            scopes,
            list_ids=list_ids,
            by=visit.by,
            by_account=visit.identity.account_id,
            expires_at=visit.now + timedelta(days=days),
            now=visit.now,
        )
    except InputError as error:
        return _form(visit, error)
    visit.audit("API key made", f"{made.row.name} ({made.row.prefix})", scopes=made.row.scopes)
    return visit.page("office/api_key_made.html", key=made.row, token=made.token)


def revoke(visit: Visit) -> Response:
    """Needs no password again: to shut somebody out must be quick."""
    visit.require(Role.ADMIN, ())
    row = revoke_api_key(visit.session, str(visit.path["prefix"]), now=visit.now)
    visit.audit("API key revoked", f"{row.name} ({row.prefix})")
    return visit.go(PAGE, "“{name}” lets nobody in any more.", name=row.name)


def _form(visit: Visit, error: InputError | None = None) -> Response:
    chosen = visit.form
    resources: dict[str, list[tuple[str, str]]] = {}
    for scope in Scope:
        resource, _, action = scope.value.partition(":")
        resources.setdefault(resource, []).append((scope.value, action))
    return visit.page(
        "office/new_api_key.html",
        status=200 if error is None else 422,
        resources=resources.items(),
        across_lists=ACROSS_LISTS,
        scopes=chosen.every("scope"),
        name=chosen.get("name"),
        reach=chosen.get("reach", "every"),
        lists=[(each.id, each.name) for each in all_lists(visit.session)],
        list_ids=chosen.every("list"),
        days=[(each, Words("{count} days", count=each)) for each in DAYS],
        chosen_days=chosen.number("days") or USUAL_DAYS,
        errors=by_field(error),
    )


def _read_scopes(visit: Visit) -> list[Scope]:
    known = {scope.value: scope for scope in Scope}
    scopes = [known[each] for each in visit.form.every("scope") if each in known]
    if not scopes:
        raise InputError("choose at least one thing that the key may do", field="scope")
    return scopes


def _read_lists(visit: Visit) -> list[int] | None:
    if visit.form.get("reach", "every") == "every":
        return None
    chosen = set(visit.form.every("list"))
    list_ids = [each.id for each in all_lists(visit.session) if str(each.id) in chosen]
    if not list_ids:
        raise InputError("choose at least one, or every list", field="lists")
    return list_ids


def _read_days(visit: Visit) -> int:
    days = visit.form.number("days")
    if days not in DAYS:
        raise InputError("choose how long the key is good", field="days")
    return days


def _standing(row: ApiKey, visit: Visit) -> str | None:
    """Why it lets nobody in; None: it does."""
    if row.revoked_at is not None:
        return Words("revoked")
    return Words("expired") if row.expires_at <= visit.now else None


def _lists(row: ApiKey, names: dict[int, str]) -> str:
    if not row.is_narrowed:
        return Words("every list")
    return ", ".join(
        names.get(each, translated(Words("a list that is gone"))) for each in row.list_ids
    )


SCREENS = (
    Screen(PAGE, get=api_keys, role=Role.ADMIN),
    Screen(f"{PAGE}/new", get=new_key, post=make_key, role=Role.ADMIN),
    Screen(f"{PAGE}/{{prefix}}/revoke", post=revoke, role=Role.ADMIN),
)
