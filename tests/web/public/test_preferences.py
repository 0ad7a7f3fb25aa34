"""S-04, H-49: readers' settings, by the link mailed to them; an edition's link shows and changes nothing."""

import io
import json
import re
import zipfile
from collections.abc import Iterator
from datetime import date, time, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, select
from starlette.testclient import TestClient

from newsletter.audience.answers import answer_requests
from newsletter.audience.preferences import LINK_LIFETIME, leaving_reasons
from newsletter.audience.sections import add_section
from newsletter.clock import utc_now
from newsletter.db import reading, transaction
from newsletter.models import (
    AddressMove,
    ChangeCause,
    LeavingReason,
    MailingList,
    OwnField,
    RequestKind,
    SignupRequest,
    Subscriber,
    SubscriberChange,
    Subscription,
    SubscriptionStatus,
    SystemMail,
    SystemMailKind,
)
from newsletter.tokens import PersonRef, Purpose, UndoRef
from newsletter.web.app import create_app
from tests.track.people import Morning, mailed_morning, status_of
from tests.web.served import settings_for, tokens

CONFIRMED, UNSUBSCRIBED = SubscriptionStatus.CONFIRMED, SubscriptionStatus.UNSUBSCRIBED
TOKEN = re.compile(r"/(?:my|my-data|erase-me|move)/[A-Za-z0-9_-]{40,42}")


@pytest.fixture
def morning(engine: Engine) -> Morning:
    """Ada is on both lists; anybody may join a third one, and nobody a fourth."""
    made = mailed_morning(engine)
    with transaction(engine) as session:
        morning = session.get_one(MailingList, made.list_id)
        add_section(session, morning, "port", name="Port")
        add_section(session, morning, "sport", name="Sport")
        add_section(session, morning, "errata", name="Corrections", is_pinned=True)
        for slug, is_public in (("weekly", True), ("staff", False)):
            session.add(
                MailingList(
                    slug=slug,
                    name=f"The {slug.title()} Briefing",
                    sender_name="The Newsroom",
                    sender_address="news@news.example",
                    postal_address="1 Printing House Square",
                    is_public=is_public,
                    created_at=morning.created_at,
                )
            )
    return made


@pytest.fixture
def client(engine: Engine, redis_server: str, tmp_path: Path) -> Iterator[TestClient]:
    app = create_app(settings=settings_for(redis_server, tmp_path), engine=engine)
    with TestClient(app, follow_redirects=False) as client:
        yield client


def mark_of(engine: Engine, subscriber_id: int) -> bytes:
    with reading(engine) as session:
        return session.get_one(Subscriber, subscriber_id).address_hash[:4]


def link(
    engine: Engine, subscriber_id: int, purpose: Purpose = Purpose.SETTINGS, *, age_hours: float = 0
) -> str:
    at = utc_now() - timedelta(hours=age_hours)
    ref = PersonRef(subscriber_id, at, mark_of(engine, subscriber_id))
    path = {Purpose.SETTINGS: "my", Purpose.DATA: "my-data", Purpose.ERASE: "erase-me"}[purpose]
    return f"/{path}/{tokens().of_person(purpose, ref)}"


def edition_link(morning: Morning, subscriber_id: int) -> str:
    return f"/p/{tokens().preferences(morning.subscription(subscriber_id))}"


def subscriber(engine: Engine, subscriber_id: int) -> Subscriber:
    with reading(engine) as session:
        return session.get_one(Subscriber, subscriber_id)


def hidden(engine: Engine, list_id: int, subscriber_id: int) -> int:
    with reading(engine) as session:
        return session.get_one(Subscription, (list_id, subscriber_id)).hidden_sections


def mails(engine: Engine, kind: SystemMailKind) -> list[SystemMail]:
    with reading(engine) as session:
        found = session.scalars(
            select(SystemMail).where(SystemMail.kind == kind).order_by(SystemMail.id)
        )
        return list(found)


