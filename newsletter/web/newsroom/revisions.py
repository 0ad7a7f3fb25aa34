"""An edition's past: its revisions, what changed between them, and versions kept beside the draft."""

from sqlalchemy import select
from starlette.responses import Response

from newsletter.accounts.roles import Role
from newsletter.compose.content import DraftContent
from newsletter.compose.difference import difference_of
from newsletter.errors import NotFoundError
from newsletter.models import EditionState, Revision
from newsletter.plan.drafts import (
    draft_of,
    forget_kept,
    get_kept,
    has_uncut_changes,
    kept_drafts,
    restore_revision,
    take_kept,
)
from newsletter.plan.editions import draft_content_of
from newsletter.web.newsroom.answers import VOIDED
from newsletter.web.newsroom.screens import Screen
from newsletter.web.newsroom.visit import NOT_HERE, Visit
from newsletter.web.newsroom.way import way_of
from newsletter.words import Words


def revisions(visit: Visit) -> Response:
    way = way_of(visit, Role.VIEWER)
    rows = visit.session.scalars(
        select(Revision)
        .where(Revision.edition_id == way.edition.id)
        .order_by(Revision.number.desc())
    ).all()
    return visit.page(
        "compose/revisions.html",
        way=way,
        edition=way.edition,
        here="compose",
        revisions=rows,
        draft=draft_of(visit.session, way.edition.id),
        is_ahead=has_uncut_changes(visit.session, way.edition.id),
        kept=kept_drafts(visit.session, way.edition.id),
    )


def revision(visit: Visit) -> Response:
    """What a revision changed, or what has changed since."""
    way = way_of(visit, Role.VIEWER)
    number = visit.number("number")
    is_since = visit.query("with") == "draft"
    row, content = _revision(visit, way.edition.id, number)
    if is_since:
        before, after = content, draft_of(visit.session, way.edition.id).content
    else:
        before = _before(visit, way.edition.id, number)
        after = content
    return visit.page(
        "compose/revision.html",
        way=way,
        edition=way.edition,
        here="compose",
        revision=row,
        is_since=is_since,
        is_first=not is_since and number == 1,
        may_restore=way.may(Role.WRITER) and way.edition.state is not EditionState.CANCELLED,
        difference=difference_of(before, after),
    )


def restore(visit: Visit) -> Response:
    edition = visit.edition(Role.WRITER)
    number = visit.number("number")
    saved = restore_revision(visit.session, edition.id, number, by=visit.by, now=visit.now)
    visit.audit("revision restored", str(edition.id), revision=number)
    words = VOIDED if saved.voids else Words("The draft is revision {number} again.", number=number)
    return visit.go(f"/newsroom/editions/{edition.id}/compose", words)


def kept(visit: Visit) -> Response:
    """A version that could not be saved, beside the one that was."""
    way = way_of(visit, Role.WRITER)
    version = get_kept(visit.session, way.edition.id, visit.number("kept"))
    draft = draft_of(visit.session, way.edition.id)
    return visit.page(
        "compose/kept.html",
        way=way,
        edition=way.edition,
        here="compose",
        kept=version,
        draft=draft,
        difference=difference_of(draft.content, version.content),
    )


def take(visit: Visit) -> Response:
    edition = visit.edition(Role.WRITER)
    saved = take_kept(visit.session, edition.id, visit.number("kept"), by=visit.by, now=visit.now)
    visit.audit("kept version taken", str(edition.id), version=saved.draft.version)
    words = (
        VOIDED
        if saved.voids
        else Words("The draft is the kept version now; the other one is kept.")
    )
    return visit.go(f"/newsroom/editions/{edition.id}/compose", words)


def forget(visit: Visit) -> Response:
    edition = visit.edition(Role.WRITER)
    forget_kept(visit.session, edition.id, visit.number("kept"))
    visit.audit("kept version forgotten", str(edition.id))
    return visit.go(f"/newsroom/editions/{edition.id}/revisions", "The kept version is gone.")


def _revision(visit: Visit, edition_id: int, number: int) -> tuple[Revision, DraftContent]:
    row = visit.session.get(Revision, (edition_id, number))
    if row is None:
        raise NotFoundError(NOT_HERE)
    return row, draft_content_of(row)


def _before(visit: Visit, edition_id: int, number: int) -> DraftContent:
    """The revision before it; nothing before the first."""
    row = visit.session.get(Revision, (edition_id, number - 1))
    return DraftContent() if row is None else draft_content_of(row)


_AT = "/newsroom/editions/{id}"
SCREENS = (
    Screen(f"{_AT}/revisions", get=revisions, role=Role.VIEWER),
    Screen(f"{_AT}/revisions/{{number}}", get=revision, role=Role.VIEWER),
    Screen(f"{_AT}/revisions/{{number}}/restore", post=restore, role=Role.WRITER),
    Screen(f"{_AT}/kept/{{kept}}", get=kept, role=Role.WRITER),
    Screen(f"{_AT}/kept/{{kept}}/take", post=take, role=Role.WRITER),
    Screen(f"{_AT}/kept/{{kept}}/forget", post=forget, role=Role.WRITER),
)
