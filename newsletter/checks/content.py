"""Checks of what the editor wrote: sections, stories, sources, key points, subject, preheader."""

import re
from collections.abc import Iterator

from newsletter.checks.draft import Draft
from newsletter.compose.briefing import Image, Story, plain
from newsletter.compose.findings import Finding, Severity
from newsletter.render.letter import is_fetchable
from newsletter.words import Words

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
        yield _error("section-empty", Words("The briefing has no story; write at least one."))
        return
    for section in draft.briefing.sections:
        if not section.stories:
            yield _error(
                "section-empty",
                Words(
                    "The section “{section}” has no story; add one or remove it.",
                    section=section.name,
                ),
            )


def story_no_body(draft: Draft) -> Iterator[Finding]:
    for story in draft.briefing.stories:
        if not any(plain(paragraph).strip() for paragraph in story.paragraphs):
            yield _error(
                "story-no-body",
                Words(
                    "“{headline}” has no text; write it or remove the story.",
                    headline=story.headline,
                ),
            )


def source_missing(draft: Draft) -> Iterator[Finding]:
    for story in draft.briefing.stories:
        if not story.source:
            yield _warning(
                "source-missing", Words("“{headline}” names no source.", headline=story.headline)
            )


def key_points(draft: Draft) -> Iterator[Finding]:
    points = draft.briefing.key_points
    if not FEWEST_POINTS <= len(points) <= MOST_POINTS:
        yield _warning(
            "key-points",
            Words(
                "There are {count} key points; {fewest_points} to {most} read best.",
                count=len(points),
                fewest_points=FEWEST_POINTS,
                most=MOST_POINTS,
            ),
        )
    for point in points:
        if len(point.text) > LONGEST_POINT:
            yield _warning(
                "key-points",
                Words(
                    "“{point}…” has {count} characters; shorten it to {longest}.",
                    point=point.text[:40],
                    count=len(point.text),
                    longest=LONGEST_POINT,
                ),
            )
        if point.story is None:
            yield _warning(
                "key-points", Words("“{point}” announces none of the stories.", point=point.text)
            )


def image_placeholder(draft: Draft) -> Iterator[Finding]:
    for story, image in _images(draft):
        if not is_fetchable(image):
            yield _warning(
                "image-placeholder",
                Words(
                    "The image “{address}” of “{headline}” is no web address; the mail goes out "
                    "without it. Put in its https address, or remove it.",
                    address=image.src,
                    headline=story.headline,
                ),
            )


def image_alt(draft: Draft) -> Iterator[Finding]:
    for story, image in _images(draft):
        alt = image.alt.strip()
        if not is_fetchable(image):
            continue
        if not alt or _FILE_NAME.fullmatch(alt) or alt == story.headline:
            yield _warning(
                "image-alt",
                Words(
                    "Say in a few words what the image of “{headline}” shows, for readers who do "
                    "not see it.",
                    headline=story.headline,
                ),
            )
        elif len(alt) > LONGEST_ALT:
            yield _warning(
                "image-alt",
                Words(
                    "The description of the image of “{headline}” is too long.",
                    headline=story.headline,
                ),
            )


def subject_missing(draft: Draft) -> Iterator[Finding]:
    if not draft.compiled.subject.strip():
        yield _error("subject-missing", Words("The mail has no subject; write one."))


def subject_length(draft: Draft) -> Iterator[Finding]:
    length = len(draft.compiled.subject.strip())
    if length > LONGEST_SUBJECT:
        yield _error(
            "subject-length",
            Words(
                "The subject has {length} characters; shorten it to {good}, at most {longest}.",
                length=length,
                good=LONG_SUBJECT,
                longest=LONGEST_SUBJECT,
            ),
        )
    elif length > LONG_SUBJECT:
        yield _warning(
            "subject-length",
            Words("The subject has {length} characters; phones show 40.", length=length),
        )
    elif 0 < length < SHORTEST_SUBJECT:
        yield _warning(
            "subject-length", Words("The subject has only {length} characters.", length=length)
        )


def preheader(draft: Draft) -> Iterator[Finding]:
    text = draft.compiled.preheader.strip()
    if not text:
        yield _warning("preheader", Words("There is no preheader; inboxes will show the greeting."))
    elif text.casefold() == draft.compiled.subject.strip().casefold():
        yield _warning("preheader", Words("The preheader repeats the subject; say something more."))
    elif not SHORTEST_PREHEADER <= len(text) <= LONGEST_PREHEADER:
        yield _warning(
            "preheader",
            Words(
                "The preheader has {length} characters; {shortest} to {longest} fit an inbox.",
                length=len(text),
                shortest=SHORTEST_PREHEADER,
                longest=LONGEST_PREHEADER,
            ),
        )


def charset(draft: Draft) -> Iterator[Finding]:
    compiled = draft.compiled
    text = "\n".join((compiled.subject, compiled.preheader, draft.samples[0].text))
    if found := _UNREADABLE.search(text):
        yield _error(
            "charset",
            Words(
                "The character U+{code:04X} after “{text}” was damaged on its way here; type "
                "it again.",
                code=ord(found[0]),
                text=_before(text, found),
            ),
        )
    if found := _MOJIBAKE.search(text):
        yield _warning(
            "charset",
            Words(
                "“{found}” after “{text}” looks like a broken character.",
                found=found[0],
                text=_before(text, found),
            ),
        )


def _before(text: str, found: re.Match[str]) -> str:
    return text[max(0, found.start() - 20) : found.start()]


def _images(draft: Draft) -> Iterator[tuple[Story, Image]]:
    for story in draft.briefing.stories:
        for image in story.images:
            yield story, image


def _error(code: str, message: Words) -> Finding:
    return Finding(code, Severity.ERROR, message)


def _warning(code: str, message: Words) -> Finding:
    return Finding(code, Severity.WARNING, message)
