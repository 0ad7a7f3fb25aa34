"""All editions, the newest first, by state and list."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlencode

from sqlalchemy import ColumnElement, exists, func, select
from starlette.responses import Response

from newsletter.accounts.roles import Role
from newsletter.models import (
    Edition,
    EditionList,
    EditionState,
    MailingList,
    Revision,
    Wave,
    WorkingDraft,
)
from newsletter.web.newsroom.screens import Screen
from newsletter.web.newsroom.visit import Visit
from newsletter.web.newsroom.way import UNTITLED

PAGE = 30
FILTERS: dict[str, Sequence[EditionState]] = {
    "open": (EditionState.DRAFT, EditionState.IN_REVIEW, EditionState.APPROVED),
    "scheduled": (EditionState.SCHEDULED,),
    "sending": (EditionState.SENDING, EditionState.PAUSED),
    "sent": (EditionState.SENT,),
    "cancelled": (EditionState.CANCELLED,),
}


@dataclass(frozen=True, slots=True)
class Row:
    edition: Edition
    title: str
    lists: Sequence[str]
    changed_at: datetime
    changed_by: str
    due_at: datetime | None
    """When its first wave is due; None: it has no schedule."""


def index(visit: Visit) -> Response:
    state, slug = visit.query("state"), visit.query("list")
    lists = visit.lists(Role.VIEWER)
    is_visible = Edition.goes_only_to(visit.identity.list_ids)
    chosen = select(Edition).where(is_visible).order_by(Edition.id.desc()).limit(PAGE + 1)
    if state in FILTERS:
        chosen = chosen.where(Edition.state.in_(FILTERS[state]))
    mailing_list = next((each for each in lists if each.slug == slug), None)
    if mailing_list is not None:
        chosen = chosen.where(_goes_to(mailing_list.id))
    before = visit.query_number("before")
    if before is not None:
        chosen = chosen.where(Edition.id < before)
    found = visit.session.scalars(chosen).all()
    rows = _rows(visit, found[:PAGE])
    kept = {name: value for name, value in (("state", state), ("list", slug)) if value}
    older = None
    if len(found) > PAGE:
        older = "/newsroom/editions?" + urlencode({**kept, "before": str(found[PAGE - 1].id)})
    return visit.page(
        "edition/list.html",
        rows=rows,
        lists=lists,
        filters=tuple(FILTERS),
        state=state,
        slug=slug,
        older=older,
        is_first=not before,
        may_write=any(visit.may(Role.WRITER, [each.id]) for each in lists),
    )


def _goes_to(list_id: int) -> ColumnElement[bool]:
    return exists().where(EditionList.edition_id == Edition.id, EditionList.list_id == list_id)


def _rows(visit: Visit, editions: Sequence[Edition]) -> list[Row]:
    ids = [each.id for each in editions]
    drafts = {
        edition_id: (subject, at, by)
        for edition_id, subject, at, by in visit.session.execute(
            select(
                WorkingDraft.edition_id,
                func.coalesce(WorkingDraft.subject, WorkingDraft.briefing["title"].as_string()),
                WorkingDraft.changed_at,
                WorkingDraft.changed_by,
            ).where(WorkingDraft.edition_id.in_(ids))
        )
    }
    revisions = {
        edition_id: (subject, at, by)
        for edition_id, subject, at, by in visit.session.execute(
            select(Revision.edition_id, Revision.subject, Revision.created_at, Revision.created_by)
            .join(Edition, Edition.id == Revision.edition_id)
            .where(Revision.edition_id.in_(ids), Revision.number == Edition.revision)
        )
    }
    names: dict[int, list[str]] = {}
    for edition_id, name in visit.session.execute(
        select(EditionList.edition_id, MailingList.name)
        .join(MailingList, MailingList.id == EditionList.list_id)
        .where(EditionList.edition_id.in_(ids))
        .order_by(EditionList.edition_id, EditionList.position)
    ):
        names.setdefault(edition_id, []).append(name)
    due = dict(
        visit.session.execute(
            select(Wave.edition_id, func.min(Wave.due_at))
            .where(Wave.edition_id.in_(ids))
            .group_by(Wave.edition_id)
        ).all()
    )
    rows = []
    for edition in editions:
        unknown = ("", edition.created_at, "")
        said = drafts.get(edition.id) or revisions.get(edition.id, unknown)
        title, changed_at, changed_by = said
        rows.append(
            Row(
                edition,
                title or UNTITLED,
                names.get(edition.id, ()),
                changed_at,
                changed_by,
                due.get(edition.id),
            )
        )
    return rows


SCREENS = (Screen("/newsroom/editions", get=index, role=Role.VIEWER),)
