"""Corrects an edition that is out: for all who were not mailed yet, on its page, and by a mail."""

from starlette.responses import Response

from newsletter.accounts.roles import Role
from newsletter.compose.difference import difference_of
from newsletter.errors import InputError, StateError
from newsletter.models import Revision
from newsletter.plan.correcting import (
    correction_mail_of,
    corrections_of,
    drop_changes,
    note_correction,
    open_correction_mail,
)
from newsletter.plan.drafts import cut_revision
from newsletter.plan.editions import draft_content_of, has_correction
from newsletter.report.sending import people_to_correct
from newsletter.web.newsroom.pages import said
from newsletter.web.newsroom.screens import Screen
from newsletter.web.newsroom.visit import Visit
from newsletter.web.newsroom.way import Way, edition_page, way_of


def show(visit: Visit) -> Response:
    return _page(_out(visit, Role.VIEWER))


def note(visit: Visit) -> Response:
    """Keep what it puts right, and freeze the correction so that it can be approved."""
    way = _out(visit, Role.WRITER)
    try:
        with visit.session.begin_nested():
            cut_revision(
                visit.session, way.edition.id, settings=visit.settings, by=visit.by, now=visit.now
            )
            note_correction(
                visit.session,
                way.edition.id,
                visit.form.text("note"),
                by=visit.by,
                now=visit.now,
            )
    except InputError as error:
        return _page(_out(visit, Role.WRITER), mistake=said(error), status=422)
    visit.audit("correction noted", str(way.edition.id), revision=way.edition.revision)
    if has_correction(way.edition):
        return visit.go(f"{way.url}/review#approve", "Noted. Now it has to be approved.")
    return visit.go(f"{way.url}/correct", "Noted.")


def drop(visit: Visit) -> Response:
    way = _out(visit, Role.WRITER)
    drop_changes(visit.session, way.edition.id, by=visit.by, now=visit.now)
    visit.audit("correction dropped", str(way.edition.id))
    return visit.go(f"{way.url}/correct", "The correction is dropped.")


def mail(visit: Visit) -> Response:
    way = _out(visit, Role.WRITER)
    made = open_correction_mail(visit.session, way.edition.id, by=visit.by, now=visit.now)
    visit.audit("correction mail opened", str(made.id), corrects=way.edition.id)
    return visit.go(
        f"/newsroom/editions/{made.id}",
        "This is a new edition, for those alone who were mailed the mistake.",
    )


def _out(visit: Visit, role: Role) -> Way:
    """Raises `StateError` for an edition that can simply be changed, or is cancelled."""
    way = way_of(visit, role)
    if not way.is_out:
        raise StateError(
            "Edition {edition} is {state}; only what is being sent, or was, is corrected.",
            edition=way.edition.id,
            state=way.edition.state.words,
        )
    return way


def _page(way: Way, *, mistake: str | None = None, status: int = 200) -> Response:
    session, edition = way.visit.session, way.edition
    assert edition.approved_revision is not None
    running = session.get_one(Revision, (edition.id, edition.approved_revision))
    upto = edition.approved_revision - (0 if way.has_correction else 1)
    received, coming = people_to_correct(session, edition.id, upto=upto)
    notes = corrections_of(session, edition.id)
    return edition_page(
        way,
        "correct.html",
        "correct",
        status=status,
        running=running,
        difference=difference_of(draft_content_of(running), way.content),
        received=received,
        coming=coming,
        notes=notes,
        note=next((each.note for each in notes if each.revision == edition.revision), ""),
        typed=way.visit.form.text("note"),
        mail=correction_mail_of(session, edition),
        mistake=mistake,
    )


_CORRECT = "/newsroom/editions/{id}/correct"
SCREENS = (
    Screen(_CORRECT, get=show, post=note, role=Role.VIEWER),
    Screen(f"{_CORRECT}/drop", post=drop, role=Role.WRITER),
    Screen(f"{_CORRECT}/mail", post=mail, role=Role.WRITER),
)
