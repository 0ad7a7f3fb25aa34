"""The whole sentence as one test: a text becomes mail that is opened, clicked and left by."""

import email
import email.policy
import http.client
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from email.message import EmailMessage
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from newsletter.checks.message import check_message

PATIENCE_SECONDS = 150.0
SUBSCRIBERS = 120


def test_a_briefing_reaches_every_mailbox_and_its_readers_are_heard(tmp_path: Path) -> None:
    demo = _start_demo(tmp_path, "--subscribers", str(SUBSCRIBERS))
    try:
        mailbox = _address_behind(demo, "Mailbox")
        database = _address_behind(demo, "NEWSLETTER_DATABASE_URL=")

        listed = _get_json(f"{mailbox}/api/messages?limit=100")["messages"]
        mail = _message(mailbox, listed[0]["id"])
        html = _part(mail, "html")
        pixel = re.findall(r'src="(http[^"]+/o/[^"]+)"', html)
        click = re.findall(r'href="(http[^"]+/c/[^"]+)"', html)
        unsubscribe = str(mail["List-Unsubscribe"]).strip("<>")

        assert len(pixel) == 1
        assert _request("GET", pixel[0])[0] == 200
        assert _request("GET", pixel[0])[0] == 200
        status, headers, _ = _request("GET", click[0])
        assert status == 302
        assert urlsplit(headers["location"]).scheme in {"http", "https"}
        assert _request("GET", unsubscribe)[0] == 200
        assert _request("POST", unsubscribe, body="List-Unsubscribe=One-Click")[0] == 200

        figures = _wait_for(
            lambda: _status(database),
            lambda status: status["opens"] and status["clicks"] and status["unsubscribes"],
        )
        assert (figures["opens"], figures["clicks"], figures["unsubscribes"]) == (1, 1, 1)
        assert figures["state"] == "sent"
        assert figures["planned"] == SUBSCRIBERS
        assert figures["sent"] == _get_json(f"{mailbox}/api/count")["received"]
        assert figures["sent"] + sum(figures["excluded"].values()) == SUBSCRIBERS
        assert _request("GET", click[0])[1]["location"] == headers["location"]
    finally:
        demo.send_signal(signal.SIGINT)
        rest = demo.communicate(timeout=PATIENCE_SECONDS)[0]
    assert demo.returncode == 0, rest


def test_once_prints_one_json_object_that_adds_up(tmp_path: Path) -> None:
    demo = _start_demo(tmp_path, "--subscribers", "100", "--once", "--json")
    out, _ = demo.communicate(timeout=PATIENCE_SECONDS)

    figures = json.loads(out)
    assert demo.returncode == 0
    assert set(figures) == {
        "planned",
        "waiting",
        "deferred",
        "sent",
        "excluded",
        "failed",
        "uncertain",
        "cancelled",
        "received",
        "first_message_seconds",
        "seconds",
    }
    assert figures["planned"] == 100
    assert figures["sent"] == figures["received"]
    assert set(figures["excluded"]) == {"suppressed", "unsubscribed", "unconfirmed"}
    assert 0 < figures["first_message_seconds"] <= figures["seconds"]


def test_a_text_that_is_no_briefing_is_refused_before_anything_starts(tmp_path: Path) -> None:
    nothing = tmp_path / "empty.txt"
    nothing.write_text("\n")

    demo = _start_demo(tmp_path, "--briefing", str(nothing), "--once")
    out, _ = demo.communicate(timeout=PATIENCE_SECONDS)

    assert demo.returncode == 2
    assert "no briefing that can be sent" in out
    assert "Traceback" not in out
    assert not (tmp_path / "demo").exists()


def _start_demo(folder: Path, *arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "newsletter", "demo", "--web-port", "0", "--mailbox-port", "0"]
        + list(arguments),
        env={**os.environ, "NEWSLETTER_STATE_DIR": str(folder), "PYTHONUNBUFFERED": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT if "--json" not in arguments else subprocess.DEVNULL,
        text=True,
    )


def _address_behind(demo: "subprocess.Popen[str]", label: str) -> str:
    assert demo.stdout is not None
    lines = []
    for line in demo.stdout:
        lines.append(line)
        if label in line:
            return line.split()[-1].removeprefix(label)
    message = f"the demo ended before it said {label!r}:\n{''.join(lines)}"
    raise AssertionError(message)


def _status(database: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "newsletter", "edition", "status", "1", "--json"],
        env={**os.environ, "NEWSLETTER_DATABASE_URL": database},
        capture_output=True,
        text=True,
        check=True,
    )
    figures: dict[str, Any] = json.loads(done.stdout)
    return figures


def _wait_for(
    look: Callable[[], dict[str, Any]], is_there: Callable[[dict[str, Any]], object]
) -> dict[str, Any]:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        seen = look()
        if is_there(seen) or time.monotonic() > deadline:
            return seen


def _message(mailbox: str, number: int) -> EmailMessage:
    raw = _request("GET", f"{mailbox}/api/messages/{number}/source")[2]
    assert check_message(raw) == []
    return email.message_from_bytes(raw, policy=email.policy.default)


def _part(mail: EmailMessage, kind: str) -> str:
    part = mail.get_body((kind,))
    assert part is not None
    content: str = part.get_content()
    return content


def _get_json(url: str) -> dict[str, Any]:
    status, _, body = _request("GET", url)
    assert status == 200
    answer: dict[str, Any] = json.loads(body)
    return answer


def _request(method: str, url: str, body: str | None = None) -> tuple[int, dict[str, str], bytes]:
    parts = urlsplit(url)
    assert parts.hostname is not None
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=10)
    headers = {"Content-Type": "application/x-www-form-urlencoded"} if body else {}
    try:
        connection.request(method, f"{parts.path}?{parts.query}".rstrip("?"), body, headers)
        response = connection.getresponse()
        answer = {name.lower(): value for name, value in response.getheaders()}
        return response.status, answer, response.read()
    finally:
        connection.close()
