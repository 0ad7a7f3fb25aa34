import pytest
from sqlalchemy import Engine, select

from newsletter.db import transaction
from newsletter.deliver.providers import (
    LONGEST_SITE,
    provider_of_hosts,
    provider_of_name,
    providers,
    route_numbers,
    routes,
    set_limits,
    site_of,
)
from newsletter.errors import InputError, NotFoundError
from newsletter.models import OTHER, Route
from newsletter.plan.rates import Rate


@pytest.mark.parametrize(
    ("host", "provider"),
    [
        ("aspmx.l.google.com", "google"),
        ("alt1.aspmx.l.googlemail.com", "google"),
        ("mta5.am0.yahoodns.net", "yahoo"),
        ("outlook-com.olc.protection.outlook.com", "outlook"),
        ("harbour-example.mail.protection.outlook.com", "office365"),
        ("harbour-example.a-v1.mx.microsoft", "office365"),
        ("mx01.mail.icloud.com", "apple"),
        ("mx00.gmx.net", "gmx"),
        ("smtp-in.orange.fr", "orange"),
        ("mx1.comcast.net", "comcast"),
        ("comcast.net", "comcast"),
        ("us-smtp-inbound-1.mimecast.com", "mimecast"),
        ("d1.ess.barracudanetworks.com", "barracuda"),
        ("mx3.qq.com", "qq"),
        ("163mx01.mxmail.netease.com", "netease"),
        ("notgoogle.com", "other"),
        ("google.com.evil.test", "other"),
        ("notcomcast.net", "other"),
    ],
)
def test_r20_a_provider_is_told_by_its_mail_hosts(host: str, provider: str) -> None:
    assert provider_of_hosts([host]) == provider


@pytest.mark.parametrize(
    ("domain", "provider"),
    [("gmail.com", "google"), ("web.de", "gmx"), ("harbour.test", "other"), ("", "other")],
)
def test_r20_without_dns_a_provider_is_told_by_its_domains(domain: str, provider: str) -> None:
    assert provider_of_name(domain) == provider


def test_r20_no_two_providers_have_the_same_hosts_or_domains() -> None:
    suffixes = [suffix for provider in providers().values() for suffix in provider.mx]
    domains = [domain for provider in providers().values() for domain in provider.domains]

    assert len(set(suffixes)) == len(suffixes)
    assert len(set(domains)) == len(domains)
    for suffix in suffixes:
        assert provider_of_hosts([f"mx{suffix}" if suffix[0] == "." else suffix]) != "other"


def test_r20_everybody_else_has_the_default_for_each_site() -> None:
    other = providers()["other"]

    assert (other.limit.connections, str(other.limit.rate)) == (10, "100/s")
    assert other.limit.messages_per_connection == 100
    assert other.is_per_site


def test_a_site_is_the_set_of_its_hosts() -> None:
    assert site_of(["b.test", "a.test", "b.test"]) == site_of(["a.test", "b.test"])
    assert len(site_of([f"mail-host-number-{number}.test" for number in range(50)])) < LONGEST_SITE


def test_routes_keep_their_numbers(engine: Engine) -> None:
    with transaction(engine) as session:
        first = route_numbers(session)

    with transaction(engine) as session:
        second = route_numbers(session)

    assert first == second
    assert first["other"] == OTHER
    assert set(first) == set(providers())
    assert sorted(first.values()) == list(range(len(first)))


def test_a_provider_that_is_new_in_the_table_gets_the_next_number(engine: Engine) -> None:
    with transaction(engine) as session:
        session.add(Route(id=40, name="an older provider"))

    with transaction(engine) as session:
        numbers = route_numbers(session)

    assert numbers["an older provider"] == 40
    assert min(number for name, number in numbers.items() if name in ("google", "qq")) > 40


def test_what_the_operator_set_comes_before_the_table(engine: Engine) -> None:
    with transaction(engine) as session:
        set_limits(session, "google", connections=2, rate=Rate.parse("100/min"))
        set_limits(session, "yahoo", connections=3, rate=None)
        set_limits(session, "yahoo", connections=None, rate=None)

    with transaction(engine) as session:
        limits = {each.name: each.limit for each in routes(session).values()}

    assert (limits["google"].connections, str(limits["google"].rate)) == (2, "100/min")
    assert limits["yahoo"] == providers()["yahoo"].limit


def test_limits_that_make_no_sense_are_refused(engine: Engine) -> None:
    with transaction(engine) as session:
        with pytest.raises(NotFoundError, match="newsletter route list"):
            set_limits(session, "nobody", connections=1, rate=None)
        with pytest.raises(InputError, match="1 to 1000"):
            set_limits(session, "google", connections=0, rate=None)

        assert session.scalars(select(Route.rate).where(Route.name == "google")).one() is None
