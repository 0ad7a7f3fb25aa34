"""Proofs of a draft: compiled as a list would send it and checked, while nothing is stored."""

import json
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from functools import lru_cache

from newsletter.checks.draft import make_draft
from newsletter.checks.registry import run_checks
from newsletter.compose.briefing import from_json, to_json
from newsletter.compose.content import DraftContent
from newsletter.compose.findings import Finding
from newsletter.models import Edition, MailingList
from newsletter.plan.editions import masthead_of
from newsletter.render.compile import compile_edition
from newsletter.render.compiled import Compiled
from newsletter.render.masthead import Masthead
from newsletter.settings import Settings
from newsletter.tokens import Tokens

# A proof has about 200 KB; somebody who types needs the last one, a page that is reloaded the same.
_MOST_KEPT = 32


@dataclass(frozen=True, slots=True)
class Proof:
    compiled: Compiled
    findings: tuple[Finding, ...]


def proof_of(
    content: DraftContent,
    edition: Edition,
    mailing_list: MailingList,
    *,
    settings: Settings,
    today: date,
) -> Proof:
    """Kept by content: the same draft is compiled once. Raises `RenderError` as compiling does."""
    return _proof(
        json.dumps(to_json(content.briefing), ensure_ascii=False),
        content.subject_line,
        content.preheader_line,
        masthead_of(mailing_list, settings),
        edition_id=edition.id,
        public_id=edition.public_id,
        secret_keys=settings.secret_keys,
        today=today,
    )


@lru_cache(maxsize=_MOST_KEPT)
def _proof(
    briefing_json: str,
    subject: str,
    preheader: str,
    masthead: Masthead,
    *,
    edition_id: int,
    public_id: str,
    secret_keys: tuple[tuple[int, str], ...],
    today: date,
) -> Proof:
    briefing = from_json(json.loads(briefing_json))
    compiled = compile_edition(
        briefing,
        masthead,
        edition_id=edition_id,
        public_id=public_id,
        subject=subject,
        preheader=preheader,
    )
    noon = datetime.combine(today, time(12), UTC)
    draft = make_draft(briefing, compiled, tokens=Tokens(secret_keys), date=noon)
    return Proof(compiled, tuple(run_checks(draft)))
