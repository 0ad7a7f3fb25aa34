"""The office's subscribers: found, seen and changed by admins, and by nobody else."""

import io
import json
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, select

from newsletter.addresses import parse_address
from newsletter.audience.attributes import add_attribute
from newsletter.audience.consent import subscribe
from newsletter.audience.history import Origin
from newsletter.audience.lists import list_by_slug
from newsletter.audience.sections import add_section
from newsletter.audience.subscribers import add_subscriber
from newsletter.audience.suppression import suppress, suppressions_of
from newsletter.audience.tags import set_tags, tags_of
from newsletter.db import reading, transaction
from newsletter.models import (
    EVERYWHERE,
    Attempt,
    AttributeKind,
    AuditEntry,
    ChangeCause,
    ConsentEvent,
    Delivery,
    DeliveryState,
    Engagement,
    Invitation,
    Reason,
    Role,
    StaffSession,
    Subscriber,
    Subscription,
    SubscriptionStatus,
    SuppressionReason,
)
from tests.newsroom import add_list, add_transport, sending_edition, settings_for
from tests.site import Member, Site, text_of

NOW = datetime(2026, 11, 22, 9, tzinfo=UTC)
BY_ED = Origin(ChangeCause.ADMIN, "ed", "command line")
ADA = "ada@readers.example"


@pytest.fixture
def harbour(engine: Engine) -> int:
    """The list, with Ada on it and Bo on another one that is called markets."""
    harbour_id = add_list(engine)
    add_list(engine, "markets")
    for slug, address, name in (
        ("harbour", ADA, "Ada Lovelace"),
        ("markets", "bo@readers.example", "Bo Bergström"),
    ):
        with transaction(engine) as session:
            person = add_subscriber(session, address, {"name": name}, origin=BY_ED, now=NOW)
            subscribe(
                session,
                person,
                list_by_slug(session, slug),
                SubscriptionStatus.CONFIRMED,
                origin=BY_ED,
                evidence={"consent": f"paper form for {slug}", "ip": "192.0.2.7"},
                now=NOW,
            )
    return harbour_id


@pytest.fixture
def admin(site: Site, harbour: int) -> Member:
    return site.member(Role.ADMIN)


def number_of(engine: Engine, address: str = ADA) -> int:
    with reading(engine) as session:
        return session.scalars(select(Subscriber.id).where(Subscriber.address == address)).one()


def url_of(engine: Engine, address: str = ADA, path: str = "") -> str:
    return f"/office/subscribers/{number_of(engine, address)}{path}"


def status_on(engine: Engine, list_id: int) -> SubscriptionStatus | None:
    with reading(engine) as session:
        found = session.get(Subscription, (list_id, number_of(engine)))
        return found.status if found else None


def test_search_shows_whom_it_finds_with_their_lists(site: Site, admin: Member) -> None:
    page = text_of(admin.get("/office/subscribers?q=ada"))

    assert ADA in page
    assert "The Harbour Brief confirmed" in page
    assert "bo@" not in page
    assert "Nobody is found" in text_of(admin.get("/office/subscribers?q=nobody"))
    assert "choose the list too" in text_of(admin.get("/office/subscribers?state=pending"))


def test_search_goes_on_where_the_page_ended(site: Site, admin: Member) -> None:
    with transaction(site.engine) as session:
        for number in range(60):
            address = f"reader{number:02}@readers.example"
            add_subscriber(session, address, {}, origin=BY_ED, now=NOW)

    first = admin.get("/office/subscribers?q=reader").text
    after = first.partition('rel="next" href="')[2].partition('"')[0].replace("&amp;", "&")
    second = admin.get(after).text

    assert "reader49@" in first
    assert "reader50@" not in first
    assert "reader50@" in second
    assert "reader59@" in second


def test_only_admins_see_subscribers(site: Site, harbour: int) -> None:
    for role in (Role.VIEWER, Role.WRITER, Role.EDITOR):
        member = site.member(role)
        assert member.get("/office/subscribers").status_code == 403
        assert member.get(url_of(site.engine)).status_code == 403


