"""The gate before approval: what the checks found, and who puts up with what."""

from collections.abc import Sequence

from starlette.responses import Response

from newsletter.accounts.roles import Role
from newsletter.checks.acknowledging import (
    acknowledge,
    acknowledged_in,
    fingerprint,
    take_back,
)
from newsletter.compose.findings import Finding, Severity
from newsletter.errors import InputError
from newsletter.plan.approval import check_edition, let_errors_pass
from newsletter.plan.drafts import cut_revision
from newsletter.web.newsroom.cookies import Undo
from newsletter.web.newsroom.pages import said
from newsletter.web.newsroom.screens import Screen
from newsletter.web.newsroom.visit import Visit
from newsletter.web.newsroom.way import Way, edition_page, way_of


def show(visit: Visit) -> Response:
    return _page(way_of(visit, Role.VIEWER))


def check_now(visit: Visit) -> Response:
    """Freeze the draft as it stands, so that its checks are of what would be sent."""
    way = way_of(visit, Role.WRITER)
    cut_revision(visit.session, way.edition.id, settings=visit.settings, by=visit.by, now=visit.now)
    return visit.go(f"{way.url}/checks")


def put_up_with(visit: Visit) -> Response:
    way = way_of(visit, Role.EDITOR)
    meant = acknowledge(
        visit.session,
        way.edition.id,
        visit.form.get("finding"),
        findings=check_edition(
            visit.session, way.edition.id, settings=visit.settings, now=visit.now
        ),
        by=visit.by,
        now=visit.now,
    )
    codes = ", ".join(sorted({each.code for each in meant}))
    visit.audit("warning acknowledged", str(way.edition.id), codes=codes)
    undo = None
    if len(meant) == 1:
        fields = {"finding": fingerprint(meant[0])}
        undo = Undo("Undo", f"{way.url}/checks/take-back", fields)
    return visit.go(f"{way.url}/checks", "Noted: you know about it.", undo=undo)


def count_again(visit: Visit) -> Response:
    way = way_of(visit, Role.EDITOR)
    take_back(visit.session, way.edition.id, visit.form.get("finding"))
    return visit.go(f"{way.url}/checks", "The warning counts again.")


def override(visit: Visit) -> Response:
    way = way_of(visit, Role.ADMIN)
    reason = visit.form.get("reason")
    try:
        errors = let_errors_pass(
            visit.session,
            way.edition.id,
            reason=reason,
            by=visit.by,
            settings=visit.settings,
            now=visit.now,
        )
    except InputError as error:
        return _page(way, reason=reason, mistake=said(error), status=422)
    visit.audit(
        "errors let pass",
        str(way.edition.id),
        revision=way.edition.revision,
        codes=sorted({each.code for each in errors}),
        reason=reason,
    )
    return visit.go(
        f"{way.url}/checks", "These errors do not keep it from being approved any more."
    )


def _page(way: Way, *, reason: str = "", mistake: str | None = None, status: int = 200) -> Response:
    known = acknowledged_in(way.visit.session, way.edition.id)
    return edition_page(
        way,
        "checks.html",
        "checks",
        status=status,
        groups=[(severity, _of(way.findings, severity)) for severity in Severity],
        known={each: known.get(fingerprint(each)) for each in way.findings},
        fingerprint=fingerprint,
        reason=reason,
        mistake=mistake,
    )


def _of(findings: Sequence[Finding], severity: Severity) -> list[Finding]:
    return [each for each in findings if each.severity is severity]


_CHECKS = "/newsroom/editions/{id}/checks"
SCREENS = (
    Screen(_CHECKS, get=show, post=check_now, role=Role.VIEWER),
    Screen(f"{_CHECKS}/acknowledge", post=put_up_with, role=Role.EDITOR),
    Screen(f"{_CHECKS}/take-back", post=count_again, role=Role.EDITOR),
    Screen(f"{_CHECKS}/override", post=override, role=Role.ADMIN),
)
