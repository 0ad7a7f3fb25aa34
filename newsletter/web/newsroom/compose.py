"""Compose: an edition's draft as text, with its letter and what was found in it beside."""

from dataclasses import replace

from starlette.responses import HTMLResponse, JSONResponse, Response

from newsletter.accounts.roles import Role
from newsletter.compose.content import DraftContent, write
from newsletter.compose.findings import Findings
from newsletter.compose.reading import MAX_BYTES, decode
from newsletter.compose.rich_paste import FORMATTED_LEVELS, MARKDOWN_LEVELS, text_of_html
from newsletter.errors import InputError, StateError
from newsletter.plan.drafts import draft_of, save_draft
from newsletter.web.newsroom.answers import Told, answer, based_on
from newsletter.web.newsroom.desk import CARDS, TEXT, Desk, Typed, desk_of, today
from newsletter.web.newsroom.screens import Screen
from newsletter.web.newsroom.visit import Visit

LARGEST_PASTE = 4 * 1024 * 1024

# The letter has its styles in its elements; the page that holds the frame writes into it while
# somebody types, and nothing in it runs.
_POLICY = (
    "sandbox allow-same-origin allow-popups allow-popups-to-escape-sandbox; default-src 'none'; "
    "style-src 'unsafe-inline'; img-src 'self' http: https: data:; form-action 'none'; "
    "base-uri 'none'; frame-ancestors 'self'"
)


def compose(visit: Visit) -> Response:
    desk = desk_of(visit, TEXT)
    asked = visit.query("mode")
    desk.mode = asked if asked in (TEXT, CARDS) else _fitting(desk)
    return visit.page("compose/compose.html", **desk.context)


def save_text(visit: Visit) -> Response:
    return _save_text(visit, visit.form.text("text"))


def save_file(visit: Visit) -> Response:
    """The text of an uploaded file in place of the draft's."""
    upload = visit.form.files.get("file")
    if upload is None:
        raise InputError("Choose a file first: a text of a briefing, as .txt or .md.")
    text = read_text(upload.file.read(MAX_BYTES + 1))
    return _save_text(visit, text)


def read_text(raw: bytes) -> str:
    """Raises `InputError` for what is no text, or too long a one."""
    if len(raw) > MAX_BYTES:
        raise InputError(
            "The file is larger than {kilobytes} KB; a briefing has a few pages.",
            kilobytes=MAX_BYTES // 1024,
        )
    findings = Findings()
    text = decode(raw, findings)
    if text is None:
        raise InputError(findings.in_reading_order()[0].message)
    return text


def paste(visit: Visit) -> Response:
    """What a rich paste says as text; nothing is saved."""
    visit.edition(Role.WRITER)
    pasted = visit.form.document
    if not isinstance(pasted, dict) or not isinstance(pasted.get("html"), str):
        raise InputError("There is nothing to paste.")
    levels = FORMATTED_LEVELS if pasted.get("formatted") is True else MARKDOWN_LEVELS
    return JSONResponse({"text": text_of_html(pasted["html"], levels=levels)})


def letter(visit: Visit) -> Response:
    desk = desk_of(visit, CARDS)
    page = desk.letter
    if desk.trouble is not None:
        raise StateError(desk.trouble)
    headers = {"Content-Security-Policy": _POLICY, "Referrer-Policy": "no-referrer"}
    return HTMLResponse(page, headers=headers)


def _fitting(desk: Desk) -> str:
    """Text to begin with; cards for a structure that stands."""
    is_begun = any(True for _ in desk.briefing.stories) and desk.content.unread_text is None
    return CARDS if is_begun else TEXT


def _save_text(visit: Visit, text: str) -> Response:
    edition = visit.edition(Role.WRITER)
    draft = draft_of(visit.session, edition.id)
    written = write(_worded(visit, draft.content), text, today=today(visit))
    saved = save_draft(
        visit.session,
        edition.id,
        written.content,
        based_on=based_on(visit),
        by=visit.by,
        now=visit.now,
    )
    parts = ("state", "counts", "findings", "outline", "aside", "inbox")
    typed = Typed(text, written.findings)
    return answer(visit, saved, mode=TEXT, parts=parts, typed=typed, told=Told("text"))


def _worded(visit: Visit, content: DraftContent) -> DraftContent:
    """With subject and preheader as the form has them; empty is none of their own."""
    form = visit.form
    if not form.has("subject"):
        return content
    return replace(
        content, subject=form.get("subject") or None, preheader=form.get("preheader") or None
    )


SCREENS = (
    Screen("/newsroom/editions/{id}/compose", get=compose, role=Role.WRITER, is_packed=True),
    Screen(
        "/newsroom/editions/{id}/compose/text", post=save_text, role=Role.WRITER, is_packed=True
    ),
    Screen("/newsroom/editions/{id}/compose/file", post=save_file, role=Role.WRITER),
    Screen(
        "/newsroom/editions/{id}/compose/paste",
        post=paste,
        role=Role.WRITER,
        largest_form=LARGEST_PASTE,
    ),
    Screen("/newsroom/editions/{id}/compose/letter", get=letter, role=Role.WRITER, is_packed=True),
)