def path_in(mail: SystemMail) -> str:
    found = TOKEN.search(json.dumps(mail.data))
    assert found is not None
    return found[0]


def as_shown(page: str) -> dict[str, str]:
    """The fields that a browser would send of the page's first form, without its button."""
    form = page.split("<form", 1)[1].split("</form>", 1)[0]
    fields = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', form))
    for name in re.findall(r'type="checkbox" name="([^"]+)" value="1" checked', form):
        fields[name] = "1"
    for name, value in re.findall(r'name="(hour|pause)" type="\w+" value="([^"]*)"', form):
        fields[name] = value
    for name in ("zone", "language"):
        options = form.split(f'name="{name}"', 1)[1].split("</select>", 1)[0]
        chosen = re.search(r'<option(?: value="([^"]*)")?[^>]* selected>([^<]*)<', options)
        fields[name] = (chosen[1] if chosen[1] is not None else chosen[2]) if chosen else ""
    return fields


def save(client: TestClient, path: str, *, without: tuple[str, ...] = (), **changes: str) -> str:
    fields = as_shown(client.get(path).text) | changes | {"save": "1"}
    answer = client.post(path, data={k: v for k, v in fields.items() if k not in without})
    assert answer.status_code == 200, answer.text
    return answer.text


def test_the_page_shows_what_is_so_and_half_of_the_address(
    client: TestClient, engine: Engine, morning: Morning
) -> None:
    page = client.get(link(engine, morning.ada))

    assert page.status_code == 200
    assert "a***@r***.example" in page.text
    assert "ada@" not in page.text.lower()
    for shown in ("Morning Briefing", "Evening Briefing", "Weekly Briefing", "Port", "Sport"):
        assert shown in page.text
    assert "Staff" not in page.text
    assert "Corrections" not in page.text
    assert page.headers["cache-control"] == "no-store"


def test_saving_what_is_shown_changes_nothing(
    client: TestClient, engine: Engine, morning: Morning
) -> None:
    page = save(client, link(engine, morning.ada))

    assert "Saved." in page
    with reading(engine) as session:
        assert session.scalars(select(SubscriberChange)).all() == []


def test_a_reader_hides_a_section_and_sets_hour_zone_language_and_break(
    client: TestClient, engine: Engine, morning: Morning
) -> None:
    page = save(
        client,
        link(engine, morning.ada),
        without=("section:morning:port",),
        hour="09:00",
        zone="Asia/Shanghai",
        language="zh-Hans",
        pause="2999-12-31",
    )

    ada = subscriber(engine, morning.ada)
    assert (ada.delivery_time, ada.language, ada.break_until) == (
        time(9),
        "zh-Hans",
        date(2999, 12, 31),
    )
    assert hidden(engine, morning.list_id, morning.ada) == 0b01
    own = OwnField.DELIVERY_TIME | OwnField.LANGUAGE | OwnField.ZONE | OwnField.BREAK
    assert ada.own_fields == own
    assert "已保存" in page
    assert as_shown(page)["zone"] == "Asia/Shanghai"
    with reading(engine) as session:
        causes = set(session.scalars(select(SubscriberChange.cause)))
    assert causes == {ChangeCause.PREFERENCES}


def test_a_reader_leaves_one_list_and_joins_another_and_no_private_one(
    client: TestClient, engine: Engine, morning: Morning
) -> None:
    save(
        client,
        link(engine, morning.ada),
        without=("list:evening",),
        **{"list:weekly": "1", "list:staff": "1", "shown:staff": "1"},
    )

    with reading(engine) as session:
        rows = session.execute(
            select(MailingList.slug, Subscription.status)
            .join(Subscription, Subscription.list_id == MailingList.id)
            .where(Subscription.subscriber_id == morning.ada)
        )
        assert {row[0]: row[1] for row in rows} == {
            "morning": CONFIRMED,
            "evening": UNSUBSCRIBED,
            "weekly": CONFIRMED,
        }


