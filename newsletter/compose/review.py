"""Looks over a briefing that was read, for what its editors may want to mend."""

import re
from collections.abc import Iterable, Sequence

from newsletter.compose.dates import Dating
from newsletter.compose.findings import Findings, Place
from newsletter.compose.inline import is_web_address
from newsletter.compose.sentences import shortened
from newsletter.compose.stories import Draft, Stories
from newsletter.compose.units import Unit
from newsletter.words import Words

_FEWEST_POINTS = 3
_MOST_POINTS = 7
_TYPOGRAPHIC = re.compile("[“”‘’]")
_STRAIGHT = re.compile(r"(?<![\d″′])[\"']")


def review_stories(stories: Stories, findings: Findings) -> None:
    drafts = list(stories.drafts)
    for draft in drafts:
        if draft.source is None:
            message = Words(
                "The story “{headline}” names no source.", headline=shortened(draft.headline, 60)
            )
            findings.warning("source-missing", message, draft.place)
    _review_doubles(stories, drafts, findings)
    _review_marks(drafts, findings)
    _review_images(drafts, findings)
    for part in stories.parts:
        _review_numbers([(draft.number, draft.place) for draft in part.drafts], findings)


def review_points(points: Sequence[Unit], found: Sequence[int | None], findings: Findings) -> None:
    place = points[0].place() if points else None
    if not _FEWEST_POINTS <= len(points) <= _MOST_POINTS:
        message = Words(
            "There are {count} key points; {fewest_points} to {most} read best.",
            count=len(points),
            fewest_points=_FEWEST_POINTS,
            most=_MOST_POINTS,
        )
        findings.warning("key-points", message, place)
    for unit, story in zip(points, found, strict=True):
        if story is None:
            message = Words(
                "No story has a headline like the key point “{plain}”.",
                plain=shortened(unit.plain, 60),
            )
            findings.warning("key-points", message, unit.place())
    _review_numbers([(unit.number, unit.place()) for unit in points], findings)


def review_credits(credits: Iterable[str], findings: Findings) -> None:
    if "producer" not in credits:
        message = Words("No producer is named. Add a line “Producer | …” below the title.")
        findings.warning("producer-missing", message)
    if "editor" not in credits:
        message = Words("No editor is named. Add a line “Editor | …” below the title.")
        findings.warning("editor-missing", message)


def review_date(dating: Dating | None, unit: Unit | None, findings: Findings) -> None:
    if dating is None or unit is None:
        findings.hint("date-missing", Words("No date was found in the title or above the stories."))
        return
    place = unit.place_of(dating.mention.text)
    if dating.contradicts:
        date = (
            f"{dating.date:%A}, {dating.date.isoformat()}"
            if dating.date
            else Words("no day of any year")
        )
        message = Words(
            "“{text}” cannot be: it would be {date}. Correct one of them.",
            text=dating.mention.text,
            date=date,
        )
        findings.error("date-mismatch", message, place)
    elif not dating.has_year and dating.date:
        message = Words(
            "“{text}” has no year; it was read as {date}.",
            text=dating.mention.text,
            date=dating.date.isoformat(),
        )
        findings.warning("date-without-year", message, place)


def review_quotes(units: Iterable[Unit], findings: Findings) -> None:
    """One style of quotes is used when the briefing is rendered; this says that both were typed."""
    first = None
    for unit in units:
        for style in (_TYPOGRAPHIC, _STRAIGHT):
            if not (match := style.search(unit.plain)):
                continue
            if first and first is not style:
                message = Words("Straight and typographic quotes are mixed from here on.")
                findings.hint("quotes-mixed", message, unit.place_of(match[0]))
                return
            first = style


def _review_doubles(stories: Stories, drafts: Sequence[Draft], findings: Findings) -> None:
    headlines: dict[str, Draft] = {}
    for draft in filter(lambda draft: draft.headline, drafts):
        first = headlines.setdefault(draft.headline.casefold(), draft)
        if first is not draft:
            message = Words(
                "The same headline stands on line {line}. Delete one story.", line=first.place.line
            )
            findings.error("duplicate-story", message, draft.place)
    names: set[str] = set()
    for part in stories.parts:
        if not part.name:
            continue
        if part.name.casefold() in names:
            message = Words(
                "There is a section “{name}” already. Rename one or join them.", name=part.name
            )
            findings.error("duplicate-section", message, part.place)
        names.add(part.name.casefold())


def _review_marks(drafts: Sequence[Draft], findings: Findings) -> None:
    stray = [draft for draft in drafts if draft.has_mark]
    if 2 * len(stray) <= len(drafts):
        for draft in stray:
            message = Words(
                "This headline has a # mark, the others have none. It is read as a story."
            )
            findings.warning("stray-heading", message, draft.place)
    unmarked = [draft for draft in drafts if not draft.has_mark]
    odd = next((draft for draft in unmarked if draft.is_bold is not unmarked[0].is_bold), None)
    if odd:
        message = Words("Some headlines are bold and some are not, from here on.")
        findings.warning("headings-mixed", message, odd.place)


def _review_images(drafts: Sequence[Draft], findings: Findings) -> None:
    outlets = {draft.source.casefold() for draft in drafts if draft.source}
    for draft in drafts:
        for image, place in draft.images:
            if not is_web_address(image.src):
                message = Words(
                    "The image address “{address}” is no web address. Put the real one.",
                    address=image.src[:80],
                )
                findings.warning("image-placeholder", message, place)
            if image.alt.casefold() in outlets and draft.source is None:
                message = Words(
                    "“{text}” looks like the source of this story, not like a picture.",
                    text=image.alt,
                )
                findings.warning("image-alt-looks-like-source", message, place)


def _review_numbers(numbers: Sequence[tuple[int | None, Place]], findings: Findings) -> None:
    previous: int | None = None
    for number, place in numbers:
        if number is None:
            continue
        if previous is not None and number not in (previous + 1, 1):
            message = Words(
                "Number {number} follows number {previous}. Is one missing?",
                number=number,
                previous=previous,
            )
            findings.warning("numbering-gap", message, place)
        previous = number
