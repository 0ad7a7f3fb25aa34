import asyncio

import dns.rcode
import pytest

from newsletter.dns import Dns, MailHosts
from newsletter.errors import DnsError, InputError
from tests.nameserver import running_nameserver


def test_a_record_of_several_strings_is_one_text() -> None:
    with running_nameserver({"a.example": ["v=DKIM1; p=one\ttwo", "another"]}) as address:
        assert sorted(Dns(address).txt("a.example")) == ["another", "v=DKIM1; p=onetwo"]


def test_a_name_without_records_has_none() -> None:
    with running_nameserver({"a.example": []}) as address:
        assert Dns(address).txt("a.example") == ()
        assert Dns(address).txt("b.example") == ()


def test_a_server_in_trouble_is_no_proof_of_absence() -> None:
    with (
        running_nameserver({}, rcode=dns.rcode.SERVFAIL) as address,
        pytest.raises(DnsError, match=r"a\.example"),
    ):
        Dns(address).txt("a.example")


@pytest.mark.parametrize("nameserver", ["dns.example", "1.2.3", "127.0.0.1:dns", ""])
def test_a_name_server_is_given_by_its_address(nameserver: str) -> None:
    with pytest.raises(InputError, match="name server"):
        Dns(nameserver)


MAIL = {
    ("MX", "two.test"): ["20 backup.two.test.", "10 MX1.two.test.", "10 mx2.two.test."],
    ("MX", "none.test"): ["0 ."],
    ("A", "itself.test"): ["192.0.2.1"],
    ("TXT", "empty.test"): ["words"],
}


@pytest.mark.parametrize(
    ("domain", "answer"),
    [
        ("two.test", MailHosts(("mx1.two.test", "mx2.two.test"), 60)),
        ("none.test", MailHosts((), 60, is_refused=True)),
        ("itself.test", MailHosts(("itself.test",), 60)),
        ("empty.test", MailHosts((), 0)),
        ("gone.test", MailHosts((), 0)),
    ],
)
def test_mail_goes_to_the_preferred_hosts(domain: str, answer: MailHosts) -> None:
    with running_nameserver({}, others=MAIL) as address:
        assert asyncio.run(Dns(address).mail_hosts(domain)) == answer


def test_a_server_in_trouble_does_not_say_that_there_is_no_mail() -> None:
    with (
        running_nameserver({}, rcode=dns.rcode.SERVFAIL) as address,
        pytest.raises(DnsError, match=r"a\.test"),
    ):
        asyncio.run(Dns(address).mail_hosts("a.test"))