def test_a_list_that_came_after_the_page_was_opened_is_not_left(
    client: TestClient, engine: Engine, morning: Morning
) -> None:
    path = link(engine, morning.ada)
    fields = as_shown(client.get(path).text) | {"save": "1"}
    fields = {name: value for name, value in fields.items() if "evening" not in name}

    client.post(path, data=fields)

    assert status_of(engine, morning.other_list_id, morning.ada) is CONFIRMED


@pytest.mark.parametrize(
    "changes", [{"hour": "25:00"}, {"zone": "Mars/Base"}, {"pause": "3000-02-31"}]
)
def test_a_mistake_changes_nothing_and_is_told(
    client: TestClient, engine: Engine, morning: Morning, changes: dict[str, str]
) -> None:
    path = link(engine, morning.ada)
    fields = as_shown(client.get(path).text) | changes | {"save": "1", "language": "zh-Hant"}

    page = client.post(path, data=fields)

    assert page.status_code == 400
    assert 'role="alert"' in page.text
    assert subscriber(engine, morning.ada).language is None


def test_a_mailed_link_is_good_for_a_day_and_for_the_address_that_it_went_to(
    client: TestClient, engine: Engine, morning: Morning
) -> None:
    """S-03."""
    lifetime = LINK_LIFETIME / timedelta(hours=1)
    old, moved = link(engine, morning.ada, age_hours=lifetime), link(engine, morning.bo)
    with transaction(engine) as session:
        session.get_one(Subscriber, morning.bo).address_hash = bytes(16)

    for path in (old, moved):
        assert client.get(path).status_code == 410
        assert client.post(path, data={"leave-all": "1"}).status_code == 410
    assert status_of(engine, morning.list_id, morning.ada) is CONFIRMED
    assert client.get(link(engine, morning.ada, age_hours=lifetime - 1)).status_code == 200


def test_a_link_of_one_purpose_opens_nothing_else(
    client: TestClient, engine: Engine, morning: Morning
) -> None:
    """S-03, S-04: no other page, and no other person by editing it."""
    made = link(engine, morning.ada).rpartition("/")[2]
    in_edition = edition_link(morning, morning.ada).rpartition("/")[2]
    leaving = tokens().unsubscribe(morning.subscription(morning.ada))

    for path in ("my-data", "erase-me", "move", "p", "u"):
        assert client.get(f"/{path}/{made}").status_code == 404
    for path in ("my", "my-data", "erase-me", "u"):
        assert client.get(f"/{path}/{in_edition}").status_code == 404
    assert client.get(f"/p/{leaving}").status_code == 404
    assert client.get(f"/my/{made[:-2]}AA").status_code == 404


def test_the_link_of_an_edition_shows_nothing_and_can_only_leave_its_list(
    client: TestClient, engine: Engine, morning: Morning
) -> None:
    """A forwarded mail's reader gets to see half an address, and changes nothing but this list."""
    path = edition_link(morning, morning.ada)
    page = client.get(path)
    for fields in ({"save": "1", "language": "zh"}, {"erase": "1"}, {"leave-all": "1"}, {}):
        assert client.post(path, data=fields).status_code == 400

    assert "a***@r***.example" in page.text
    assert not any(word in page.text for word in ("Evening", "Sport", "Weekly", "ada@"))
    ada = subscriber(engine, morning.ada)
    assert ada.language is None
    assert status_of(engine, morning.list_id, morning.ada) is CONFIRMED

    assert "You are unsubscribed" in client.post(path, data={"leave": "1"}).text
    assert status_of(engine, morning.list_id, morning.ada) is UNSUBSCRIBED
    assert status_of(engine, morning.other_list_id, morning.ada) is CONFIRMED


