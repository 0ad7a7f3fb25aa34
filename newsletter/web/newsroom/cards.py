"""Compose as cards: every edit of the structure is a form with one verb, `do`."""

import datetime
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from starlette.responses import Response

from newsletter.accounts.roles import Role
from newsletter.compose import editing
from newsletter.compose.briefing import Briefing, Image, KeyPoint, Story
from newsletter.compose.bylines import CREDIT_ROLES
from newsletter.compose.content import DraftContent
from newsletter.compose.editing import Spot
from newsletter.compose.findings import SetAside
from newsletter.compose.formatted import read_paragraphs
from newsletter.compose.inline import is_web_address
from newsletter.compose.media import LARGEST_BYTES, keep_picture, media_url, reencode
from newsletter.errors import InputError
from newsletter.plan.drafts import draft_of, save_draft
from newsletter.web.newsroom.answers import Told, answer, based_on
from newsletter.web.newsroom.desk import CARDS, TEXT
from newsletter.web.newsroom.screens import Screen
from newsletter.web.newsroom.visit import Visit
from newsletter.words import Words

NEW_SECTION = "New section"


@dataclass(frozen=True, slots=True)
class Edit:
    content: DraftContent
    told: Told = field(default_factory=Told)


def save_cards(visit: Visit) -> Response:
    edition = visit.edition(Role.WRITER)
    do = visit.form.get("do")
    if do not in EDITS:
        raise InputError("The form does not say what to do. Reload the page and try again.")
    draft = draft_of(visit.session, edition.id)
    version = based_on(visit)
    edit = EDITS[do](visit, draft.content)
    saved = save_draft(
        visit.session, edition.id, edit.content, based_on=version, by=visit.by, now=visit.now
    )
    parts = (
        "state",
        "counts",
        "findings",
        "inbox",
        *(() if visit.form.has("quietly") else ("cards",)),
    )
    mode = TEXT if visit.form.get("mode") == TEXT else CARDS
    return answer(visit, saved, mode=mode, parts=parts, told=edit.told)


# Above the stories


def _save_wording(visit: Visit, content: DraftContent) -> Edit:
    form = visit.form
    subject, preheader = form.get("subject") or None, form.get("preheader") or None
    return Edit(replace(content, subject=subject, preheader=preheader), Told("wording"))


def _save_head(visit: Visit, content: DraftContent) -> Edit:
    form = visit.form
    intro, _ = read_paragraphs(form.text("intro"))
    briefing = replace(
        content.briefing,
        title=form.get("title"),
        series=form.get("series") or None,
        date=_date(form.get("date")),
        language=form.get("language") or content.briefing.language,
        credits={role: form.get(role) for role in CREDIT_ROLES if form.get(role)},
        intro=intro,
    )
    return Edit(replace(content, briefing=briefing), Told("head"))


def _save_points(visit: Visit, content: DraftContent) -> Edit:
    """All of them at once, and what the button says of one."""
    form = visit.form
    rows = _rows(visit, "point", "tie")
    for name, step in (("up", -1), ("down", 1)):
        if (place := _place(form.number(name), rows)) is not None:
            rows.insert(max(place + step, 0), rows.pop(place))
    if (place := _place(form.number("drop"), rows)) is not None:
        rows.pop(place)
    points = [
        KeyPoint(text, int(tie) if tie.isdecimal() and len(tie) < 5 else None)
        for text, tie in rows
        if text
    ]
    briefing = editing.replace_points(content.briefing, points)
    return Edit(replace(content, briefing=briefing), Told("points"))


def _place(number: int | None, rows: Sequence[object]) -> int | None:
    return number if number is not None and 0 <= number < len(rows) else None


# Sections


def _add_section(visit: Visit, content: DraftContent) -> Edit:
    at = len(content.briefing.sections)
    briefing = editing.add_section(content.briefing, visit.form.get("name") or NEW_SECTION, at=at)
    return Edit(replace(content, briefing=briefing), Told(f"section-{at}"))


