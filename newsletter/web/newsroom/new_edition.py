"""Begins an edition: for which lists, and from what."""

from collections.abc import Sequence

from sqlalchemy import select
from starlette.responses import Response

from newsletter.accounts.roles import Role
from newsletter.compose.content import DraftContent, copy_of, structure_of, write
from newsletter.errors import InputError
from newsletter.models import Edition, EditionList, EditionState, MailingList
from newsletter.plan.drafts import draft_of, open_edition
from newsletter.web.newsroom.compose import read_text
from newsletter.web.newsroom.desk import today
from newsletter.web.newsroom.pages import said
from newsletter.web.newsroom.screens import Screen
from newsletter.web.newsroom.visit import NOT_HERE, Visit

STRUCTURE, STORIES, PASTED, EMPTY = "structure", "stories", "text", "empty"
STARTS = (STRUCTURE, STORIES, PASTED, EMPTY)


def form(visit: Visit) -> Response:
    slug = visit.query("list")
    lists = _lists(visit)
    chosen = [each.id for each in lists if each.slug == slug or len(lists) == 1]
    return _form(visit, lists, chosen=chosen, start=STRUCTURE)


def create(visit: Visit) -> Response:
    lists = _lists(visit)
    wanted = set(visit.form.every("list"))
    chosen = [each for each in lists if str(each.id) in wanted]
    start = visit.form.get("start")
    try:
        if not chosen:
            raise InputError("Choose the list that the edition goes to.")
        content = _content(visit, start, chosen[0])
    except InputError as error:
        ids = [each.id for each in chosen]
        return _form(visit, lists, chosen=ids, start=start, error=said(error), status=422)
    edition = open_edition(visit.session, content, lists=chosen, created_by=visit.by, now=visit.now)
    visit.audit("edition created", str(edition.id), lists=[each.slug for each in chosen])
    return visit.go(f"/newsroom/editions/{edition.id}/compose")


def _form(
    visit: Visit,
    lists: Sequence[MailingList],
    *,
    chosen: Sequence[int],
    start: str,
    error: str | None = None,
    status: int = 200,
) -> Response:
    return visit.page(
        "compose/new.html",
        status=status,
        lists=lists,
        chosen=chosen,
        start=start if start in STARTS else STRUCTURE,
        text=visit.form.text("text"),
        error=error,
    )


def _lists(visit: Visit) -> list[MailingList]:
    """Those that the visitor may write for. Raises `ForbiddenError` for who may for none."""
    every = visit.session.scalars(
        select(MailingList).where(MailingList.retired_at.is_(None)).order_by(MailingList.name)
    )
    return [each for each in every if visit.may(Role.WRITER, [each.id])]


def _content(visit: Visit, start: str, mailing_list: MailingList) -> DraftContent:
    date = today(visit)
    match start:
        case "structure":
            last = _last(visit, mailing_list)
            return structure_of(last, date=date) if last else DraftContent()
        case "stories":
            last = _last(visit, mailing_list)
            if last is None:
                raise InputError(
                    "{list} has no edition yet to copy. Begin without one.", list=mailing_list.name
                )
            return copy_of(last, date=date)
        case "text":
            return write(DraftContent(), _pasted(visit), today=date).content
        case "empty":
            return DraftContent()
        case _:
            raise InputError(NOT_HERE)


def _pasted(visit: Visit) -> str:
    upload = visit.form.files.get("file")
    text = read_text(upload.file.read()) if upload else visit.form.text("text")
    if not text.strip():
        raise InputError("Paste the text, choose a file, or begin with something else.")
    return text


def _last(visit: Visit, mailing_list: MailingList) -> DraftContent | None:
    """The content of the newest edition of the list that was not given up, and that they may see."""
    newest = visit.session.scalar(
        select(Edition.id)
        .join(EditionList, EditionList.edition_id == Edition.id)
        .where(EditionList.list_id == mailing_list.id, Edition.state != EditionState.CANCELLED)
        .where(Edition.goes_only_to(visit.identity.list_ids))
        .order_by(Edition.id.desc())
        .limit(1)
    )
    return None if newest is None else draft_of(visit.session, newest).content


SCREENS = (Screen("/newsroom/editions/new", get=form, post=create, role=Role.WRITER),)
