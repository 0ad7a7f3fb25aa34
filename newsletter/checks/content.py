"""Checks of what the editor wrote: sections, stories, sources, key points, subject, preheader."""

import re
from collections.abc import Iterator

from newsletter.checks.draft import Draft
from newsletter.compose.briefing import Image, Story, plain
from newsletter.compose.findings import Finding, Severity
from newsletter.render.letter import is_fetchable

FEWEST_POINTS, MOST_POINTS = 3, 7
LONGEST_POINT = 120
SHORTEST_SUBJECT, LONG_SUBJECT, LONGEST_SUBJECT = 10, 60, 150
SHORTEST_PREHEADER, LONGEST_PREHEADER = 40, 130
LONGEST_ALT = 125

_UNREADABLE = re.compile(r"[\ufffd\x80-\x9f\ud800-\udfff]")
_MOJIBAKE = re.compile(r"â€[™œ\x9d“”]|Ã[©¨¤¶¼¡³±]|ï¿½|Â[£©«»°]")
_FILE_NAME = re.compile(r"\S+\.(?:png|jpe?g|gif|webp|svg)", re.IGNORECASE)


def section_empty(draft: Draft) -> Iterator[Finding]:
    if not any(section.stories for section in draft.briefing.sections):
        yield _error("section-empty", "The briefing has no story; write at least one.")
        return
    for section in draft.briefing.sections:
        if not section.stories:
            yield _error(
                "section-empty", f"The section “{section.name}” has no story; add one or remove it."
            )


def story_no_body(draft: Draft) -> Iterator[Finding]:
    for story in draft.briefing.stories:
        if not any(plain(paragraph).strip() for paragraph in story.paragraphs):
            yield _error(
                "story-no-body", f"“{story.headline}” has no text; write it or remove the story."
            )


def source_missing(draft: Draft) -> Iterator[Finding]:
    for story in draft.briefing.stories:
        if not story.source:
            yield _warning("source-missing", f"“{story.headline}” names no source.")


def key_points(draft: Draft) -> Iterator[Finding]:
    points = draft.briefing.key_points
    if not FEWEST_POINTS <= len(points) <= MOST_POINTS:
        yield _warning(
            "key-points",
            f"There are {len(points)} key points; {FEWEST_POINTS} to {MOST_POINTS} read best.",
        )
    for point in points:
        if len(point.text) > LONGEST_POINT:
            yield _warning(
                "key-points",
                f"“{point.text[:40]}…” has {len(point.text)} characters; "
                f"shorten it to {LONGEST_POINT}.",
            )
        if point.story is None:
            yield _warning("key-points", f"“{point.text}” announces none of the stories.")


def image_placeholder(draft: Draft) -> Iterator[Finding]:
    for story, image in _images(draft):
        if not is_fetchable(image):
            yield _warning(
                "image-placeholder",
                f"The image “{image.src}” of “{story.headline}” is no web address; the mail goes "
                "out without it. Put in its https address, or remove it.",
            )


def image_alt(draft: Draft) -> Iterator[Finding]:
    for story, image in _images(draft):
        alt = image.alt.strip()
        if not is_fetchable(image):
            continue
        if not alt or _FILE_NAME.fullmatch(alt) or alt == story.headline:
            yield _warning(
                "image-alt",
                f"Say in a few words what the image of “{story.headline}” shows, for readers who "
                "do not see it.",
            )
        elif len(alt) > LONGEST_ALT:
            yield _warning(
                "image-alt", f"The description of the image of “{story.headline}” is too long."
            )


def subject_missing(draft: Draft) -> Iterator[Finding]:
    if not draft.compiled.subject.strip():
        yield _error("subject-missing", "The mail has no subject; write one.")


def subject_length(draft: Draft) -> Iterator[Finding]:
    length = len(draft.compiled.subject.strip())
    if length > LONGEST_SUBJECT:
        yield _error(
            "subject-length",
            f"The subject has {length} characters; shorten it to {LONG_SUBJECT}, "
            f"at most {LONGEST_SUBJECT}.",
        )
    elif length > LONG_SUBJECT:
        yield _warning("subject-length", f"The subject has {length} characters; phones show 40.")
    elif 0 < length < SHORTEST_SUBJECT:
        yield _warning("subject-length", f"The subject has only {length} characters.")


def preheader(draft: Draft) -> Iterator[Finding]:
    text = draft.compiled.preheader.strip()
    if not text:
        yield _warning("preheader", "There is no preheader; inboxes will show the greeting.")
    elif text.casefold() == draft.compiled.subject.strip().casefold():
        yield _warning("preheader", "The preheader repeats the subject; say something more.")
    elif not SHORTEST_PREHEADER <= len(text) <= LONGEST_PREHEADER:
        yield _warning(
            "preheader",
            f"The preheader has {len(text)} characters; "
            f"{SHORTEST_PREHEADER} to {LONGEST_PREHEADER} fit an inbox.",
        )


def charset(draft: Draft) -> Iterator[Finding]:
    compiled = draft.compiled
    text = "\n".join((compiled.subject, compiled.preheader, draft.samples[0].text))
    if found := _UNREADABLE.search(text):
        yield _error(
            "charset",
            f"The character U+{ord(found[0]):04X} after “{_before(text, found)}” was damaged on "
            "its way here; type it again.",
        )
    if found := _MOJIBAKE.search(text):
        yield _warning(
            "charset", f"“{found[0]}” after “{_before(text, found)}” looks like a broken character."
        )


def _before(text: str, found: re.Match[str]) -> str:
    return text[max(0, found.start() - 20) : found.start()]


def _images(draft: Draft) -> Iterator[tuple[Story, Image]]:
    for story in draft.briefing.stories:
        for image in story.images:
            yield story, image


def _error(code: str, message: str) -> Finding:
    return Finding(code, Severity.ERROR, message)


def _warning(code: str, message: str) -> Finding:
    return Finding(code, Severity.WARNING, message)
