"""`newsletter doctor` on installations that are well and ill, with every server real."""

import json
import re
from datetime import timedelta
from pathlib import Path

import pytest
import redis as redis_client
from click.testing import CliRunner, Result
from sqlalchemy import select

from newsletter.accounts.people import Rights, create_account
from newsletter.cli import dkim, doctor
from newsletter.clock import utc_now
from newsletter.db import get_engine, reading, transaction
from newsletter.deliver.dkim_keys import dns_record, signing_key
from newsletter.devmail.peer import DevMail
from newsletter.errors import InputError
from newsletter.models import DkimKey, Role, Security, Transport
from newsletter.queue import Queue
from newsletter.redis import BEAT_RANG, PUMP_TURNED, SERVED
from newsletter.settings import get_settings
from newsletter.stack.ports import free_port
from tests.nameserver import running_nameserver
from tests.newsroom import add_list, add_transport
from tests.smtpd import smtpd

__all__ = ["smtpd"]

pytestmark = pytest.mark.parametrize("store", ["sqlite"])

DOMAIN = "harbour.example"
SERVED_QUEUES = {f"worker of the queue {queue}": "ok" for queue in Queue}
PUBLISHED = {
    "mail.harbour.example": ["v=spf1 ip4:192.0.2.1 -all"],
    "_dmarc.harbour.example": ["v=DMARC1; p=none"],
}