def _name_section(visit: Visit, content: DraftContent) -> Edit:
    index = _index(visit, "section")
    name = visit.form.get("name") or None
    briefing = editing.rename_section(content.briefing, index, name)
    return Edit(replace(content, briefing=briefing), Told(f"section-{index}"))


def _move_section(step: int) -> "Do":
    def move(visit: Visit, content: DraftContent) -> Edit:
        index = _index(visit, "section")
        last = len(content.briefing.sections) - 1
        to = min(max(index + step, 0), last)
        briefing = editing.move_section(content.briefing, index, to)
        return Edit(replace(content, briefing=briefing), Told(f"section-{to}"))

    return move


def _remove_section(visit: Visit, content: DraftContent) -> Edit:
    index = _index(visit, "section")
    removed = editing.remove_section(content, index)
    name = content.briefing.sections[index].name or Words("without a name")
    words = Words("The section “{name}” is deleted, with its stories.", name=name)
    return Edit(
        removed, Told("aside", words, {"do": "put-back", "aside": "0", "section": f"{index}"})
    )


# Stories


def _add_story(visit: Visit, content: DraftContent) -> Edit:
    index = _index(visit, "section")
    sections = content.briefing.sections
    place = len(sections[index].stories) if index < len(sections) else 0
    briefing = editing.insert_story(content.briefing, Spot(index, place), Story(""))
    return Edit(replace(content, briefing=briefing), Told(_anchor(briefing, Spot(index, place))))


def _save_story(visit: Visit, content: DraftContent) -> Edit:
    number = _index(visit, "story")
    form = visit.form
    story = editing.story_at(content.briefing, number)
    paragraphs, more = read_paragraphs(form.text("text"))
    story = replace(
        story,
        headline=form.get("headline"),
        href=_address(form.get("href")),
        source=form.get("source") or None,
        paragraphs=paragraphs,
        images=(*_images(visit), *more, *_new_image(visit)),
    )
    briefing = editing.replace_story(content.briefing, number, story)
    return Edit(replace(content, briefing=briefing), Told(f"story-{number}"))


def _move_story_up(visit: Visit, content: DraftContent) -> Edit:
    return _moved(visit, content, editing.move_story_up)


def _move_story_down(visit: Visit, content: DraftContent) -> Edit:
    return _moved(visit, content, editing.move_story_down)


def _move_story_to(visit: Visit, content: DraftContent) -> Edit:
    """To a section, at a place in it; without one at its end."""
    index, place = _index(visit, "section"), visit.form.number("place")

    def move(briefing: Briefing, number: int) -> Briefing:
        end = sum(len(section.stories) for section in briefing.sections)
        return editing.move_story(briefing, number, Spot(index, end if place is None else place))

    return _moved(visit, content, move)


def _remove_story(visit: Visit, content: DraftContent) -> Edit:
    number = _index(visit, "story")
    spot = editing.spot_of(content.briefing, number)
    headline = editing.story_at(content.briefing, number).headline or Words("without a headline")
    undo = {"do": "put-back", "aside": "0", "section": f"{spot.section}", "place": f"{spot.place}"}
    words = Words("The story “{headline}” is deleted.", headline=headline[:80])
    return Edit(editing.remove_story(content, number), Told("cards", words, undo))


# What was set aside


def _put_back(visit: Visit, content: DraftContent) -> Edit:
    section, place = visit.form.number("section"), visit.form.number("place")
    at = None if section is None else Spot(section, place or 0)
    last = sum(1 for _ in content.briefing.stories)
    story = visit.form.number("story") or last
    put = editing.put_back(content, _index(visit, "aside"), at=at, story=story)
    return Edit(put, Told("cards", Words("It is back in the briefing.")))


def _drop_aside(visit: Visit, content: DraftContent) -> Edit:
    return Edit(editing.drop_aside(content, _index(visit, "aside")), Told("aside"))


