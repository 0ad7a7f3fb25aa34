"""The office's pages about what mail leaves through."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, update

from newsletter.clock import utc_now
from newsletter.db import reading, transaction
from newsletter.deliver import inspections
from newsletter.deliver.holds import Trip, hold
from newsletter.deliver.providers import route_numbers
from newsletter.devmail.peer import DevMail
from newsletter.devmail.server import Manner
from newsletter.devmail.session import Credentials, Terms
from newsletter.dns import Dns
from newsletter.models import (
    AuditEntry,
    Carries,
    DkimKey,
    Hold,
    HoldScope,
    Inspection,
    Role,
    Route,
    Security,
    StaffSession,
    Transport,
    WarmUp,
)
from newsletter.sealing import seal, unseal
from newsletter.stack.ports import free_port
from newsletter.web.newsroom.entrance import CONFIRM
from tests.nameserver import running_nameserver
from tests.newsroom import add_list, add_transport, settings_for
from tests.site import Member, Site, text_of
from tests.smtpd import checked_devmail, smtpd

__all__ = ["smtpd"]

PAGE = "/office/transports"
DOMAINS = "/office/sending-domains"
RELAY = {
    "name": "relay",
    "host": "smtp.example.org",
    "port": "587",
    "security": "starttls",
    "auth": "",
    "username": "harbour",
    "connections": "4",
    "rate": "100/s",
    "pacing": "providers",
    "weight": "1",
    "carries": "all",
}
SECRET = "correct horse"


@pytest.fixture
def admin(site: Site) -> Member:
    return site.member(Role.ADMIN)


@pytest.fixture
def nameserver() -> Iterator[str]:
    with running_nameserver({}) as address:
        yield address


def add_relay(admin: Member) -> str:
    """Returns the address of its page."""
    made = admin.post("/office/new-transport", RELAY | {"password": SECRET})
    assert made.status_code == 303, made.text
    return made.headers["location"]


def the_transport(site: Site) -> Transport:
    with reading(site.engine) as session:
        return session.scalars(select(Transport)).one()


def actions(site: Site) -> list[str]:
    with reading(site.engine) as session:
        return list(session.scalars(select(AuditEntry.action).order_by(AuditEntry.id)))


def grow_stale(site: Site, member: Member) -> None:
    """As if the password had been shown long ago."""
    with transaction(site.engine) as session:
        session.execute(
            update(StaffSession)
            .where(StaffSession.account_id == member.account_id)
            .values(confirmed_at=utc_now() - timedelta(hours=1))
        )


def test_a_page_without_transports_says_what_one_is(admin: Member) -> None:
    page = text_of(admin.get(PAGE))

    assert "Nothing can be sent yet" in page
    assert "Add a transport" in page


def test_a_transport_is_added_and_its_password_is_never_shown(site: Site, admin: Member) -> None:
    url = add_relay(admin)

    added = the_transport(site)
    assert added.sealed_password is not None
    assert unseal(added.sealed_password) == SECRET
    assert (added.host, added.security, added.rate) == (
        "smtp.example.org",
        Security.STARTTLS,
        "100/s",
    )
    for page in (admin.get(PAGE), admin.get(url), admin.get(url + "/edit")):
        assert page.status_code == 200
        assert SECRET not in page.text
    assert "••••" in text_of(admin.get(url))
    with reading(site.engine) as session:
        entry = session.scalars(select(AuditEntry)).one()
    assert entry.action == "transport added"
    assert SECRET not in str(entry.details)


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("name", "My Relay", "Write 1 to 63 of a-z"),
        ("host", "not a host", "Write a name or an address"),
        ("port", "70000", "Write a number from 1 to 65535"),
        ("port", "many", "Write a whole number"),
        ("rate", "fast", "Write it like 100/s"),
        ("password", "", "Write the password"),
        ("username", "", "Write who signs in"),
        ("security", "rot13", "Choose one of the list"),
        ("connections", "0", "connections is 0"),
    ],
)
def test_a_mistake_is_said_and_what_was_typed_is_kept(
    site: Site, admin: Member, field: str, value: str, said: str
) -> None:
    answer = admin.post("/office/new-transport", RELAY | {"password": SECRET, field: value})

    assert answer.status_code == 422
    assert said in text_of(answer)
    assert 'value="100/s"' in answer.text or field == "rate"
    assert SECRET not in answer.text
    with reading(site.engine) as session:
        assert session.scalars(select(Transport)).all() == []


def test_a_change_keeps_the_password_for_the_same_server_and_user(
    site: Site, admin: Member
) -> None:
    url = add_relay(admin)

    answer = admin.post(url + "/edit", RELAY | {"weight": "3", "carries": "editions"})

    assert answer.headers["location"] == url
    changed = the_transport(site)
    assert (changed.weight, changed.carries) == (3, Carries.EDITIONS)
    assert unseal(changed.sealed_password or b"") == SECRET
    assert actions(site) == ["transport added", "transport changed"]


@pytest.mark.parametrize(
    "change", [{"host": "evil.example.org"}, {"port": "2525"}, {"security": "none"}]
)
def test_s25_a_password_goes_to_no_other_server_than_it_was_given_for(
    site: Site, admin: Member, change: dict[str, str]
) -> None:
    url = add_relay(admin)

    answer = admin.post(url + "/edit", RELAY | change)

    assert answer.status_code == 422
    assert "Write it again" in text_of(answer)
    assert the_transport(site).host == "smtp.example.org"
    assert the_transport(site).port == 587


def test_what_somebody_else_changed_meanwhile_is_not_taken_back(site: Site, admin: Member) -> None:
    url = add_relay(admin)
    was = {f"was-{name}": value for name, value in RELAY.items()}
    admin.post(url + "/edit", RELAY | was | {"weight": "7"})

    admin.post(url + "/edit", RELAY | was | {"rate": "50/s"})

    assert (the_transport(site).weight, the_transport(site).rate) == (7, "50/s")


@pytest.mark.parametrize("role", [Role.VIEWER, Role.WRITER, Role.EDITOR])
def test_only_admins_see_transports(site: Site, role: Role) -> None:
    member = site.member(role)

    for url in (PAGE, DOMAINS, "/office/providers", "/office/new-transport"):
        assert member.get(url).status_code == 403


def test_an_admin_of_some_lists_sees_no_transports(site: Site) -> None:
    list_id = add_list(site.engine)
    narrowed = site.member(Role.ADMIN, lists={list_id: Role.ADMIN})

    assert narrowed.get(PAGE).status_code == 404
    assert narrowed.post("/office/new-transport", RELAY | {"password": SECRET}).status_code == 404


def test_s31_what_is_dangerous_asks_for_the_password_again(site: Site, admin: Member) -> None:
    url = add_relay(admin)
    add_list(site.engine)
    grow_stale(site, admin)

    dangerous = (
        admin.get("/office/new-transport"),
        admin.post("/office/new-transport", RELAY),
        admin.get(url + "/edit"),
        admin.post(url + "/edit", RELAY),
        admin.post(url + "/test"),
        admin.post(f"{DOMAINS}/harbour.example/keys", {"selector": "s1"}),
    )

    assert {answer.status_code for answer in dangerous} == {303}
    assert all(answer.headers["location"].startswith(CONFIRM) for answer in dangerous)
    assert actions(site) == ["transport added"]


@pytest.fixture
def worker(site: Site, nameserver: str, tmp_path: Path) -> "Worker":
    return Worker(site, nameserver, tmp_path)


class Worker:
    """Looks as the task does, at a name server that knows nothing."""

    def __init__(self, site: Site, nameserver: str, state_dir: Path) -> None:
        self.engine = site.engine
        self.settings = settings_for(state_dir)
        self.nameserver = nameserver

    def look(self) -> None:
        with reading(self.engine) as session:
            newest = session.scalars(select(Inspection.id).order_by(Inspection.id.desc())).first()
        assert newest is not None
        inspections.inspect(
            self.engine,
            newest,
            settings=self.settings,
            make_dns=lambda: Dns(self.nameserver),
            clock=utc_now,
        )


def test_a_connection_is_tested_by_a_worker_and_the_page_shows_what_it_found(
    site: Site, admin: Member, worker: Worker, smtpd: DevMail
) -> None:
    url = f"{PAGE}/{add_transport(site.engine, smtpd.port)}"

    assert admin.post(url + "/test").headers["location"] == url
    waiting = admin.get(url)
    worker.look()
    part = admin.get(url + "/look", headers={"HX-Request": "true"})

    assert "A worker is looking" in text_of(waiting)
    assert f'hx-get="{url}/look"' in waiting.text
    assert "It greets (none) and offers PIPELINING." in text_of(part)
    assert "hx-get" not in part.text
    assert "<html" not in part.text
    assert actions(site) == ["transport tested"]


def test_the_words_of_a_server_that_refuses_the_sign_in_are_shown(
    site: Site, admin: Member, worker: Worker
) -> None:
    manner = Manner(Terms(credentials=Credentials("harbour", "another")))
    with checked_devmail(manner=manner) as peer:
        url = f"{PAGE}/{add_transport(site.engine, peer.port)}"
        with transaction(site.engine) as session:
            transport = session.scalars(select(Transport)).one()
            transport.username, transport.sealed_password = "harbour", seal(SECRET)
        admin.post(url + "/test")

        worker.look()

    page = text_of(admin.get(url))
    assert "535" in page
    assert "wrong" in page
    assert SECRET not in page


def test_a_server_that_is_not_there_is_said_to_be(
    site: Site, admin: Member, worker: Worker
) -> None:
    url = f"{PAGE}/{add_transport(site.engine, free_port())}"
    admin.post(url + "/test")

    worker.look()
    worker.look()

    assert "cannot connect to 127.0.0.1" in text_of(admin.get(url))


def test_a_transport_is_held_and_let_go(site: Site, admin: Member) -> None:
    url = f"{PAGE}/{add_transport(site.engine, 25)}"

    admin.post(url + "/hold")
    held = text_of(admin.get(url))
    index = text_of(admin.get(PAGE))
    admin.post(url + "/let-go")

    assert "Held by Ada Admin." in held
    assert "Let mail through" in held
    assert "Held at this moment" in index
    assert "Held at this moment" not in text_of(admin.get(url))
    assert "Held before" in text_of(admin.get(PAGE))
    assert actions(site) == ["transport held", "transport let go"]


def test_what_a_breaker_holds_is_shown_with_the_servers_words_and_lifted(
    site: Site, admin: Member
) -> None:
    transport_id = add_transport(site.engine, 25)
    with transaction(site.engine) as session:
        google = route_numbers(session)["google"]
        trip = Trip(
            HoldScope.ROUTE,
            str(google),
            "R-44",
            "Route google blocked 9 of 60 tries within an hour.",
            transport_id=transport_id,
            reply="550 5.7.1 Too <b>much</b>",
            lasts=timedelta(minutes=30),
        )
        hold(session, trip, now=utc_now())
        hold_id = session.scalars(select(Hold.id)).one()

    page = admin.get(PAGE)
    lifted = admin.post(f"/office/holds/{hold_id}/lift")
    again = admin.post(f"/office/holds/{hold_id}/lift")

    assert "Route google blocked 9 of 60 tries" in text_of(page)
    assert "Too &lt;b&gt;much&lt;/b&gt;" in page.text
    assert lifted.status_code == 303
    assert again.status_code == 409
    assert actions(site) == ["hold lifted"]


def test_the_list_of_transports_renews_itself(site: Site, admin: Member) -> None:
    add_transport(site.engine, 25)

    part = admin.get(PAGE, headers={"HX-Request": "true"})

    assert part.text.lstrip().startswith('<div id="transports"')
    assert "devmail" in part.text


def test_a_warm_up_is_begun_shown_and_ended(site: Site, admin: Member) -> None:
    url = f"{PAGE}/{add_transport(site.engine, 25)}"

    begun = admin.post(url + "/warm-up", {"first": "200", "growth": "2", "full": "10000"})
    page = text_of(admin.get(url))
    with reading(site.engine) as session:
        plan = session.scalars(select(WarmUp)).one()
    admin.post(url + "/warm-up/end")

    assert begun.headers["location"] == url
    assert (plan.first_cap, plan.growth, plan.full_cap) == (200, 2.0, 10_000)
    assert "200 messages to each provider on the first day" in page
    assert "warming up" not in text_of(admin.get(PAGE))
    assert actions(site) == ["warm-up begun", "warm-up ended"]


@pytest.mark.parametrize(
    "plan",
    [
        {"first": "x", "growth": "2", "full": "10000"},
        {"first": "100", "growth": "fast", "full": "10000"},
        {"first": "100", "growth": "nan", "full": "10000"},
        {"first": "100", "growth": "1", "full": "10000"},
    ],
)
def test_a_warm_up_that_leads_nowhere_is_refused(
    site: Site, admin: Member, plan: dict[str, str]
) -> None:
    url = f"{PAGE}/{add_transport(site.engine, 25)}"

    assert admin.post(url + "/warm-up", plan).status_code == 422
    with reading(site.engine) as session:
        assert session.scalars(select(WarmUp)).all() == []


def test_a_domains_page_shows_what_to_publish_and_what_dns_says(
    site: Site, admin: Member, worker: Worker
) -> None:
    add_list(site.engine)
    url = f"{DOMAINS}/harbour.example"

    admin.post(url + "/keys", {"selector": "s2026a", "algorithm": "rsa-sha256"})
    admin.post(url + "/check")
    worker.look()

    page = admin.get(url)
    said = text_of(page)
    assert 'value="s2026a._domainkey.harbour.example"' in page.text
    assert "v=DKIM1; k=rsa; p=" in said
    assert 'value="_dmarc.harbour.example"' in page.text
    assert "DMARC of harbour.example There is no record." in said
    assert "Its record is not published." in said
    assert "PRIVATE" not in page.text
    assert "The Harbour Brief" in text_of(admin.get(DOMAINS))
    assert "wrong" in text_of(admin.get(DOMAINS))
    assert actions(site) == ["DKIM key made"]


def test_a_key_is_changed_for_the_next_one_without_a_gap(site: Site, admin: Member) -> None:
    add_list(site.engine)
    url = f"{DOMAINS}/harbour.example"
    admin.post(url + "/keys", {"selector": "old", "algorithm": "rsa-sha256"})
    admin.post(url + "/keys", {"selector": "new", "algorithm": "rsa-sha256"})

    waits = text_of(admin.get(url))
    retired = admin.post(url + "/keys/old/retire", {"of": "harbour.example"})

    assert "Publish it now; it signs once the key before it is retired." in waits
    assert retired.headers["location"] == url
    with reading(site.engine) as session:
        keys = {key.selector: key.is_active for key in session.scalars(select(DkimKey))}
    assert keys == {"old": False, "new": True}
    assert "Publish it now" not in text_of(admin.get(url))


def test_a_key_of_no_kind_or_a_used_selector_is_refused(site: Site, admin: Member) -> None:
    add_list(site.engine)
    url = f"{DOMAINS}/harbour.example/keys"
    admin.post(url, {"selector": "s1", "algorithm": "rsa-sha256"})

    assert admin.post(url, {"selector": "s1", "algorithm": "rsa-sha256"}).status_code == 409
    assert admin.post(url, {"selector": "s2", "algorithm": "rot13"}).status_code == 422
    assert admin.post(url, {"selector": "_", "algorithm": "rsa-sha256"}).status_code == 422


def test_a_domain_that_nothing_is_sent_from_has_no_page(site: Site, admin: Member) -> None:
    assert admin.get(f"{DOMAINS}/elsewhere.example").status_code == 404
    assert admin.get(f"{PAGE}/999").status_code == 404
    assert admin.get("/office/providers/nobody").status_code == 404


def test_a_providers_limits_are_set_and_given_up_again(site: Site, admin: Member) -> None:
    url = "/office/providers/google"

    admin.post(url, {"connections": "3", "rate": "60/min"})
    listed, edited = admin.get("/office/providers"), admin.get(url)
    with reading(site.engine) as session:
        row = session.scalars(select(Route).where(Route.name == "google")).one()
    admin.post(url, {"connections": "", "rate": ""})

    assert (row.connections, row.rate) == (3, "60/min")
    assert "google changed 3 60/min" in text_of(listed)
    assert 'value="60/min"' in edited.text
    assert "changed" not in text_of(admin.get("/office/providers"))
    assert actions(site) == ["provider's limits set"] * 2


@pytest.mark.parametrize(
    ("field", "value"), [("connections", "0"), ("connections", "x"), ("rate", "slowly")]
)
def test_odd_limits_of_a_provider_are_refused_at_their_field(
    admin: Member, field: str, value: str
) -> None:
    answer = admin.post("/office/providers/google", {"connections": "", "rate": "", field: value})

    assert answer.status_code == 422
    assert f'id="{field}-error"' in answer.text
