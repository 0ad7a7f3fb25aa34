"""A proof of a draft: compiled as its lists would send it, and checked; nothing is stored."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from newsletter.checks.draft import make_draft
from newsletter.checks.registry import run_checks
from newsletter.compose.content import DraftContent
from newsletter.compose.findings import Finding, Severity
from newsletter.models import Edition, MailingList
from newsletter.plan.editions import masthead_of
from newsletter.render.compiled import Compiled
from newsletter.render.preview import compile_draft
from newsletter.settings import Settings
from newsletter.tokens import Tokens


@dataclass(frozen=True, slots=True)
class Proof:
    """`compiled` is in the dress of the first list, `findings` are those of all of them."""

    compiled: Compiled
    findings: tuple[Finding, ...]


def proof_of(
    content: DraftContent,
    edition: Edition,
    lists: Sequence[MailingList],
    *,
    read: Iterable[Finding],
    settings: Settings,
    now: datetime,
) -> Proof:
    """As each of `lists` would send it; `read` is what was found when its text was read.

    Raises `InputError` and `RenderError` as compiling does.
    """
    tokens = Tokens(settings.secret_keys)
    known = tuple(read)
    found: dict[Finding, None] = {}
    dresses = [compile_as(each, content, edition, settings=settings) for each in lists]
    for compiled in dresses:
        draft = make_draft(content.briefing, compiled, tokens=tokens, date=now)
        found.update(dict.fromkeys(run_checks(draft, read=known)))
    by_weight = sorted(found, key=lambda each: list(Severity).index(each.severity))
    return Proof(dresses[0], tuple(by_weight))


def compile_as(
    mailing_list: MailingList, content: DraftContent, edition: Edition, *, settings: Settings
) -> Compiled:
    """The draft in the dress of one of its lists. Raises `InputError` and `RenderError` as compiling
    does.
    """
    return compile_draft(
        content.briefing,
        masthead_of(mailing_list, settings),
        public_id=edition.public_id,
        subject=content.subject_line,
        preheader=content.preheader_line,
    )
