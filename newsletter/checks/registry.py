"""The checks before sending, in one tuple; a new check is a function and a line here."""

from collections.abc import Callable, Iterable, Iterator

from newsletter.checks import content, letter
from newsletter.checks.draft import Draft
from newsletter.compose.findings import Finding, Severity

Check = Callable[[Draft], Iterator[Finding]]

CHECKS: tuple[Check, ...] = (
    content.section_empty,
    content.story_no_body,
    content.source_missing,
    content.key_points,
    content.image_placeholder,
    content.image_alt,
    content.subject_missing,
    content.subject_length,
    content.preheader,
    content.charset,
    letter.placeholder_left,
    letter.sentinel_count,
    letter.unsubscribe_missing,
    letter.postal_missing,
    letter.from_missing,
    letter.text_missing,
    letter.text_mismatch,
    letter.html_clip,
    letter.head_css_size,
    letter.line_too_long,
    letter.link_bad,
    letter.message_invalid,
)


def run_checks(draft: Draft, *, read: Iterable[Finding] = ()) -> list[Finding]:
    """All that was found, errors first. An error blocks the sending.

    `read` is what was found when the text was read: it is part of the result, and what it knows by
    line and column no check says a second time without.
    """
    findings = list(read)
    known = {finding.code for finding in findings}
    findings += [
        finding for check in CHECKS for finding in check(draft) if finding.code not in known
    ]
    return sorted(findings, key=lambda finding: list(Severity).index(finding.severity))