def test_an_admin_of_one_list_sees_its_people_and_their_part_of_it(
    site: Site, harbour: int
) -> None:
    """S-09"""
    ada = number_of(site.engine)
    with transaction(site.engine) as session:
        markets = list_by_slug(session, "markets")
        person = session.get_one(Subscriber, ada)
        add_section(session, markets, "shares", name="Shares")
        subscribe(
            session,
            person,
            markets,
            SubscriptionStatus.CONFIRMED,
            origin=BY_ED,
            evidence={"consent": "secret of markets"},
            now=NOW,
        )
        suppress(
            session,
            parse_address(ADA),
            reason=SuppressionReason.BOUNCED,
            source="of markets alone",
            list_id=markets.id,
            now=NOW,
        )
    narrowed = site.member(Role.ADMIN, lists={harbour: Role.ADMIN})

    found = text_of(narrowed.get("/office/subscribers"))
    pages = [
        text_of(narrowed.get(url_of(site.engine, path=path))) for path in ("", "/history", "/mail")
    ]

    assert ADA in found
    assert "bo@" not in found
    assert narrowed.get(url_of(site.engine, "bo@readers.example")).status_code == 404
    assert narrowed.get("/office/subscribers/999").status_code == 404
    assert "paper form for harbour" in pages[1]
    for page in (found, *pages):
        assert "arkets" not in page
    assert narrowed.post(url_of(site.engine, path="/data")).status_code == 404
    assert narrowed.get(url_of(site.engine, path="/erase")).status_code == 404
    stop_all = narrowed.post(url_of(site.engine, path="/suppress"), {"list": ""})
    stop_other = narrowed.post(url_of(site.engine, path="/suppress"), {"list": "markets"})
    assert (stop_all.status_code, stop_other.status_code) == (404, 422)
    leave = narrowed.post(url_of(site.engine, path="/lists/markets/leave"))
    assert leave.status_code == 404


def test_an_admin_of_one_list_moves_nobody_to_another_address(site: Site, harbour: int) -> None:
    narrowed = site.member(Role.ADMIN, lists={harbour: Role.ADMIN})
    change = {"address": "mallory@example.org", "was-address": ADA}

    answer = narrowed.post(url_of(site.engine, path="/profile"), change)

    assert answer.status_code == 404
    assert number_of(site.engine)


def test_the_profile_is_changed_and_its_history_kept(site: Site, admin: Member) -> None:
    with transaction(site.engine) as session:
        add_attribute(session, "team", AttributeKind.TEXT, label="Team", now=NOW)
        set_tags(session, number_of(site.engine), ["vip"], origin=BY_ED, now=NOW)
    changes = {
        "zone": "Europe/Berlin",
        "was-zone": "",
        "tags": "vip, press",
        "was-tags": "vip",
        "attribute-team": "Harbour",
        "was-attribute-team": "",
        "name": "As somebody saw it long ago",
        "was-name": "As somebody saw it long ago",
    }

    admin.post(url_of(site.engine, path="/profile"), changes)

    with reading(site.engine) as session:
        person = session.get_one(Subscriber, number_of(site.engine))
        assert person.name == "Ada Lovelace"
        assert person.attributes == {"team": "Harbour"}
        assert tags_of(session, person.id) == ["press", "vip"]
        entry = session.scalars(select(AuditEntry)).one()
    assert entry.details == {"fields": ["attribute-team", "tags", "zone"]}
    history = text_of(admin.get(url_of(site.engine, path="/history")))
    assert "zone – Europe/Berlin admin: Ada Admin, office" in history


@pytest.mark.parametrize(
    ("field", "value", "advice"),
    [
        ("language", "english please", "Write a language tag"),
        ("break_until", "tomorrow", "Write a date"),
        ("address", "bo@readers.example", "another subscriber"),
        ("attribute-score", "many", "Write a number"),
    ],
)
def test_a_mistake_in_the_profile_is_said_at_its_field(
    site: Site, admin: Member, field: str, value: str, advice: str
) -> None:
    with transaction(site.engine) as session:
        add_attribute(session, "score", AttributeKind.NUMBER, label="Score", now=NOW)

    refused = admin.post(
        url_of(site.engine, path="/profile"), {"name": "Kept", "was-name": "x", field: value}
    )

    assert refused.status_code == 422
    assert advice in text_of(refused)
    assert 'value="Kept"' in refused.text


