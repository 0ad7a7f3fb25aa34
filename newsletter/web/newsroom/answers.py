"""What a saving on the compose page is answered with: the parts that changed, or a page."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from starlette.responses import JSONResponse, Response

from newsletter.errors import InputError
from newsletter.plan.drafts import Conflict, Saved
from newsletter.web.newsroom.cookies import Undo
from newsletter.web.newsroom.desk import CARDS, Desk, Typed, desk_of
from newsletter.web.newsroom.visit import Visit
from newsletter.words import Words

VOIDED = Words("The approval or review that this edition had is void: its content has changed.")


@dataclass(frozen=True, slots=True)
class Told:
    """What was done, with a way back; `anchor` is the part of the page that it was done to."""

    anchor: str = ""
    words: Words | None = None
    undo: Mapping[str, str] | None = None
    """The fields of the form that takes it back."""


def based_on(visit: Visit) -> int:
    """The version that the form was shown with. Raises `InputError` for a form without one."""
    version = visit.form.number("version")
    if version is None:
        raise InputError("The form does not say which version it is of. Reload the page.")
    return version


def answer(
    visit: Visit,
    saved: Saved | Conflict,
    *,
    mode: str,
    parts: Iterable[str],
    typed: Typed | None = None,
    told: Told | None = None,
) -> Response:
    """`parts` are those that a script puts in the page; without one the whole page comes again."""
    if isinstance(saved, Conflict):
        return _conflict(visit, saved)
    told = told or Told()
    desk = desk_of(visit, mode)
    desk.typed = typed
    if visit.is_part:
        return _parts(desk, saved, parts, told)
    words = VOIDED if saved.voids else told.words
    anchor = f"#{told.anchor}" if told.anchor else ""
    undo = _undo(desk, told) if told.undo else None
    return visit.go(f"{desk.url}?mode={mode}{anchor}", words, undo=undo)


def _parts(desk: Desk, saved: Saved, parts: Iterable[str], told: Told) -> Response:
    shown = {name: desk.part(name) for name in parts}
    shown["told"] = desk.part("told", told=told, voided=VOIDED if saved.voids else None)
    return JSONResponse(
        {
            "version": saved.draft.version,
            "parts": shown,
            "title": desk.way.title,
            "letter": desk.letter,
            "focus": told.anchor,
        }
    )


def _conflict(visit: Visit, conflict: Conflict) -> Response:
    edition_id = conflict.draft.edition_id
    url = f"/newsroom/editions/{edition_id}/kept/{conflict.kept.id}"
    if not visit.is_part:
        return visit.go(url, "Somebody else saved first. Both versions are kept.")
    desk = desk_of(visit, CARDS)
    return JSONResponse({"conflict": desk.part("conflict", url=url)}, 409)


def _undo(desk: Desk, told: Told) -> Undo:
    fields = {"version": str(desk.draft.version), **(told.undo or {})}
    return Undo("Undo", f"{desk.url}/cards", fields)
