"""Finds out who takes each recipient domain's mail, and keeps it on the domain's row.

Nothing is ever connected to: mail leaves through transports. What is asked for decides which
limits a domain's mail keeps to, and whether there is anybody to mail.
"""

import asyncio
import logging
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Engine, bindparam, exists, or_, select, update
from sqlalchemy.orm import Session

from newsletter.db import reading, transaction
from newsletter.deliver.providers import (
    provider_of_hosts,
    provider_of_name,
    route_numbers,
    site_of,
)
from newsletter.dns import Dns, MailHosts
from newsletter.errors import DnsError
from newsletter.models import OTHER, Domain, DomainVerdict, Subscriber

logger = logging.getLogger(__name__)

DOMAINS_A_TURN = 500
QUESTIONS_AT_ONCE = 50
SHORTEST = timedelta(minutes=5)
LONGEST = timedelta(days=1)
"""However long an answer says that it is good: providers move."""
MISSING_LONG = timedelta(hours=24)
"""A domain that is gone for less may have had an accident with its name servers."""
NEVER_IN_DNS = ("example", "invalid", "localhost", "test")
"""RFC 6761; nobody has to be asked."""


@dataclass(frozen=True, slots=True)
class Known:
    """What a domain's row says of it."""

    name: str
    route: int
    mx_site: str | None
    verdict: DomainVerdict
    missing_since: datetime | None


@dataclass(frozen=True, slots=True)
class Finding:
    """What the row is to say; `expires_at` is when to ask again."""

    route: int
    mx_site: str | None
    verdict: DomainVerdict
    missing_since: datetime | None
    expires_at: datetime


def judge(known: Known, answer: MailHosts, numbers: dict[str, int], *, now: datetime) -> Finding:
    """What an answer means for a domain; `numbers` are those of the providers' routes."""
    expires_at = now + min(LONGEST, max(SHORTEST, timedelta(seconds=answer.seconds)))
    if answer.hosts:
        route = numbers.get(provider_of_hosts(answer.hosts), OTHER)
        return Finding(route, site_of(answer.hosts), DomainVerdict.TAKES_MAIL, None, expires_at)
    if answer.is_refused:
        return Finding(known.route, None, DomainVerdict.NO_MAIL, None, expires_at)
    since = known.missing_since or now
    is_gone = now - since >= MISSING_LONG
    verdict = DomainVerdict.NO_MAIL if is_gone else known.verdict
    return Finding(known.route, known.mx_site, verdict, since, expires_at)


def judge_unanswered(known: Known, numbers: dict[str, int], *, again_at: datetime) -> Finding:
    """What is known stays, and else the name tells."""
    route = known.route or numbers.get(provider_of_name(known.name), OTHER)
    return Finding(route, known.mx_site, known.verdict, known.missing_since, again_at)


def resolve_domains(engine: Engine, dns: Dns | None, *, now: datetime) -> int:
    """Ask for the domains whose time has come, new ones first; returns how many they were.

    Without `dns` they are told by their names alone.
    """
    with reading(engine) as session:
        due = _due(session, now)
    if not due:
        return 0
    asked = {known.name for known in due.values() if dns and _is_in_dns(known.name)}
    answers = asyncio.run(_ask(dns, asked)) if dns else {}
    with transaction(engine) as session:
        numbers = route_numbers(session)
        findings = {}
        for domain_id, known in due.items():
            if known.name in answers:
                findings[domain_id] = judge(known, answers[known.name], numbers, now=now)
                continue
            again_at = now + (SHORTEST if known.name in asked else LONGEST)
            findings[domain_id] = judge_unanswered(known, numbers, again_at=again_at)
        _keep(session, findings)
    logger.info("domains resolved", extra={"asked": len(asked), "answered": len(answers)})
    return len(due)


def _is_in_dns(domain: str) -> bool:
    return domain.rpartition(".")[2] not in NEVER_IN_DNS


def _due(session: Session, now: datetime) -> dict[int, Known]:
    has_people = exists().where(Subscriber.domain_id == Domain.id)
    rows = session.execute(
        select(
            Domain.id,
            Domain.name,
            Domain.route,
            Domain.mx_site,
            Domain.verdict,
            Domain.missing_since,
        )
        .where(or_(Domain.expires_at.is_(None), Domain.expires_at <= now), has_people)
        .order_by(Domain.expires_at.is_not(None), Domain.expires_at, Domain.id.desc())
        .limit(DOMAINS_A_TURN)
    )
    return {row[0]: Known(*row[1:]) for row in rows}


async def _ask(dns: Dns, names: Collection[str]) -> dict[str, MailHosts]:
    """The answers that came; who has none could not be asked about."""
    free = asyncio.Semaphore(QUESTIONS_AT_ONCE)
    answers: dict[str, MailHosts] = {}

    async def ask(name: str) -> None:
        async with free:
            try:
                answers[name] = await dns.mail_hosts(name)
            except DnsError as error:
                logger.debug("domain not resolved", extra={"error": str(error)})

    await asyncio.gather(*(ask(name) for name in names))
    return answers


def _keep(session: Session, findings: dict[int, Finding]) -> None:
    session.connection().execute(
        update(Domain)
        .where(Domain.id == bindparam("domain_id"))
        .values(
            route=bindparam("new_route"),
            mx_site=bindparam("new_site"),
            verdict=bindparam("new_verdict"),
            missing_since=bindparam("new_missing_since"),
            expires_at=bindparam("new_expires_at"),
        ),
        [
            {
                "domain_id": domain_id,
                "new_route": finding.route,
                "new_site": finding.mx_site,
                "new_verdict": finding.verdict,
                "new_missing_since": finding.missing_since,
                "new_expires_at": finding.expires_at,
            }
            for domain_id, finding in findings.items()
        ],
    )