def test_a_person_is_added_with_the_evidence_of_their_consent(site: Site, admin: Member) -> None:
    new = {
        "address": "cy@readers.example",
        "name": "Cy",
        "list": "harbour",
        "consent": "paper form of 5 March",
    }

    made = admin.post("/office/new-subscriber", new)

    page = text_of(admin.get(made.headers["location"]))
    assert "The Harbour Brief confirmed" in page
    history = text_of(admin.get(made.headers["location"] + "/history"))
    assert "paper form of 5 March" in history


def test_adding_somebody_known_changes_nothing_but_the_list(site: Site, admin: Member) -> None:
    known = {"address": "ADA@readers.example", "name": "Other", "list": "markets", "consent": ""}

    admin.post("/office/new-subscriber", known)

    page = text_of(admin.get(url_of(site.engine)))
    assert "Ada Lovelace" in page
    assert "The Markets Brief not confirmed" in page


def test_adding_somebody_who_left_is_refused_and_nothing_is_kept(
    site: Site, admin: Member, harbour: int
) -> None:
    admin.post(url_of(site.engine, path="/lists/harbour/leave"))

    again = {"address": ADA, "name": "", "list": "harbour", "consent": "they told me"}
    refused = admin.post("/office/new-subscriber", again)

    assert refused.status_code == 422
    assert "only they themselves can come back" in text_of(refused)
    assert status_on(site.engine, harbour) is SubscriptionStatus.UNSUBSCRIBED


def test_a_number_is_no_address_of_a_new_person(site: Site, harbour: int) -> None:
    """S-09: somebody of another list must not be reached by guessing."""
    narrowed = site.member(Role.ADMIN, lists={harbour: Role.ADMIN})
    guessed = {"address": str(number_of(site.engine, "bo@readers.example")), "list": "harbour"}

    refused = narrowed.post("/office/new-subscriber", guessed)

    assert refused.status_code == 422
    assert narrowed.get(url_of(site.engine, "bo@readers.example")).status_code == 404


def test_mail_is_stopped_and_only_the_person_takes_it_back(site: Site, admin: Member) -> None:
    admin.post(url_of(site.engine, path="/suppress"), {"list": ""})

    refused = admin.post(url_of(site.engine, path="/lift"), {"list": "", "why": "please"})

    assert refused.status_code == 409
    with reading(site.engine) as session:
        (entry,) = suppressions_of(session, parse_address(ADA))
    assert (entry.list_id, entry.reason) == (EVERYWHERE, SuppressionReason.ON_REQUEST)
    assert "never mailed" in text_of(admin.get("/office/subscribers?q=ada"))


def test_what_a_server_said_is_lifted_with_a_reason(site: Site, admin: Member) -> None:
    with transaction(site.engine) as session:
        address = parse_address(ADA)
        suppress(session, address, reason=SuppressionReason.BOUNCED, source="550", now=NOW)

    without = admin.post(url_of(site.engine, path="/lift"), {"list": "", "why": ""})
    admin.post(url_of(site.engine, path="/lift"), {"list": "", "why": "their provider was down"})

    assert without.status_code == 422
    with reading(site.engine) as session:
        assert suppressions_of(session, parse_address(ADA)) == []


def test_sections_are_hidden_for_somebody(site: Site, admin: Member, harbour: int) -> None:
    with transaction(site.engine) as session:
        add_section(session, list_by_slug(session, "harbour"), "port", name="Port")

    admin.post(url_of(site.engine, path="/lists/harbour/sections"), {"hidden": "port"})

    assert "without Port" in text_of(admin.get(url_of(site.engine)))
    admin.post(url_of(site.engine, path="/lists/harbour/sections"))
    assert "without Port" not in text_of(admin.get(url_of(site.engine)))


def test_an_invitation_is_mailed_once(site: Site, admin: Member) -> None:
    ask = {"list": "markets", "reason": "asked by telephone"}

    first = admin.post(url_of(site.engine, path="/invite"), ask)
    second = admin.post(url_of(site.engine, path="/invite"), ask)

    assert (first.status_code, second.status_code) == (303, 409)
    with reading(site.engine) as session:
        assert len(session.scalars(select(Invitation)).all()) == 1