def _set_text_aside(visit: Visit, content: DraftContent) -> Edit:
    """Go on with the stories that are there; the text that holds none is kept with what was set
    aside.
    """
    if content.unread_text is None:
        return Edit(content)
    aside = (SetAside(content.unread_text, 0), *content.set_aside)
    kept = replace(content, unread_text=None, set_aside=aside)
    return Edit(kept, Told("cards", Words("The text is set aside. You find it below the stories.")))


Do = Callable[[Visit, DraftContent], Edit]
EDITS: Mapping[str, Do] = {
    "wording": _save_wording,
    "head": _save_head,
    "points": _save_points,
    "section-add": _add_section,
    "section-name": _name_section,
    "section-up": _move_section(-1),
    "section-down": _move_section(1),
    "section-remove": _remove_section,
    "story-add": _add_story,
    "story": _save_story,
    "story-up": _move_story_up,
    "story-down": _move_story_down,
    "story-to": _move_story_to,
    "story-remove": _remove_story,
    "put-back": _put_back,
    "drop-aside": _drop_aside,
    "set-text-aside": _set_text_aside,
}


def _moved(visit: Visit, content: DraftContent, move: Callable[[Briefing, int], Briefing]) -> Edit:
    number = _index(visit, "story")
    story = editing.story_at(content.briefing, number)
    briefing = move(content.briefing, number)
    now = next(at for at, each in enumerate(briefing.stories, start=1) if each is story)
    return Edit(replace(content, briefing=briefing), Told(f"story-{now}"))


def _anchor(briefing: Briefing, spot: Spot) -> str:
    before = sum(len(section.stories) for section in briefing.sections[: spot.section])
    return f"story-{before + spot.place + 1}"


def _index(visit: Visit, name: str) -> int:
    number = visit.form.number(name)
    if number is None:
        raise InputError("The form does not say which one is meant. Reload the page and try again.")
    return number


def _rows(visit: Visit, *names: str) -> list[tuple[str, ...]]:
    """Fields that stand beside each other in each row of a form."""
    columns = [visit.form.every(name) for name in names]
    if len({len(column) for column in columns}) > 1:
        raise InputError("The form came in parts. Reload the page and try again.")
    return list(zip(*columns, strict=True))


def _date(written: str) -> datetime.date | None:
    if not written:
        return None
    try:
        return datetime.date.fromisoformat(written)
    except ValueError as error:
        raise InputError(
            "“{written}” is no date. Write it as 2026-11-20.", written=written
        ) from error


def _address(written: str) -> str | None:
    if not written:
        return None
    if not is_web_address(written):
        raise InputError("“{written}” is no web address. Begin it with https://.", written=written)
    return written


def _images(visit: Visit) -> Iterator[Image]:
    """Those that the story had, without any that is to go."""
    form = visit.form
    dropped = set(form.every("drop-image"))
    for number, (src, alt) in enumerate(_rows(visit, "src", "alt")):
        if src and str(number) not in dropped:
            yield Image(src, alt)


def _new_image(visit: Visit) -> Iterator[Image]:
    """One that was uploaded, or one at an address. Raises `InputError` without its description."""
    form = visit.form
    upload, src, alt = form.files.get("picture"), form.get("new-src"), form.get("new-alt")
    if upload is None and not src:
        return
    if not alt:
        raise InputError("Say in a few words what the image shows, for readers who do not see it.")
    if upload is None:
        yield Image(_address(src) or "", alt)
        return
    picture = reencode(upload.file.read(LARGEST_BYTES + 1))
    name = upload.filename or ""
    media = keep_picture(visit.session, picture, name=name, by=visit.by, now=visit.now)
    yield Image(media_url(media, visit.settings.base_url), alt)


SCREENS = (
    Screen(
        "/newsroom/editions/{id}/compose/cards",
        post=save_cards,
        role=Role.WRITER,
        largest_form=LARGEST_BYTES + 2 * 1024 * 1024,
        is_packed=True,
    ),
)
