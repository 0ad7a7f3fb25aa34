import json
import signal
import smtplib
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from click.testing import CliRunner

from newsletter.cli.devmail import command
from newsletter.errors import InputError

LETTER = b"Subject: Hi\r\n\r\nGood morning\r\n"
RUN = "from newsletter.cli.devmail import command; command()"


@contextmanager
def running(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], int, str]]:
    """The process, its SMTP port and the address of its page; stopped as an operator would."""
    with subprocess.Popen(
        [sys.executable, "-c", RUN, "--smtp-port=0", "--web-port=0", *arguments],
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        try:
            smtp, web = process.stdout.readline(), process.stdout.readline()
            yield process, urlsplit(smtp.strip()).port or 0, web.strip()
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=20) == 0


def read(url: str) -> object:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return json.load(answer)


def test_mail_sent_to_it_is_on_its_page_and_still_there_after_a_restart(tmp_path: Path) -> None:
    directory, witness = tmp_path / "mail", tmp_path / "witness.jsonl"
    arguments = (f"--dir={directory}", f"--witness={witness}")
    with running(*arguments) as (_, port, page), smtplib.SMTP("127.0.0.1", port) as client:
        client.sendmail("desk@news.example", ["ada@example.com"], LETTER)
        assert read(f"{page}api/count") == {"received": 1}
        client.sendmail("desk@news.example", ["bo@example.com"], LETTER)

    with running(*arguments) as (_, _, page):
        assert read(f"{page}api/count") == {"received": 2}
        with urllib.request.urlopen(page, timeout=10) as answer:
            assert b"bo@example.com" in answer.read()
    assert len(witness.read_text().splitlines()) == 2


def test_an_idle_mailbox_writes_soon_what_it_was_given(tmp_path: Path) -> None:
    with running(f"--dir={tmp_path}") as (process, port, _):
        with smtplib.SMTP("127.0.0.1", port) as client:
            client.sendmail("desk@news.example", ["ada@example.com"], LETTER)
        time.sleep(0.5)
        process.kill()
        process.wait(timeout=10)
        process.returncode = 0
    with running(f"--dir={tmp_path}") as (_, _, page):
        assert read(f"{page}api/count") == {"received": 1}


def test_a_scripted_server_that_keeps_nothing(tmp_path: Path) -> None:
    script = tmp_path / "script.json"
    script.write_text(
        '{"rules": [{"phase": "rcpt", "times": 1, "action": {"do": "reply", "code": 450}}]}'
    )
    with running("--no-store", f"--script={script}", "--delay=1") as (_, port, page):
        with smtplib.SMTP("127.0.0.1", port) as client:
            with pytest.raises(smtplib.SMTPRecipientsRefused):
                client.sendmail("desk@news.example", ["ada@example.com"], LETTER)
            client.sendmail("desk@news.example", ["ada@example.com"], LETTER)

        assert read(f"{page}api/count") == {"received": 1}
        assert read(f"{page}api/messages") == {"messages": [], "next_before": None}


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--delay=-1"], "not negative"),
        (["--implicit-tls"], "give --tls-cert FILE"),
        (["--auth=desk"], "USER:PASSWORD"),
        (["--tls-cert=/nowhere.pem"], "no certificate with its key"),
        (["--script=/nowhere.json"], "cannot read the script"),
        (["--no-store", "--host=192.0.2.1"], "cannot listen there"),
    ],
)
def test_a_mistake_at_the_command_line_is_one_message(arguments: list[str], complaint: str) -> None:
    result = CliRunner().invoke(command, arguments)

    assert isinstance(result.exception, InputError)
    assert complaint in str(result.exception)