def test_all_that_is_known_is_handed_over_and_that_is_noted(site: Site, admin: Member) -> None:
    answer = admin.post(url_of(site.engine, path="/data"))

    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        data = json.loads(archive.read("data.json"))
    assert data["profile"][0]["address"] == ADA
    with reading(site.engine) as session:
        entry = session.scalars(select(AuditEntry)).one()
    assert (entry.action, entry.subject) == (
        "personal data exported",
        f"subscriber {number_of(site.engine)}",
    )


def test_somebody_is_erased_only_when_their_address_is_typed(site: Site, admin: Member) -> None:
    url = url_of(site.engine, path="/erase")

    slip = admin.post(url, {"address": "adam@readers.example"})
    assert slip.status_code == 422
    assert number_of(site.engine)
    done = admin.post(url, {"address": " Ada@Readers.Example "})

    assert (done.status_code, done.headers["location"]) == (303, "/office/subscribers")
    with reading(site.engine) as session:
        assert session.scalars(select(Subscriber.address)).all() == ["bo@readers.example"]
        assert len(suppressions_of(session, parse_address(ADA))) == 1
        assert [entry.subject for entry in session.scalars(select(AuditEntry))] == ["subscriber 1"]
        assert len(session.scalars(select(ConsentEvent)).all()) == 1


def test_erasing_asks_for_the_password_again_after_a_while(site: Site, admin: Member) -> None:
    """S-31"""
    with transaction(site.engine) as session:
        for each in session.scalars(select(StaffSession)):
            each.confirmed_at -= timedelta(minutes=11)

    answer = admin.post(url_of(site.engine, path="/erase"), {"address": ADA})

    assert answer.status_code == 303
    assert number_of(site.engine)


def test_the_mail_of_somebody_is_shown_newest_first_with_what_became_of_it(
    site: Site, admin: Member, harbour: int, tmp_path: Path
) -> None:
    transport_id = add_transport(site.engine, 2525)
    editions = [
        sending_edition(site.engine, settings_for(tmp_path), [harbour], transport_id)
        for _ in range(2)
    ]
    ada = number_of(site.engine)
    with transaction(site.engine) as session:
        read, failed = (session.get_one(Delivery, (edition, ada)) for edition in editions)
        read.state, read.sent_at, read.revision = DeliveryState.SENT, NOW, 1
        failed.state, failed.reason = DeliveryState.FAILED, Reason.REFUSED
        for link in (0, 3, 4):
            session.add(
                Engagement(
                    edition_id=editions[0], subscriber_id=ada, link=link, first_at=NOW, times=2
                )
            )
        session.add(
            Attempt(
                edition_id=editions[1],
                subscriber_id=ada,
                at=NOW,
                state=DeliveryState.FAILED,
                reason=Reason.REFUSED,
                code=550,
                reply="5.1.1 <script>alert(1)</script> unknown",
            )
        )

    page = admin.get(url_of(site.engine, path="/mail"))

    words = text_of(page)
    newest, oldest = (words.index(f"harbour · #{edition}") for edition in reversed(editions))
    assert newest < oldest
    assert "failed refused" in words
    assert "unknown" in words
    assert "<script>alert" not in page.text
    assert "sent Sun 22 Nov, 10:00 CET Sun 22 Nov, 10:00 CET 2" in words


def test_no_name_becomes_markup(site: Site, admin: Member) -> None:
    """S-16"""
    evil = "<img src=x onerror=alert(1)>"
    with transaction(site.engine) as session:
        person = session.get_one(Subscriber, number_of(site.engine))
        person.name = evil
        set_tags(session, person.id, [evil], origin=BY_ED, now=NOW)

    for path in ("", "/profile", "/history", "/mail", "/erase"):
        page = admin.get(url_of(site.engine, path=path))
        assert page.status_code == 200
        assert "<img src=x" not in page.text
    assert "<img src=x" not in admin.get("/office/subscribers?q=" + evil).text
