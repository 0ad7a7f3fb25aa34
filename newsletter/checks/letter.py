"""Checks of what readers would get: completeness, size, links, and the octets on the wire."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from html import escape
from ipaddress import ip_address
from urllib.parse import urlsplit

from newsletter.checks.draft import Draft
from newsletter.checks.message import LONGEST_LINE, check_message
from newsletter.compose.briefing import Story, plain
from newsletter.compose.findings import Finding, Severity
from newsletter.render.cut import ADDRESS, GREETING, JOINED, OPEN, UNSUBSCRIBE, link_slot
from newsletter.render.letter import Link
from newsletter.words import Words

# Gmail hides the end of a mail of about 102 KB, and with it the unsubscribe link.
CLIPPED_BYTES, NEARLY_CLIPPED_BYTES, CLIPPED_ENCODED_BYTES = 100_000, 85_000, 102_000
LARGEST_STYLE_BYTES, LARGE_STYLE_BYTES = 16_000, 12_000

# Each begins with one certain character, so that it is looked for seven times as fast; (?<!\w.) says
# that this character begins a word. In an address %EA%B0%80 is a letter, and waits for nothing.
_PLACEHOLDER = re.compile(
    r"\{\{.*?\}\}|\{%.*?%\}|\[\[.*?\]\]|\*\|.*?\|\*|i(?<!\w.)mage_link\b"
    r"|%(?<!%[0-9A-F]{2}%)(?![A-F]{2}%)%?[A-Z][A-Z_]+%%?"
    r"|L(?<!\w.)orem ipsum\b|l(?<!\w.)orem ipsum\b|T(?<!\w.)ODO\b|T(?<!\w.)K\b|X(?<!\w.)XX\b"
    r"|zq[0-9a-f]{12}x\d+z"
)
_STYLE = re.compile(r"<style[^>]*>(.*?)</style>", re.DOTALL)
_UNSUBSCRIBE = re.compile(rb"\r\nList-Unsubscribe: <([^>]+)>\r\n")
_HTML_PART = b"\r\nContent-Type: text/html"
_SHORTENERS = frozenset({"bit.ly", "t.co", "goo.gl", "tinyurl.com", "ow.ly", "is.gd", "t.cn"})


def placeholder_left(draft: Draft) -> Iterator[Finding]:
    compiled = draft.compiled
    texts = [compiled.subject, compiled.preheader, *(link.url for link in compiled.links)]
    texts += [text for sample in draft.samples for text in (sample.text, sample.html)]
    left = {found[0] for text in texts for found in _PLACEHOLDER.finditer(text)}
    for placeholder in sorted(left):
        yield _error(
            "placeholder-left",
            Words("“{placeholder}” still waits to be filled in.", placeholder=placeholder),
        )


def sentinel_count(draft: Draft) -> Iterator[Finding]:
    compiled = draft.compiled
    wanted = [GREETING, ADDRESS, JOINED, UNSUBSCRIBE]
    wanted += [OPEN] if compiled.masthead.is_tracked else []
    wanted += [link_slot(link.number) for link in compiled.links]
    counts = Counter(compiled.html.slots)
    for slot in wanted:
        if counts[slot] != 1:
            yield _error(
                "sentinel-count",
                Words(
                    "The HTML has {count} places for {slot} where it needs one; compile again.",
                    count=counts[slot],
                    slot=slot,
                ),
            )


def unsubscribe_missing(draft: Draft) -> Iterator[Finding]:
    for sample in draft.samples:
        match = _UNSUBSCRIBE.search(sample.raw)
        address = match[1].decode() if match else None
        if address is None or address not in sample.text or escape(address) not in sample.html:
            yield _error(
                "unsubscribe-missing",
                Words("The mail, its text or its HTML has no unsubscribe link."),
            )
            return


def postal_missing(draft: Draft) -> Iterator[Finding]:
    lines = draft.masthead.postal_lines
    if not lines:
        yield _error("postal-missing", Words("The list has no postal address; give it one."))
    for line in lines:
        if any(
            line not in s.text or escape(line, quote=False) not in s.html for s in draft.samples
        ):
            yield _error(
                "postal-missing",
                Words("“{line}” of the postal address is not in the mail.", line=line),
            )


def from_missing(draft: Draft) -> Iterator[Finding]:
    if not draft.masthead.sender_name.strip():
        yield _error(
            "from-missing", Words("The list has no sender's name; readers would not know it.")
        )


def text_missing(draft: Draft) -> Iterator[Finding]:
    if any(not sample.text.strip() for sample in draft.samples):
        yield _error("text-missing", Words("The mail has no plain text."))


def text_mismatch(draft: Draft) -> Iterator[Finding]:
    text, at = _squeezed(draft.samples[0].text), 0
    for story in draft.briefing.stories:
        headline = _squeezed(story.headline)
        found = text.find(headline, at)
        if headline not in text:
            yield _error(
                "text-mismatch",
                Words("“{headline}” is not in the plain text.", headline=story.headline),
            )
        elif found < 0:
            yield _warning(
                "text-mismatch",
                Words("“{headline}” stands elsewhere in plain text.", headline=story.headline),
            )
        at = max(at, found)


def html_clip(draft: Draft) -> Iterator[Finding]:
    size = max(len(sample.html.encode()) for sample in draft.samples)
    heaviest = ", ".join(f"“{story.headline}”" for story in _heaviest(draft.briefing.stories))
    if size > CLIPPED_BYTES:
        yield _error(
            "html-clip",
            Words(
                "The HTML has {size:.0f} KB; Gmail hides what is beyond {most:.0f} KB. The "
                "longest stories are {heaviest}.",
                size=size / 1000,
                most=CLIPPED_BYTES / 1000,
                heaviest=heaviest,
            ),
        )
    elif size > NEARLY_CLIPPED_BYTES:
        yield _warning(
            "html-clip",
            Words(
                "The HTML has {size:.0f} KB, close to the {most:.0f} KB beyond which Gmail "
                "hides it. The longest stories are {heaviest}.",
                size=size / 1000,
                most=CLIPPED_BYTES / 1000,
                heaviest=heaviest,
            ),
        )
    if size <= CLIPPED_BYTES and _largest_html_on_the_wire(draft) > CLIPPED_ENCODED_BYTES:
        yield _warning(
            "html-clip", Words("The HTML as it is sent is beyond what some mailboxes show.")
        )


def head_css_size(draft: Draft) -> Iterator[Finding]:
    size = sum(len(style.encode()) for style in _STYLE.findall(draft.samples[0].html))
    if size > LARGEST_STYLE_BYTES:
        yield _error(
            "head-css-size",
            Words("The style sheet has {size} bytes; Gmail drops all of it.", size=size),
        )
    elif size > LARGE_STYLE_BYTES:
        yield _warning(
            "head-css-size",
            Words("The style sheet has {size} bytes, close to Gmail's limit.", size=size),
        )


def line_too_long(draft: Draft) -> Iterator[Finding]:
    longest = max(len(line) for sample in draft.samples for line in sample.raw.split(b"\r\n"))
    if longest > LONGEST_LINE:
        yield _error(
            "line-too-long", Words("A line of the message has {longest} octets.", longest=longest)
        )


def link_bad(draft: Draft) -> Iterator[Finding]:
    for link in draft.compiled.links:
        if not link.url.startswith(f"{draft.masthead.base_url}/"):
            yield from _judged(link)


def message_invalid(draft: Draft) -> Iterator[Finding]:
    violations = {violation for sample in draft.samples for violation in check_message(sample.raw)}
    for violation in sorted(violations, key=lambda found: (found.requirement, found.message)):
        yield _error(
            "message-invalid",
            Words(
                "{requirement}: {message}.",
                requirement=violation.requirement,
                message=violation.message,
            ),
        )


def _judged(link: Link) -> Iterator[Finding]:
    try:
        parts = urlsplit(link.url)
        host = parts.hostname or ""
    except ValueError:
        yield _error("link-bad", Words("The link {url!r} cannot be read.", url=link.url))
        return
    if parts.scheme not in {"http", "https"} or not _is_public(host):
        yield _error(
            "link-bad", Words("The link {url!r} leads to no public web address.", url=link.url)
        )
    elif any(character.isspace() for character in link.url):
        yield _error("link-bad", Words("The link {url!r} holds a blank.", url=link.url))
    elif link.url.count(")") > link.url.count("("):
        yield _error(
            "link-bad",
            Words("The link {url!r} ends in a bracket of the text around it.", url=link.url),
        )
    elif host in _SHORTENERS:
        yield _warning(
            "link-bad", Words("The link {url!r} hides where it leads; filters mind.", url=link.url)
        )
    elif parts.scheme == "http":
        yield _warning("link-insecure", Words("The link {url!r} is not https.", url=link.url))


def _is_public(host: str) -> bool:
    try:
        return ip_address(host).is_global
    except ValueError:
        return "." in host and not host.endswith((".local", ".localhost", ".internal", ".lan"))


def _heaviest(stories: Iterable[Story]) -> list[Story]:
    return sorted(stories, key=lambda story: -sum(len(plain(p)) for p in story.paragraphs))[:3]


def _largest_html_on_the_wire(draft: Draft) -> int:
    return max(len(sample.raw) - sample.raw.find(_HTML_PART) for sample in draft.samples)


def _squeezed(text: str) -> str:
    return "".join(text.split())


def _error(code: str, message: Words) -> Finding:
    return Finding(code, Severity.ERROR, message)


def _warning(code: str, message: Words) -> Finding:
    return Finding(code, Severity.WARNING, message)
