from datetime import UTC, datetime, timedelta

import dns.rcode
import pytest
from sqlalchemy import Engine, select

from newsletter.db import reading, transaction
from newsletter.deliver import resolver
from newsletter.deliver.providers import route_numbers
from newsletter.deliver.resolver import Known, judge, resolve_domains
from newsletter.dns import Dns, MailHosts
from newsletter.models import OTHER, Domain, DomainVerdict, Subscriber
from tests.nameserver import running_nameserver

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
MAIL = {
    ("MX", "harbour.org"): ["10 aspmx.l.google.com.", "20 alt.aspmx.l.google.com."],
    ("MX", "quay.org"): ["10 mx2.hoster.net.", "10 mx1.hoster.net."],
    ("MX", "pier.org"): ["10 mx1.hoster.net.", "10 mx2.hoster.net."],
    ("MX", "silent.org"): ["0 ."],
    ("MX", "gmail.com"): ["5 gmail-smtp-in.l.google.com."],
}


def add_domains(engine: Engine, *names: str, people: int = 1) -> None:
    with transaction(engine) as session:
        for name in names:
            domain = Domain(name=name)
            session.add(domain)
            session.flush()
            for number in range(people):
                session.add(
                    Subscriber(
                        address=f"{number}@{name}",
                        address_key=f"{number}@{name}",
                        address_hash=b"",
                        domain_id=domain.id,
                        created_at=NOON,
                    )
                )


def domain(engine: Engine, name: str) -> Domain:
    with reading(engine) as session:
        return session.scalars(select(Domain).where(Domain.name == name)).one()


def route_of(engine: Engine, name: str) -> str:
    with transaction(engine) as session:
        names = {number: route for route, number in route_numbers(session).items()}
    return names[domain(engine, name).route]


def test_r20_a_domain_is_routed_by_its_mail_hosts(engine: Engine) -> None:
    add_domains(engine, "harbour.org", "quay.org", "pier.org")

    with running_nameserver({}, others=MAIL) as address:
        assert resolve_domains(engine, Dns(address), now=NOON) == 3

    assert route_of(engine, "harbour.org") == "google"
    assert route_of(engine, "quay.org") == "other"
    assert domain(engine, "quay.org").mx_site == domain(engine, "pier.org").mx_site
    assert domain(engine, "quay.org").verdict is DomainVerdict.TAKES_MAIL


def test_r20_an_answer_is_asked_for_again_when_it_has_become_too_old(engine: Engine) -> None:
    add_domains(engine, "quay.org")
    with running_nameserver({}, others=MAIL) as address:
        resolve_domains(engine, Dns(address), now=NOON)

        # The records say 60 seconds; less than five minutes is not asked for.
        soon = NOON + timedelta(minutes=5)
        assert resolve_domains(engine, Dns(address), now=soon - SECOND) == 0
        assert resolve_domains(engine, Dns(address), now=soon) == 1


@pytest.mark.parametrize(
    ("seconds", "minutes"), [(0, 5), (299, 5), (3600, 60), (86_400 * 7, 24 * 60)]
)
def test_r20_an_answer_is_good_for_its_time_within_bounds(seconds: int, minutes: int) -> None:
    known = Known("quay.org", OTHER, None, DomainVerdict.UNKNOWN, None)

    finding = judge(known, MailHosts(("mx.quay.org",), seconds), {}, now=NOON)

    assert finding.expires_at == NOON + timedelta(minutes=minutes)


def test_r20_when_dns_fails_what_is_known_stays(engine: Engine) -> None:
    add_domains(engine, "quay.org", "gmail.com")
    with running_nameserver({}, others=MAIL) as address:
        resolve_domains(engine, Dns(address), now=NOON)
    site = domain(engine, "quay.org").mx_site
    add_domains(engine, "gmx.de")

    later = NOON + timedelta(days=1)
    with running_nameserver({}, rcode=dns.rcode.SERVFAIL) as address:
        assert resolve_domains(engine, Dns(address), now=later) == 3

    assert (site, "google") == (domain(engine, "quay.org").mx_site, route_of(engine, "gmail.com"))
    assert route_of(engine, "gmx.de") == "gmx"
    assert domain(engine, "gmx.de").verdict is DomainVerdict.UNKNOWN
    assert domain(engine, "gmx.de").expires_at == later + timedelta(minutes=5)


def test_r25_a_domain_that_refuses_all_mail_is_believed_at_once(engine: Engine) -> None:
    add_domains(engine, "silent.org")

    with running_nameserver({}, others=MAIL) as address:
        resolve_domains(engine, Dns(address), now=NOON)

    assert domain(engine, "silent.org").verdict is DomainVerdict.NO_MAIL


def test_r25_a_domain_that_is_gone_must_be_gone_for_a_day(engine: Engine) -> None:
    add_domains(engine, "gone.org")
    with running_nameserver({}) as address:
        for hours in (0, 1, 23):
            resolve_domains(engine, Dns(address), now=NOON + timedelta(hours=hours))
            assert domain(engine, "gone.org").verdict is DomainVerdict.UNKNOWN

        resolve_domains(engine, Dns(address), now=NOON + timedelta(hours=24))

    assert domain(engine, "gone.org").verdict is DomainVerdict.NO_MAIL


def test_r25_a_domain_that_comes_back_is_there(engine: Engine) -> None:
    add_domains(engine, "quay.org")
    with running_nameserver({}) as address:
        resolve_domains(engine, Dns(address), now=NOON)
    with running_nameserver({}, others=MAIL) as address:
        resolve_domains(engine, Dns(address), now=NOON + timedelta(hours=20))

    with running_nameserver({}) as address:
        resolve_domains(engine, Dns(address), now=NOON + timedelta(hours=40))

    assert domain(engine, "quay.org").verdict is DomainVerdict.TAKES_MAIL


def test_without_dns_the_names_tell(engine: Engine) -> None:
    add_domains(engine, "gmail.com", "quay.org")

    assert resolve_domains(engine, None, now=NOON) == 2

    assert route_of(engine, "gmail.com") == "google"
    assert domain(engine, "quay.org").route == OTHER
    assert resolve_domains(engine, None, now=NOON + timedelta(hours=23)) == 0


def test_nobody_is_asked_about_names_that_are_never_in_dns(engine: Engine) -> None:
    add_domains(engine, "readers.example")

    with running_nameserver({}) as address:
        resolve_domains(engine, Dns(address), now=NOON)

    assert domain(engine, "readers.example").missing_since is None


def test_domains_without_people_are_left_alone_and_new_ones_come_first(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resolver, "DOMAINS_A_TURN", 2)
    add_domains(engine, "empty.org", people=0)
    add_domains(engine, "old.org")
    resolve_domains(engine, None, now=NOON)
    add_domains(engine, "new1.org", "new2.org")

    assert resolve_domains(engine, None, now=NOON + timedelta(days=2)) == 2

    expiries = {name: domain(engine, name).expires_at for name in ("new1.org", "new2.org")}
    assert set(expiries.values()) == {NOON + timedelta(days=3)}
    assert domain(engine, "empty.org").expires_at is None
