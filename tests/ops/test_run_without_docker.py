"""The commands that the containers run, run here: on PostgreSQL and Valkey, from migration to mailbox."""

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML
from sqlalchemy import create_engine, text

from newsletter.demo.sample import SAMPLE_BRIEFING
from newsletter.settings import PROJECT_ROOT
from newsletter.stack.ports import free_port
from newsletter.stack.postgres import running_postgres

PATIENCE_SECONDS = 90.0
PEOPLE = (
    "email,name,status\nada@readers.example,Ada,subscribed\nbo@readers.example,Bo,unsubscribed\n"
)


class Installation:
    """A host with PostgreSQL, Redis and our processes on it."""

    def __init__(self, environment: dict[str, str], web_port: int, mailbox_port: int) -> None:
        self.environment = environment
        self.web_port = web_port
        self.mailbox_port = mailbox_port
        self.smtp_port = free_port()

    def newsletter(self, *arguments: str) -> str:
        ended = subprocess.run(
            [sys.executable, "-m", "newsletter", *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert ended.returncode == 0, ended.stderr
        return ended.stdout

    def get(self, port: int, path: str) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read()
        except OSError:
            return 0, b""
        finally:
            connection.close()


def wait_until(is_so: Any, log: Path) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not is_so():
        if time.monotonic() > deadline:
            raise TimeoutError(log.read_text())
        time.sleep(0.2)


@pytest.fixture
def installation(redis_server: str, tmp_path: Path) -> Iterator[Installation]:
    with running_postgres() as postgres:
        server = postgres.url
        admin = create_engine(f"{server}/postgres", isolation_level="AUTOCOMMIT")
        with admin.connect() as connection:
            connection.execute(text("CREATE DATABASE newsletter"))
        admin.dispose()
        binaries = Path(sys.executable).parent
        environment = {
            **os.environ,
            "PATH": f"{binaries}:{os.environ['PATH']}",
            "NEWSLETTER_ENV": "production",
            "NEWSLETTER_DATABASE_URL": f"{server}/newsletter",
            "NEWSLETTER_REDIS_URL": redis_server.removesuffix("/0") + "/1",
            "NEWSLETTER_SECRET_KEYS": "1:a-secret-for-tests-that-is-long-enough-to-pass",
            "NEWSLETTER_ADDRESS_KEY": "another-secret-for-tests-that-is-long-enough",
            "NEWSLETTER_BASE_URL": "https://news.morning.example",
            "NEWSLETTER_MAIL_DOMAIN": "mail.morning.example",
            "NEWSLETTER_STATE_DIR": str(tmp_path / "state"),
        }
        yield Installation(environment, free_port(), free_port())


@pytest.fixture
def running(installation: Installation, tmp_path: Path) -> Iterator["subprocess.Popen[bytes]"]:
    log = tmp_path / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [
                *(sys.executable, "scripts/run_without_docker.py", "--profile", "try"),
                *("--web-port", str(installation.web_port)),
                *("--mailbox-port", str(installation.mailbox_port)),
                *("--smtp-port", str(installation.smtp_port), "--workers", "2"),
            ],
            cwd=PROJECT_ROOT,
            env=installation.environment,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            wait_until(
                lambda: installation.get(installation.web_port, "/health/ready")[0] == 200, log
            )
            yield process
        finally:
            process.terminate()
            process.wait(60)


def test_the_containers_commands_carry_an_edition_from_the_database_to_a_mailbox(
    installation: Installation, running: "subprocess.Popen[bytes]", tmp_path: Path
) -> None:
    people = tmp_path / "people.csv"
    people.write_text(PEOPLE)
    mailbox = f"smtp://127.0.0.1:{installation.smtp_port}"
    installation.newsletter("transport", "set", "mailbox", mailbox)
    installation.newsletter(
        *("list", "create", "morning", "--name", "The Morning Brief"),
        *("--sender-name", "The Morning Brief"),
        *("--sender-address", "brief@mail.morning.example"),
        *("--postal-address", "1 Press Lane, London"),
    )
    installation.newsletter("import", str(people), "--list", "morning", "--basis", "consent")
    edition = installation.newsletter(
        "edition", "create", str(SAMPLE_BRIEFING), "--list", "morning"
    ).strip()

    installation.newsletter("edition", "approve", edition)
    installation.newsletter("edition", "send", edition)

    def status() -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(
            installation.newsletter("edition", "status", edition, "--json")
        )
        return answer

    wait_until(lambda: status()["state"] == "sent", tmp_path / "log")
    assert (status()["sent"], status()["excluded"]) == (1, {"unsubscribed": 1})
    _, count = installation.get(installation.mailbox_port, "/api/count")
    assert json.loads(count) == {"received": 1}

    for check in health_checks():
        answered = subprocess.run(
            ["/bin/sh", "-c", check],
            cwd=PROJECT_ROOT,
            env=installation.environment,
            capture_output=True,
            check=False,
        )
        assert answered.returncode == 0, answered.stdout + answered.stderr

    running.send_signal(signal.SIGTERM)
    assert running.wait(60) == 0
    assert not re.findall(r"Traceback", "".join(each.read_text() for each in logs(tmp_path)))


def health_checks() -> list[str]:
    """The shell commands by which a container engine asks workers and beat whether they live."""
    services = YAML(typ="safe").load(PROJECT_ROOT / "docker-compose.yml")["services"]
    return [
        services[name]["healthcheck"]["test"][1].replace("$$", "$")
        for name in ("worker", "upkeep", "beat")
    ]


def logs(tmp_path: Path) -> Iterator[Path]:
    return (tmp_path / "state" / "logs").glob("*.log")
