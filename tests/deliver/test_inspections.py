"""What a worker finds when it looks at a transport or a domain for somebody."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, select

from newsletter.clock import utc_now
from newsletter.db import reading, transaction
from newsletter.deliver import greeting
from newsletter.deliver.inspections import ask_for, inspect, latest
from newsletter.devmail.peer import DevMail
from newsletter.devmail.script import Delay, Phase, Rule, Script
from newsletter.dns import Dns
from newsletter.errors import DnsError
from newsletter.models import Inspection, InspectionKind
from newsletter.settings import Settings
from tests.nameserver import running_nameserver
from tests.newsroom import MORNING, add_transport
from tests.smtpd import checked_devmail, smtpd

__all__ = ["smtpd"]

TRANSPORT, DOMAIN = InspectionKind.TRANSPORT, InspectionKind.DOMAIN


@pytest.fixture
def nameserver() -> Iterator[str]:
    zone = {
        "mail.harbour.example": ["v=spf1 ip4:192.0.2.1 -all"],
        "_dmarc.harbour.example": ["v=DMARC1; p=none"],
    }
    with running_nameserver(zone) as address:
        yield address


def ask(engine: Engine, kind: InspectionKind, key: str) -> int:
    with transaction(engine) as session:
        return ask_for(session, kind, key, by="Ada", now=MORNING).id


def look(engine: Engine, inspection_id: int, settings: Settings, nameserver: str) -> None:
    inspect(
        engine,
        inspection_id,
        settings=settings,
        make_dns=lambda: Dns(nameserver),
        clock=utc_now,
    )


def findings(engine: Engine, kind: InspectionKind, key: str) -> dict[str, str]:
    """Health by subject."""
    with reading(engine) as session:
        kept = latest(session, kind)[key]
    assert kept.ended_at is not None
    return {found["subject"]: found["health"] for found in kept.findings}


def test_a_transport_is_greeted_and_its_name_looked_up(
    engine: Engine, settings: Settings, smtpd: DevMail, nameserver: str
) -> None:
    key = str(add_transport(engine, smtpd.port))

    look(engine, ask(engine, TRANSPORT, key), settings, nameserver)

    assert findings(engine, TRANSPORT, key) == {
        "transport devmail": "ok",
        "PTR of 127.0.0.1": "warning",
    }
    assert smtpd.messages() == []


def test_a_domain_is_looked_up_in_dns(engine: Engine, settings: Settings, nameserver: str) -> None:
    look(engine, ask(engine, DOMAIN, "harbour.example"), settings, nameserver)

    assert findings(engine, DOMAIN, "harbour.example") == {
        "SPF of mail.harbour.example": "ok",
        "DMARC of harbour.example": "ok",
        "DKIM of harbour.example": "warning",
        "Alignment of mail.harbour.example with harbour.example": "ok",
    }


def test_only_the_last_look_at_a_thing_is_kept(
    engine: Engine, settings: Settings, nameserver: str
) -> None:
    first, second = (ask(engine, DOMAIN, "harbour.example") for _ in range(2))

    for asked in (first, second):
        look(engine, asked, settings, nameserver)

    with reading(engine) as session:
        assert session.scalars(select(Inspection.id)).all() == [second]
    assert findings(engine, DOMAIN, "harbour.example")


def test_a_bell_that_rings_twice_looks_once(
    engine: Engine, settings: Settings, nameserver: str
) -> None:
    asked = ask(engine, DOMAIN, "harbour.example")
    look(engine, asked, settings, nameserver)

    look(engine, asked, settings, "127.0.0.1:1")

    assert findings(engine, DOMAIN, "harbour.example")["DMARC of harbour.example"] == "ok"


def test_a_host_without_a_name_server_is_a_finding(engine: Engine, settings: Settings) -> None:
    def none() -> Dns:
        message = "This host names no name server; give one."
        raise DnsError(message)

    inspect(
        engine, ask(engine, DOMAIN, "x.example"), settings=settings, make_dns=none, clock=utc_now
    )

    assert findings(engine, DOMAIN, "x.example") == {"DNS": "error"}


def test_a_transport_that_is_gone_meanwhile_leaves_nothing_to_say(
    engine: Engine, settings: Settings, nameserver: str
) -> None:
    look(engine, ask(engine, TRANSPORT, "999"), settings, nameserver)

    assert findings(engine, TRANSPORT, "999") == {}


def test_a_server_that_is_slow_to_greet_is_waited_for_only_so_long(
    engine: Engine, settings: Settings, nameserver: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(greeting, "SECONDS", 0.2)
    slow = Script(rules=(Rule(phase=Phase.BANNER, action=Delay(seconds=1.0)),))
    with checked_devmail(script=slow) as peer:
        key = str(add_transport(engine, peer.port))

        look(engine, ask(engine, TRANSPORT, key), settings, nameserver)

    assert findings(engine, TRANSPORT, key)["transport devmail"] == "error"
