"""Whether the address of a relay has a name that leads back to it."""

from collections.abc import Mapping, Sequence

import pytest

from newsletter.deliver.diagnosis import Health
from newsletter.deliver.reverse_names import check_reverse_names
from newsletter.dns import Dns
from tests.nameserver import running_nameserver

HOST = "relay.harbour.example"
FORWARD = {("A", HOST): ["9.9.9.10"]}
REVERSE = ("PTR", "10.9.9.9.in-addr.arpa")
Records = Mapping[tuple[str, str], Sequence[str]]


@pytest.mark.parametrize(
    ("host", "records", "health", "words"),
    [
        (HOST, {**FORWARD, REVERSE: [f"{HOST}."]}, Health.OK, f"{HOST}, which leads back"),
        ("9.9.9.10", {**FORWARD, REVERSE: [f"{HOST}."]}, Health.OK, f"{HOST}, which leads back"),
        (HOST, FORWARD, Health.ERROR, "no name"),
        (HOST, {**FORWARD, REVERSE: ["other.example."]}, Health.ERROR, "does not lead back"),
        (
            HOST,
            {**FORWARD, REVERSE: ["lost.example.", f"{HOST}."]},
            Health.OK,
            f"{HOST}, which leads back",
        ),
        (HOST, {("AAAA", HOST): ["2606:4700::1111"]}, Health.ERROR, "no name"),
        (HOST, {("A", HOST): ["10.0.0.7"]}, Health.WARNING, "private"),
        ("localhost", {}, Health.WARNING, "private"),
        ("gone.example", {}, Health.ERROR, "no address"),
    ],
)
def test_the_name_of_a_relays_address(
    host: str, records: Records, health: Health, words: str
) -> None:
    with running_nameserver({}, others=records) as nameserver:
        (diagnosis,) = check_reverse_names(Dns(nameserver), host)

    assert (diagnosis.health, words in diagnosis.finding) == (health, True), diagnosis