@pytest.fixture(autouse=True)
def _own_installation(
    own_database: None, redis_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEWSLETTER_REDIS_URL", redis_server)
    monkeypatch.setenv("NEWSLETTER_MAIL_DOMAIN", "mail.harbour.example")


def turn_pump(redis: "redis_client.Redis", *, ago: timedelta = timedelta()) -> None:
    """And have beat ring for it, and a worker serve every queue."""
    for queue in Queue:
        redis.set(SERVED + queue, (utc_now() - ago).isoformat())
    redis.set(BEAT_RANG, (utc_now() - ago).isoformat())
    redis.set(PUMP_TURNED, (utc_now() - ago).isoformat())


def make_key(selector: str) -> list[str]:
    """The strings to publish for a new key."""
    CliRunner().invoke(dkim.command, ["create", DOMAIN, "--selector", selector])
    with reading() as session:
        key = session.scalars(select(DkimKey).where(DkimKey.selector == selector)).one()
        return ["\t".join(dns_record(signing_key(key)).strings)]


def let_somebody_in() -> None:
    with transaction() as session:
        account = create_account(
            session, "ada@harbour.example", "Ada", Rights(Role.ADMIN), by="ed", now=utc_now()
        )
        account.joined_at = utc_now()


def examine(nameserver: str, *arguments: str) -> Result:
    return CliRunner().invoke(doctor.command, ["--nameserver", nameserver, *arguments])


def healths(result: Result) -> dict[str, str]:
    return {found["subject"]: found["health"] for found in json.loads(result.stdout)}


def test_a_sound_installation_has_no_errors(redis: "redis_client.Redis", smtpd: DevMail) -> None:
    turn_pump(redis)
    let_somebody_in()
    add_list(get_engine())
    add_transport(get_engine(), smtpd.port)
    zone = {**PUBLISHED, "s1._domainkey.harbour.example": make_key("s1")}

    with running_nameserver(zone) as nameserver:
        result = examine(nameserver, "--json")

    assert result.exit_code == 0, result.output
    assert healths(result) == {
        "settings": "warning",
        "database": "ok",
        "redis": "ok",
        "beat": "ok",
        "pump": "ok",
        **SERVED_QUEUES,
        "accounts": "ok",
        "transport devmail": "ok",
        "PTR of 127.0.0.1": "warning",
        "SPF of mail.harbour.example": "ok",
        "DMARC of harbour.example": "ok",
        "DKIM key s1._domainkey.harbour.example": "ok",
        "Alignment of mail.harbour.example with harbour.example": "ok",
    }


def test_every_error_says_what_to_do(redis: "redis_client.Redis") -> None:
    turn_pump(redis, ago=timedelta(seconds=300))
    add_list(get_engine())
    add_transport(get_engine(), free_port())
    make_key("s1")

    with running_nameserver({}) as nameserver:
        result = examine(nameserver)

    assert result.exit_code == 1
    assert re.search(r"error    pump: It last ran 30\d s ago\.\n         Start beat", result.output)
    assert re.search(r"error    beat: It last ran 30\d s ago\.\n         Start beat", result.output)
    assert "error    transport devmail: cannot connect to 127.0.0.1" in result.output
    assert "error    SPF of mail.harbour.example: There is no record." in result.output
    assert 'Publish at _dmarc.harbour.example: "v=DMARC1; p=none"' in result.output
    assert "warning  accounts: Nobody can sign in" in result.output
    assert 'newsletter account create ADDRESS --name "NAME" --admin --link' in result.output
    assert "Publish exactly this: s1._domainkey.harbour.example. IN TXT" in result.output


def test_a_relay_without_the_tls_it_was_set_up_with_is_an_error(
    redis: "redis_client.Redis", smtpd: DevMail
) -> None:
    turn_pump(redis)
    with transaction() as session:
        session.add(
            Transport(name="tls", host="127.0.0.1", port=smtpd.port, security=Security.STARTTLS)
        )

    with running_nameserver({}) as nameserver:
        result = examine(nameserver)

    assert result.exit_code == 1
    assert "error    transport tls: " in result.output


def test_tables_of_another_version_end_the_examination(
    redis: "redis_client.Redis", monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    turn_pump(redis)
    get_engine().dispose()
    monkeypatch.setenv("NEWSLETTER_DATABASE_URL", f"sqlite:///{tmp_path / 'empty.db'}")
    get_settings.cache_clear()
    get_engine.cache_clear()

    with running_nameserver({}) as nameserver:
        result = examine(nameserver, "--json")

    assert result.exit_code == 1
    assert healths(result) == {
        "settings": "warning",
        "database": "error",
        "redis": "ok",
        "beat": "ok",
        "pump": "ok",
        **SERVED_QUEUES,
    }


def test_a_redis_that_is_away_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEWSLETTER_REDIS_URL", f"redis://127.0.0.1:{free_port()}/0")
    get_settings.cache_clear()

    with running_nameserver({}) as nameserver:
        result = examine(nameserver, "--json")

    assert (result.exit_code, healths(result)["redis"]) == (1, "error")


def test_a_queue_that_nobody_serves_is_an_error(redis: "redis_client.Redis") -> None:
    turn_pump(redis)
    redis.delete(SERVED + Queue.SYSTEM)

    with running_nameserver({}) as nameserver:
        result = examine(nameserver)

    assert "error    worker of the queue system: It has never run." in result.output
    assert "Start one: celery --app workers.app worker -Q system" in result.output
    assert "worker of the queue deliver: It ran 0 s ago." in result.output


@pytest.mark.parametrize(
    ("env", "trusted", "health"),
    [
        ("development", "", None),
        ("production", "", "warning"),
        ("production", "10.0.0.0/8", None),
        ("production", "10.0.0.0/8,0.0.0.0/0", "error"),
        ("development", "::/0", "error"),
    ],
)
def test_proxies_that_are_not_named_or_are_everybody_are_found(
    redis: "redis_client.Redis",
    monkeypatch: pytest.MonkeyPatch,
    env: str,
    trusted: str,
    health: str | None,
) -> None:
    monkeypatch.setenv("NEWSLETTER_ENV", env)
    monkeypatch.setenv("NEWSLETTER_SECRET_KEYS", f"1:{'k' * 40}")
    monkeypatch.setenv("NEWSLETTER_ADDRESS_KEY", "a" * 40)
    monkeypatch.setenv("NEWSLETTER_BASE_URL", "https://news.harbour.example")
    monkeypatch.setenv("NEWSLETTER_TRUSTED_PROXIES", trusted)
    get_settings.cache_clear()
    turn_pump(redis)

    with running_nameserver({}) as nameserver:
        found = healths(examine(nameserver, "--json"))

    assert found.get("proxies") == health


def test_a_bad_name_server_is_a_persons_mistake() -> None:
    assert isinstance(examine("somewhere").exception, InputError)
