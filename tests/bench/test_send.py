"""The benchmark runs whole, and what it prints adds up; how fast it is, is no test's business."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from newsletter.bench.cost import ThreadCosts, ThreadsSplit
from newsletter.bench.letter import make_content
from newsletter.bench.others import Server, send_with_smtp_source
from newsletter.cli.bench import command
from newsletter.devmail.peer import DevMail
from newsletter.render.compile import compile_edition
from newsletter.render.masthead import Masthead
from tests.smtpd import smtpd

__all__ = ["smtpd"]

MASTHEAD = Masthead(
    list_id=1,
    slug="bench",
    name="The Bench Brief",
    sender_name="The Bench Brief",
    sender_address="brief@bench.example",
    postal_address="1 Workshop Lane",
    mail_domain="mail.bench.example",
    base_url="http://127.0.0.1:8000",
)


def bench(*options: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "newsletter", "bench", "send", *options]
        + ["--readers", "300", "--runs", "1", "--reference-messages", "40", "--json"],
        env={**os.environ},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    figures = json.loads(done.stdout)
    assert isinstance(figures, dict)
    return figures


def test_a_small_run_tells_all_its_figures() -> None:
    figures = bench("--store", "postgres", "--dkim", "rsa")

    assert (figures["store"], figures["readers"], figures["dkim"]) == ("postgres", 300, "rsa")
    assert figures["messages_per_second"] > 0
    assert set(figures["cpu_split_us"]) == {"claim", "build", "sign", "record", "wire", "celery"}
    assert figures["bare_signature_us"] > 0
    assert set(figures["reference"]) >= {"messages_per_second", "ratio_cpu", "ratio_rate"}
    assert figures["plan_seconds"] >= 0
    assert figures["first_message_seconds"] > 0
    assert figures["counted_by"] == "ledger and server"


def test_a_server_that_runs_already_takes_the_mail_and_the_ledger_counts(smtpd: DevMail) -> None:
    figures = bench("--store", "sqlite", "--peer", f"127.0.0.1:{smtpd.port}")

    assert figures["store"] == "sqlite"
    assert figures["bare_signature_us"] is None
    assert figures["counted_by"] == "ledger"
    assert len(smtpd.messages()) >= 300


@pytest.mark.parametrize(
    "options",
    [["--peer", "localhost"], ["--peer", ":25"], ["--peer", "localhost:25", "--latency", "20"]],
)
def test_a_server_that_cannot_be_meant_is_refused(options: list[str]) -> None:
    told = CliRunner().invoke(command, ["send", *options])

    assert told.exit_code == 2
    assert "Error" in told.output


def test_the_busiest_thread_of_a_worker_is_the_one_that_carries() -> None:
    before = ThreadCosts({(7, 7): 1.0, (7, 8): 1.0})
    after = ThreadCosts({(7, 7): 1.5, (7, 8): 4.0, (7, 9): 0.25, (7, 10): 0.5})

    assert after.since(before) == ThreadsSplit(main=0.5, loop=3.0, others=0.75)


def test_a_program_that_was_only_unpacked_finds_the_libraries_beside_it(tmp_path: Path) -> None:
    program = tmp_path / "usr" / "sbin" / "smtp-source"
    libraries = tmp_path / "usr" / "lib" / "postfix"
    libraries.mkdir(parents=True)
    program.parent.mkdir()
    program.write_text('#!/bin/sh\ntest "$LD_LIBRARY_PATH" = "' + str(libraries) + '"\n')
    program.chmod(0o755)

    sent = send_with_smtp_source(
        str(program), server=Server("127.0.0.1", 25), messages=1, connections=1, size_bytes=10
    )

    assert sent.messages == 1


@pytest.mark.parametrize("links", [3, 24, 45])
def test_a_letter_has_the_wanted_links_and_about_the_wanted_size(links: int) -> None:
    content = make_content(MASTHEAD, size_bytes=43_000, links=links)

    compiled = compile_edition(
        content.briefing,
        MASTHEAD,
        edition_id=1,
        public_id="bench",
        subject=content.subject,
        preheader=content.preheader,
    )
    assert len(compiled.links) == links
    assert 0.85 * 43_000 < compiled.html_bytes + compiled.text_bytes < 1.1 * 43_000
