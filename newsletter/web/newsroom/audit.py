"""The audit log's page: who did what, newest first."""

from typing import Any
from urllib.parse import urlencode

from starlette.responses import Response

from newsletter.accounts.audit import audit_actions, audit_entries
from newsletter.accounts.people import all_accounts
from newsletter.accounts.roles import Role
from newsletter.db import GREATEST_LONG_KEY
from newsletter.web.newsroom.screens import Screen
from newsletter.web.newsroom.visit import Visit

PAGE = "/office/audit"


def audit_log(visit: Visit) -> Response:
    visit.require(Role.ADMIN, ())
    who, action = visit.query("who"), visit.query("action")
    page = audit_entries(
        visit.session,
        account_id=visit.query_number("who"),
        action=action or None,
        before=visit.query_number("before", greatest=GREATEST_LONG_KEY),
    )
    return visit.page(
        "office/audit.html",
        entries=[(each, _words(each.details)) for each in page.entries],
        people=[("", "everybody"), *((a.id, a.name) for a in all_accounts(visit.session))],
        actions=[("", "everything"), *((each, each) for each in audit_actions(visit.session))],
        who=who,
        action=action,
        is_filtered=bool(who or action),
        older=_url(who, action, page.next_before),
    )


def _url(who: str, action: str, before: int | None) -> str | None:
    if before is None:
        return None
    asked = {"who": who, "action": action, "before": before}
    return f"{PAGE}?{urlencode({name: value for name, value in asked.items() if value})}"


def _words(details: dict[str, Any]) -> list[tuple[str, str]]:
    return [(name.replace("_", " "), _said(value)) for name, value in details.items()]


def _said(value: Any) -> str:
    match value:
        case None:
            return "–"
        case bool():
            return "yes" if value else "no"
        case list():
            return ", ".join(map(_said, value)) or "–"
        case dict():
            return ", ".join(f"{key}: {_said(each)}" for key, each in value.items()) or "–"
    return str(value)


SCREENS = (Screen(PAGE, get=audit_log, role=Role.ADMIN),)