def test_the_link_of_an_edition_mails_its_owner_a_link_of_their_own(
    client: TestClient, engine: Engine, morning: Morning, redis_server: str, tmp_path: Path
) -> None:
    answer = client.post(edition_link(morning, morning.ada), data={"link": "1"})

    assert answer.status_code == 200
    assert "/my/" not in answer.text
    with reading(engine) as session:
        assert session.scalars(select(SignupRequest.kind)).all() == [RequestKind.LINK]
    answer_requests(engine, settings=settings_for(redis_server, tmp_path), now=utc_now())
    [mail] = mails(engine, SystemMailKind.LINK)
    assert mail.to_address == "ada@readers.example"
    assert client.get(path_in(mail)).status_code == 200


def test_what_was_left_by_mistake_is_taken_back_by_its_own_page_alone(
    client: TestClient, engine: Engine, morning: Morning
) -> None:
    path = f"/u/{tokens().unsubscribe(morning.subscription(morning.ada))}"
    page = client.post(path, data={"leave": "1"}).text
    second = client.post(path, data={"leave": "1"}).text
    leaving, forwarded = (
        re.findall(r'name="leaving" value="([^"]+)"', each)[0] for each in (page, second)
    )

    assert "too late" in client.post(path, data={"leaving": forwarded, "undo": "1"}).text
    assert status_of(engine, morning.list_id, morning.ada) is UNSUBSCRIBED
    assert "subscribed again" in client.post(path, data={"leaving": leaving, "undo": "1"}).text
    assert status_of(engine, morning.list_id, morning.ada) is CONFIRMED
    assert "too late" in client.post(path, data={"leaving": leaving, "undo": "1"}).text


def test_an_undo_of_somebody_else_or_of_another_hour_does_nothing(
    client: TestClient, engine: Engine, morning: Morning
) -> None:
    path = f"/u/{tokens().unsubscribe(morning.subscription(morning.ada))}"
    client.post(path, data={"leave": "1"})
    with transaction(engine) as session:
        tie = session.get_one(Subscription, (morning.list_id, morning.ada))
        tie.left_at = utc_now() - timedelta(hours=2)
        late = UndoRef(morning.list_id, morning.ada, tie.left_at)
    others = UndoRef(morning.list_id, morning.bo, utc_now())

    for ref in (late, others):
        client.post(path, data={"leaving": tokens().undo(ref), "undo": "1"})

    assert status_of(engine, morning.list_id, morning.ada) is UNSUBSCRIBED


def test_why_somebody_left_is_kept_until_they_come_back(
    client: TestClient, engine: Engine, morning: Morning
) -> None:
    path = f"/u/{tokens().unsubscribe(morning.subscription(morning.ada))}"
    page = client.post(path, data={"leave": "1"}).text
    leaving = re.findall(r'name="leaving" value="([^"]+)"', page)[0]

    thanks = client.post(path, data={"leaving": leaving, "why": "1"})

    assert "Thank you" in thanks.text
    with reading(engine) as session:
        assert leaving_reasons(session, morning.list_id) == {LeavingReason.TOO_MUCH: 1}
    client.post(path, data={"leaving": leaving, "undo": "1"})
    with reading(engine) as session:
        assert leaving_reasons(session, morning.list_id) == {}


def test_an_address_changes_when_both_have_agreed(
    client: TestClient, engine: Engine, morning: Morning
) -> None:
    """S-04."""
    path = link(engine, morning.ada)
    client.post(path, data={"move": "1", "address": "Ada.New@readers.example"})
    sent = {mail.to_address: path_in(mail) for mail in mails(engine, SystemMailKind.MOVE)}
    assert set(sent) == {"ada@readers.example", "Ada.New@readers.example"}

    for address, agreement in sent.items():
        assert subscriber(engine, morning.ada).address == "ada@readers.example", address
        assert client.get(agreement).status_code == 200
        client.post(agreement, data={"yes": "1"})

    assert subscriber(engine, morning.ada).address == "Ada.New@readers.example"
    assert client.get(path).status_code == 410, "the link went to the old address"


