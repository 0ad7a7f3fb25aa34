import dns.rcode
import pytest

from newsletter.dns import Dns
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
