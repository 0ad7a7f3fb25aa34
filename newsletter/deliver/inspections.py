"""Looks at a transport's server, or at a domain's DNS, for somebody who has asked on a page.

A worker does it: it sees them from where mail leaves, and no page waits for a server that is slow.
"""

from collections.abc import Callable, Iterator
from dataclasses import asdict
from datetime import datetime

from sqlalchemy import Engine, delete, select, update
from sqlalchemy.orm import Session

from newsletter.db import reading, transaction
from newsletter.deliver.diagnosis import Diagnosis, wrong
from newsletter.deliver.dkim_keys import keys_for
from newsletter.deliver.domain_records import check_domain, check_spf
from newsletter.deliver.greeting import check_greeting
from newsletter.deliver.reverse_names import check_reverse_names
from newsletter.dns import Dns
from newsletter.errors import DnsError
from newsletter.models import Inspection, InspectionKind, Transport
from newsletter.queue import Job, enqueue_after_commit
from newsletter.settings import Settings

Clock = Callable[[], datetime]


def ask_for(
    session: Session, kind: InspectionKind, key: str, *, by: str, now: datetime
) -> Inspection:
    """Have it looked at now; what was found before is forgotten."""
    session.execute(delete(Inspection).where(Inspection.kind == kind, Inspection.key == key))
    asked = Inspection(kind=kind, key=key, asked_at=now, asked_by=by, findings=[])
    session.add(asked)
    session.flush()
    enqueue_after_commit(session, Job.INSPECT, inspection_id=asked.id)
    return asked


def latest(session: Session, kind: InspectionKind) -> dict[str, Inspection]:
    """The last inspections of this kind, by what was inspected."""
    rows = session.scalars(select(Inspection).where(Inspection.kind == kind))
    return {row.key: row for row in rows}


def inspect(
    engine: Engine,
    inspection_id: int,
    *,
    settings: Settings,
    make_dns: Callable[[], Dns],
    clock: Clock,
) -> None:
    """Look, and write down what was found; for one that somebody began already, nothing."""
    begun = _begin(engine, inspection_id, clock())
    if begun is None:
        return
    findings = [asdict(found) for found in _look(engine, begun, settings, make_dns)]
    with transaction(engine) as session:
        session.execute(
            update(Inspection)
            .where(Inspection.id == inspection_id)
            .values(findings=findings, ended_at=clock())
        )


def _begin(engine: Engine, inspection_id: int, now: datetime) -> Inspection | None:
    with transaction(engine) as session:
        return session.scalar(
            update(Inspection)
            .where(Inspection.id == inspection_id, Inspection.begun_at.is_(None))
            .values(begun_at=now)
            .returning(Inspection)
        )


def _look(
    engine: Engine, begun: Inspection, settings: Settings, make_dns: Callable[[], Dns]
) -> Iterator[Diagnosis]:
    try:
        if begun.kind is InspectionKind.TRANSPORT:
            yield from _transport(engine, int(begun.key), settings, make_dns)
        else:
            yield from _domain(engine, begun.key, settings, make_dns())
    except DnsError as error:
        yield wrong("DNS", str(error), "Look at the name server that the workers ask.")


def _transport(
    engine: Engine, transport_id: int, settings: Settings, make_dns: Callable[[], Dns]
) -> Iterator[Diagnosis]:
    with reading(engine) as session:
        transport = session.get(Transport, transport_id)
    if transport is None:
        return
    yield check_greeting(transport, settings)
    yield from check_reverse_names(make_dns(), transport.host)


def _domain(engine: Engine, domain: str, settings: Settings, dns: Dns) -> Iterator[Diagnosis]:
    with reading(engine) as session:
        keys = keys_for(session, domain)
    yield check_spf(dns, settings.mail_domain)
    yield from check_domain(dns, domain, keys, mail_domain=settings.mail_domain)
