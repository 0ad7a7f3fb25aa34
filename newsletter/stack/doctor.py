"""Looks at an installation from the outside, and says what is wrong and what to do about it."""

from collections.abc import Iterator
from datetime import datetime
from ipaddress import ip_network

import redis
from sqlalchemy import Engine, select
from sqlalchemy.exc import SQLAlchemyError

from newsletter.accounts.people import able_accounts
from newsletter.accounts.roles import Role
from newsletter.addresses import parse_address
from newsletter.db import reading
from newsletter.deliver import pump
from newsletter.deliver.diagnosis import Diagnosis, Health, doubtful, fine, wrong
from newsletter.deliver.dkim_keys import keys_for
from newsletter.deliver.domain_records import check_domain, check_spf
from newsletter.deliver.greeting import check_greeting
from newsletter.deliver.reverse_names import check_reverse_names
from newsletter.dns import Dns
from newsletter.errors import DnsError
from newsletter.models import MailingList, Transport, schema
from newsletter.queue import Queue
from newsletter.redis import BEAT_RANG, PUMP_TURNED, SERVED
from newsletter.settings import SAMPLE_SECRET, Settings

REDIS_SECONDS = 5.0


def examine(settings: Settings, engine: Engine, dns: Dns, *, now: datetime) -> Iterator[Diagnosis]:
    yield _settings(settings)
    yield from _proxies(settings)
    database = _database(engine)
    yield database
    yield from _redis(settings, now)
    if database.health is not Health.OK:
        return  # transports and lists are rows
    yield _accounts(engine)
    yield from _transports(settings, engine)
    yield from _reverse_names(engine, dns)
    yield from _domains(settings, engine, dns)


def _settings(settings: Settings) -> Diagnosis:
    if settings.env == "production":
        return fine("settings", "They are fit for production.")
    secrets = {secret for _, secret in settings.secret_keys} | {settings.address_key}
    has_sample = SAMPLE_SECRET in secrets
    return doubtful(
        "settings",
        f"This is a development installation{', with sample secrets' * has_sample}.",
        "Set NEWSLETTER_ENV=production before anybody is mailed.",
    )


def _proxies(settings: Settings) -> Iterator[Diagnosis]:
    """Sign-ups and sign-ins are limited by the address they come from, which a proxy has to tell."""
    proxies = [
        ip_network(each.strip(), strict=False)
        for each in (settings.trusted_proxies or "").split(",")
        if each.strip()
    ]
    if any(proxy.prefixlen == 0 for proxy in proxies):
        remedy = "Name the proxies alone in NEWSLETTER_TRUSTED_PROXIES."
        yield wrong("proxies", "Everybody is trusted to say what address they have.", remedy)
    elif not proxies and settings.env == "production":
        remedy = "Name the proxy that ends TLS in NEWSLETTER_TRUSTED_PROXIES."
        found = "None is trusted, so that all visitors seem to come from the proxy's own address."
        yield doubtful("proxies", found, remedy)


def _database(engine: Engine) -> Diagnosis:
    try:
        is_current = schema.is_current(engine.execution_options(sqlite_begin="DEFERRED"))
    except SQLAlchemyError as error:
        remedy = "Start it, or correct NEWSLETTER_DATABASE_URL."
        return wrong("database", f"It cannot be reached ({type(error).__name__}).", remedy)
    if not is_current:
        remedy = "Run: newsletter db upgrade"
        return wrong("database", "Its tables are not those of this version.", remedy)
    return fine("database", f"{engine.dialect.name}, at this version.")


def _redis(settings: Settings, now: datetime) -> Iterator[Diagnosis]:
    client = redis.Redis.from_url(
        settings.redis_url, socket_timeout=REDIS_SECONDS, socket_connect_timeout=REDIS_SECONDS
    )
    try:
        with client:
            turned, rang = _instant(client.get(PUMP_TURNED)), _instant(client.get(BEAT_RANG))
            served = {queue: _instant(client.get(SERVED + queue)) for queue in Queue}
            policy = client.info("memory").get("maxmemory_policy", "noeviction")
    except redis.RedisError as error:
        remedy = "Start it, or correct NEWSLETTER_REDIS_URL."
        yield wrong("redis", f"It cannot be reached ({type(error).__name__}).", remedy)
        return
    if policy == "noeviction":
        yield fine("redis", "It answers, and evicts nothing.")
    else:
        remedy = "Set its maxmemory-policy to noeviction: it throws readers' opens and clicks away."
        yield doubtful("redis", f"Its maxmemory-policy is {policy}.", remedy)
    yield _recent("beat", rang, now, "Start beat: celery --app workers.app beat")
    yield _recent("pump", turned, now, "Start beat, and a worker of the queue upkeep.")
    for queue, last_at in served.items():
        remedy = f"Start one: celery --app workers.app worker -Q {queue}"
        yield _recent(f"worker of the queue {queue}", last_at, now, remedy)


def _instant(stored: object) -> datetime | None:
    return datetime.fromisoformat(stored.decode()) if isinstance(stored, bytes) else None


def _recent(subject: str, last_at: datetime | None, now: datetime, remedy: str) -> Diagnosis:
    if last_at is None:
        return wrong(subject, "It has never run.", remedy)
    rests = now - last_at
    if rests > pump.RESTS:
        return wrong(subject, f"It last ran {rests.total_seconds():.0f} s ago.", remedy)
    return fine(subject, f"It ran {max(rests.total_seconds(), 0):.0f} s ago.")


def _accounts(engine: Engine) -> Diagnosis:
    with reading(engine) as session:
        people = able_accounts(session, Role.VIEWER, ())
    if not people:
        remedy = 'Let yourself in: newsletter account create ADDRESS --name "NAME" --admin --link'
        return doubtful("accounts", "Nobody can sign in to the pages for staff.", remedy)
    return fine("accounts", f"{len(people)} people can sign in.")


def _transports(settings: Settings, engine: Engine) -> Iterator[Diagnosis]:
    with reading(engine) as session:
        transports = session.scalars(select(Transport).order_by(Transport.id)).all()
    if not transports:
        remedy = "Add one with: newsletter transport set NAME"
        yield wrong("transports", "There is none.", remedy)
    for transport in transports:
        yield check_greeting(transport, settings)


def _reverse_names(engine: Engine, dns: Dns) -> Iterator[Diagnosis]:
    with reading(engine) as session:
        hosts = session.scalars(select(Transport.host).distinct().order_by(Transport.host)).all()
    for host in hosts:
        try:
            yield from check_reverse_names(dns, host)
        except DnsError as error:
            yield doubtful(f"PTR of {host}", str(error), "Look at the name server.")


def _domains(settings: Settings, engine: Engine, dns: Dns) -> Iterator[Diagnosis]:
    with reading(engine) as session:
        addresses = session.scalars(select(MailingList.sender_address)).all()
        domains = sorted({parse_address(address).domain for address in addresses})
        keys = {domain: keys_for(session, domain) for domain in domains}
    try:
        if domains:
            yield check_spf(dns, settings.mail_domain)
        for domain in domains:
            yield from check_domain(dns, domain, keys[domain], mail_domain=settings.mail_domain)
    except DnsError as error:
        yield wrong("DNS", str(error), "Look at the name server, or give one with --nameserver.")
