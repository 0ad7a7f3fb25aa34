"""The pages behind a confirmation mail's two links, and the mail itself as it arrives."""

import re
from collections.abc import Iterator
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import redis as redis_client
from sqlalchemy import Engine, select
from starlette.testclient import TestClient

from newsletter.clock import utc_now
from newsletter.db import reading, transaction
from newsletter.deliver.post_office import PostOffice
from newsletter.devmail.peer import DevMail
from newsletter.models import (
    Edition,
    MailingList,
    Revision,
    SubscriptionStatus,
    Suppression,
    SuppressionReason,
)
from newsletter.settings import Settings
from tests.audience.signing_up import make_list, requests, status
from tests.conftest import STORES
from tests.newsroom import add_transport
from tests.smtpd import smtpd
from tests.track.people import mailed_morning
from tests.web.public.strangers import answer, filled, opened, send, settings_for
from tests.web.served import tokens

__all__ = ["smtpd"]

CONFIRMED = SubscriptionStatus.CONFIRMED


@pytest.fixture
def store() -> str:
    """Most of what a page does is the same on both; tests that ask for both say so."""
    return "sqlite"


@pytest.fixture
def settings(redis_server: str, tmp_path: Path) -> Settings:
    return settings_for(redis_server, tmp_path, poll_seconds=0.05)


@pytest.fixture
def client(engine: Engine, settings: Settings, redis: "redis_client.Redis") -> Iterator[TestClient]:
    with opened(engine, settings) as client:
        yield client


@pytest.fixture
def asked(client: TestClient, engine: Engine, settings: Settings) -> str:
    """The path of the link in Ada's confirmation mail."""
    make_list(engine)
    send(client, "/s/daily", filled())
    answer(engine, settings)
    return f"/confirm/{tokens().confirmation(requests(engine)[0].reference)}"


def refusal(engine: Engine) -> str:
    return f"/not-me/{tokens().refusal(requests(engine)[0].address_hash)}"


def suppressions(engine: Engine) -> list[SuppressionReason]:
    with reading(engine) as session:
        return list(session.scalars(select(Suppression.reason)))


@pytest.mark.parametrize("store", STORES)
def test_t30_only_the_button_confirms(client: TestClient, engine: Engine, asked: str) -> None:
    for method in ("GET", "HEAD", "GET"):
        page = client.request(method, asked, headers={"Sec-Purpose": "prefetch"})
        assert page.status_code == 200
    assert "Subscribe to The Daily?" in page.text
    assert "a***@r***.example" in page.text
    assert status(engine) is None

    done = client.post(asked, data={"yes": "1"})

    assert done.status_code == 200
    assert "You are subscribed" in done.text
    assert status(engine) is CONFIRMED
    assert "set-cookie" not in done.headers
    assert done.headers["referrer-policy"] == "no-referrer"


@pytest.mark.parametrize("body", [b"", b"no=1", b"\xff\xfe"])
def test_a_post_that_says_nothing_asks_again(
    client: TestClient, engine: Engine, asked: str, body: bytes
) -> None:
    answers = [client.post(path, content=body) for path in (asked, refusal(engine))]

    assert [each.status_code for each in answers] == [400, 400]
    assert status(engine) is None
    assert suppressions(engine) == []


def test_s03_a_used_link_says_so_and_does_nothing(
    client: TestClient, engine: Engine, asked: str
) -> None:
    client.post(asked, data={"yes": "1"})

    again = [client.get(asked), client.post(asked, data={"yes": "1"})]

    assert ["has been used" in page.text for page in again] == [True, True]
    assert "<button" not in again[0].text


@pytest.mark.parametrize("place", range(0, 39, 3))
def test_s03_a_token_with_one_character_changed_is_unknown(
    client: TestClient, engine: Engine, asked: str, place: int
) -> None:
    path, _, token = asked.rpartition("/")
    other = "A" if token[place] != "A" else "B"
    forged = f"{path}/{token[:place]}{other}{token[place + 1 :]}"

    assert client.get(forged).status_code == 404
    assert client.post(forged, data={"yes": "1"}).status_code == 404
    assert status(engine) is None


def test_s03_a_token_of_one_purpose_opens_nothing_else(
    client: TestClient, engine: Engine, asked: str
) -> None:
    confirm, refuse = asked.rpartition("/")[2], refusal(engine).rpartition("/")[2]
    form = tokens().form(utc_now())

    paths = [
        *(f"/confirm/{token}" for token in (refuse, form)),
        *(f"/not-me/{token}" for token in (confirm, form)),
        *(f"/u/{token}" for token in (confirm, refuse, form)),
    ]

    assert {client.post(path, data={"yes": "1", "never": "1"}).status_code for path in paths} == {
        404
    }


def test_a_link_whose_request_was_deleted_says_where_to_ask_again(
    client: TestClient, asked: str
) -> None:
    gone = client.get(f"/confirm/{tokens().confirmation('0' * 24)}")

    assert gone.status_code == 410
    assert "seven days" in gone.text


