"""The benchmark runs whole, and what it prints adds up; how fast it is, is no test's business."""

import json
import os
import subprocess
import sys

import pytest

from newsletter.bench.letter import make_content
from newsletter.render.compile import compile_edition
from newsletter.render.masthead import Masthead

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


@pytest.mark.parametrize(("store", "dkim"), [("sqlite", "none"), ("postgres", "rsa")])
def test_a_small_run_tells_all_its_figures(store: str, dkim: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "newsletter", "bench", "send", "--store", store, "--dkim", dkim]
        + ["--readers", "300", "--runs", "1", "--reference-messages", "40", "--json"],
        env={**os.environ},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )

    figures = json.loads(done.stdout)
    assert (figures["store"], figures["readers"], figures["dkim"]) == (store, 300, dkim)
    assert figures["messages_per_second"] > 0
    assert set(figures["cpu_split_us"]) == {"claim", "build", "sign", "record", "wire", "celery"}
    assert (figures["bare_signature_us"] is None) == (dkim == "none")
    assert set(figures["reference"]) >= {"messages_per_second", "ratio_cpu", "ratio_rate"}
    assert figures["plan_seconds"] >= 0
    assert figures["first_message_seconds"] > 0


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