def test_who_has_the_old_link_alone_cannot_move_the_mail(
    client: TestClient, engine: Engine, morning: Morning
) -> None:
    client.post(link(engine, morning.ada), data={"move": "1", "address": "thief@evil.example"})
    to_thief = next(
        path_in(mail)
        for mail in mails(engine, SystemMailKind.MOVE)
        if mail.to_address == "thief@evil.example"
    )

    for _ in range(3):
        client.post(to_thief, data={"yes": "1"})

    assert subscriber(engine, morning.ada).address == "ada@readers.example"


def test_an_address_that_is_taken_is_told_only_to_who_reads_both(
    client: TestClient, engine: Engine, morning: Morning
) -> None:
    """S-01."""
    answers = [
        client.post(link(engine, morning.ada), data={"move": "1", "address": address}).text
        for address in ("bo@readers.example", "nobody@readers.example")
    ]
    assert answers[0] == answers[1]

    taken = mails(engine, SystemMailKind.MOVE)[:2]
    told = [client.post(path_in(mail), data={"yes": "1"}).text for mail in taken]

    assert "cannot be done" in told[1]
    assert subscriber(engine, morning.ada).address == "ada@readers.example"


def test_nobody_is_bothered_more_than_three_times_a_day_by_moves(
    client: TestClient, engine: Engine, morning: Morning
) -> None:
    """S-02."""
    for number in range(5):
        for person in (morning.ada, morning.bo):
            data = {"move": "1", "address": "victim@else.example" if number < 4 else "x@y.example"}
            client.post(link(engine, person), data=data)

    to_victim = [m for m in mails(engine, SystemMailKind.MOVE) if m.to_address.startswith("victim")]
    assert len(to_victim) == 3
    with reading(engine) as session:
        asked = session.scalars(select(AddressMove.subscriber_id)).all()
    assert max(asked.count(person) for person in (morning.ada, morning.bo)) <= 3


def test_one_gets_ones_data_by_a_mail_and_a_button(
    client: TestClient, engine: Engine, morning: Morning
) -> None:
    """T-33."""
    for _ in range(3):
        client.post(link(engine, morning.ada), data={"data": "1"})
    [mail] = mails(engine, SystemMailKind.MY_DATA)
    path = path_in(mail)

    assert "ada@" not in client.get(path).text
    answer = client.post(path, data={"yes": "1"})

    assert answer.headers["content-type"] == "application/zip"
    archive = zipfile.ZipFile(io.BytesIO(answer.content))
    assert b"ada@readers.example" in archive.read("data.json")


def test_one_is_erased_by_a_mail_and_a_button(
    client: TestClient, engine: Engine, morning: Morning
) -> None:
    """T-33."""
    client.post(link(engine, morning.ada), data={"erase": "1"})
    [mail] = mails(engine, SystemMailKind.ERASE_ME)
    path = path_in(mail)
    client.get(path)
    client.post(path)
    assert subscriber(engine, morning.ada).address == "ada@readers.example"

    assert "forgotten" in client.post(path, data={"yes": "1"}).text

    with reading(engine) as session:
        assert session.get(Subscriber, morning.ada) is None
    assert client.get(path).status_code == 410


def test_one_leaves_everything_with_one_button(
    client: TestClient, engine: Engine, morning: Morning
) -> None:
    client.post(link(engine, morning.ada), data={"leave-all": "1"})

    assert status_of(engine, morning.list_id, morning.ada) is UNSUBSCRIBED
    assert status_of(engine, morning.other_list_id, morning.ada) is UNSUBSCRIBED


def test_looking_changes_nothing(client: TestClient, engine: Engine, morning: Morning) -> None:
    """T-30: scanners follow every link."""
    purposes = (Purpose.SETTINGS, Purpose.DATA, Purpose.ERASE)
    paths = [link(engine, morning.ada, purpose) for purpose in purposes]

    for path in (*paths, edition_link(morning, morning.ada)):
        assert client.get(path).status_code == 200
        assert client.head(path).status_code == 200

    assert subscriber(engine, morning.ada).address == "ada@readers.example"
    assert status_of(engine, morning.list_id, morning.ada) is CONFIRMED