@pytest.mark.parametrize("store", STORES)
def test_never_mail_me_asks_first_and_blocks_by_hash(
    client: TestClient, engine: Engine, asked: str
) -> None:
    path = refusal(engine)
    page = client.get(path)
    assert "Never get mail from us?" in page.text
    assert suppressions(engine) == []

    done = client.post(path, data={"never": "1"})

    assert "You will get no mail from us" in done.text
    assert suppressions(engine) == [SuppressionReason.ON_REQUEST]
    assert client.post(asked, data={"yes": "1"}).status_code == 410
    assert client.post(path, data={"never": "1"}).text == done.text
    assert status(engine) is None


def test_the_pages_speak_the_language_of_the_form(
    client: TestClient, engine: Engine, settings: Settings
) -> None:
    make_list(engine)
    send(client, "/s/daily", filled(language="zh-CN"))
    answer(engine, settings)

    page = client.get(f"/confirm/{tokens().confirmation(requests(engine)[0].reference)}")

    assert "订阅《The Daily》？" in page.text
    assert '<html lang="zh-Hans">' in page.text


def received(smtpd: DevMail, count: int) -> list[EmailMessage]:
    return [
        message_from_bytes(each.content, policy=policy.default)
        for each in smtpd.wait_for(count, timeout_seconds=15)
    ]


def link_in(mail: EmailMessage, path: str) -> str:
    """The path of the link in its text; the HTML must have the same."""
    body = mail.get_body(("plain",))
    html = mail.get_body(("html",))
    assert body is not None
    assert html is not None
    found = re.search(rf"https://news\.courier\.example{path}/\S+", body.get_content())
    assert found is not None
    assert f'href="{found[0]}"' in html.get_content()
    return urlsplit(found[0]).path


@pytest.mark.parametrize("store", STORES)
def test_from_the_form_to_the_welcome_over_the_wire(
    client: TestClient, engine: Engine, settings: Settings, smtpd: DevMail
) -> None:
    """H-36, H-40, S-14, T-30, T-31."""
    add_transport(engine, smtpd.port)
    make_list(engine)
    hostile = "Visit https://evil.example"
    with PostOffice(engine, settings):
        send(client, "/s/daily", filled(name=hostile, zone=hostile), **{"User-Agent": hostile})
        answer(engine, settings)
        (question,) = received(smtpd, 1)
        client.get(link_in(question, "/confirm"))
        client.post(link_in(question, "/confirm"), data={"yes": "1"})
        _, welcome = received(smtpd, 2)

    assert question["Subject"] == "Please confirm: The Daily"
    assert question["To"] == "ada@readers.example"
    assert question["From"] == "The Desk <desk@courier.example>"
    assert question["Auto-Submitted"] == "auto-generated"
    assert not [name for name in question if name.startswith("List-")]
    assert "evil" not in question.as_string()
    assert link_in(question, "/not-me").startswith("/not-me/")
    assert question["Message-ID"] == f"<s-{requests(engine)[0].reference}@mail.example.org>"
    assert welcome["Subject"] == "Welcome to The Daily"
    assert client.post(link_in(welcome, "/u"), data={"leave": "1"}).status_code == 200
    assert status(engine) is SubscriptionStatus.UNSUBSCRIBED


def test_the_welcome_leads_to_the_latest_edition(
    client: TestClient, engine: Engine, settings: Settings, smtpd: DevMail
) -> None:
    add_transport(engine, smtpd.port)
    list_id, public_id = _list_with_an_edition(engine)
    with PostOffice(engine, settings):
        send(client, "/s/morning", filled("cy@readers.example"))
        answer(engine, settings)
        (question,) = received(smtpd, 1)
        client.post(link_in(question, "/confirm"), data={"yes": "1"})
        _, welcome = received(smtpd, 2)

    assert status(engine, "cy@readers.example", list_id) is CONFIRMED
    assert link_in(welcome, "/e") == f"/e/{public_id}"
    body = welcome.get_body(("plain",))
    assert body is not None
    assert "Read the latest: Harbour reopens" in body.get_content()


def _list_with_an_edition(engine: Engine) -> tuple[int, str]:
    morning = mailed_morning(engine)
    with transaction(engine) as session:
        session.get_one(MailingList, morning.list_id).is_public = True
        edition = session.get_one(Edition, morning.edition_id)
        session.add_all(
            [
                Revision(
                    edition_id=edition.id,
                    number=1,
                    briefing={},
                    source_text="",
                    subject="Harbour reopens",
                    preheader="",
                    content_hash="",
                    created_at=edition.created_at,
                    created_by="Ed",
                ),
            ]
        )
        return morning.list_id, edition.public_id


@pytest.mark.parametrize(
    ("language", "subject", "words"),
    [
        ("en", "Please confirm: The Daily", "Yes, subscribe me"),
        ("zh-CN", "请确认订阅：The Daily", "是的，我要订阅"),
        ("zh-TW", "請確認訂閱：The Daily", "是的，我要訂閱"),
    ],
)
def test_the_mail_speaks_the_language_of_the_reader(
    client: TestClient,
    engine: Engine,
    settings: Settings,
    smtpd: DevMail,
    language: str,
    subject: str,
    words: str,
) -> None:
    add_transport(engine, smtpd.port)
    make_list(engine)
    with PostOffice(engine, settings):
        send(client, "/s/daily", filled(language=language))
        answer(engine, settings)
        (question,) = received(smtpd, 1)

    html = question.get_body(("html",))
    assert html is not None
    assert question["Subject"] == subject
    assert words in html.get_content()
