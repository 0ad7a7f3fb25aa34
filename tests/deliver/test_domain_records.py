"""H-10, H-14: what DNS has to say of a sender's domain."""

from collections.abc import Mapping, Sequence

import pytest

from newsletter.deliver.diagnosis import Health
from newsletter.deliver.dkim_keys import DnsRecord
from newsletter.deliver.domain_records import check_alignment, check_dkim, check_dmarc, check_spf
from newsletter.dns import Dns
from tests.nameserver import running_nameserver

OK, WARNING, ERROR = Health.OK, Health.WARNING, Health.ERROR
DOMAIN = "harbour.example"
KEY = DnsRecord("s1._domainkey.harbour.example", "v=DKIM1; k=rsa; p=QUJD")

Zone = Mapping[str, Sequence[str]]


def deep(depth: int) -> dict[str, list[str]]:
    """A domain whose record includes the next, `depth` times."""
    chain = {f"i{n}.example": [f"v=spf1 include:i{n + 1}.example -all"] for n in range(1, depth)}
    return {
        DOMAIN: ["v=spf1 include:i1.example ~all"],
        **chain,
        f"i{depth}.example": ["v=spf1 ip4:192.0.2.1 -all"],
    }


@pytest.mark.parametrize(
    ("zone", "health", "words"),
    [
        ({}, ERROR, "no record"),
        ({DOMAIN: ["hello", "v=spf10 -all"]}, ERROR, "no record"),
        ({DOMAIN: ["V=SPF1 ip4:192.0.2.0/24 -all", "hello"]}, OK, "0 look-ups"),
        ({DOMAIN: ["v=spf1 a mx/24 +exists:%{i}.x ?ptr all"]}, OK, "4 look-ups"),
        ({DOMAIN: ["v=spf1 -all", "v=spf1 mx -all"]}, ERROR, "2 records"),
        (deep(10), OK, "10 look-ups"),
        (deep(11), ERROR, "more than 10"),
        ({DOMAIN: ["v=spf1 redirect=harbour.example"]}, ERROR, "more than 10"),
    ],
)
def test_spf(zone: Zone, health: Health, words: str) -> None:
    with running_nameserver(zone) as address:
        diagnosis = check_spf(Dns(address), DOMAIN)

    assert (diagnosis.health, words in diagnosis.finding) == (health, True), diagnosis


@pytest.mark.parametrize(
    ("records", "health", "words"),
    [
        ([], ERROR, "not published"),
        (["v=DKIM1; k=rsa; p=QUJD"], OK, "matches"),
        (["p=QU\tJD"], OK, "matches"),
        (["v=DKIM1;k=rsa;p=QUJE"], ERROR, "another key"),
        (["v=DKIM1; k=rsa; p="], ERROR, "another key"),
        (["v=DKIM1; k=ed25519; p=QUJD"], ERROR, "another kind"),
        (["v=DKIM1; k=rsa; t=y:s; p=QUJD"], WARNING, "a test"),
        (["v=DKIM1; k=rsa; p=QUJD", "v=DKIM1; k=rsa; p=QUJE"], ERROR, "2 records"),
    ],
)
def test_dkim(records: list[str], health: Health, words: str) -> None:
    with running_nameserver({KEY.name: records}) as address:
        diagnosis = check_dkim(Dns(address), KEY)

    assert (diagnosis.health, words in diagnosis.finding) == (health, True), diagnosis


@pytest.mark.parametrize(
    ("zone", "health", "words"),
    [
        ({}, ERROR, "no record"),
        ({"_dmarc.news.harbour.example": ["v=DMARC1; p=none"]}, OK, "p=none"),
        ({"_dmarc.news.harbour.example": ["v=DMARC1; rua=mailto:a@b.example; np=reject; p=reject"]}, OK, "p=reject"),
        ({"_dmarc.harbour.example": ["v=DMARC1; p=quarantine"]}, OK, "from harbour.example"),
        ({"_dmarc.news.harbour.example": ["v=DMARC1"]}, WARNING, "no policy"),
        ({"_dmarc.news.harbour.example": ["v=DMARC1; p=none", "v=DMARC1; p=reject"]}, ERROR, "2 records"),
        ({"news.harbour.example": ["v=DMARC1; p=none"]}, ERROR, "is at news.harbour.example"),
        ({"_dmarc.news.harbour.example": ["v=DMARC2; p=none"]}, ERROR, "no record"),
    ],
)  # fmt: skip
def test_dmarc(zone: Zone, health: Health, words: str) -> None:
    with running_nameserver(zone) as address:
        diagnosis = check_dmarc(Dns(address), "news.harbour.example")

    assert (diagnosis.health, words in diagnosis.finding) == (health, True), diagnosis


@pytest.mark.parametrize(
    ("zone", "health", "words"),
    [
        ({"_dmarc.harbour.example": ["v=DMARC1; p=none"]}, OK, "belong to harbour.example"),
        ({}, WARNING, "different organisations"),
        (
            {
                "_dmarc.example": ["v=DMARC1; p=none; psd=y"],
                "_dmarc.mail.harbour.example": ["v=DMARC1; p=none"],
            },
            OK,
            "belong to harbour.example",
        ),
        (
            {
                "_dmarc.harbour.example": ["v=DMARC1; p=none"],
                "_dmarc.mail.harbour.example": ["v=DMARC1; p=none; psd=n"],
            },
            WARNING,
            "different organisations",
        ),
    ],
)
def test_alignment_follows_the_tree_of_rfc_9989(zone: Zone, health: Health, words: str) -> None:
    with running_nameserver(zone) as address:
        (diagnosis,) = check_alignment(Dns(address), DOMAIN, others=["mail.harbour.example"])

    assert (diagnosis.health, words in diagnosis.finding) == (health, True), diagnosis


def test_of_a_long_name_only_the_last_seven_labels_are_walked() -> None:
    long = "a.b.c.d.e.f.g.h.harbour.example"
    zone = {"_dmarc.c.d.e.f.g.h.harbour.example": ["v=DMARC1; p=reject"]}

    with running_nameserver(zone) as address:
        skipped = check_dmarc(Dns(address), long)
    with running_nameserver({"_dmarc.harbour.example": ["v=DMARC1; p=none"]}) as address:
        reached = check_dmarc(Dns(address), long)

    assert (skipped.health, reached.health) == (ERROR, OK)
